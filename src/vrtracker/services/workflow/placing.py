"""One run on many workers: place shares, add up what they answer, replace who is lost.

The database hands out the sessions, each once. What is handed out here is how far a share goes: a
part of the sessions and bytes that the run may still use, so that all shares together never
exceed them.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vrtracker import operations, processes
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Registrar
from vrtracker.errors import VrtrackerError, WorkersError
from vrtracker.services.context import LabContext
from vrtracker.services.holders import is_alive
from vrtracker.services.workflow.abandoned import free_abandoned
from vrtracker.services.workflow.engines import Engine, engine_for
from vrtracker.services.workflow.run import count_left, make_way, run_stage
from vrtracker.services.workflow.run_report import Results, RunOptions, RunReport, RunResult
from vrtracker.services.workflow.share import Limits, Recipe, Share

_PATIENCE, _PATIENCE_AT_FIRST = 10, 3
"""How many workers in a row may be lost for nothing, for each that the run has."""
_TOLD_OFTEN = 3
"""How many workers may be told to end over one session: the run heeds the last one too."""


def run_on(
    lab: LabContext,
    stage: str,
    registrar: Registrar,
    options: RunOptions,
    *,
    workers: int | None,
    executor: Any,
) -> RunReport:
    """Run a stage here, or on workers where some are asked for; see `WorkflowService.run`."""
    if workers is None and executor is None:
        with _interrupted_by_termination():
            return run_stage(lab, stage, registrar, options)
    options = options.under(lab.policy(stage))
    return _PlacedRun(lab, stage, registrar, options, engine_for(executor, workers)).work()


class _PlacedRun:
    """One run, as the process that began it sees it."""

    def __init__(
        self,
        lab: LabContext,
        stage: str,
        registrar: Registrar,
        options: RunOptions,
        engine: Engine,
    ) -> None:
        self._lab = lab
        self._what = (lab, stage, registrar, options)
        self._stage = stage
        self._options = options
        self._engine = engine
        self._placed: dict[Any, Limits] = {}
        self._results = Results()
        self._notes: list[str] = []
        self._total = 0
        self._nothing_left = False
        self._one_at_a_time = False
        self._stopped: str | None = None
        self._interrupted = False
        self._error: Exception | None = None
        self._lost_for_nothing = 0
        self._attempts = 0
        self._told: set[str] = set()

    def work(self) -> RunReport:
        """Work until nothing is left or a limit is reached."""
        self._engine.prepare(Recipe.of(*self._what, operation=operations.current()))
        self._notes += make_way(self._lab, self._lab.stages[self._stage], self._options)
        self._total = count_left(*self._what)
        try:
            with _interrupted_by_termination():
                self._place_and_take()
        except BaseException:
            self._engine.stop(self._placed)
            raise
        finally:
            self._engine.close()
            with contextlib.suppress(VrtrackerError):
                self._notes += free_abandoned(self._lab) if self._placed else []
                recorded = self._recorded()
                self._add_recorded(recorded)
                self._add_given_back(recorded)
        if self._error is not None:
            raise self._error
        return self._report()

    def _place_and_take(self) -> None:
        while True:
            while self._may_place():
                self._place()
            if not self._placed:
                return
            ended = [(done, self._placed.pop(done)) for done in self._engine.wait(self._placed)]
            answers = [(self._engine.answer(done), limits) for done, limits in ended]
            # Those who were lost last: what they had is left, whatever the others found.
            for answer, limits in sorted(answers, key=lambda told: _is_lost(told[0])):
                self._take(answer, limits)

    @property
    def _free_slots(self) -> int:
        slots = 1 if self._one_at_a_time else min(self._engine.slots, self._total)
        return slots - len(self._placed)

    def _may_place(self) -> bool:
        if self._error or self._stopped or self._nothing_left or self._free_slots < 1:
            return False
        return not self._placed or (self._sessions_left != 0 and self._bytes_left != 0)

    def _place(self) -> None:
        free, errors = self._free_slots, self._options.max_errors
        sessions, size = self._sessions_left, self._bytes_left
        limits = Limits(
            sessions=None if sessions is None else math.ceil(sessions / free),
            errors=None if errors is None else math.ceil((errors - self._failed) / free),
            bytes=None if size is None else size / free,
            seconds=self._engine.share_s,
        )
        try:
            self._placed[self._engine.place(limits)] = limits
        except WorkersError as error:
            self._error = error

    @property
    def _failed(self) -> int:
        return self._results.counts["failed"]

    @property
    def _sessions_left(self) -> int | None:
        """How many sessions no share may take yet; None for no limit."""
        if self._options.max_sessions is None:
            return None
        worked = self._results.counts["succeeded"] + self._failed
        placed = sum(limits.sessions or 0 for limits in self._placed.values())
        return max(0, self._options.max_sessions - worked - placed)

    @property
    def _bytes_left(self) -> float | None:
        """How many bytes no share may use yet; None for no limit."""
        if self._options.budget_bytes is None:
            return None
        placed = sum(limits.bytes or 0 for limits in self._placed.values())
        return max(0, self._options.budget_bytes - self._results.bytes - placed)

    def _take(self, answer: Share | str, limits: Limits) -> None:
        if isinstance(answer, str):
            self._lose(f"A worker was lost: {answer}.")
        elif answer.error is not None:
            self._error = self._error or answer.error
        elif answer.report is None:
            self._lose("A worker was told to end; it gave its session back.")
            self._heed()
        else:
            self._add(answer.report, limits, lacks_budget=answer.lacks_budget)

    def _add(self, report: RunReport, limits: Limits, *, lacks_budget: bool) -> None:
        if lacks_budget:
            # With a part of what is left: all of it may do, for one worker alone.
            had_all = (limits.bytes or 0) >= (self._bytes_left or 0) and not self._placed
            self._one_at_a_time = True
            self._stopped = report.stopped if had_all else None
        for result in report.results:
            self._tell(result)
        self._notes += [note for note in report.notes if note not in self._notes]
        self._nothing_left = report.stopped is None
        self._stopped = self._options.limit_reached(self._results) or self._stopped

    def _tell(self, result: RunResult) -> None:
        """Add a result, unless it was read from the database before its worker told it."""
        if result.attempt_id in self._told:
            return
        if result.attempt_id is not None:
            self._told.add(result.attempt_id)
        self._results.append(result)
        if self._options.progress is not None:
            done = len(self._results)
            self._options.progress(done, max(self._total, done), result.key, result)

    def _lose(self, note: str) -> None:
        """Go on without a worker, unless they are lost one after the other for nothing."""
        self._notes += [note, *free_abandoned(self._lab)]
        self._nothing_left = False
        recorded = self._recorded()
        self._add_recorded(row for row in recorded if is_alive(self._lab, row) is not True)
        self._stopped = self._options.limit_reached(self._results) or self._stopped
        attempts = len(recorded)
        is_new = attempts > self._attempts
        self._lost_for_nothing = 0 if is_new else self._lost_for_nothing + 1
        self._attempts = attempts
        slots = self._engine.slots
        if self._lost_for_nothing >= slots * (_PATIENCE if attempts else _PATIENCE_AT_FIRST):
            self._error = self._error or WorkersError(
                f"{note} So did {self._lost_for_nothing} of them, and nothing was done. A script "
                "that runs a stage with workers does so below: if __name__ == '__main__':"
            )

    def _heed(self) -> None:
        """End the run where workers are told to end over one session again and again."""
        given_back = (row for row in self._recorded() if row["outcome"] == "cancelled")
        for key, times in Counter(map(SessionKey.of_row, given_back)).items():
            if times >= _TOLD_OFTEN:
                self._interrupted = True
                self._stopped = f"{times} workers were told to end while they had {key}"

    def _recorded(self) -> list[dict[str, Any]]:
        with self._lab.unit(readonly=True) as unit:
            return unit.attempts.of_run(self._options.run)

    def _add_recorded(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the sessions that workers did, but could not tell of any more."""
        for row in rows:
            if row["outcome"] in {"succeeded", "failed"}:
                self._tell(_result(row))

    def _add_given_back(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the sessions that were given back, and that no worker has brought to an end."""
        ended = {result.key for result in self._results}
        given_back = {SessionKey.of_row(row): row for row in rows if row["outcome"] == "cancelled"}
        for key, row in given_back.items():
            if key not in ended:
                self._tell(_result(row))

    def _report(self) -> RunReport:
        left = count_left(*self._what) if self._stopped else 0
        is_done = not left and not self._results.counts["cancelled"]
        return RunReport(
            self._lab.stages[self._stage].name,
            tuple(self._results),
            None if is_done else self._stopped,
            left,
            tuple(self._notes),
            self._interrupted and not is_done,
        )


def _is_lost(answer: Share | str) -> bool:
    return isinstance(answer, str) or (answer.report is None and answer.error is None)


def _result(row: Mapping[str, Any]) -> RunResult:
    error = {
        "failed": f"{row['error_type']}: {row['error_message']}",
        "cancelled": f"interrupted ({row['error_type']})",
    }
    return RunResult(
        SessionKey.of_row(row),
        row["outcome"],
        row["duration_s"] or 0.0,
        int(row["output_bytes"] or 0),
        row["output_files"] or 0,
        error=error.get(row["outcome"]),
        attempt_id=row["attempt_id"],
    )


@contextlib.contextmanager
def _interrupted_by_termination() -> Iterator[None]:
    """Let SIGTERM, and a terminal that closes, end the block as Ctrl-C does.

    Where somebody has said otherwise, as nohup does, that holds.
    """
    is_main = threading.current_thread() is threading.main_thread()
    numbers = processes.signals_here("SIGTERM", "SIGHUP")
    unheeded = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    ours = unheeded if is_main else []

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
