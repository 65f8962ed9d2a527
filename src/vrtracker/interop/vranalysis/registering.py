"""Registration as the old module told of it, by the tracker's own runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Job, Registrar, RegistrarResult
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError
from vrtracker.interop.vranalysis.printing import readable_bytes, say
from vrtracker.registrars import version_of
from vrtracker.services.workflow.run_report import RunReport, RunResult
from vrtracker.tracker import Tracker

_STAGE = "registration"
_IMAGING_STAGES = ("suite2p", "red_cell_qc")
_WITHOUT = "registered without imaging"


class Run:
    """One call of the old module's register methods.

    `registrar`: what does the work, with its options; None for the profile's own, which is given
    them. `options`: the options; ``imaging`` among them overrides the row: False registers without
    it. Raises ConfigurationError if the registrar cannot be loaded, does not take the options, or
    could work on no session.
    """

    def __init__(self, tracker: Tracker, registrar: Any, options: Mapping[str, Any]) -> None:
        self._tracker = tracker
        others = dict(options)
        imaging = others.pop("imaging", None)
        self._imaging = None if imaging is None else bool(imaging)
        # What the backend made has its options already.
        given = others if registrar is None else {}
        found = tracker.workflow.registrar(_STAGE, registrar, options=given)
        self._how: dict[str, Any] = {
            "registrar": found if self._imaging is None else _Told(found, self._imaging)
        }
        if self._imaging is False:
            self._how["without"] = ["suite2p"]
            self._how["excludes"] = dict.fromkeys(_IMAGING_STAGES, _WITHOUT)
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
        say(report)
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
        """Tell what became of a session, and after a success that it has its imaging again."""
        _tell(result)
        if result.outcome != "succeeded" or self._imaging is not None:
            return
        if self._tracker.sessions.get(result.key).record.imaging:
            self._include(result.key, only_ours=True)

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


@dataclass(frozen=True)
class _Told:
    """Any registrar, with `imaging` among its options: each attempt keeps it."""

    inner: Registrar
    imaging: bool

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def version(self) -> str | None:
        return version_of(self.inner)

    @property
    def options(self) -> Mapping[str, Any]:
        return {**self.inner.options, "imaging": self.imaging}

    def estimate(self, job: Job) -> int | None:
        return self.inner.estimate(job)

    def register(self, job: Job) -> RegistrarResult | None:
        return self.inner.register(job)


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
