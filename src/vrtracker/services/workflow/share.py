"""One worker's share of a run: what it is sent, what it does, and what it answers."""

from __future__ import annotations

import contextlib
import pickle
import platform
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import URL

from vrtracker.database import Database
from vrtracker.domain.registrars import Registrar
from vrtracker.errors import ConfigurationError, RegistrarError
from vrtracker.operations import operation
from vrtracker.processes import signals_here
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.run import run_share
from vrtracker.services.workflow.run_report import Results, RunOptions, RunReport

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR2")  # the last one announces the end of a SLURM job


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one share goes; None for no limit.

    `seconds`: no other session is begun after so many seconds.
    """

    sessions: int | None = None
    errors: int | None = None
    bytes: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a worker needs to take part in a run, wherever it is.

    `operation`: the operation that its events belong to. `url`: the database's address with its
    password; only for processes that we start ourselves. Others find the password as everybody
    does: in PGPASSWORD, or in ~/.pgpass. `host_name`: the name that the lab gives this computer;
    None for each worker's own.
    """

    lab: LabContext
    stage: str
    registrar: Registrar
    options: RunOptions
    operation: str | None = None
    url: URL | None = None
    host_name: str | None = None

    @classmethod
    def of(
        cls, lab: LabContext, stage: str, registrar: Registrar, options: RunOptions, **more: Any
    ) -> Recipe:
        """Return the recipe for the workers of a run."""
        host_name = None if lab.host_name == platform.node() else lab.host_name
        options = replace(options, progress=None, stop=None)
        return cls(
            lab=lab,
            stage=stage,
            registrar=registrar,
            options=options,
            host_name=host_name,
            **more,
        )

    def here(self) -> Recipe:
        """Return the recipe with a lab that is opened anew, on the worker's computer."""
        database = self.lab.database if self.url is None else Database(self.url)
        lab = replace(self.lab, database=database, host_name=self.host_name or platform.node())
        return replace(self, lab=lab)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a worker answers.

    `report`: what became of its sessions; ``stopped`` is None if nothing was left. None if it ended
    early: the database knows its sessions. `lacks_budget`: whether the next session needs more of
    the budget than the share had. `error`: what the run has to end with.
    """

    report: RunReport | None = None
    lacks_budget: bool = False
    error: Exception | None = None


def unsendable(registrar: Registrar, error: Exception) -> ConfigurationError:
    """Return the error for a registrar that cannot travel to another process."""
    return ConfigurationError(
        f"The registrar {registrar.name!r} cannot be sent to another process ({error}). Name a "
        "function of a module that can be imported there (module:function), not a lambda or one "
        "that is made inside another function; or run it without workers."
    )


def do_share(recipe: Recipe | bytes, limits: Limits) -> Share:
    """Do one share of a run in this process or thread; this is what an engine is given to place.

    Nothing is raised: an engine would keep neither the kind of an error nor its text.
    """
    try:
        ours = _recipe_here(recipe)
        with operation(ours.operation), _heeding_signals():
            share = _do(ours, limits)
        if share.report is None or share.report.stopped is None:
            _close()
    except KeyboardInterrupt:
        return Share()
    except Exception as error:  # noqa: BLE001 - it is raised where the run was begun
        return Share(error=_sendable(error))
    return share


_mine = threading.local()
"""What this thread works for: opened once for all shares of a run."""


def _recipe_here(recipe: Recipe | bytes) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if getattr(_mine, "sent", None) != recipe:
        _close()
        _mine.recipe = _unpacked(recipe).here()
        _mine.sent = recipe
    found: Recipe = _mine.recipe
    return found


def _close() -> None:
    """Let go of the database, as far as it was opened for this thread."""
    if getattr(_mine, "recipe", None) is not None:
        _mine.recipe.lab.database.dispose()


def _unpacked(recipe: bytes) -> Recipe:
    try:
        found: Recipe = pickle.loads(recipe)  # noqa: S301 - the process that began the run
    except Exception as error:
        raise ConfigurationError(
            f"A worker on {platform.node()} cannot load what it is to run ({error}); install the "
            "registrar's module there, or name its folder in PYTHONPATH."
        ) from error
    return found


def _do(recipe: Recipe, limits: Limits) -> Share:
    began = time.monotonic()

    def stop() -> str | None:
        is_over = limits.seconds is not None and time.monotonic() - began >= limits.seconds
        return "the time of this share is over" if is_over else None

    options = replace(
        recipe.options,
        max_sessions=limits.sessions,
        max_errors=limits.errors,
        budget_bytes=limits.bytes,
        stop=stop,
    )
    report = run_share(recipe.lab, recipe.stage, recipe.registrar, options)
    by_budget = (
        report.stopped is not None and options.limit_reached(Results(report.results)) is None
    )
    return Share(report=report, lacks_budget=by_budget and limits.bytes is not None)


@contextlib.contextmanager
def _heeding_signals() -> Iterator[None]:
    """Let the first signal to end give the session at hand back; further ones change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def end(_number: int, _frame: Any) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in signals_here(*_SIGNALS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - the lab's own class may do anything
        return RegistrarError(f"{type(error).__name__}: {error}")
    return error
