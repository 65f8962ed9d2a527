"""What is going on now: the queues by mouse, who works, how fast, until when, what failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.repositories.listing import Listing
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.claim_list import ClaimListService

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Activity", "ActivityService"]

WINDOW = dt.timedelta(hours=1)
"""Over which the throughput is measured."""
ERRORS = 5
_QUEUED = (State.READY, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Activity(Shown):
    """A lab at work, at one moment.

    Attributes
    ----------
    at : datetime
        When, UTC.
    stages : DataFrame
        stage, a column for each state, then of the last hour: succeeded_lately, failed_lately
        (int64),
        an_hour (sessions that ended, an hour; as long as the work of it went on), left_s (seconds
        until the queue is empty at that rate), bytes_an_hour and bytes_left (of outputs). NaN
        where nothing is known. A stage's queue is what is ready or running.
    mice : DataFrame
        mouseName, stage, a column for each state.
    claims : DataFrame
        As ``workflow.claims()``, of all mice, and age_s, the seconds since the claim.
    errors : DataFrame
        key, stage, failed_at (UTC), error_type, error_message; the newest ones, newest first.
    """

    at: dt.datetime
    stages: pd.DataFrame
    mice: pd.DataFrame
    claims: pd.DataFrame
    errors: pd.DataFrame

    def facts(self) -> Facts:
        """Return the stages, who works, and the newest error."""
        shown = ["stage", "ready", "running", "failed", "done", "an_hour", "left_s"]
        rounded = self.stages[shown].round({"an_hour": 1, "left_s": 0})
        rows = rounded.astype(object).where(rounded.notna(), None)
        newest = [
            f"{row.key} {row.stage}: {row.error_message}"
            for row in self.errors.itertuples(index=False)
        ]
        when = f"{self.at:%Y-%m-%d %H:%M:%S} UTC"
        title = f"{when}: {counted(len(self.claims), 'session')} worked on."
        return Facts(title, rows.to_numpy().tolist(), shown, notes=newest)


class ActivityService:
    """Looks at the whole of it, in four statements whatever the number of mice."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self._claims = ClaimListService(lab)

    def activity(self, where: Any = None, /, **filters: Any) -> Activity:
        """Return what is going on: stages by mouse, claims, throughput, time left, newest errors.

        Parameters
        ----------
        where, **filters
            As for ``tracker.sessions.frame``; they leave the claims alone.

        Returns
        -------
        Activity
            ``at, stages, mice, claims, errors``.
        """
        now = self._lab.now()
        listing = Listing(self._lab.selection(where, filters), include_scratched=True)
        with self._lab.unit(readonly=True) as unit:
            counts = unit.activity.counts(self._lab.stages, now=now, listing=listing)
            ended = unit.activity.ended(listing, since=now - WINDOW)
            failures = unit.activity.failures(listing, limit=ERRORS)
        claims = self._claims.claims()
        claims["age_s"] = (now - claims["claimed_at"]).dt.total_seconds().astype("float64")
        return Activity(
            at=now,
            stages=self._stages(counts, ended, now),
            mice=_frame(
                [(mouse, stage, *states.values()) for (mouse, stage), states in counts.items()],
                {"mouseName": str, "stage": str} | dict.fromkeys(map(str, State), int),
            ),
            claims=claims,
            errors=_errors(failures),
        )

    def _stages(
        self,
        counts: Mapping[tuple[str, str], Mapping[State, int]],
        ended: Sequence[Any],
        now: dt.datetime,
    ) -> pd.DataFrame:
        rows = []
        for name in self._lab.stages:
            found = [states for (_, stage), states in counts.items() if stage == name]
            states = {state: sum(each[state] for each in found) for state in State}
            pace = _pace([row for row in ended if row.stage == name], now)
            queued = sum(states[state] for state in _QUEUED)
            rows.append((name, *states.values(), *pace.columns(queued)))
        kinds: dict[str, Any] = {"stage": str} | dict.fromkeys(map(str, State), int)
        kinds |= {"succeeded_lately": int, "failed_lately": int}
        kinds |= dict.fromkeys(("an_hour", "left_s", "bytes_an_hour", "bytes_left"), float)
        return _frame(rows, kinds)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How fast a stage went lately."""

    succeeded: int
    failed: int
    hours: float
    bytes: float
    measured: int

    def columns(self, queued: int) -> tuple[Any, ...]:
        ended = self.succeeded + self.failed
        rate = ended / self.hours if ended else None
        left = 0.0 if not queued else queued / rate * 3600 if rate else None
        if not self.measured:
            return self.succeeded, self.failed, rate, left, None, None
        of_bytes = self.bytes / self.hours, self.bytes / self.measured * queued
        return self.succeeded, self.failed, rate, left, *of_bytes


def _pace(rows: Sequence[Any], now: dt.datetime) -> _Pace:
    """Return the pace of a stage, since the first of the attempts that ended in the window."""
    by_outcome = {row.outcome: row for row in rows}
    began = min((max(row.began, now - WINDOW) for row in rows), default=now)
    done, failed = by_outcome.get("succeeded"), by_outcome.get("failed")
    return _Pace(
        succeeded=done.count if done else 0,
        failed=failed.count if failed else 0,
        hours=max((now - began).total_seconds(), 1) / 3600,
        bytes=float(done.bytes or 0) if done else 0,
        measured=done.measured if done else 0,
    )


def _errors(rows: Sequence[Any]) -> pd.DataFrame:
    keyed = [(str(SessionKey(*row[:3])), *row[3:]) for row in rows]
    kinds = {"key": str, "stage": str, "failed_at": dt.datetime}
    return _frame(keyed, kinds | {"error_type": str, "error_message": str})


def _frame(rows: Sequence[Sequence[Any]], kinds: Mapping[str, type]) -> pd.DataFrame:
    """Return rows with the dtypes of this package."""
    import pandas as pd

    from vrtracker.frames import INSTANT, TEXT

    dtypes: dict[type, Any] = {str: TEXT, int: "int64", float: "float64", dt.datetime: INSTANT}
    frame = pd.DataFrame(rows, columns=list(kinds))
    return frame.astype({name: dtypes[kind] for name, kind in kinds.items()})
