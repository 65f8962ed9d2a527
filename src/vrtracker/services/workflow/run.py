"""Run a stage over the sessions that need it.

For each session: claim it in one short transaction, do the work outside any, record the outcome
in another. The work writes into a staging folder that takes the place of the earlier output only
when it succeeded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vrtracker import processes
from vrtracker.domain.failures import message_of
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Job, Registrar
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Transition
from vrtracker.errors import (
    BudgetError,
    DatabaseAwayError,
    InvalidValueError,
    LostClaimError,
    RegistrarError,
)
from vrtracker.files.layout import SessionFolders
from vrtracker.files.staging import Staging
from vrtracker.files.trees import sizes
from vrtracker.registrars import registered, time_limited
from vrtracker.repositories.queue import Queue
from vrtracker.services.context import LabContext
from vrtracker.services.holders import let_go
from vrtracker.services.transitions import read, require
from vrtracker.services.workflow.abandoned import clean, free_abandoned, is_entered
from vrtracker.services.workflow.claims import Claim, Claims, Finished, Following
from vrtracker.services.workflow.heartbeat import Heartbeat
from vrtracker.services.workflow.made import datasets_of, files_of_ours, stated_size, written_before
from vrtracker.services.workflow.patience import Stop, patiently
from vrtracker.services.workflow.run_report import Results, RunOptions, RunReport, RunResult
from vrtracker.services.workflow.software import versions_of
from vrtracker.unit_of_work import UnitOfWork


def run_stage(lab: LabContext, stage: str, registrar: Registrar, options: RunOptions) -> RunReport:
    """Run a stage; see `WorkflowService.run`."""
    return _begun(lab, stage, registrar, options).work()


def run_share(lab: LabContext, stage: str, registrar: Registrar, options: RunOptions) -> RunReport:
    """Do one worker's share of a run that others take part in: its `left` is not counted."""
    return _begun(lab, stage, registrar, options).share()


def count_left(lab: LabContext, stage: str, registrar: Registrar, options: RunOptions) -> int:
    """Return how many sessions a run has still to try, checked as `run_stage` does."""
    return _begun(lab, stage, registrar, options).left()


def _begun(lab: LabContext, stage: str, registrar: Registrar, options: RunOptions) -> _Run:
    if options.force and not options.filters:
        raise InvalidValueError(
            "Running everything again needs a filter; give a key or filters with force=True."
        )
    folders = lab.folders()
    folders.check()
    options = options.under(lab.policy(stage))
    registrar = time_limited(registrar, options.timeout_minutes)
    return _Run(lab, stage, registrar, folders, options)


def make_way(lab: LabContext, stage: Stage, options: RunOptions) -> list[str]:
    """Free what nobody holds any more, and say so; a named session has to allow the run then."""
    notes = free_abandoned(lab, stop=options.stop)
    if options.key is not None:
        transition = Transition.RERUN if options.force else Transition.START
        snapshot = read(lab, None, options.key)
        require(lab, snapshot, stage, transition, at=lab.now(), without=options.without)
    return notes


