"""What reconciling with the disk found, and what it would change: values that JSON can hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.told import mark_name
from vrtracker.domain.tracking import FoundRun, MouseChange
from vrtracker.errors import InvalidValueError

LEFT_OVER = "left over"
"""Kind of the finding that attempts which have ended left folders in a session's."""

_FORMAT = 1
_TIME = "time"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something on disk that a person should know of, and that changes nothing.

    `kind`: ``unreadable``, ``running``, ``incomplete``, ``unexpected``, ``future``, ``touched``,
    ``left over`` or ``tracking``. `where`: a session's key, or a path.
    """

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.kind})"


@dataclass(frozen=True, slots=True)
class DatasetChange:
    """One recorded file: its row as it is and as it will be, None where there is none."""

    rel_path: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    @property
    def sizes(self) -> tuple[int | None, int | None]:
        """Its size as it is and as it will be, bytes."""
        old, new = (row["size_bytes"] if row else None for row in (self.old, self.new))
        return old, new

    @property
    def kind(self) -> str:
        """``new``, ``missing`` or ``changed``."""
        if self.old is None:
            return "new"
        return "missing" if self.new is None else "changed"


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What changes of one session, each with the value that it must still have."""

    key: SessionKey
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Columns of `sessiondb`: old and new value."""
    marks: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    """The tracker's marks by stage: old and new."""
    datasets: tuple[DatasetChange, ...] = ()
    reasons: tuple[str, ...] = ()
    """What was found on disk."""

    def inverse(self) -> SessionChange:
        """Return the change that takes this one back."""
        return SessionChange(
            self.key,
            {name: (new, old) for name, (old, new) in self.columns.items()},
            {name: (new, old) for name, (old, new) in self.marks.items()},
            tuple(DatasetChange(each.rel_path, each.new, each.old) for each in self.datasets),
            self.reasons,
        )

    def values(self) -> list[tuple[str, Any, Any]]:
        """Return each value that changes: what, old, new; of a file its size, bytes."""
        listed = [(name, *pair) for name, pair in self.columns.items()]
        listed += [(mark_name(stage), *pair) for stage, pair in self.marks.items()]
        return [*listed, *((each.rel_path, *each.sizes) for each in self.datasets)]

    def document(self) -> dict[str, Any]:
        """Return the change as the history keeps it and people read it."""
        changes: dict[str, Any] = {name: list(pair) for name, pair in self.columns.items()}
        changes |= {mark_name(stage): list(pair) for stage, pair in self.marks.items()}
        for each in self.datasets:
            changes.setdefault(f"datasets:{each.kind}", []).append(each.rel_path)
        return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a look at the disk found.

    `root`: the folder that was looked through.
    `made_at`: when, UTC.
    `looked_at`, `with_folder`: sessions of the database that were compared, and those of them that
        have a folder.
    `unknown`: session folders that the database does not know; ``vrtracker scan`` lists them.
    `changes`: what applying would change, by session.
    `runs`: runs of tracking that are not on record.
    `mice`: what follows from them for mice.
    `notes`: what changes nothing.
    `doubts`: why the disk is not to be believed; then nothing is applied unless forced.
    """

    root: str
    made_at: dt.datetime
    looked_at: int = 0
    with_folder: int = 0
    unknown: int = 0
    changes: tuple[SessionChange, ...] = ()
    runs: tuple[FoundRun, ...] = ()
    mice: tuple[MouseChange, ...] = ()
    notes: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether anything would be written."""
        return bool(self.changes or self.runs or self.mice)

    @property
    def summary(self) -> str:
        """All of it in a sentence."""
        if self.doubts:
            then = "nothing is applied unless forced"
        else:
            then = ".apply() writes it" if self.is_any else "nothing is to be written"
        runs = f", {counted(len(self.runs), 'run')} of tracking new" if self.runs else ""
        return (
            f"{self.root}: {len(self.changes)} of {self.looked_at} sessions differ{runs}, {then}; "
            f"{self.with_folder} have a folder, {self.unknown} folders are not in the database."
        )

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain JSON values."""
        return {
            "vrtracker_reconcile": _FORMAT,
            **_encoded(self),
            "made_at": self.made_at.isoformat(),
            "runs": [run.to_json() for run in self.runs],
        }

    @classmethod
    def from_json(cls, document: Any) -> Findings:
        """Read what `to_json` wrote.

        Raises InvalidValueError if it is something else, or damaged.
        """
        try:
            _check_format(document["vrtracker_reconcile"])
            return cls(
                root=str(document["root"]),
                made_at=dt.datetime.fromisoformat(document["made_at"]),
                looked_at=int(document["looked_at"]),
                with_folder=int(document["with_folder"]),
                unknown=int(document["unknown"]),
                changes=tuple(_change(each) for each in document["changes"]),
                runs=tuple(FoundRun.from_json(each) for each in document.get("runs", ())),
                mice=tuple(_mouse(each) for each in document.get("mice", ())),
                notes=tuple(Finding(**each) for each in document["notes"]),
                doubts=tuple(map(str, document["doubts"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidValueError(
                f"This is no plan that `vrtracker reconcile --save` wrote ({error}). Make it anew."
            ) from error


def _check_format(version: Any) -> None:
    if version != _FORMAT:
        raise ValueError(f"it is of format {version!r}, not {_FORMAT}")


def _change(document: Mapping[str, Any]) -> SessionChange:
    return SessionChange(
        SessionKey.parse(document["key"]),
        {name: _pair(pair) for name, pair in _decoded(document["columns"]).items()},
        {name: _pair(pair) for name, pair in _decoded(document["marks"]).items()},
        tuple(
            DatasetChange(str(each["rel_path"]), _decoded(each["old"]), _decoded(each["new"]))
            for each in document["datasets"]
        ),
        tuple(map(str, document["reasons"])),
    )


def _mouse(document: Mapping[str, Any]) -> MouseChange:
    columns = {name: _pair(pair) for name, pair in document["columns"].items()}
    return MouseChange(str(document["mouse"]), columns, str(document["why"]))


def _pair(values: Any) -> tuple[Any, Any]:
    old, new = values
    return old, new


def _encoded(value: Any) -> Any:
    """Return a value as JSON holds it; a time stands in an object of its own."""
    if isinstance(value, SessionKey):
        return str(value)
    if is_dataclass(value):
        return {each.name: _encoded(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dt.datetime):
        return {_TIME: value.isoformat()}
    if isinstance(value, Mapping):
        return {name: _encoded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(part) for part in value]
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {_TIME}:
            return dt.datetime.fromisoformat(value[_TIME])
        return {name: _decoded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    return value
