"""A session in the hand: its row, its folder, its arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.datasets import dataset_name, is_called
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.errors import (
    InvalidValueError,
    NotFoundError,
    RootUnavailableError,
    UnknownNameError,
)
from vrtracker.files import alf
from vrtracker.files.layout import SessionFolders
from vrtracker.files.loading import columns_of_table, load_dataset
from vrtracker.repositories.sessions import PARTS

_TABLE = re.compile(r"table(?![a-zA-Z0-9])")
_Recorded = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Gives the records of a session's files, by path."""
_UNKNOWN: Mapping[str, str | None] = {"md5": None, "sha256": None}
"""The hashes of a file without any, in the order in which they are made."""


class Session(Shown):
    """A session as it was read: the columns of its row are attributes.

    So are the parts that `Query.preload` read with it: `mouse`, `datasets`, `qc`, `attempts`.

    Examples
    --------
    ``session.key``, ``session.imaging``, ``session.path``, ``session.load("trials.startTimes")``,
    ``session.load_object("trials")``, ``session.open().files()``
    """

    __slots__ = ("_folders", "_parts", "_recorded", "record")

    def __init__(
        self,
        record: SessionRecord,
        folders: SessionFolders | None,
        parts: Mapping[str, Any] = MappingProxyType({}),
        recorded: _Recorded | None = None,
    ) -> None:
        self.record = record
        self._folders = folders
        self._parts = dict(parts)
        self._recorded = recorded

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
        # A connection stays in its process.
        return self.record, self._folders, self._parts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.record, self._folders, self._parts = state
        self._recorded = None

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
        root = self._folders.root.resolve() if self._folders is not None else None
        return OpenSession(path, self._recorded, root)

    def load(
        self, name: str, *, revision: str | None = None, mmap: bool = False, check: bool = False
    ) -> Any:
        """Read one dataset of the session; see `OpenSession.load`."""
        return self.open().load(name, revision=revision, mmap=mmap, check=check)

    def load_object(
        self, name: str, *, revision: str | None = None, check: bool = False
    ) -> dict[str, Any]:
        """Read the datasets of one object; see `OpenSession.load_object`."""
        return self.open().load_object(name, revision=revision, check=check)


