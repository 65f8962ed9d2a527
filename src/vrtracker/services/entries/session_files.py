"""A session in the hand: its row, its folder, its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.errors import RootUnavailableError, UnknownNameError
from vrtracker.files import alf
from vrtracker.files.layout import SessionFolders
from vrtracker.repositories.sessions import PARTS

__all__ = ["OpenSession", "Session"]


class Session(Shown):
    """A session as it was read: the columns of its row are attributes.

    So are the parts that `Query.preload` read with it: `mouse`, `datasets`, `qc`, `attempts`.

    Examples
    --------
    ``session.key``, ``session.imaging``, ``session.path``, ``session.open()["trials.startTimes"]``
    """

    __slots__ = ("_folders", "_parts", "record")

    def __init__(
        self,
        record: SessionRecord,
        folders: SessionFolders | None,
        parts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.record = record
        self._folders = folders
        self._parts = dict(parts)

    def __getattr__(self, name: str) -> Any:
        record = object.__getattribute__(self, "record")
        if name in (parts := object.__getattribute__(self, "_parts")):
            return parts[name]
        if name in record.__slots__:
            return getattr(record, name)
        if name in record.extra:
            return record.extra[name]
        if name in PARTS:
            raise AttributeError(f"{name} was not read with the session; query.preload({name!r})")
        raise AttributeError(f"a session has no column {name!r}")

    def __repr__(self) -> str:
        return f"Session({str(self.key)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and other.record == self.record

    def __hash__(self) -> int:
        return hash(self.key)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.record, self._folders, self._parts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.record, self._folders, self._parts = state

    def facts(self) -> Facts:
        """Return the columns that have a value."""
        return self.record.facts()

    @property
    def key(self) -> SessionKey:
        """The session's identity."""
        return self.record.key

    @property
    def path(self) -> Path:
        """The session's folder: the one that exists, else where it would be.

        Raises
        ------
        RootUnavailableError
            If the tracker was opened without a root.
        """
        if self._folders is None:
            raise RootUnavailableError(
                "The folder that holds the sessions is not known; open the tracker with root=…, "
                "or set VRTRACKER_ROOT."
            )
        return self._folders.path(self.key)

    def open(self) -> OpenSession:
        """Return the session's files for reading.

        Raises
        ------
        RootUnavailableError
            If the root, or the session's folder, is not there.
        """
        path = self.path
        if not path.is_dir():
            raise RootUnavailableError(f"{self.key} has no folder {path}; is the drive mounted?")
        return OpenSession(path)


class OpenSession:
    """The ALF files of a session; arrays are loaded when asked for, never unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"OpenSession({str(self.path)!r})"

    def files(self) -> list[alf.AlfFile]:
        """Return the session's ALF files, by path."""
        return alf.find_alf_files(self.path)

    def __getitem__(self, name: str) -> Any:
        """Load a dataset by ``object.attribute`` or by its path below the session's folder."""
        by_name: dict[str, alf.AlfFile] = {}
        for file in self.files():
            base = file.rel_path.rpartition("/")[2]
            by_name.setdefault(base.rpartition(".")[0], file)
            by_name.setdefault(base, file)
            by_name[file.rel_path] = file
        if name not in by_name:
            raise UnknownNameError("dataset", name, by_name)
        return alf.load(self.path / by_name[name].rel_path)
