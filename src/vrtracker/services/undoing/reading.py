"""What operations did, and how that is now: what a plan to undo them rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.records import values_of
from vrtracker.domain.told import THERE, alike, image_name, split_image
from vrtracker.domain.undoing import (
    Net,
    Past,
    Subject,
    in_the_way,
    net_of,
    not_undoable,
    undoings,
)
from vrtracker.errors import NotFoundError
from vrtracker.models.types import to_json
from vrtracker.repositories.deletions import Deletion
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.row_images import ALL, DATASETS, RIG
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

_ID = {"session": "uSessionID", "mouse": "uMouseID"}
_CALLED = {"vrt_stage_state": "stage", "vrt_qc_decision": "QC decision", "vrt_dataset": "file"}
_CALLED |= {"vrt_session_rig": "rig", "vrt_tracking": "run of tracking"}
_ALONE = {"vrt_qc_decision", "vrt_session_rig"}
_DECIDES = {"pass_qc", "fail_qc", "clear_qc", "scratched", "unscratched", "qc_decided"}


@dataclass(slots=True)
class Reading:
    """What is taken back of each subject, the rows as they are, and what stands in the way."""

    nets: dict[Subject, Net] = field(default_factory=dict)
    numbers: dict[Subject, int] = field(default_factory=dict)
    values: dict[Subject, dict[str, Any]] = field(default_factory=dict)
    images: dict[int, dict[str, Any]] = field(default_factory=dict)
    deletions: dict[Subject, Deletion] = field(default_factory=dict)
    rigs: dict[int, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[tuple[Subject, Net]]:
        """Yield the subjects of one kind with what is taken back of them."""
        return ((subject, net) for subject, net in self.nets.items() if subject.kind == kind)


def read_operations(
    lab: LabContext, unit: UnitOfWork, operations: Sequence[str], *, lock: bool
) -> Reading:
    """Read what operations did; with `lock`, others wait where the database can do that.

    Raises NotFoundError if there is no such operation.
    """
    events = unit.events.of_operations(operations)
    for operation in operations:
        if not any(event.operation_id == operation for event in events):
            raise NotFoundError("operation", operation)
    reading = Reading()
    reading.problems += _refusals(lab, unit, events, operations)
    nets, _ = net_of(events, lambda *_: Net())
    for kind in ("mouse", "session"):
        _read_rows(unit, reading, kind, [each.key for each in nets if each.kind == kind], lock=lock)
    reading.nets, problems = net_of(events, _Beside(unit, reading))
    reading.problems += problems
    if any(split_image(name)[0] == RIG for net in reading.nets.values() for name in net.rows):
        reading.rigs = {row.rig_id: row.name for row in unit.rigs.all()}
    if not reading.problems:
        reading.problems += _differences(unit, reading)
    return reading


def _refusals(
    lab: LabContext, unit: UnitOfWork, events: Sequence[Past], operations: Sequence[str]
) -> list[str]:
    """Return what cannot be undone by its nature, was undone, or has later work on it."""
    undone = undoings(unit.events.undone())
    found = [
        f"Operation {each} was undone by operation {undone[each]}; undo that to have it again."
        for each in operations
        if each in undone
    ]
    found += filter(None, map(not_undoable, reversed(events)))
    silent = {*undone, *undone.values(), *operations}
    later: list[Past] = []
    for kind in ("mouse", "session"):
        keys = sorted({event.subject_key for event in events if event.subject_kind == kind})
        later += unit.events.after(events[-1].event_id, kind, keys)
    standing = [event for event in later if event.operation_id not in silent]
    found += [
        f"{event.subject_key}: {other} rests on what is to be undone ({event.verb}); undo that "
        "first, or leave this."
        for event, other in in_the_way(events, reversed(standing), lab.stages)
    ]
    return list(dict.fromkeys(found))


def _read_rows(
    unit: UnitOfWork, reading: Reading, kind: str, keys: Sequence[str], *, lock: bool
) -> None:
    """Read the rows that are there; values as the history keeps them."""
    if not keys:
        return
    repository: Any = unit.sessions if kind == "session" else unit.mice
    as_columns = _columns_of_session if kind == "session" else _columns_of_mouse
    parts = [as_columns(key) for key in keys]
    filters = Selection.of({name: sorted({each[name] for each in parts}) for name in parts[0]})
    listing = Listing(filters, include_scratched=True)
    if lock:
        repository.present(listing, lock=True)
    wanted = set(keys)
    for record in repository.records(listing):
        key = str(record.key) if kind == "session" else record.mouseName
        if key in wanted:
            values = _plain(values_of(record))
            subject = Subject(kind, key)
            reading.values[subject] = values
            reading.numbers[subject] = values[_ID[kind]]
    if kind == "session":
        numbers = [each for subject, each in reading.numbers.items() if subject.kind == kind]
        reading.images |= unit.images.of(numbers, *ALL)


def _columns_of_session(key: str) -> dict[str, Any]:
    return SessionKey.parse(key).columns


def _columns_of_mouse(key: str) -> dict[str, Any]:
    return {"mouseName": key}


class _Beside:
    """Finds what an event did beside its changes: decisions, levels of files, deleted rows."""

    def __init__(self, unit: UnitOfWork, reading: Reading) -> None:
        self._unit = unit
        self._reading = reading
        self._used: set[tuple[int, str]] = set()
        self._of_operation: dict[str, dict[tuple[str, str], Deletion]] = {}

    def __call__(self, event: Past, subject: Subject) -> Net:
        net = Net()
        number = self._reading.numbers.get(subject)
        images = self._reading.images.get(number or 0, {})
        if event.verb in _DECIDES and number is not None:
            net.rows |= self._decision(event, number, images)
            net.rows |= _level(event, images)
        if event.verb == "deleted" and event.entry != (THERE, None):
            self._find(event, subject)
            net.entry = [THERE, self._meta(subject)]
        elif event.verb == "undone" and event.entry and isinstance(event.entry[1], Mapping):
            for deletion in self._unit.deletions.of(subject.kind, subject.key):
                if _plain(deletion.meta)["deleted_at"] == event.entry[1]["deleted_at"]:
                    self._reading.deletions[subject] = deletion
        return net

    def _find(self, event: Past, subject: Subject) -> None:
        operation = event.operation_id or ""
        if operation not in self._of_operation:
            self._of_operation[operation] = self._unit.deletions.of_operation(operation)
        found = self._of_operation[operation].get((event.subject_kind, event.subject_key))
        if found:
            self._reading.deletions[subject] = found

    def _meta(self, subject: Subject) -> dict[str, Any]:
        found = self._reading.deletions.get(subject)
        return _plain(found.meta) if found else {}

    def _decision(self, event: Past, number: int, images: Mapping[str, Any]) -> dict[str, Any]:
        """Return the decision that the event tells of, the newest that no newer event tells of."""
        path = event.changes.get("dataset")
        check = event.stage or ("dataset" if path else "session")
        at = event.occurred_at.replace(tzinfo=None).isoformat(" ")
        for name, row in sorted(images.items(), key=lambda each: -_decision_id(each[1])):
            if (
                row.get("check_name") == check
                and (row["decided_at"], row["actor"]) == (at, event.actor)
                and (path is None or row["evidence"] == path)
                and (number, name) not in self._used
            ):
                self._used.add((number, name))
                return {name: [None, row]}
        return {}


def _decision_id(row: Mapping[str, Any]) -> int:
    return int(row.get("decision_id", 0))


def _level(event: Past, images: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a dataset whose level the event changed."""
    path = event.changes.get("dataset")
    row = images.get(image_name(DATASETS, path))
    if row is None:
        return {}
    levels = [int(QC[level]) for level in event.changes["QC"]]
    return {image_name(DATASETS, path): [{**row, "qc_level": level} for level in levels]}


