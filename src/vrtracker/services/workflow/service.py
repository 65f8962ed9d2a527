"""The work: what needs doing, why not yet, doing it, and deciding on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import StageGraph
from vrtracker.operations import operation
from vrtracker.services.context import LabContext
from vrtracker.services.history.frames import HistoryService
from vrtracker.services.quality.decisions import QualityService
from vrtracker.services.quality.reviews import ReviewService
from vrtracker.services.workflow.applicability import ApplicabilityService
from vrtracker.services.workflow.held_back import HeldBackService
from vrtracker.services.workflow.reading import WorkflowReading
from vrtracker.services.workflow.waiting import WaitingService

if TYPE_CHECKING:
    from vrtracker.domain.registrars import Registrar
    from vrtracker.found import Framed
    from vrtracker.services.workflow.activity import Activity
    from vrtracker.services.workflow.claim_list import ClaimListService
    from vrtracker.services.workflow.foreign import ForeignService
    from vrtracker.services.workflow.outdated import OutdatedPlan
    from vrtracker.services.workflow.patience import Stop
    from vrtracker.services.workflow.run_report import Progress, RunReport


class WorkflowService(WorkflowReading):
    """Queues, explanations, runs and decisions.

    Parameters
    ----------
    find_registrar
        Returns the registrar that a specification names, or the stage's own for None.

    Examples
    --------
    >>> tracker.workflow.run("registration", "DEMO001.2023-01-18.701", force=True).succeeded
    1
    """

    def __init__(self, lab: LabContext, find_registrar: Callable[[str, Any], Registrar]) -> None:
        super().__init__(lab)
        self._find_registrar = find_registrar
        self._history = HistoryService(lab)
        self._quality = QualityService(lab)
        applicability = ApplicabilityService(lab)
        self.set_qc = self._quality.set_qc
        self.scratch = self._quality.scratch
        self.unscratch = self._quality.unscratch
        self.complete = self._quality.complete
        self.reset = self._quality.reset
        self.exclude = applicability.exclude
        self.include = applicability.include
        reviews = ReviewService(lab)
        self.set_dataset_qc = reviews.set_dataset_qc
        self.qc_table = reviews.qc_table
        self.check_qc = reviews.check_qc
        self.history = self._history.of_session
        self.errors = self._history.errors
        self.error_group = self._history.error_group
        self.attempts = self._history.attempts
        self.stage_events = self._history.stage_events
        self.held_back = HeldBackService(lab).held_back
        self.serve = WaitingService(lab, self.run).serve

    @property
    def stages(self) -> StageGraph:
        """The stages of this lab, built-in and declared."""
        return self._lab.stages

    # What those who look at states need not import.

    @cached_property
    def claims(self) -> Framed[[]]:
        """Who works on what."""
        return self._claim_list.claims

    @cached_property
    def release(self) -> Callable[..., list[str]]:
        """Give a claim back."""
        return self._claim_list.release

    @cached_property
    def activity(self) -> Callable[..., Activity]:
        """What is going on now."""
        from vrtracker.services.workflow.activity import ActivityService

        return ActivityService(self._lab).activity

    @cached_property
    def foreign(self) -> ForeignService:
        """Work that others do without this package."""
        from vrtracker.services.workflow.foreign import ForeignService

        return ForeignService(self._lab)

    @cached_property
    def outdated(self) -> Callable[..., OutdatedPlan]:
        """What is to be marked as outdated."""
        from vrtracker.services.workflow.outdated import OutdatingService

        return OutdatingService(self._lab, self._find_registrar).outdated

    @cached_property
    def _claim_list(self) -> ClaimListService:
        from vrtracker.services.workflow.claim_list import ClaimListService

        return ClaimListService(self._lab)

    @operation()
    def run(
        self,
        stage: str = "registration",
        where: Any = None,
        /,
        *,
        registrar: Any = None,
        options: Mapping[str, Any] | None = None,
        retry_failed: bool | None = True,
        include_stale: bool = False,
        without: Collection[str] = (),
        excludes: Mapping[str, str] | None = None,
        force: bool = False,
        budget_bytes: float | None = None,
        max_sessions: int | None = None,
        max_errors: int | None = None,
        max_failures_in_a_row: int | None = None,
        timeout_minutes: float | None = None,
        raise_errors: bool = False,
        progress: Progress | None = None,
        stop: Stop | None = None,
        workers: int | None = None,
        executor: Any = None,
        **filters: Any,
    ) -> RunReport:
        """Run a stage over the sessions that need it, in order of their numbers.

        No transaction is open while the work goes on. A failure is recorded with its exception,
        leaves earlier output and dates alone, and the run goes on with the next session.

        Parameters
        ----------
        stage
            A stage of processing.
        registrar
            What does the work: ``alf``, ``command: …``, ``module:function``, a function, or a
            `Registrar`. The configured one, else the ALF indexer, when not given.
        options
            Options for it; kept with each attempt.
        retry_failed
            Try sessions again that failed before, unless they are set aside or wait for a later
            time; those that wait are tried with `force` too, and what is named in any case. None:
            those alone that are due by a policy.
        include_stale
            Also sessions that are done from inputs that were made again since, or were marked
            as outdated.
        without
            Stages that need not be waited for this time, such as ``["suite2p"]`` where the imaging
            is left out.
        excludes
            Stages that are not for a session once it succeeded, each with the reason, such as
            ``{"suite2p": "no imaging"}``: as far as they are open, `exclude` is recorded with the
            success.
        force
            Also sessions that are done; needs a key or filters. What rests on them becomes stale.
        budget_bytes
            Stop before the outputs of this run exceed so many bytes. An output that turns out to
            be larger than what is left is discarded.
        max_sessions, max_errors
            Stop after so many sessions, or failures.
        max_failures_in_a_row
            Stop after so many sessions that failed one after the other; as the policy of the stage
            has it when not given, 0: never.
        timeout_minutes
            End the work on a session that takes longer, with all that it started; as the policy
            of the stage has it when not given, 0: never. The registrar then works in a process of
            its own.
        raise_errors
            Raise the first failure, after recording it.
        progress
            Called before and after each session with its position, the number of sessions, the
            key, and the result (None before). With workers or an executor: after each alone.
        stop
            Asked before each session, and while the database is away; why no other one is begun,
            or None to go on.
        workers
            Work in so many processes of this computer, started anew; with `executor`, place so
            many shares of the work at a time.
        executor
            What places the work elsewhere: a `concurrent.futures.Executor`, a `Client` of
            dask.distributed, or an executor of submitit. Limits hold for all workers together;
            what is being worked on when one is reached is finished. See ``docs/workers.md``.

        Returns
        -------
        RunReport
            What became of each session; ``report.frame()`` as a table.

        Raises
        ------
        ConfigurationError
            If the registrar cannot be loaded, could work on no session, or cannot be sent to
            workers, or to the process of its own that a time limit needs; nothing is changed.
        RootUnavailableError
            If the folder that holds the sessions is not there; nothing is changed.
        InvalidTransitionError
            If one session is named by its key and its state does not allow it.

        Examples
        --------
        >>> state = tracker.workflow.complete("DEMO003.2023-03-15.701", "suite2p")
        >>> print(tracker.workflow.run("registration", "mouseName = DEMO003", max_sessions=5))
        registration: 1 succeeded, 0 failed
        """
        from vrtracker.services.workflow.placing import run_on
        from vrtracker.services.workflow.run_report import RunOptions

        self._lab.stages.process(stage)
        wanted = self._lab.selection(where, filters)
        if wanted.is_key:
            retry_failed, include_stale = True, True
        options_of_run = RunOptions(
            filters=wanted,
            retry_failed=retry_failed is not False,
            only_planned=retry_failed is None,
            include_stale=include_stale,
            without=tuple(self._lab.stages[name].name for name in without),
            excludes={self._lab.stages[name].name: why for name, why in (excludes or {}).items()},
            force=force,
            budget_bytes=budget_bytes,
            max_sessions=max_sessions,
            max_errors=max_errors,
            max_failures_in_a_row=max_failures_in_a_row,
            timeout_minutes=timeout_minutes,
            raise_errors=raise_errors,
            progress=progress,
            stop=stop,
            is_named=wanted.is_named,
            key=SessionKey.parse(where) if wanted.is_key else None,
        )
        chosen = self.registrar(stage, registrar, options=options)
        engine: Any = {"workers": workers, "executor": executor}
        return run_on(self._lab, stage, chosen, options_of_run, **engine)

    def retry(self, group: str, **options: Any) -> RunReport:
        """Run a stage again over the sessions that failed alike; see ``errors(group=True)``.

        Those that are done, from before the failure, are run again too.

        Parameters
        ----------
        group
            Short name of the group.
        **options
            As `run`: registrar, options, budget_bytes, max_sessions, max_errors,
            max_failures_in_a_row, timeout_minutes, raise_errors, progress.

        Raises
        ------
        UnknownNameError
            If nothing fails that way now.

        Examples
        --------
        >>> group = tracker.workflow.errors("registration", group=True)["group"][0]
        >>> tracker.workflow.retry(group).failed
        1
        """
        failing = self.error_group(group)
        numbers = {"uSessionID": list(failing.numbers)}
        return self.run(failing.stage, numbers, force=True, **options)

    def registrar(
        self, stage: str, registrar: Any = None, *, options: Mapping[str, Any] | None = None
    ) -> Registrar:
        """Return what `run` would use for a `stage` with this registrar and these options.

        Raises
        ------
        ConfigurationError
            If it cannot be loaded, does not take the options, or could work on no session.

        Examples
        --------
        >>> tracker.workflow.registrar("registration").name
        'alf'
        """
        from vrtracker.registrars import require_working

        found = self._find_registrar(self._lab.stages[stage].name, (registrar, options))
        require_working(found)
        return found