class OpenSession:
    """The ALF files of a session; arrays are loaded when asked for, never unpickled."""

    def __init__(
        self, path: Path, recorded: _Recorded | None = None, root: Path | None = None
    ) -> None:
        self.path = path
        self._recorded = recorded
        self._root = root

    def __repr__(self) -> str:
        return f"OpenSession({str(self.path)!r})"

    def files(self) -> list[alf.AlfFile]:
        """Return the session's ALF files, by path, without links that lead astray."""
        return alf.find_alf_files(self.path, within=self._root, astray={})

    def __getitem__(self, name: str) -> Any:
        """Read one dataset by its name or its path; see `load`."""
        return self.load(name)

    def __iter__(self) -> Iterator[str]:
        """Give the path of each dataset, by which it is read."""
        return (file.rel_path for file in self.files())

    def __contains__(self, name: object) -> bool:
        """Return whether a dataset is called so."""
        return isinstance(name, str) and any(is_called(path, name) for path in self)

    def load(
        self, name: str, *, revision: str | None = None, mmap: bool = False, check: bool = False
    ) -> Any:
        """Read one dataset.

        Parameters
        ----------
        name
            ``object.attribute``, with or without its ending, its namespace and its collection, as
            ``has_dataset`` takes it; or the path of a file, which then is the one that is read.
        revision
            Take the last revision that is not later than this; the last of all when not given.
        mmap
            Leave the data of a ``.npy`` on the disk until they are used.
        check
            First compare the content with the hash on record.

        Returns
        -------
        ndarray, dict, pandas.DataFrame or what JSON holds
            See `vrtracker.files.loading.load_dataset`.

        Raises
        ------
        UnknownNameError
            If there is no such dataset, or none so early.
        NotFoundError
            If it is recorded, but its file is gone.
        InvalidValueError
            If several have this name, in other collections or of other kinds; it lists them. If
            it is damaged, or the name or the revision is no text. With `check`, if it holds
            something else than was recorded, or has no hash on record.
        """
        files = self._files_for(name, revision)
        found = _called(files, name)
        paths = [file.rel_path for file in _last_revisions(found, revision)]
        if revision is None and "/" in name and any(file.rel_path == name for file in found):
            paths = [name]
        if not paths:
            self._refuse_gone(name, revision)
            if found:
                earliest = sorted(file.revision or "" for file in found)
                raise UnknownNameError(f"revision of {name!r} until", revision, earliest)
            raise UnknownNameError("dataset", name, [file.rel_path for file in files])
        if len(paths) > 1:
            raise InvalidValueError(
                f"{name!r} is several datasets; give one, or load_object: {', '.join(paths)}."
            )
        self._check(paths if check else ())
        return load_dataset(self.path / paths[0], mmap=mmap)

    def load_object(
        self, name: str, *, revision: str | None = None, check: bool = False
    ) -> dict[str, Any]:
        """Read all datasets of one object, such as ``trials``, by attribute, as ONE-api does.

        An object that is in several collections is named with its own: ``alf/probe00/spikes``.
        The name of a clock and further parts stand behind the attribute: ``times_ephysClock``,
        ``times.probe00``. The columns of a ``table``, of the first one, are attributes too, and
        come before files of their names. A ``.csv`` or ``.tsv`` of one column is a Series.

        Raises
        ------
        UnknownNameError
            If there is no such object.
        NotFoundError
            If it is recorded, but its files are gone.
        InvalidValueError
            If it is in several collections, or an attribute is there more than once; it lists the
            datasets. If one of them is damaged, or as in `load`.
        """
        files = self._files_for(name, revision)
        known = {f: parts for f in files if (parts := alf.parse_alf_name(_base(f)))}
        attributes = {file: known[file].column for file in _called(list(known), name)}
        if not attributes:
            self._refuse_gone(name, revision)
            objects = {parts.object for parts in known.values()}
            raise UnknownNameError("object", name, sorted(objects))
        last = list(_last_revisions(list(attributes), revision))
        of = {attributes[file]: file.rel_path for file in last}
        if len(of) < len(last) or len({_collection(path) for path in of.values()}) > 1:
            raise InvalidValueError(
                f"{name!r} is in several places: {', '.join(file.rel_path for file in last)}. "
                "Name the collection, or load one of them."
            )
        self._check(of.values() if check else ())
        columns: dict[str, Any] = {}
        loaded: dict[str, Any] = {}
        # Tables first: what one holds need not be read.
        for attribute in sorted(of, key=lambda attribute: not _TABLE.match(attribute)):
            if attribute not in columns:
                data = load_dataset(self.path / of[attribute])
                if of[attribute].lower().endswith((".csv", ".tsv")):
                    data = data.squeeze("columns")
                if not columns and _TABLE.match(attribute) and hasattr(data, "columns"):
                    columns = columns_of_table(attribute, data)
                else:
                    loaded[attribute] = data
        return loaded | columns

    def _files_for(self, name: str, revision: str | None) -> list[alf.AlfFile]:
        """Return the session's files; refuse a name that means a link which leads astray, too."""
        astray: dict[str, str] = {}
        files = alf.find_alf_files(self.path, within=self._root, astray=astray)
        if not ("/" in str(name) and any(file.rel_path == name for file in files)):
            for file in _called([alf.AlfFile(path, 0, 0.0, None) for path in astray], name):
                if _is_until(alf.revision_of(file.rel_path), revision):
                    raise InvalidValueError(astray[file.rel_path])
        return files

    def _refuse_gone(self, name: str, revision: str | None) -> None:
        """Raise NotFoundError if a file that has this name is recorded, since it is not there."""
        for path in {} if self._recorded is None else self._recorded():
            if is_called(path, name) and _is_until(alf.revision_of(path), revision):
                if (self.path / path).exists():
                    continue
                raise NotFoundError(
                    "file",
                    path,
                    remedy="It is recorded, but gone: put it back. What else is: "
                    "vrtracker datasets verify --all.",
                    at=str(self.path),
                )

    def _check(self, paths: Collection[str]) -> None:
        """Raise InvalidValueError unless these files hold what was recorded."""
        if paths and self._recorded is None:
            raise InvalidValueError(
                f"{self.path} is open without its database, so that no hash is known; open the "
                "session that tracker.sessions.get gives in this process."
            )
        rows = self._recorded() if paths and self._recorded is not None else {}
        for path in paths:
            row = rows.get(path, _UNKNOWN)
            known = {name: row[name] for name in _UNKNOWN if row[name] is not None}
            if not known:
                raise InvalidValueError(
                    f"{path!r} has no hash on record; record it with tracker.datasets.scan."
                )
            found = dict(zip(_UNKNOWN, alf.hash_twice(self.path / path), strict=True))
            if any(found[name] != value for name, value in known.items()):
                raise InvalidValueError(
                    f"{str(self.path / path)!r} holds something else than what was recorded; put "
                    "the recorded file back, or record this one: tracker.datasets.scan(rehash=True)"
                )


def _base(file: alf.AlfFile) -> str:
    return file.rel_path.rpartition("/")[2]


def _collection(rel_path: str) -> str:
    return dataset_name(rel_path).rpartition("/")[0]


def _called(files: Sequence[alf.AlfFile], name: str) -> list[alf.AlfFile]:
    if not isinstance(name, str):
        raise InvalidValueError(
            f"A dataset is named by a text such as 'trials.choice', not {name!r}."
        )
    return [file for file in files if is_called(file.rel_path, name)]


def _is_until(revision: str | None, latest: str | None) -> bool:
    return latest is None or (revision or "") <= latest


def _last_revisions(files: Sequence[alf.AlfFile], latest: str | None) -> Iterator[alf.AlfFile]:
    """Yield of each dataset its last revision, or the last until `latest`."""
    if latest is not None and not isinstance(latest, str):
        raise InvalidValueError(f"revision has to be a text such as '2024-06-01', not {latest!r}.")
    by_name: dict[str, list[alf.AlfFile]] = {}
    for file in files:
        if _is_until(file.revision, latest):
            by_name.setdefault(dataset_name(file.rel_path), []).append(file)
    for revisions in by_name.values():
        yield max(revisions, key=lambda file: file.revision or "")