def _differences(unit: UnitOfWork, reading: Reading) -> list[str]:
    """Return where the rows are not as the operations left them."""
    found = []
    arrivals = _Arrivals(unit, reading)
    for subject, net in reading.nets.items():
        is_there = subject in reading.numbers
        should = net.entry[0] == THERE if net.entry else True
        if is_there is not should:
            found.append(f"{subject.key} is {'' if is_there else 'not '}there; nobody told why.")
        elif is_there:
            found += _changed(reading, subject, net)
            found += _cannot_go(unit, reading, subject, net) if net.entry else []
        else:
            found += arrivals.problems(subject, net)
    return found


def _changed(reading: Reading, subject: Subject, net: Net) -> Iterator[str]:
    """Yield what was changed past the tracker."""
    now, images = reading.values[subject], reading.images.get(reading.numbers[subject], {})
    for values, pairs in ((now, net.columns), (images, net.rows)):
        for name, (left, _) in pairs.items():
            if not alike(values.get(name), left):
                yield (
                    f"{subject.key}: {name} is {values.get(name)!r}, not {left!r} as it was left; "
                    "somebody changed it past the tracker."
                )


class _Arrivals:
    """Tells what keeps rows from coming back; asks the database once for all of them."""

    def __init__(self, unit: UnitOfWork, reading: Reading) -> None:
        self._reading = reading
        coming = [each for each in reading.nets.items() if _comes(each[1])]
        self._mice = {subject.key for subject, _ in coming if subject.kind == "mouse"}
        self._mice |= {*unit.mice.names()} if coming else set()
        self._taken: dict[str, set[int]] = {}
        repositories: dict[str, Any] = {"session": unit.sessions, "mouse": unit.mice}
        for kind, repository in repositories.items():
            found = [self._number(*each) for each in coming if each[0].kind == kind]
            numbers = [number for number in found if number is not None]
            listing = Listing(Selection.of({_ID[kind]: numbers}), include_scratched=True)
            rows = repository.present(listing) if numbers else []
            self._taken[kind] = {row[_ID[kind]] for row in rows}

    def problems(self, subject: Subject, net: Net) -> list[str]:
        """Return what keeps one from coming back."""
        entry = net.entry or [None, None]
        if isinstance(entry[0], Mapping) and subject not in self._reading.deletions:
            return [f"{subject.key} was removed for good, or restored, since it was deleted."]
        mouse = subject.key.rsplit(".", 2)[0]
        if subject.kind == "session" and mouse not in self._mice:
            return [f"{subject.key}: its mouse is not there; vrtracker mice restore {mouse}"]
        number = self._number(subject, net)
        if number in self._taken[subject.kind]:
            return [f"{subject.key}: another row has its number {number} by now."]
        return []

    def _number(self, subject: Subject, net: Net) -> Any:
        deletion = self._reading.deletions.get(subject)
        if deletion:
            return deletion.row_number
        return net.columns.get(_ID[subject.kind], [None, None])[1]


