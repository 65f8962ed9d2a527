"""Taking events back: what changes again, and what later work stands in the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vrtracker.domain.stages import StageGraph
from vrtracker.domain.told import (
    ENTRY,
    FOUND,
    UNDOES,
    entry_of,
    images_of,
    split_image,
)

_RUNS = frozenset({"start", "rerun", "succeed", "fail", "cancel"})
_UNDOABLE = frozenset(
    {
        *("added", FOUND, "edited", "rekeyed", "linked", "deleted", "restored", "undone"),
        *("scratched", "unscratched", "qc_decided", "pass_qc", "fail_qc", "clear_qc"),
        *("complete", "reset", "rig_set", "excluded", "included", "invalidated", "reconciled"),
    }
)
_OF_FILES = frozenset({"scanned", "nwb_imported"})
_KEYS: dict[str, tuple[str, ...]] = {
    "session": ("mouseName", "sessionDate", "sessionID"),
    "mouse": ("mouseName",),
    "selection": (),
}
_ON_SESSION = frozenset({"scratched", "unscratched", "qc_decided"})
_CALLED = {"vrt_stage_state": "stage", "vrt_dataset": "file"}
_WHOLE = "*"


class Subject(NamedTuple):
    """A session or a mouse, by the key that it has now."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An event as it was written."""

    event_id: int
    occurred_at: dt.datetime
    actor: str
    subject_kind: str
    subject_key: str
    verb: str
    stage: str | None
    changes: Mapping[str, Any]
    operation_id: str | None

    @property
    def subject(self) -> Subject:
        """Whom it is about, by the key of that time."""
        return Subject(self.subject_kind, self.subject_key)

    @property
    def entry(self) -> tuple[Any, Any] | None:
        """Whether the row was there before and after, where that changed."""
        return entry_of(self.verb, self.changes)

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Old and new value of each column of the row that changed."""
        return {
            name: pair
            for name, pair in self.changes.items()
            if ":" not in name
            and name not in {ENTRY, UNDOES, "QC", "dataset", "key", "parts"}
            and isinstance(pair, list)
        }

    @property
    def is_rekeyed(self) -> bool:
        """Whether the row, which is there, got another key."""
        return self.entry is None and any(
            name in self.columns for name in _KEYS.get(self.subject_kind, ())
        )

    def __str__(self) -> str:
        stage = f" {self.stage}" if self.stage else ""
        operation = f", operation {self.operation_id}" if self.operation_id else ""
        return (
            f"{self.verb}{stage} by {self.actor} at {self.occurred_at:%Y-%m-%d %H:%M:%S}{operation}"
        )


@dataclass(slots=True)
class Net:
    """All that is taken back of one subject; of each value what it is now, and will be."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    entry: list[Any] | None = None
    parts: list[Any] | None = None
    events: list[Past] = field(default_factory=list)


def undoings(undone: Iterable[Past]) -> dict[str, str]:
    """Return for each operation that is undone the one that did it; each could be undone too.

    `undone`: the events of undoings, newest first.
    """
    found: dict[str, str] = {}
    for event in undone:
        if event.operation_id and event.operation_id not in found:
            for target in event.changes.get(UNDOES, ()):
                found.setdefault(target, event.operation_id)
    return found


def not_undoable(event: Past) -> str | None:
    """Return why an event cannot be taken back, and what to do instead, or None."""
    key = event.subject_key
    if event.verb in _UNDOABLE:
        return None
    if event.verb in _RUNS:
        return (
            f"{key}: the run of {event.stage} cannot be undone, its files are on the disk; "
            f"take it back with vrtracker reset {key} {event.stage}, or run it again."
        )
    said, kind = f"{key}: {event.verb!r} cannot be undone; ", event.subject_kind
    if kind == "selection":
        if event.verb == "selection_frozen":
            return f"The selection {said}to have it gone: tracker.delete_selection({key!r})"
        return f"The selection {said}freeze it again."
    if kind == "rig":
        return f"The rig {said}a version stays. For no rig: vrtracker rig set - KEY"
    if "experiment" in event.changes:
        call = "restore" if event.verb == "experiment_deleted" else "delete"
        said += f"for all of it: tracker.experiments.{call}({event.changes['experiment']!r})"
    elif event.verb in _OF_FILES:
        said += "its files are on the disk. To have the session gone, take its folder away, and: "
        said += f"vrtracker sessions delete {key}"
    else:
        said += f"vrtracker history {key} tells what it did."
    return said


