"""What is going on now: the queues by mouse, who works, how fast, until when, what failed."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.found import Found
from vrtracker.reading import INSTANT
from vrtracker.repositories.listing import Listing
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.claim_list import CLAIM, ClaimListService

if TYPE_CHECKING:
    import pandas as pd

WINDOW = dt.timedelta(hours=1)
"""Over which the throughput is measured."""
ERRORS = 5
_QUEUED = (State.READY, State.RUNNING)


_NUMBERS = dict.fromkeys(map(str, State), "int64")
_RATES = dict.fromkeys(("an_hour", "left_s", "bytes_an_hour", "bytes_left"), "float64")
_STAGES = {
    "stage": "str",
    **_NUMBERS,
    **dict.fromkeys(("succeeded_lately", "failed_lately"), "int64"),
    **_RATES,
}
_MICE = {"mouseName": "str", "stage": "str", **_NUMBERS}
_ERRORS = {
    **dict.fromkeys(("key", "stage"), "str"),
    "failed_at": INSTANT,
    **dict.fromkeys(("error_type", "error_message"), "str"),
}


@dataclass(frozen=True, slots=True)
class Activity(Shown):
    """A lab at work, at one moment.

    `at`: when, UTC. `rows`: what `stages`, `mice`, `claims` and `errors` are frames of, by these
    names.
    """

    at: dt.datetime
    rows: Mapping[str, Found] = field(repr=False)

    @property
    def stages(self) -> pd.DataFrame:
        """How it stands with each stage; its queue is what is ready or running.

        stage, a column for each state, then of the last hour: succeeded_lately, failed_lately
        (int64), an_hour (sessions that ended, an hour; as long as the work of it went on), left_s
        (seconds until the queue is empty at that rate), bytes_an_hour and bytes_left (of outputs).
        NaN where nothing is known.
        """
        return self.rows["stages"].frame()

    @property
    def mice(self) -> pd.DataFrame:
        """The same by mouse: mouseName, stage, a column for each state."""
        return self.rows["mice"].frame()

    @property
    def claims(self) -> pd.DataFrame:
        """As ``workflow.claims()``, of all mice, and age_s, the seconds since the claim."""
        return self.rows["claims"].frame()

    @property
    def errors(self) -> pd.DataFrame:
        """The newest errors first: key, stage, failed_at (UTC), error_type, error_message."""
        return self.rows["errors"].frame()

    def facts(self) -> Facts:
        """Return the stages, who works, and the newest error."""
        rows = {name: found.records() for name, found in self.rows.items()}
        shown = ["stage", "ready", "running", "failed", "done", "an_hour", "left_s"]
        digits = {"an_hour": 1, "left_s": 0}
        stages = [
            [_rounded(row[name], digits.get(name)) for name in shown] for row in rows["stages"]
        ]
        newest = [f"{row['key']} {row['stage']}: {row['error_message']}" for row in rows["errors"]]
        when = f"{self.at:%Y-%m-%d %H:%M:%S} UTC"
        title = f"{when}: {counted(len(rows['claims']), 'session')} worked on."
        return Facts(title, stages, shown, notes=newest)


def _rounded(value: Any, digits: int | None) -> Any:
    return value if value is None or digits is None else round(value, digits)


class ActivityService:
    """Looks at the whole of it, in four statements whatever the number of mice.

    Examples
    --------
    >>> tracker.workflow.activity().errors[["key", "error_type"]]
                          key         error_type
    0  DEMO002.2023-02-08.701  InvalidValueError
    """

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

        Examples
        --------
        >>> tracker.workflow.activity().stages[["stage", "ready", "failed", "done"]]
                  stage  ready  failed  done
        0       suite2p      1       0    10
        1    suite2p_qc     10       0     0
        2  registration      0       1    10
        3   red_cell_qc      9       0     0
        """
        now = self._lab.now()
        listing = Listing(self._lab.selection(where, filters), include_scratched=True)
        with self._lab.unit(readonly=True) as unit:
            counts = unit.activity.counts(self._lab.stages, now=now, listing=listing, by_mouse=True)
            ended = unit.activity.ended(listing, since=now - WINDOW)
            failures = unit.activity.failures(listing, limit=ERRORS)
        by_mouse = [
            {"mouseName": mouse, "stage": stage, **_named(states)}
            for (mouse, stage), states in counts.items()
        ]
        claims = [
            {**row, "age_s": (now - row["claimed_at"]).total_seconds()}
            for row in self._claims.claims.records()
        ]
        return Activity(
            at=now,
            rows={
                "stages": Found(self._stages(counts, ended, now), _STAGES),
                "mice": Found(by_mouse, _MICE),
                "claims": Found(claims, CLAIM | {"age_s": "float64"}),
                "errors": Found(_errors(failures), _ERRORS),
            },
        )

    def _stages(
        self,
        counts: Mapping[tuple[str, str], Mapping[State, int]],
        ended: Sequence[Any],
        now: dt.datetime,
    ) -> list[dict[str, Any]]:
        rows = []
        for name in self._lab.stages:
            found = [states for (_, stage), states in counts.items() if stage == name]
            states = {state: sum(each[state] for each in found) for state in State}
            queued = sum(states[state] for state in _QUEUED)
            pace = _pace([row for row in ended if row.stage == name], queued, now)
            rows.append({"stage": name, **_named(states), **pace})
        return rows


def _named(states: Mapping[State, int]) -> dict[str, int]:
    return {str(state): number for state, number in states.items()}


def _pace(rows: Sequence[Any], queued: int, now: dt.datetime) -> dict[str, Any]:
    """Return how fast a stage went since the first of the attempts that ended in the window."""
    began = min((max(row.began, now - WINDOW) for row in rows), default=now)
    hours = max((now - began).total_seconds(), 1) / 3600
    counts = Counter({row.outcome: row.count for row in rows})
    done = next((row for row in rows if row.outcome == "succeeded"), None)
    rate = counts.total() / hours if counts.total() else None
    left = 0.0 if not queued else queued / rate * 3600 if rate else None
    an_hour = to_come = None
    if done is not None and done.measured:
        size = float(done.bytes or 0)
        an_hour, to_come = size / hours, size / done.measured * queued
    lately = {"succeeded_lately": counts["succeeded"], "failed_lately": counts["failed"]}
    return lately | dict(zip(_RATES, (rate, left, an_hour, to_come), strict=True))


def _errors(rows: Sequence[Any]) -> list[dict[str, Any]]:
    keyed = ((str(SessionKey(*row[:3])), *row[3:]) for row in rows)
    return [dict(zip(_ERRORS, row, strict=True)) for row in keyed]