class _Run:
    """One run over a queue, or the part of it that one worker does."""

    def __init__(
        self,
        lab: LabContext,
        stage: str,
        registrar: Registrar,
        folders: SessionFolders,
        options: RunOptions,
    ) -> None:
        self._lab = lab
        self._stage = lab.stages[stage]
        self._registrar = registrar
        self._folders = folders
        self._options = options
        self._claims = Claims(lab, versions_of(lab, registrar), run=options.run)
        self._heartbeat = Heartbeat(lab)
        self._queue = self._sessions()
        self._total = 0
        self._after = 0
        self._begun_again = False
        self._next: Claim | None = None
        self._how: dict[str, Any] = {"rerun": options.force, "without": options.without}
        self._stop: Stop | None = None
        self._results = Results()
        self._notes: list[str] = []

    def work(self) -> RunReport:
        """Work until the queue is empty or a limit is reached."""
        self._stop = self._options.stop
        self._notes += make_way(self._lab, self._stage, self._options)
        self._total = self.left()
        report = self.share()
        left = self.left() if report.stopped else 0
        is_done = not left and not report.count("cancelled")
        return replace(report, stopped=None if is_done else report.stopped, left=left)

    def share(self) -> RunReport:
        """Take session after session, and no more; see `work`."""
        with self._heartbeat, self._giving_back():
            while not (stopped := self._limit()) and (claim := self._claim()):
                self._results.append(self._one(claim))
                self._tell(claim.key, self._results[-1])
        return RunReport(self._stage.name, tuple(self._results), stopped, notes=tuple(self._notes))

    def _tell(self, key: SessionKey, result: RunResult | None) -> None:
        if self._options.progress is not None:
            done = len(self._results)
            self._options.progress(done, max(self._total, done), key, result)

    # -- the queue ----------------------------------------------------------------------------

    def _claim(self) -> Claim | None:
        """Claim the next session that this run has not tried; None if there is none.

        At the end of the queue begin again at its head, where others may have given sessions back
        or died over them, and failed ones be due again; until there are none.
        """
        while True:
            found = self._next or patiently(self._lab, self._start_next, stop=self._stop)
            self._next = None
            if isinstance(found, Claim):
                self._after = found.snapshot.record.uSessionID
                self._begun_again = False
                return found
            if found is not None:
                self._after = found
            elif self._begun_again:
                return None
            else:
                self._begun_again, self._after = True, 0
                self._queue = self._sessions(left_behind=True)
                self._notes += free_abandoned(self._lab, stop=self._stop)

    def _start_next(self) -> Claim | int | None:
        return self._claims.start_next(*self._where, **self._how)

    def _following(self) -> Following | None:
        """Return what claims the next session together with the success of this one, if it may.

        With a budget of bytes another one is begun only when it is known how much this one took.
        """
        if self._options.budget_bytes is not None:
            return None
        ahead = self._claims.following(*self._where, **self._how)

        def claimed(unit: UnitOfWork) -> Claim | None:
            # What these may raise is no fault of the work that is being recorded.
            is_last = self._options.limit_reached(self._results, and_one_more=True)
            return None if is_last else ahead(unit)

        return claimed

    @property
    def _where(self) -> tuple[Queue, int, Stage, Registrar]:
        return self._queue, self._after, self._stage, self._registrar

    @contextlib.contextmanager
    def _giving_back(self) -> Iterator[None]:
        """Give back what was claimed ahead where an interruption keeps the run from it."""
        try:
            yield
        except DatabaseAwayError:
            raise
        except BaseException as error:
            if self._next is not None:
                self._cancelled(self._next, "interrupted before it began", time.monotonic(), error)
            raise
        finally:
            if self._next is not None:
                let_go(self._next.attempt_id)

    def _sessions(self, *, left_behind: bool = False) -> Queue:
        return Queue(
            self._lab.database,
            self._stage,
            self._lab.stages,
            self._options.states,
            filters=self._options.filters,
            run=self._options.run,
            left_behind=left_behind,
            only_due=not self._options.is_named,
            at_any_time=self._options.force,
            without=self._options.without,
            only_planned=self._options.only_planned,
        )

    def left(self) -> int:
        """Return how many sessions of the queue are left."""

        def count() -> int:
            with self._lab.unit(readonly=True) as unit:
                return self._queue.count(unit.executor, now=self._lab.now())

        return patiently(self._lab, count, stop=self._stop)

    def _limit(self) -> str | None:
        """Return why no other session is begun, if a limit is reached."""
        if self._next is not None:
            # The rest was asked as that one was claimed; a stop may have come since. The time of a
            # share is none: what is given back so this run does not begin again.
            stopped = self._stop() if self._stop is not None else None
            if stopped:
                self._results.append(self._cancelled(self._next, stopped, time.monotonic()))
            return stopped
        return self._options.limit_reached(self._results) or self._over_budget()

    # -- budget -------------------------------------------------------------------------------

    def _over_budget(self) -> str | None:
        """Return why the next session would exceed the budget, as far as one can tell before."""
        budget = self._options.budget_bytes
        if budget is None:
            return None
        key = patiently(self._lab, self._ahead, stop=self._stop)
        if key is None:
            return None
        expected, spent = self._expected(key), self._results.bytes
        if spent + expected <= budget and spent < budget:
            return None
        return (
            f"the budget of {budget:.0f} bytes would be exceeded ({spent} used, "
            f"{key} needs about {expected})"
        )

    def _ahead(self) -> SessionKey | None:
        with self._lab.unit(readonly=True) as unit:
            now = self._lab.now()
            return self._queue.first(unit.executor, after=self._after, now=now)

    def _expected(self, key: SessionKey) -> int:
        path = self._folders.find(key)
        if path is not None:
            try:
                record = read(self._lab, None, key).record
                estimate = self._registrar.estimate(self._job(key, path, path, record=record))
            except Exception as error:  # noqa: BLE001 - the lab's own code may raise anything
                self._notes.append(f"The size of {key} could not be estimated: {error}")
            else:
                if estimate is not None:
                    return estimate
        return self._results.bytes // max(1, self._results.counts["succeeded"])

    # -- one session --------------------------------------------------------------------------

    def _one(self, claim: Claim) -> RunResult:
        started = time.monotonic()
        try:
            self._tell(claim.key, None)
            with self._heartbeat.of(claim.attempt_id):
                return self._work(claim, started)
        except DatabaseAwayError:
            raise
        except BudgetError as error:
            return self._cancelled(claim, str(error), started)
        except LostClaimError as error:
            return RunResult(claim.key, "skipped", time.monotonic() - started, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever the lab's own code raises is recorded
            return self._failed(claim, error, time.monotonic() - started)
        except BaseException as error:
            reason = f"interrupted ({type(error).__name__})"
            self._tell(claim.key, self._cancelled(claim, reason, started, error))
            raise
        finally:
            let_go(claim.attempt_id)

    def _work(self, claim: Claim, started: float) -> RunResult:
        """Do the work in a staging folder and put it in place together with the record of it."""
        with self._staging(claim) as (path, staging):
            job = self._job(claim.key, path, staging.path, record=claim.snapshot.record)
            with processes.marking():
                result = registered(self._registrar, job)
            written = sizes(staging.path)
            self._refuse_over_budget(claim.key, max(sum(written.values()), stated_size(result)))
            known = self._claims.datasets(claim)
            earlier = written_before(known, self._stage.name, self._lab.output)
            report = staging.swap_in(earlier=earlier)
            try:
                ours = files_of_ours(report, written, earlier)
                datasets = datasets_of(result, path, self._lab.output, ours)
                duration_s = time.monotonic() - started
                finished = Finished(
                    duration_s=duration_s,
                    bytes=stated_size(result) or report.bytes,
                    datasets=datasets,
                    written={f"{self._lab.output}/{name}" for name in ours},
                    complete=result.datasets is not None,
                    excludes=self._options.excludes,
                )
                self._next = self._claims.succeed(
                    claim, finished, known=known, following=self._following()
                )
            except (LostClaimError, DatabaseAwayError):
                # Of the second it may be on record: the new output stays, as after a kill.
                raise
            except BaseException as error:
                # An interruption may come when the success is on record already.
                if isinstance(error, Exception) or not self._claims.has_succeeded(claim):
                    staging.undo()
                raise
            staging.confirm()
        made = (duration_s, finished.bytes, len(datasets))
        return RunResult(claim.key, "succeeded", *made, attempt_id=claim.attempt_id)

    @contextlib.contextmanager
    def _staging(self, claim: Claim) -> Iterator[tuple[Path, Staging]]:
        """Yield the session's folder and a staging folder that an error ends; a late one stays."""
        path = self._folders.find(claim.key)
        if path is None:
            raise RegistrarError(
                f"{claim.key} has no folder below {self._folders.root}; copy it there, then retry."
            )
        self._notes += clean(self._lab, claim.snapshot.record.uSessionID, path)
        staging = Staging.prepare(path, output=self._lab.output, token=claim.attempt_id)
        try:
            yield path, staging
        except LostClaimError:
            self._keep_aside(claim, staging)
            raise
        except BaseException:
            staging.discard()
            raise

    def _keep_aside(self, claim: Claim, staging: Staging) -> None:
        """Keep a result that came too late under a name that says so, unless it was entered."""
        if staging.is_swapped and is_entered(self._lab, claim):
            staging.confirm()
            return
        kept = staging.keep_aside(f"{self._lab.lab_now():%Y%m%dT%H%M%S}")
        if kept is not None:
            self._notes.append(
                f"{claim.key}: the result came too late, and its output is kept in {kept}."
            )

    def _job(self, key: SessionKey, path: Path, staging: Path, *, record: Any) -> Job:
        return Job(key, record, path, staging, self._lab.output, self._registrar.options)

    def _refuse_over_budget(self, key: SessionKey, size: int) -> None:
        budget = self._options.budget_bytes
        if budget is not None and self._results.bytes + size > budget:
            raise BudgetError(
                f"The output of {key} has {size} bytes, over what is left of the budget of "
                f"{budget:.0f}; it was discarded. Raise the budget and run again."
            )

    def _cancelled(
        self, claim: Claim, reason: str, started: float, error: BaseException | None = None
    ) -> RunResult:
        duration_s = time.monotonic() - started
        # A claim that somebody else has taken over by now needs no giving back.
        with contextlib.suppress(LostClaimError):
            self._claims.cancel(claim, reason, Finished(duration_s=duration_s), error)
        return RunResult(
            claim.key, "cancelled", duration_s, error=reason, attempt_id=claim.attempt_id
        )

    def _failed(self, claim: Claim, error: Exception, duration_s: float) -> RunResult:
        try:
            following = self._claims.fail(claim, error, Finished(duration_s=duration_s))
        except LostClaimError as lost:
            return RunResult(claim.key, "skipped", duration_s, error=str(lost))
        if self._options.raise_errors:
            raise error
        text = f"{type(error).__name__}: {message_of(error)}"
        more: Any = {"attempt_id": claim.attempt_id, "following": str(following)}
        return RunResult(claim.key, "failed", duration_s, error=text, **more)
