"""Registration as the old module told of it, by the tracker's own runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError
from vrtracker.interop.vranalysis.printing import readable_bytes, say
from vrtracker.services.runs import RunReport, RunResult
from vrtracker.tracker import Tracker

__all__ = ["Run"]

_STAGE = "registration"
_IMAGING_STAGES = ("suite2p", "red_cell_qc")
_OPEN = frozenset({State.READY, State.BLOCKED, State.FAILED})


class Run:
    """One call of the old module's register methods.

    Parameters
    ----------
    registrar
        What does the work, with its options; None for the profile's own, which is given them.
    options
        The options; ``imaging`` among them overrides the row: False registers without it.
    """

    def __init__(self, tracker: Tracker, registrar: Any, options: Mapping[str, Any]) -> None:
        self._tracker = tracker
        self._imaging: bool | None = options.get("imaging")
        self._how: dict[str, Any] = (
            {"options": options} if registrar is None else {"registrar": registrar}
        )
        self._bytes = 0
        self._succeeded = 0

    def one(self, key: SessionKey, *, raise_exception: bool) -> tuple[bool, int]:
        """Register one session, also if it is registered already."""
        self._apply_imaging(key)
        force = self._tracker.workflow.states(key)[_STAGE] is State.DONE
        say(f"Registering data for session: {_label(key)}")
        try:
            report = self._tracker.workflow.run(
                _STAGE, key, force=force, raise_errors=raise_exception, **self._how
            )
        except InvalidTransitionError as error:
            if raise_exception:
                raise
            say(f"Session {_label(key)} cannot be registered: {error}")
            return False, 0
        for result in report.results:
            _tell(result)
        return report.succeeded == 1, report.bytes

    def all(
        self,
        conditions: Mapping[str, Any],
        *,
        max_data: float,
        skip_errors: bool,
        raise_exception: bool,
    ) -> RunReport:
        """Register what needs it, and tell how far it is after each session."""
        if self._imaging is False:
            blocked = self._tracker.workflow.needs(_STAGE, conditions, include_blocked=True)
            for _, row in blocked[blocked["state"] == State.BLOCKED.value].iterrows():
                self._apply_imaging(SessionKey.parse(row))
        report = self._tracker.workflow.run(
            _STAGE,
            conditions,
            retry_failed=not skip_errors,
            budget_bytes=max_data,
            raise_errors=raise_exception,
            progress=self._progress,
            **self._how,
        )
        if report.stopped:
            say(
                f"\nMax data limit reached. Total processed: {readable_bytes(report.bytes)}. "
                f"Limit: {readable_bytes(max_data)}"
            )
        say("")
        say(report)
        return report

    def _progress(
        self, position: int, total: int, key: SessionKey, result: RunResult | None
    ) -> None:
        if result is None:
            self._apply_imaging(key)
            say(f"\nRegistering data for session: {_label(key)}")
            return
        _tell(result)
        if result.outcome == "succeeded":
            self._succeeded += 1
            self._bytes += result.bytes
            mean = self._bytes / self._succeeded
            say(
                f"Accumulated oneData registered: {readable_bytes(self._bytes)}. "
                f"Averaging: {readable_bytes(mean)} / session. "
                f"Estimate remaining: {readable_bytes(mean * (total - position))}"
            )

    def _apply_imaging(self, key: SessionKey) -> None:
        """Record that stages of the imaging are not for this session, or that they are."""
        workflow = self._tracker.workflow
        if self._imaging is None:
            return
        states = workflow.states(key)
        for stage in _IMAGING_STAGES:
            if self._imaging:
                workflow.include(key, stage, "registered with imaging")
            elif states[stage] in _OPEN:
                workflow.exclude(key, stage, "registered without imaging")


def _tell(result: RunResult) -> None:
    name = _label(result.key)
    if result.outcome == "succeeded":
        say(f"Session {name} registered with {readable_bytes(result.bytes)} oneData.")
    elif result.outcome == "failed":
        say(f"Registration of {name} failed; earlier output was kept.")
        say(f"Exception: {result.error}")
    else:
        say(f"Session {name} was {result.outcome}: {result.error}")


def _label(key: SessionKey) -> str:
    return str(key.path)
