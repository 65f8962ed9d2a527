"""Register a session by calling a Python function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.registrars import Job, RegistrarResult
from vrtracker.errors import RegistrarError
from vrtracker.registrars.versions import distribution_of


@dataclass(frozen=True, slots=True)
class FunctionRegistrar:
    """Calls a function with the `Job`; it writes into ``job.staging`` and may return a result.

    `function`: called once for each session; returns None or a `RegistrarResult`. Its own
    attributes `estimate` (a function of the job), `check` (a function of nothing) and `version` are
    used where it has them. `options`: options for it, as ``job.options``; plain Python values.
    """

    function: Callable[[Job], RegistrarResult | None]
    options: Mapping[str, Any] = field(default_factory=dict)
    given_name: str | None = None

    @property
    def name(self) -> str:
        """The name it was loaded by, else the function's own."""
        module = getattr(self.function, "__module__", "")
        own = getattr(self.function, "__qualname__", type(self.function).__name__)
        return (self.given_name or f"{module}:{own}")[:255]

    @property
    def version(self) -> str | None:
        """The function's own `version` attribute, else the distribution that it is of."""
        own = getattr(self.function, "version", None)
        module = getattr(self.function, "__module__", None)
        return distribution_of(module or "") if own is None else str(own)

    def check(self) -> None:
        """Call the function's own `check` attribute, if it has one."""
        getattr(self.function, "check", lambda: None)()

    def estimate(self, job: Job) -> int | None:
        """Return what the function's own `estimate` attribute says, if it has one."""
        estimate = getattr(self.function, "estimate", None)
        return None if estimate is None else int(estimate(job))

    def register(self, job: Job) -> RegistrarResult:
        """Call the function."""
        result = self.function(job)
        if result is None:
            return RegistrarResult()
        if not isinstance(result, RegistrarResult):
            raise RegistrarError(
                f"{self.name} returned {type(result).__name__}; return a RegistrarResult or None."
            )
        return result
