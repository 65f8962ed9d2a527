"""Registration as the old module told of it, by the tracker's own runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import ConcurrentUpdateError, InvalidTransitionError
from vrtracker.interop.vranalysis.b2 import VrAnalysisRegistrar
from vrtracker.interop.vranalysis.printing import readable_bytes, say
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow import RunReport, RunResult
from vrtracker.tracker import Tracker

__all__ = ["Run"]

_STAGE = "registration"
_IMAGING_STAGES = ("suite2p", "red_cell_qc")
_OPEN = frozenset({State.READY, State.BLOCKED, State.FAILED})
_WITHOUT = "registered without imaging"


class Run:
    """One call of the old module's register methods.

    Parameters
    ----------
    registrar
        What does the work, with its options; None for the profile's own, which is given them.
    options
        The options; ``imaging`` among them overrides the row: False registers without it.

    Raises
    ------
    ConfigurationError
        If the profile's registrar cannot be loaded, or does not take the options.
    """

    def __init__(self, tracker: Tracker, registrar: Any, options: Mapping[str, Any]) -> None:
        self._tracker = tracker
        given = options.get("imaging")
        self._imaging = None if given is None else bool(given)
        if registrar is None:
            registrar = _of_profile(tracker, options, self._imaging)
        self._how: dict[str, Any] = {
            "registrar": registrar,
            "without": ["suite2p"] if self._imaging is False else [],
        }
        self._bytes = 0
        self._succeeded = 0

    def one(self, key: SessionKey, *, raise_exception: bool) -> tuple[bool, int]:
        """Register one session, also if it is registered already."""
        self._begin(key)
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
            self._end(result)
        return report.succeeded == 1, report.bytes

    def all(
        self,
        conditions: Mapping[str, Any],
        *,
        max_data: float,
        raise_exception: bool,
    ) -> RunReport:
        """Register what needs it, and tell how far it is after each session."""
        report = self._tracker.workflow.run(
            _STAGE,
            conditions,
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
        say(report.facts().title)
        return report

    def _progress(
        self, position: int, total: int, key: SessionKey, result: RunResult | None
    ) -> None:
        if result is None:
            self._begin(key)
            say(f"\nRegistering data for session: {_label(key)}")
            return
        self._end(result)
        if result.outcome == "succeeded":
            self._succeeded += 1
            self._bytes += result.bytes
            mean = self._bytes / self._succeeded
            say(
                f"Accumulated oneData registered: {readable_bytes(self._bytes)}. "
                f"Averaging: {readable_bytes(mean)} / session. "
                f"Estimate remaining: {readable_bytes(mean * (total - position))}"
            )

    def _begin(self, key: SessionKey) -> None:
        """Take back that the imaging is not for this session, if it is asked for by name."""
        if self._imaging:
            self._include(key)

    def _end(self, result: RunResult) -> None:
        """Tell what became of a session, and after a success whether it has its imaging."""
        _tell(result)
        if result.outcome != "succeeded":
            return
        if self._imaging is False:
            self._exclude(result.key)
        elif self._imaging is None and self._tracker.sessions.get(result.key).record.imaging:
            self._include(result.key, only_ours=True)

    def _exclude(self, key: SessionKey) -> None:
        workflow = self._tracker.workflow
        for stage, state in workflow.states(key).items():
            if stage not in _IMAGING_STAGES or state not in _OPEN:
                continue
            try:
                workflow.exclude(key, stage, _WITHOUT)
            except (ConcurrentUpdateError, InvalidTransitionError) as error:
                # Somebody decided on it since: theirs stays, and the run goes on.
                say(error)

    def _include(self, key: SessionKey, *, only_ours: bool = False) -> None:
        workflow = self._tracker.workflow
        for stage, state in workflow.states(key).items():
            if stage not in _IMAGING_STAGES or state is not State.NOT_APPLICABLE:
                continue
            if not only_ours or self._reason(key, stage) == _WITHOUT:
                workflow.include(key, stage, "registered with imaging")

    def _reason(self, key: SessionKey, stage: str) -> str | None:
        """Return why a stage was last marked as not for this session."""
        events = self._tracker.history(key)
        reasons = events[(events["stage"] == stage) & (events["verb"] == "excluded")]["reason"]
        return None if reasons.empty else reasons.iloc[-1]


def _of_profile(tracker: Tracker, options: Mapping[str, Any], imaging: bool | None) -> Any:
    """Return the profile's registrar; it is told of `imaging` if it takes options of any name."""
    given = {name: value for name, value in options.items() if name != "imaging"}
    registrar = tracker.workflow.registrar(_STAGE, options=given)
    if imaging is None or not isinstance(registrar, FunctionRegistrar | VrAnalysisRegistrar):
        return registrar
    return replace(registrar, options={**registrar.options, "imaging": imaging})


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
