"""Write what a plan takes back, within a transaction, with an event for each session and mouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.told import ENTRY, THERE, UNDOES, mark_name, split_image
from vrtracker.domain.undoing import Net, Subject
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.row_images import STAGES
from vrtracker.services.context import LabContext
from vrtracker.services.undoing.reading import Reading
from vrtracker.unit_of_work import UnitOfWork

_CAME_BACK = ("mouse", "session")
_LEAVES = ("session", "mouse")


def write_back(
    lab: LabContext,
    unit: UnitOfWork,
    reading: Reading,
    operations: Sequence[str],
    reason: str | None,
) -> None:
    """Give every value back; rows that others hang on come first, and go last."""
    unit.images.remove(list(_rows(reading, 0)))
    for kind in _LEAVES:
        _leave(unit, kind, reading, lambda after: after is None)
        _leave(unit, kind, reading, lambda after: isinstance(after, Mapping))
    for kind in _CAME_BACK:
        _come(unit, kind, reading)
        _set_columns(unit, kind, reading)
    unit.images.insert(list(_rows(reading, 1)))
    events: list[Any] = []
    for subject, net in reading.nets.items():
        event = partial(lab.event, reason=reason)
        events += _events(event, subject, net, reading.values.get(subject, {}), operations)
    unit.events.append(events)


def _rows(reading: Reading, place: int) -> Iterator[tuple[int, str, Any]]:
    """Yield the tracker's rows as they are (0), or as they will be (1)."""
    for subject, net in reading.nets.items():
        number = reading.numbers.get(subject) or net.columns.get("uSessionID", [None, None])[1]
        for name, pair in net.rows.items():
            if pair[place] is not None:
                yield number, name, pair[place]


def _leave(unit: UnitOfWork, kind: str, reading: Reading, is_meant: Callable[[Any], bool]) -> None:
    """Take rows away: for good, or back to where they were as deleted ones."""
    going = {
        reading.numbers[subject]: (subject, net.entry[1])
        for subject, net in reading.of(kind)
        if net.entry and net.entry[0] == THERE and is_meant(net.entry[1])
    }
    if not going:
        return
    content = unit.deletions.take(kind, list(going))
    unit.deletions.keep(
        [
            {
                **entry,
                "deleted_at": dt.datetime.fromisoformat(entry["deleted_at"]),
                "subject_kind": kind,
                "subject_key": subject.key,
                "row_number": number,
                "content": content[number],
            }
            for number, (subject, entry) in going.items()
            if entry is not None
        ]
    )


def _come(unit: UnitOfWork, kind: str, reading: Reading) -> None:
    coming = [
        (subject, net) for subject, net in reading.of(kind) if net.entry and net.entry[1] == THERE
    ]
    deleted = [reading.deletions[each] for each, net in coming if net.entry and net.entry[0]]
    if deleted:
        unit.deletions.put_back(deleted)
    rows = [
        {name: pair[1] for name, pair in net.columns.items()}
        for _, net in coming
        if net.entry and net.entry[0] is None
    ]
    if rows:
        unit.deletions.insert(kind, rows)


def _set_columns(unit: UnitOfWork, kind: str, reading: Reading) -> None:
    """Set the columns of rows that stay; one statement for those that get the same values."""
    alike: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for subject, net in reading.of(kind):
        values = {name: new for name, (now, new) in net.columns.items() if now != new}
        if values and not net.entry:
            group = alike.setdefault(repr(sorted(values.items())), (values, []))
            group[1].append(reading.numbers[subject])
    for values, numbers in alike.values():
        unit.deletions.set_values(kind, numbers, values)


def _events(
    event: Callable[..., NewEvent],
    subject: Subject,
    net: Net,
    values: Mapping[str, Any],
    operations: Sequence[str],
) -> Iterator[NewEvent]:
    """Yield what the history gets; a new key, and links of parts, have their own events too."""
    is_session = subject.kind == "session"
    key: Any = SessionKey.parse(subject.key) if is_session else subject.key
    changes: dict[str, Any] = {UNDOES: list(operations), **_differing(net.columns.items())}
    if net.entry:
        changes[ENTRY] = net.entry
        changes |= {name: [value, None] for name, value in values.items() if value is not None}
    for name, pair in _differing(net.rows.items()).items():
        table, stage = split_image(name)
        if table == STAGES:
            marks = [row and row["mark"] for row in pair]
            changes |= _differing([(mark_name(stage), marks)])
        changes[name] = pair
    told = [event(key, "undone", changes=changes)]
    if net.parts and net.parts[0] != net.parts[1]:
        # Told of while the row is there, under its key.
        is_back = net.entry is not None and net.entry[1] == THERE
        told.insert(1 if is_back else 0, event(key, "linked", changes={"parts": net.parts}))
    yield from told
    names = ("mouseName", "sessionDate", "sessionID") if is_session else ("mouseName",)
    if not net.entry and any(name in net.columns for name in names):
        new = {name: net.columns[name][1] for name in names if name in net.columns}
        renamed = SessionKey.parse({**key.columns, **new}) if is_session else new["mouseName"]
        if renamed != key:
            named = {"key": [str(key), str(renamed)]}
            yield event(renamed, "rekeyed", changes=named)


def _differing(pairs: Iterable[tuple[str, list[Any]]]) -> dict[str, list[Any]]:
    return {name: pair for name, pair in pairs if pair[0] != pair[1]}
