"""A worker that stays: it runs a stage, waits for more to do, and goes on.

Where the database can tell, it is woken by what others commit; it looks by itself too, since edits
past the tracker tell nobody, and a time to try again just comes.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from vrtracker.backends.base import Listener
from vrtracker.errors import BackendError, DatabaseUnavailableError, RootUnavailableError
from vrtracker.operations import new_id, operation
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.patience import Stop
from vrtracker.services.workflow.run_report import Progress, RunReport, RunResult

_LOOK_S = 10.0
_LOOK_WHEN_WOKEN_S = 30.0
"""How often a worker looks for work, if others cannot or can wake it; half as much more or less."""
_PATIENCE_S = 15 * 60.0
"""How long a database may be away."""
_STEP_S = 0.2
"""How soon a worker that waits notices that it is to end."""


class WaitingService:
    """Runs that wait for more to do.

    Examples
    --------
    >>> tracker.workflow.serve("registration", until_empty=True).count("failed")
    1
    """

    def __init__(self, lab: LabContext, run: Callable[..., RunReport]) -> None:
        self._lab = lab
        self._run = run

    def serve(
        self,
        stage: str = "registration",
        where: Any = None,
        /,
        *,
        until_empty: bool = False,
        budget_minutes: float | None = None,
        max_sessions: int | None = None,
        max_errors: int | None = None,
        budget_bytes: float | None = None,
        retry_failed: bool = True,
        stop: Stop | None = None,
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
        **options: Any,
    ) -> RunReport:
        """Run a stage again and again, whenever there is something to do.

        What failed before is tried once at the start; after that only what a policy of retries
        says. A database or a root that goes away later is waited for, a quarter of an hour.

        Parameters
        ----------
        stage, where
            As for `run`; so are `registrar`, `options`, `without` and the filters.
        until_empty
            End when nothing is left, rather than wait.
        budget_minutes, max_sessions, max_errors, budget_bytes
            End after so many minutes, sessions, failures or bytes of output.
        retry_failed
            False: leave what failed before alone.
        stop
            Asked before each session and while it waits; why it is to end, or None.
        say
            Called with a sentence when it waits for work or for the database.

        Returns
        -------
        RunReport
            Of all that it did; `stopped` is None if it ended since nothing was left.

        Examples
        --------
        >>> report = tracker.workflow.serve(until_empty=True, retry_failed=False)
        >>> report.results
        ()
        """
        results: list[RunResult] = []
        notes: list[str] = []
        clock = _Clock(budget_minutes, stop)

        def follow(position: int, total: int, key: Any, result: RunResult | None) -> None:
            if result is not None:
                results.append(result)
            if progress is not None:
                progress(position, total, key, result)

        def once() -> RunReport:
            done = RunReport(stage, tuple(results))
            worked = done.succeeded + done.failed
            with operation(new_id()):
                return self._run(
                    stage,
                    where,
                    retry_failed=again,
                    max_sessions=None if max_sessions is None else max_sessions - worked,
                    max_errors=None if max_errors is None else max_errors - done.failed,
                    budget_bytes=None if budget_bytes is None else budget_bytes - done.bytes,
                    stop=clock.over,
                    progress=follow,
                    **options,
                )

        self._lab.folders().check()
        again: bool | None = retry_failed
        told = -1
        tell = say or (lambda _text: None)
        with self._listening() as listener:
            while True:
                report = self._patiently(once, clock, tell)
                notes += [note for note in report.notes if note not in notes]
                again = None if retry_failed else False
                if report.stopped is None and not until_empty:
                    if len(results) != told and clock.over() is None:
                        tell("Nothing is left to do; waiting for more.")
                        told = len(results)
                    report = replace(report, stopped=self._wait(listener, clock))
                if report.stopped is not None or until_empty:
                    # One that never began, since the database was away, names no stage.
                    return replace(report, stage=stage, results=tuple(results), notes=tuple(notes))

    @contextlib.contextmanager
    def _listening(self) -> Iterator[Listener | None]:
        database = self._lab.database
        listener = database.backend.listen(database.url)
        try:
            if listener is not None:
                listener.wait(0)
            yield listener
        finally:
            if listener is not None:
                listener.close()

    def _wait(self, listener: Listener | None, clock: _Clock) -> str | None:
        """Wait until there may be work; return why it is to end, if so."""
        usual = _LOOK_S if listener is None else _LOOK_WHEN_WOKEN_S
        end = time.monotonic() + _about(usual)
        while (why := clock.over()) is None and time.monotonic() < end:
            if listener is None:
                time.sleep(_STEP_S)
            elif listener.wait(_STEP_S):
                break
        return why

    def _patiently(
        self, once: Callable[[], RunReport], clock: _Clock, tell: Callable[[str], None]
    ) -> RunReport:
        """Run once, again while the database or the root is away."""
        began, pause = time.monotonic(), 1.0
        while True:
            try:
                return once()
            except (BackendError, RootUnavailableError) as error:
                if not _may_pass(error) or time.monotonic() - began > _PATIENCE_S:
                    raise
                if pause == 1.0 and clock.over() is None:
                    tell(f"{error} Trying again, for {_PATIENCE_S / 60:.0f} minutes.")
            end = time.monotonic() + _about(pause)
            while time.monotonic() < end and clock.over() is None:
                time.sleep(_STEP_S)
            if (why := clock.over()) is not None:
                return RunReport("", (), why)
            pause = min(2 * pause, 30.0)


class _Clock:
    """Says when a worker is to end."""

    def __init__(self, minutes: float | None, stop: Stop | None) -> None:
        self._minutes = minutes
        self._stop = stop
        self._began = time.monotonic()

    def over(self) -> str | None:
        """Return why no other session is begun, or None."""
        if self._stop is not None and (why := self._stop()):
            return why
        if self._minutes is None or time.monotonic() - self._began < 60 * self._minutes:
            return None
        return f"the limit of {self._minutes:g} minutes is reached"


def _about(seconds: float) -> float:
    """Return a time around this one, so that many workers do not all look at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - nobody is to guess it


def _may_pass(error: Exception) -> bool:
    """Return whether an error may be gone by itself in a while: not there, or busy."""
    kinds = (DatabaseUnavailableError, RootUnavailableError)
    return isinstance(error, kinds) or type(error) is BackendError
