"""Registration by vrAnalysis itself, and what is taken from it; imported when first used.

Its names and signatures are those of vrAnalysis in August 2026: ``B2Session.create``,
``B2Registration(mouse, date, number, options)``, ``B2RegistrationOpts``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.domain.dates import plain
from vrtracker.domain.registrars import Job
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    MissingDependencyError,
    RegistrarError,
)
from vrtracker.registrars.versions import distribution_of

INSTALL = "pip install git+https://github.com/landoskape/vrAnalysis"

_OF_RECORD = (
    ("imaging", "imaging"),
    ("facecam", "faceCamera"),
    ("vrBehaviorVersion", "vrBehaviorVersion"),
)


def load(module: str, name: str) -> Any:
    """Return what a module of vrAnalysis has by this name; say why where that cannot be had."""
    try:
        return getattr(importlib.import_module(f"vrAnalysis.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "vrAnalysis":
            raise _cannot_import(error) from error
        raise MissingDependencyError(
            "Opening and registering sessions with vrAnalysis", "vranalysis", install=INSTALL
        ) from error
    except Exception as error:
        raise _cannot_import(error) from error


def _cannot_import(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"vrAnalysis is installed but cannot be imported ({type(error).__name__}: {error}); "
        "look at its own requirements and paths.toml."
    )


def options_of(record: Any, overrides: Mapping[str, Any]) -> Any:
    """Return B2RegistrationOpts for a row, in plain Python values.

    Raises InvalidValueError if vrAnalysis has no such option.
    """
    options = load("sessions.b2session", "B2RegistrationOpts")()
    read = record.get if hasattr(record, "get") else lambda name: getattr(record, name)
    said = {name: plain(read(column)) for name, column in _OF_RECORD}
    # An empty column leaves vrAnalysis its own default.
    values = {name: value for name, value in said.items() if value is not None}
    for name, value in {**values, **overrides}.items():
        check_option(options, name)
        setattr(options, name, plain(value))
    return options


def check_option(options: Any, name: str) -> None:
    """Refuse an option that vrAnalysis does not have."""
    if not hasattr(options, name):
        raise InvalidValueError(
            f"vrAnalysis has no option {name!r}; there are {', '.join(vars(options))}."
        )


@dataclass(frozen=True)
class VrAnalysisRegistrar:
    """Runs B2Registration with its oneData folder turned to the staging folder.

    So a failure leaves the earlier output alone, and curated files are kept.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = "vranalysis"

    @property
    def version(self) -> str | None:
        """The installed vrAnalysis; None where it lies on the path only."""
        return distribution_of("vrAnalysis")

    def check(self) -> None:
        """Import vrAnalysis, and look whether it has all the options.

        Raises MissingDependencyError, ConfigurationError, InvalidValueError if it is not installed,
        cannot be imported, or has no such option.
        """
        load("registration", "B2Registration")
        known = load("sessions.b2session", "B2RegistrationOpts")()
        for name in self.options:
            check_option(known, name)

    def estimate(self, job: Job) -> None:
        """Say that only the registration itself can know."""

    def register(self, job: Job) -> None:
        """Register one session.

        Raises RegistrarError if vrAnalysis would read another folder than the tracker's.
        """
        options = options_of(job.record, job.options)
        base: Any = load("registration", "B2Registration")

        class Staged(base):  # type: ignore[misc]
            one_path = property(lambda _: job.staging)

        key, folder = job.key, job.session_path
        registration = Staged(key.mouse, key.date.isoformat(), folder.name, options)
        used = Path(registration.data_path)
        if used.resolve() != folder.resolve():
            raise RegistrarError(
                f"vrAnalysis would read {used}, the tracker {folder}; give both the same root."
            )
        registration.register()
