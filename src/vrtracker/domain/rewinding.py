"""How rows and stages were at an earlier moment, by the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vrtracker.domain.replay import FOUND
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition

__all__ = ["Happened", "PastRow", "StagePast", "rewound", "stages_of"]


class Happened(NamedTuple):
    """What an event tells of a row and of a stage."""

    key: str
    verb: str
    changes: Mapping[str, Any]
    stage: str | None
    to_state: str | None
    attempt_id: str | None


@dataclass(slots=True)
class PastRow:
    """A row as it was.

    Attributes
    ----------
    values : dict
        Its columns by name.
    touched : set of str
        Stages of which later events tell.
    """

    values: dict[str, Any]
    touched: set[str] = field(default_factory=set)


class StagePast(NamedTuple):
    """Mark and latest attempt of a stage as they were."""

    mark: str | None
    attempt_id: str | None


def rewound(
    rows: Mapping[str, dict[str, Any]],
    later: Iterable[Happened],
    *,
    fitted: Callable[[str, Any], Any],
    revived: Callable[[Happened], PastRow],
) -> dict[str, PastRow]:
    """Take events back; return the rows as they were before, by their keys of then.

    Parameters
    ----------
    rows
        The rows of now, by key.
    later
        The events to take back, the newest first.
    fitted
        Returns the value that a column holds for one of an event.
    revived
        Returns the row that an event has deleted.
    """
    past = {key: PastRow(dict(values)) for key, values in rows.items()}
    for event in later:
        if event.verb in {"added", "restored"}:
            past.pop(event.key, None)
        elif event.verb == "deleted":
            past[event.key] = revived(event)
        elif event.verb == "rekeyed":
            if event.key in past:
                past[event.changes["key"][0]] = past.pop(event.key)
        elif event.key in past and event.verb != FOUND:
            # What was found had been there already; since when, nobody knows.
            _take_back(past[event.key], event, fitted)
    return past


def _take_back(row: PastRow, event: Happened, fitted: Callable[[str, Any], Any]) -> None:
    if event.stage is not None:
        row.touched.add(event.stage)
    for name, pair in event.changes.items():
        match pair:
            case [old, _] if name in row.values:
                row.values[name] = fitted(name, old)
            case [_, _] if name.endswith(":mark"):
                row.touched.add(name.removesuffix(":mark"))


def stages_of(
    events: Iterable[Happened], stages: Mapping[str, Stage]
) -> dict[str, dict[str, StagePast]]:
    """Return marks and latest attempts after events, the oldest first, by key and stage."""
    past: dict[str, dict[str, StagePast]] = {}
    gone: dict[str, dict[str, StagePast]] = {}
    for event in events:
        if event.verb == "deleted":
            gone[event.key] = past.pop(event.key, {})
        elif event.verb == "restored":
            past[event.key] = gone.pop(event.key, {})
        elif event.verb == "rekeyed":
            past[event.key] = past.pop(event.changes["key"][0], {})
        else:
            _follow(past.setdefault(event.key, {}), event, stages)
    return past


def _follow(past: dict[str, StagePast], event: Happened, stages: Mapping[str, Stage]) -> None:
    # A stage may have been declared then that is not any more.
    if event.stage is not None and event.stage in stages:
        stage = stages[event.stage]
        past[stage.name] = _after(past.get(stage.name, StagePast(None, None)), event, stage)
    for name, pair in event.changes.items():
        match pair:
            case [_, mark] if name.endswith(":mark"):
                known = past.get(name.removesuffix(":mark"), StagePast(None, None))
                past[name.removesuffix(":mark")] = known._replace(mark=mark)


def _after(before: StagePast, event: Happened, stage: Stage) -> StagePast:
    """Return mark and latest attempt of a stage after an event of it."""
    done = None if stage.done_column else Mark.DONE.value
    mark, attempt_id = before
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
