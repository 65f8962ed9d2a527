"""Sessions and registration by vrAnalysis itself, imported when the first of them is used.

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
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Job
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    MissingDependencyError,
    RegistrarError,
)
from vrtracker.files.layout import SessionFolders
from vrtracker.interop.vranalysis.backends import _INSTALL, FolderBackend, SessionPaths
from vrtracker.registrars.versions import distribution_of

__all__ = ["VrAnalysisBackend", "VrAnalysisRegistrar"]

_OF_RECORD = (
    ("imaging", "imaging"),
    ("facecam", "faceCamera"),
    ("vrBehaviorVersion", "vrBehaviorVersion"),
)


def _load(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"vrAnalysis.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "vrAnalysis":
            raise _cannot_import(error) from error
        raise MissingDependencyError(
            "Opening and registering sessions with vrAnalysis", "vranalysis", install=_INSTALL
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

    Raises
    ------
    InvalidValueError
        If vrAnalysis has no such option.
    """
    options = _load("sessions.b2session", "B2RegistrationOpts")()
    read = record.get if hasattr(record, "get") else lambda name: getattr(record, name)
    said = {name: plain(read(column)) for name, column in _OF_RECORD}
    # An empty column leaves vrAnalysis its own default.
    values = {name: value for name, value in said.items() if value is not None}
    for name, value in {**values, **overrides}.items():
        _check_name(options, name)
        setattr(options, name, plain(value))
    return options


def _check_name(options: Any, name: str) -> None:
    if not hasattr(options, name):
        raise InvalidValueError(
            f"vrAnalysis has no option {name!r}; there are {', '.join(vars(options))}."
        )


@dataclass(frozen=True)
class VrAnalysisBackend:
    """Opens sessions as B2Session."""

    given_root: Path | None = None
    name: str = "vranalysis"

    @property
    def root(self) -> Path:
        """The tracker's root, else the one that vrAnalysis is configured with."""
        return self.given_root or Path(_load("files", "local_data_path")())

    def paths(self, key: SessionKey) -> SessionPaths:
        """Return the folders below the root."""
        return FolderBackend(root=self.root).paths(key)

    def open(self, key: SessionKey, params: Mapping[str, Any]) -> Any:
        """Return the B2Session."""
        session = _load("sessions", "B2Session")
        return session.create(*self._name(key), params=dict(params))

    def options(self, record: Any, overrides: Mapping[str, Any]) -> Any:
        """Return B2RegistrationOpts."""
        return options_of(record, overrides)

    def registration(self, key: SessionKey, options: Any) -> Any:
        """Return a B2Registration, which works in the session's folder itself."""
        return _load("registration", "B2Registration")(*self._name(key), options)

    def registrar(self, overrides: Mapping[str, Any]) -> VrAnalysisRegistrar:
        """Return the registrar that runs B2Registration; raise if there is no such option."""
        for name in overrides:
            _check_name(_load("sessions.b2session", "B2RegistrationOpts")(), name)
        return VrAnalysisRegistrar({name: plain(value) for name, value in overrides.items()})

    def _name(self, key: SessionKey) -> tuple[str, str, str]:
        """Return the key in vrAnalysis' words; the number as the folder spells it, ``001``."""
        folder = SessionFolders(self.root).path(key)
        return key.mouse, key.date.isoformat(), folder.name


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

    def estimate(self, job: Job) -> None:
        """Say that only the registration itself can know."""

    def register(self, job: Job) -> None:
        """Register one session.

        Raises
        ------
        RegistrarError
            If vrAnalysis would read another folder than the tracker's.
        """
        options = options_of(job.record, job.options)
        base: Any = _load("registration", "B2Registration")

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
