"""What follows a failure: when a session is tried again, and when not until somebody says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from vrtracker.display import counted

SET_ASIDE = "set aside"
"""What is said of a session that is not tried again until somebody says so."""
STANDS = "not tried again by itself: the earlier output stands"
"""What is said of one that was done before."""
# Beyond that every wait is the longest one, and powers would leave the numbers.
_MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class NextTry:
    """When a session that failed is tried again."""

    failures: int
    """How often it has failed since the last success."""
    retry_after: dt.datetime | None = None
    """Aware UTC, from when on; None: by the next run."""
    set_aside: str | None = None
    """Why it is not tried again until somebody says so."""
    stands: bool = False
    """It had output before, which counts on: no run makes it anew by itself."""

    def __str__(self) -> str:
        if self.set_aside is not None:
            return SET_ASIDE
        if self.stands:
            return STANDS
        if self.retry_after is not None:
            return f"tried again from {self.retry_after:%Y-%m-%d %H:%M:%S} UTC on"
        return "tried again by the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """How runs of a stage treat failures, and how long one session may take.

    `attempts`: after so many failures in a row a session is set aside; None: never.
    `first_wait`, `longest_wait`: how long a session waits after its first failure, and at most.
    `wait_factor`: by how much it waits longer after each further failure.
    `permanent`: classes of exceptions after which it is set aside at once: names with or without
        their module, those of base classes too.
    `max_failures_in_a_row`: a run stops after so many sessions that failed one after the other;
        None: it goes on.
    `timeout_minutes`: how long the registrar may work on one session; None: as long as it takes.
    """

    attempts: int | None = None
    first_wait: dt.timedelta = dt.timedelta(0)
    wait_factor: float = 2.0
    longest_wait: dt.timedelta = dt.timedelta(days=1)
    permanent: Collection[str] = ()
    max_failures_in_a_row: int | None = None
    timeout_minutes: float | None = None

    def after_failure(
        self, error: BaseException, message: str, *, failures: int, at: dt.datetime
    ) -> NextTry:
        """Return what follows a failure.

        `message`: that of the exception, as it is recorded. `failures`: how often the session has
        failed by now, this time included. `at`: when, aware UTC.
        """
        found = sorted(names_of_class(type(error)) & {*self.permanent}, key=len)
        if found:
            return NextTry(failures, set_aside=f"{found[0]} is permanent. The error: {message}")
        if self.attempts is not None and failures >= self.attempts:
            why = f"{counted(failures, 'failure')}, with attempts = {self.attempts}"
            return NextTry(failures, set_aside=f"{why}. The last error: {message}")
        if self.attempts is None and not self.first_wait:
            return NextTry(failures)
        return NextTry(failures, retry_after=at + self._wait(failures))

    def _wait(self, failures: int) -> dt.timedelta:
        factor = self.wait_factor ** min(failures - 1, _MOST_DOUBLINGS)
        seconds = min(self.first_wait.total_seconds() * factor, self.longest_wait.total_seconds())
        return dt.timedelta(seconds=round(seconds))


def names_of_class(kind: type) -> set[str]:
    """Return the names of a class and its bases, each with its module and without."""
    names = {base.__name__ for base in kind.__mro__}
    names |= {base.__qualname__ for base in kind.__mro__}
    return names | {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
