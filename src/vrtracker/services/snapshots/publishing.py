"""Publish a snapshot: what a lab's database holds, as a bundle of files."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vrtracker.backends.disk import flush
from vrtracker.database import Database
from vrtracker.database.versions import HEAD
from vrtracker.domain.frozen import in_json
from vrtracker.errors import BackendError, DuplicateError, InvalidValueError
from vrtracker.files.bundles import (
    BundleFile,
    Manifest,
    check_name,
    write_index,
)
from vrtracker.files.published import MANIFEST
from vrtracker.processes import is_alive
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration.cloning import Copying, Progress
from vrtracker.services.administration.part import part_of
from vrtracker.services.administration.past import moment_of, past_of
from vrtracker.services.context import LabContext, LabService
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.selections import query_of

_READ_ONLY = 0o444
_WORK = ".publishing-"
# No publisher of another computer takes so long.
_LONGEST_SECONDS = 24 * 3600


class SnapshotService(LabService):
    """Publishes one lab."""

    def publish(
        self,
        name: str,
        folder: str | os.PathLike[str],
        where: Any = None,
        /,
        *,
        as_of: Any = None,
        include_scratched: bool = False,
        size: str | None = None,
        licence: str | None = None,
        citation: str | None = None,
        progress: Progress | None = None,
        **filters: Any,
    ) -> Manifest:
        """Write an immutable bundle into a folder, and the folder's index anew.

        It holds the database as a SQLite file, ``sessions.parquet``, ``mice.parquet`` and a
        manifest. The SQLite file has the history too, and with it the names of those who worked;
        the genotypes of blinded mice stand in it, and are missing in the frames.

        Parameters
        ----------
        name
            Taken for good in this folder.
        where, include_scratched, **filters
            Which sessions, as for ``tracker.sessions.frame``, with all that hangs on them and
            their mice; all that there is when neither is given.
        as_of
            An earlier moment that it is to show, as for ``tracker.as_of``.
        size
            A label such as ``small``, for ``snapshots.load_current``.
        licence, citation
            Told in the manifest: what others may do with it, and how to cite it.
        progress
            Called with a table's name, the rows that are copied, and how many there are.

        Returns
        -------
        Manifest
            ``name, sessions, mice, revision, files`` and more.

        Raises
        ------
        DuplicateError
            If the name is taken.
        InvalidValueError
            If no session passes, or the name is none.
        BackendError
            If it cannot be written; nothing of it is there then.

        Examples
        --------
        >>> tracker.publish("ko", "published", "mouse.KO", size="small", licence="CC0-1.0").sessions
        4
        """
        target = Path(folder).expanduser().absolute()
        if (target / check_name(name)).exists():
            raise DuplicateError("snapshot", name, f"in {target}; a snapshot never changes")
        facts: dict[str, Any] = {"size": size, "licence": licence, "citation": citation}
        facts |= {"name": name, "created_at": self._lab.now().isoformat()}
        with contextlib.ExitStack() as stack:
            lab = self._lab
            if as_of is not None:
                lab, copied = past_of(lab, moment_of(lab, as_of))
                stack.callback(copied.cleanup)
                stack.callback(lab.database.dispose)
                facts["as_of"] = lab.now().isoformat()
            listing = Listing(lab.selection(where, filters), include_scratched=include_scratched)
            facts["selection"] = _document(listing)
            return _Writing(lab, listing, facts, progress).into(target)


class _Writing:
    """One bundle in the making."""

    def __init__(
        self, lab: LabContext, listing: Listing, facts: Mapping[str, Any], progress: Progress | None
    ) -> None:
        self._lab = lab
        self._listing = listing
        self._facts = facts
        self._progress = progress

    def into(self, target: Path) -> Manifest:
        """Write the bundle; it has its name once it is whole."""
        try:
            target.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(target)
            with tempfile.TemporaryDirectory(prefix=_work_name(), dir=target) as work:
                bundle = Path(work) / self._facts["name"]
                bundle.mkdir()
                manifest = self._written(bundle)
                for path in bundle.iterdir():
                    flush(path)
                    path.chmod(_READ_ONLY)
                _put(bundle, target / bundle.name)
        except OSError as error:
            raise BackendError(
                f"The snapshot could not be written to {target} ({error.strerror or error}); "
                "nothing of it is there. Make room, or give another folder."
            ) from error
        return manifest

    def _written(self, bundle: Path) -> Manifest:
        database = self._write_database(bundle)
        try:
            lab = replace(self._lab, database=database)
            sessions = SessionService(lab).frame(include_scratched=True)
            mice = MouseService(lab).frame()
        finally:
            database.dispose()
        if "as_of" in self._facts and sessions.empty and mice.empty:
            raise InvalidValueError(
                f"At {self._facts['as_of']} there was neither a mouse nor a session; nothing was "
                "published. Give a later time."
            )
        sessions.to_parquet(bundle / "sessions.parquet", index=False)
        mice.to_parquet(bundle / "mice.parquet", index=False)
        manifest = Manifest(
            revision=HEAD,
            vrtracker=version("vrtracker"),
            sessions=len(sessions),
            mice=len(mice),
            files=tuple(BundleFile.of(path) for path in sorted(bundle.iterdir())),
            **self._facts,
        )
        (bundle / MANIFEST).write_bytes(manifest.written())
        return manifest

    def _write_database(self, bundle: Path) -> Database:
        with Database(bundle.with_name("copy.db"), create=True) as copy:
            asked = self._lab.database, copy, self._progress
            is_all = not self._listing.filters
            (Copying(*asked) if is_all else part_of(*asked, self._listing)).run()
            # One file, without a log beside it, that SQLite has checked.
            return Database(copy.backend.back_up(copy.url, bundle, "lab"), readonly=True)


def _document(listing: Listing) -> dict[str, Any]:
    """Return which sessions are published, for the manifest; empty for all."""
    if not listing.filters:
        return {}
    query = query_of(listing.filters, include_scratched=listing.include_scratched)
    return {name: in_json(value) for name, value in query.items()}


def _work_name() -> str:
    """Return the begin of a folder's name that tells which process makes it."""
    return f"{_WORK}{platform.node().replace('-', '_')}-{os.getpid()}-"


def _remove_left_behind(target: Path) -> None:
    """Remove what publishers that were killed have left."""
    for left in target.glob(f"{_WORK}*"):
        host, _, rest = left.name.removeprefix(_WORK).partition("-")
        number = rest.partition("-")[0]
        if host == platform.node().replace("-", "_") and number.isdigit():
            is_over = is_alive(int(number), None) is False
        else:
            is_over = time.time() - left.stat().st_mtime > _LONGEST_SECONDS
        if is_over:
            shutil.rmtree(left, ignore_errors=True)


def _put(bundle: Path, place: Path) -> None:
    """Give a bundle its name, and list it; it has none where the index cannot be written."""
    try:
        bundle.rename(place)
    except OSError as error:
        if place.exists():
            raise DuplicateError(
                "snapshot", place.name, "made meanwhile; it never changes"
            ) from error
        raise
    try:
        write_index(place.parent)
    except BaseException:
        place.rename(bundle)
        raise
