"""The stages that a session goes through, as data.

    suite2p ──► suite2p_qc
       │
       └─────► registration ──► red_cell_qc

A session without imaging needs registration alone. A lab declares further stages in its
configuration; they hang on these.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass

from vrtracker.errors import ConfigurationError, InvalidValueError, UnknownNameError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class StageKind(enum.StrEnum):
    """Who does the work of a stage."""

    PROCESS = "process"
    """A program makes something. It can be queued before its inputs are there."""
    REVIEW = "review"
    """A person judges what an earlier stage made. Without that there is nothing to queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    `requires`: stages whose output must exist before this one can start. `applies_if`: boolean
    columns of `sessiondb` that must all be true for the stage to apply. `done_column`,
    `date_column`, `error_column`, `message_column`: columns of `sessiondb` that hold the outcome.
    They are the truth, since people edit them by hand; a stage without `done_column` keeps its
    outcome in the tracker's own table.
    """

    name: str
    title: str
    kind: StageKind = StageKind.PROCESS
    requires: tuple[str, ...] = ()
    applies_if: tuple[str, ...] = ()
    done_column: str | None = None
    date_column: str | None = None
    error_column: str | None = None
    message_column: str | None = None


BUILT_IN: tuple[Stage, ...] = (
    Stage(
        name="suite2p",
        title="suite2p",
        applies_if=("imaging",),
        done_column="suite2p",
        date_column="suite2pDate",
    ),
    Stage(
        name="suite2p_qc",
        title="suite2p QC",
        kind=StageKind.REVIEW,
        requires=("suite2p",),
        applies_if=("imaging",),
        done_column="suite2pQC",
    ),
    Stage(
        name="registration",
        title="registration",
        requires=("suite2p",),
        done_column="vrRegistration",
        date_column="vrRegistrationDate",
        error_column="vrRegistrationError",
        message_column="vrRegistrationException",
    ),
    Stage(
        name="red_cell_qc",
        title="red-cell QC",
        kind=StageKind.REVIEW,
        requires=("suite2p", "registration"),
        applies_if=("imaging",),
        done_column="redCellQC",
        date_column="redCellQCDate",
    ),
)


class StageGraph(Mapping[str, Stage]):
    """All stages of a lab, in an order in which each comes after what it requires.

    `declared`: the lab's own stages, beside the built-in ones. Raises ConfigurationError if a name
    is taken or malformed, a required stage does not exist, or the stages form a circle.
    """

    def __init__(self, declared: Iterable[Stage] = ()) -> None:
        stages: dict[str, Stage] = {}
        for stage in (*BUILT_IN, *declared):
            if stage.name in stages:
                raise ConfigurationError(
                    f"The stage {stage.name!r} is declared twice; rename the lab's own."
                )
            if not _NAME.fullmatch(stage.name):
                raise ConfigurationError(
                    f"{stage.name!r} is no name for a stage; use up to 31 lower-case letters, "
                    "digits and '_', a letter first."
                )
            stages[stage.name] = stage
        self._stages = _in_order(stages)
        self._dependents = {name: self._reached_from(name) for name in self._stages}

    def __getitem__(self, name: str) -> Stage:
        try:
            return self._stages[name]
        except KeyError:
            raise UnknownNameError("stage", name, self._stages) from None

    def __contains__(self, name: object) -> bool:
        return name in self._stages

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    def values(self) -> ValuesView[Stage]:
        """Return the stages, in order."""
        return self._stages.values()

    def review(self, check: str) -> Stage:
        """Return the review stage that a check such as ``red_cell`` or ``red_cell_qc`` names."""
        reviews = [stage.name for stage in self.values() if stage.kind is StageKind.REVIEW]
        for name in (check, f"{check}_qc"):
            if name in reviews:
                return self[name]
        raise UnknownNameError("QC check", check, ["session", *reviews])

    def process(self, name: str) -> Stage:
        """Return a stage of processing.

        Raises InvalidValueError if people do it.
        """
        if self[name].kind is StageKind.REVIEW:
            raise InvalidValueError(f"{name} is done by people; use set_qc.")
        return self[name]

    def dependents(self, name: str) -> tuple[Stage, ...]:
        """Return every stage that directly or indirectly requires `name`, in order."""
        return self._dependents[self[name].name]

    def _reached_from(self, name: str) -> tuple[Stage, ...]:
        reached = {name}
        for stage in self.values():
            if reached.intersection(stage.requires):
                reached.add(stage.name)
        return tuple(stage for stage in self.values() if stage.name in reached - {name})


def _in_order(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    ordered: dict[str, Stage] = {}
    waiting = dict(stages)
    while waiting:
        ready = [
            stage for stage in waiting.values() if all(name in ordered for name in stage.requires)
        ]
        if not ready:
            _explain_stuck(waiting, stages)
        ordered[ready[0].name] = waiting.pop(ready[0].name)
    return ordered


def _explain_stuck(waiting: Mapping[str, Stage], stages: Mapping[str, Stage]) -> None:
    for stage in waiting.values():
        for required in stage.requires:
            if required not in stages:
                raise ConfigurationError(
                    f"The stage {stage.name!r} requires {required!r}, which does not exist. "
                    f"Known: {', '.join(stages)}."
                )
    raise ConfigurationError(
        f"The stages {', '.join(waiting)} require each other in a circle; take one link out."
    )