def net_of(
    events: Sequence[Past], more: Callable[[Past, Subject], Net]
) -> tuple[dict[Subject, Net], list[str]]:
    """Return what taking events back changes of each subject, and what contradicts itself.

    `events`: newest first. `more`: called with an event and its subject; returns what it did beside
    its changes.
    """
    nets: dict[Subject, Net] = {}
    now: dict[Subject, Subject] = {}
    problems = []
    for event in events:
        if event.verb == "rekeyed":
            continue
        subject = now.get(event.subject, event.subject)
        if event.is_rekeyed:
            subject = now.get(moved := _after(event), moved)
            now[event.subject] = subject
        net = nets.setdefault(subject, Net())
        if _mixes(net, event):
            problems.append(
                f"{event.subject_key} was deleted or restored, and changed besides; undo the "
                "operations one at a time, the newest first."
            )
        extra = more(event, subject)
        _compose(net.columns, event.columns)
        _compose(net.rows, {**dict(images_of(event.changes)), **extra.rows})
        if event.entry:
            entry = extra.entry or event.entry
            net.entry = [net.entry[0] if net.entry else entry[1], entry[0]]
        if "parts" in event.changes:
            old, new = event.changes["parts"]
            net.parts = [net.parts[0] if net.parts else new, old]
        net.events.append(event)
    return nets, list(dict.fromkeys(problems))


def in_the_way(
    undone: Sequence[Past], later: Iterable[Past], stages: StageGraph
) -> Iterator[tuple[Past, Past]]:
    """Yield events to be taken back, each with a later one that rests on what it changed."""
    by_subject: dict[Subject, list[Past]] = {}
    for event in later:
        by_subject.setdefault(event.subject, []).append(event)
    for event in undone:
        own = _touched(event, stages)
        for other in by_subject.get(event.subject, ()):
            # That a row was found says that it had been there, and nothing of what became of it.
            if (
                other.verb != FOUND
                and other.event_id > event.event_id
                and (own & _rests_on(other, stages) or _WHOLE in _touched(other, stages))
            ):
                yield event, other
                break


def _touched(event: Past, stages: StageGraph) -> set[str]:
    """Return what an event changed: columns, stages, checks, files, or the row as a whole."""
    if event.entry or event.is_rekeyed or event.verb in {"rekeyed", "purged"}:
        return {_WHOLE}
    found = {f"column:{name}" for name in event.columns}
    if event.stage:
        found.add(f"stage:{event.stage}")
    elif event.verb in _ON_SESSION:
        found.add("check:session")
    if "dataset" in event.changes:
        found.add(f"file:{event.changes['dataset']}")
    if "parts" in event.changes:
        found.add("parts")
    for name, _ in images_of(event.changes):
        table, row = split_image(name)
        found.add(f"{_CALLED.get(table, table)}:{row}")
    for stage in stages.values():
        outcome = (stage.done_column, stage.date_column, stage.error_column, stage.message_column)
        if any(f"column:{name}" in found for name in outcome if name):
            found.add(f"stage:{stage.name}")
    return found


def _rests_on(event: Past, stages: StageGraph) -> set[str]:
    """Return what an event changed, or needed to be as it was."""
    found = {_WHOLE, *_touched(event, stages)}
    if event.stage and event.stage in stages:
        for stage in stages.values():
            if event.stage in {stage.name, *(one.name for one in stages.dependents(stage.name))}:
                found.add(f"stage:{stage.name}")
                found |= {f"column:{name}" for name in stage.applies_if}
    return found


def _after(event: Past) -> Subject:
    """Return the subject of an edit of the key by its new key."""
    names = _KEYS[event.subject_kind]
    old = event.subject_key.rsplit(".", len(names) - 1)
    new = [
        str(event.columns.get(name, (None, part))[1]) for name, part in zip(names, old, strict=True)
    ]
    return Subject(event.subject_kind, ".".join(new))


def _mixes(net: Net, event: Past) -> bool:
    """Return whether a deletion or its return is taken back with something beside it."""
    entries = [entry for entry in (net.entry, event.entry) if entry]
    is_kept = any(isinstance(value, Mapping) for entry in entries for value in entry)
    return is_kept and bool(net.events)


def _compose(net: dict[str, list[Any]], changes: Mapping[str, Sequence[Any]]) -> None:
    """Put the taking back of older changes behind that of newer ones."""
    for name, (old, new) in changes.items():
        net[name] = [net[name][0] if name in net else new, old]
