"""How rows and stages were at an earlier moment, by the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vrtracker.domain.qc import QC
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition
from vrtracker.domain.told import (
    FOUND,
    THERE,
    entry_of,
    image_name,
    images_of,
    mark_name,
    split_image,
)

STAGES = "vrt_stage_state"
"""The table of the tracker's marks."""


class Happened(NamedTuple):
    """What an event tells of a row and of a stage."""

    key: str
    verb: str
    changes: Mapping[str, Any]
    stage: str | None
    to_state: str | None
    attempt_id: str | None

    @property
    def entry(self) -> tuple[Any, Any] | None:
        """Whether the row was there before and after, where that changed."""
        return entry_of(self.verb, self.changes)

    @property
    def marks(self) -> dict[str, Any]:
        """The mark that stages got, by what they are called in changes."""
        suffix = mark_name("")
        return {
            name.removesuffix(suffix): pair[1]
            for name, pair in self.changes.items()
            if name.endswith(suffix)
        }


@dataclass(slots=True)
class PastRow:
    """A row as it was."""

    values: dict[str, Any]
    """Its columns by name."""
    hanging: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The rows that hung on it, by what they are called in events."""
    touched: set[str] = field(default_factory=set)
    """Stages of which later events tell."""


class Past:
    """The rows of a table while events are taken back, the newest first.

    `rows`: the rows of now, by key. `number`: the column of their number. `fitted`: returns what a
    row of the history holds, by table. `revived`: returns the row that an event has deleted.
    """

    def __init__(
        self,
        rows: Mapping[str, PastRow],
        *,
        number: str,
        fitted: Callable[[str, Mapping[str, Any]], dict[str, Any]],
        revived: Callable[[Happened], PastRow],
    ) -> None:
        self.rows = dict(rows)
        self.deleted: dict[int, tuple[Happened, PastRow]] = {}
        """Rows that were deleted, by number, with the events that brought them back since."""
        self.not_deleted: set[Any] = set()
        """Numbers of rows that were deleted later."""
        self._number = number
        self._fitted = fitted
        self._revived = revived
        self._later: dict[int, PastRow] = {}

    def take_back(self, event: Happened, table: str) -> None:
        """Make the rows as they were before an event.

        `table`: the rows' own one.
        """
        entry = event.entry
        if event.verb == FOUND:
            # It had been there already; since when, nobody knows.
            return
        if entry and entry[1] == THERE:
            self._take_away(event, entry[0])
        elif entry:
            number = event.changes.get(self._number, [None])[0]
            # Of one that was deleted by hand the number is not known.
            is_known = number is not None and number in self._later
            row = self._later.pop(number) if is_known else self._revived(event)
            self.deleted.pop(number, None)
            self.not_deleted.add(number)
            self.rows[event.key] = row
            self._hang(row, event)
        elif event.verb == "rekeyed":
            if event.key in self.rows:
                self.rows[event.changes["key"][0]] = self.rows.pop(event.key)
        elif event.key in self.rows:
            self._change(self.rows[event.key], event, table)

    def _take_away(self, event: Happened, before: Any) -> None:
        row = self.rows.pop(event.key, None)
        if row is None:
            return
        number = row.values[self._number]
        self._later[number] = row
        if isinstance(before, Mapping) and before:
            self.deleted[number] = event, row

    def _change(self, row: PastRow, event: Happened, table: str) -> None:
        old = {
            name: pair[0]
            for name, pair in event.changes.items()
            if name in row.values and isinstance(pair, list)
        }
        row.values |= self._fitted(table, old)
        row.touched |= {event.stage} if event.stage else set()
        row.touched |= event.marks.keys()
        self._hang(row, event)
        match event.changes:
            case {"dataset": path, "QC": [level, _]}:
                name = image_name("vrt_dataset", path)
                if name in row.hanging:
                    row.hanging[name] = {**row.hanging[name], "qc_level": QC[level].value}

    def _hang(self, row: PastRow, event: Happened) -> None:
        """Give a row back what hung on it before an event."""
        for name, (old, _) in images_of(event.changes):
            table, stage = split_image(name)
            if table == STAGES:
                row.touched.add(stage)
            if old is None:
                row.hanging.pop(name, None)
            else:
                row.hanging[name] = self._fitted(table, old)


class StagePast(NamedTuple):
    """Mark and latest attempt of a stage as they were, and its row where an event holds it."""

    mark: str | None = None
    attempt_id: str | None = None
    row: Mapping[str, Any] | None = None


_Stages = dict[str, StagePast]


def stages_of(
    events: Iterable[Happened], stages: Mapping[str, Stage], number: str
) -> dict[str, _Stages]:
    """Return marks and latest attempts after events, the oldest first, by key and stage.

    `number`: the column of a row's number, by which one that comes back is known.
    """
    past: dict[str, _Stages] = {}
    gone: dict[Any, _Stages] = {}
    for event in events:
        entry = event.entry
        old, new = event.changes.get(number) or (None, None)
        if entry and entry[1] != THERE:
            gone[old] = past.pop(event.key, {})
        elif entry and entry[0] is not None:
            past[event.key] = gone.pop(new, {})
        elif event.verb == "rekeyed":
            past[event.key] = past.pop(event.changes["key"][0], {})
        else:
            if entry:
                past[event.key] = {}
            _follow(past.setdefault(event.key, {}), event, stages)
    return past


def _follow(past: _Stages, event: Happened, stages: Mapping[str, Stage]) -> None:
    # A stage may have been declared then that is not any more.
    if event.stage is not None and event.stage in stages:
        stage = stages[event.stage]
        past[stage.name] = _after(past.get(stage.name, StagePast()), event, stage)
    for name, mark in event.marks.items():
        past[name] = past.get(name, StagePast())._replace(mark=mark, row=None)
    for name, (_, new) in images_of(event.changes):
        table, stage_name = split_image(name)
        if table == STAGES:
            known = new or {}
            past[stage_name] = StagePast(known.get("mark"), known.get("attempt_id"), new)


def _after(before: StagePast, event: Happened, stage: Stage) -> StagePast:
    """Return mark and latest attempt of a stage after an event of it."""
    done = None if stage.done_column else Mark.DONE.value
    mark, attempt_id, _ = before
    match event.verb:
        case Transition.START | Transition.RERUN:
            attempt_id = event.attempt_id
        case Transition.SUCCEED:
            mark = Mark.STALE.value if event.to_state == State.STALE else done
        case Transition.FAIL if event.to_state == State.FAILED and not stage.error_column:
            mark = Mark.FAILED.value
        case Transition.COMPLETE | Transition.PASS_QC:
            mark, attempt_id = done, None
        case Transition.FAIL_QC:
            mark, attempt_id = Mark.FAILED.value, None
        case Transition.RESET | Transition.CLEAR_QC:
            mark, attempt_id = None, None
        case "invalidated":
            mark = Mark.STALE.value
        case "excluded":
            mark = Mark.NOT_APPLICABLE.value
        case "included":
            mark = None
    return StagePast(mark, attempt_id)
