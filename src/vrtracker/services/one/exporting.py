"""Sessions and datasets written as a cache of ONE."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.one import DATASETS, SESSIONS, LeftOut, OneExport, dataset_name, unfit
from vrtracker.errors import InvalidValueError
from vrtracker.files.alf import revision_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["export_cache"]

_Row = dict[str, Any]


def export_cache(
    lab: LabContext, folder: Path, chosen: Selection, *, skip_unfit: bool
) -> OneExport:
    """Write the sessions that pass filters; see `vrtracker.tracker.Tracker.export_one`."""
    from vrtracker.files.one.writing import refuse_foreign, write_cache

    refuse_foreign(folder)
    listing = Listing(chosen, include_scratched=chosen.is_key)
    sessions, frame = _read(lab, listing)
    fit, left_out = [], []
    for row in sessions:
        reason = unfit(row)
        if reason is None:
            fit.append(row)
        else:
            name = f"{row['mouseName']}.{row['sessionDate']}.{row['sessionID']}"
            left_out.append(LeftOut(name, reason))
    if left_out and not skip_unfit:
        raise _unfit(left_out)
    if not fit:
        raise InvalidValueError(
            "No session is selected that ONE can hold; nothing was written. Give other filters."
        )
    fit.sort(key=lambda row: row["id"].bytes)
    tables: dict[str, Mapping[str, Any]] = {SESSIONS: _session_columns(fit)}
    if left_out:
        frame = frame[frame["uSessionID"].isin([row["uSessionID"] for row in fit])]
    unhashed = int(frame["md5"].isna().sum())
    if len(frame):
        tables[DATASETS] = _dataset_columns(frame, fit, hashes=not unhashed)
    write_cache(folder, tables, created=lab.now())
    return OneExport(
        folder=str(folder),
        sessions=len(fit),
        datasets=len(frame),
        left_out=tuple(left_out),
        unhashed=unhashed,
    )


def _unfit(left_out: Sequence[LeftOut]) -> InvalidValueError:
    listing = "; ".join(f"{each.key}: {each.reason}" for each in left_out)
    return InvalidValueError(
        f"ONE cannot hold {len(left_out)} of the sessions ({listing}); nothing was written. "
        "Choose others by filters, or leave them out with skip_unfit=True.",
        value={each.key: each.reason for each in left_out},
    )


def _read(lab: LabContext, listing: Listing) -> tuple[list[_Row], pd.DataFrame]:
    """Return the sessions with their names in ONE, and their datasets."""
    from vrtracker.frames import read_frame

    on_disk = lab.folders().labs() if lab.root is not None else {}
    with lab.unit(readonly=True) as unit:
        names = unit.one.names()
        rows = unit.sessions.present(listing, ("experimentType",))
        statement = unit.one.datasets(listing)
    nothing: Mapping[str, Any] = {}
    for row in rows:
        known = names.get(row["uSessionID"], nothing)
        row["lab"] = known.get("lab") or on_disk.get(row["mouseName"], "")
        row["projects"] = known.get("projects") or ""
        row["id"] = _id_of(row, known.get("one_id"))
    return rows, read_frame(lab.database, statement)


def _id_of(row: Mapping[str, Any], known: str | None) -> uuid.UUID:
    if known is not None:
        return uuid.UUID(known)
    return SessionKey(row["mouseName"], row["sessionDate"], row["sessionID"]).uuid


def _session_columns(rows: Sequence[_Row]) -> dict[str, Any]:
    return {
        "lab": [row["lab"] for row in rows],
        "subject": [row["mouseName"] for row in rows],
        "date": [row["sessionDate"] for row in rows],
        "number": [row["sessionID"] for row in rows],
        "task_protocol": [row["experimentType"] or "" for row in rows],
        "projects": [row["projects"] for row in rows],
        "id": [str(row["id"]) for row in rows],
    }


def _dataset_columns(frame: pd.DataFrame, fit: Sequence[_Row], *, hashes: bool) -> dict[str, Any]:
    """Return the columns of the datasets, sorted by the session's id and their own."""
    import numpy as np

    from vrtracker.files.one.writing import id_texts, qc_column

    place = {row["uSessionID"]: place for place, row in enumerate(fit)}
    places = frame["uSessionID"].map(place).to_numpy()
    session_ids = [row["id"].bytes for row in fit]
    ids = _dataset_ids(frame, places, session_ids)
    # A UUID's text sorts as its bytes do: as two large numbers, the first one first.
    halves = ids.view(">u8")
    order = np.lexsort((halves[:, 1], halves[:, 0], places))
    frame, places = frame.take(order), places[order]
    of_sessions = np.frombuffer(b"".join(session_ids), dtype=np.uint8).reshape(-1, 16)
    return {
        "rel_path": frame["rel_path"],
        "file_size": frame["size_bytes"].to_numpy().astype("uint64"),
        "hash": frame["md5"] if hashes else None,
        "exists": frame["missing_since"].isna(),
        "qc": qc_column(frame["qc_level"].to_numpy()),
        "default_revision": _defaults(
            frame["rel_path"].tolist(), places.tolist(), frame["missing_since"].isna().tolist()
        ),
        "eid": id_texts(of_sessions[places]),
        "id": id_texts(ids[order]),
    }


def _dataset_ids(
    frame: pd.DataFrame, places: np.ndarray[Any, Any], session_ids: Sequence[bytes]
) -> np.ndarray[Any, Any]:
    """Return the id of each dataset, bytes of shape (n, 16).

    It is the UUID of version 3 (RFC 9562, 5.3) that the session's id and the path make, unless a
    cache has given another one.
    """
    import numpy as np

    md5 = hashlib.md5
    digests = b"".join(
        md5(session_ids[place] + path.encode(), usedforsecurity=False).digest()
        for place, path in zip(places.tolist(), frame["rel_path"].tolist(), strict=True)
    )
    ids = np.frombuffer(bytearray(digests), dtype=np.uint8).reshape(-1, 16)
    ids[:, 6] = ids[:, 6] & 0x0F | 0x30
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    for row in np.flatnonzero(frame["one_id"].notna()):
        ids[row] = np.frombuffer(uuid.UUID(frame["one_id"].iloc[row]).bytes, dtype=np.uint8)
    return ids


def _defaults(
    paths: Sequence[str], places: Sequence[int], exists: Sequence[bool]
) -> np.ndarray[Any, Any]:
    """Return for each dataset whether it is the last revision of its name that is there.

    Of a name without any file left it is the last one on record.
    """
    import numpy as np

    is_default = np.ones(len(paths), dtype=bool)
    names = [dataset_name(path) if "#" in path else path for path in paths]
    revised = {
        (place, name)
        for place, name, path in zip(places, names, paths, strict=True)
        if name != path
    }
    last: dict[tuple[int, str], tuple[bool, str, int]] = {}
    for position, name in enumerate(zip(places, names, strict=True)):
        if name in revised:
            is_default[position] = False
            this = (exists[position], revision_of(paths[position]) or "", position)
            last[name] = max(last.get(name, this), this)
    for *_, position in last.values():
        is_default[position] = True
    return is_default
