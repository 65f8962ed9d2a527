"""The sessions of a query as files of NWB."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import VrtrackerError
from vrtracker.interop.nwb.exporting import NwbExport, export_nwb, pynwb_module, session_id

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker


def export_many(
    tracker: Tracker,
    folder: str | os.PathLike[str],
    where: Any = None,
    /,
    *,
    overwrite: bool = False,
    show_blinded: bool = False,
    progress: Callable[[int, int, Any, Any], object] | None = None,
    **filters: Any,
) -> tuple[list[NwbExport], list[SessionKey], list[tuple[SessionKey, str]]]:
    """Write the sessions of a query, each as ``FOLDER/MOUSE/MOUSE_DATE_NUMBER.nwb``.

    What is there already is passed over, so that a run that broke off can be gone on with; with
    `overwrite` it is written anew.

    Returns
    -------
    list of NwbExport
    list of SessionKey
        Those that were passed over.
    list of (SessionKey, str)
        Those that failed, and why.

    Examples
    --------
    >>> from vrtracker.interop.nwb import export_many
    >>> written, passed, failed = export_many(tracker, "nwb", "not imaging")
    >>> sorted(path.name for path in Path("nwb").rglob("*.nwb"))
    ['DEMO003_2023-03-16_1.nwb']
    """
    pynwb_module()
    keys = tracker.sessions.query(where, **filters).keys()
    written, passed, failed = [], [], []
    for place, each in enumerate(keys, start=1):
        key = SessionKey.parse(each)
        target = Path(folder) / key.mouse / f"{session_id(key)}.nwb"
        if target.exists() and not overwrite:
            passed.append(key)
        else:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                options = {"overwrite": overwrite, "show_blinded": show_blinded}
                written.append(export_nwb(tracker, key, target, **options))
            except (VrtrackerError, OSError) as error:
                failed.append((key, str(error)))
        if progress is not None:
            progress(place, len(keys), key, None)
    return written, passed, failed