def _comes(net: Net) -> bool:
    return net.entry is not None and net.entry[1] == THERE


def _cannot_go(unit: UnitOfWork, reading: Reading, subject: Subject, net: Net) -> list[str]:
    """Return what keeps a row from going: what hangs on it and came later."""
    if subject.kind == "mouse":
        listing = Listing(Selection.of({"mouseName": subject.key}), include_scratched=True)
        going = {each.key for each, other in reading.of("session") if other.entry}
        keys = (str(SessionKey(*key)) for key in unit.sessions.present_keys(listing))
        left = [key for key in keys if key not in going]
        return [f"{subject.key} has sessions that came later, such as {left[0]}."] if left else []
    kept = {*reading.images.get(reading.numbers[subject], {})} - {*net.rows}
    if kept and not isinstance((net.entry or [None, None])[1], Mapping):
        return [_hanging(subject.key, min(kept))]
    return []


def _hanging(key: str, name: str) -> str:
    return (
        f"{key}: {called(name)} hangs on it, which is not to be undone. To give it another key: "
        f"vrtracker sessions edit {key} --set sessionID=…; to delete it with all of that: "
        f"vrtracker sessions delete {key}"
    )


def called(name: str) -> str:
    """Return what people call one of the tracker's rows: ``file oneData/mpci.times.npy``."""
    table, row = split_image(name)
    if table in _ALONE:
        return _CALLED[table]
    return f"{_CALLED[table]} {row[:12] if table == 'vrt_tracking' else row}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the history keeps them."""
    found: dict[str, Any] = json.loads(to_json(values))
    return found
