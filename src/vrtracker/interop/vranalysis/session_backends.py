"""What opens and registers sessions: nothing, the folders alone, or vrAnalysis."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from vrtracker.domain.dates import plain
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import MissingDependencyError, RootUnavailableError
from vrtracker.files.layout import ONE_DATA, SUITE2P, SessionFolders
from vrtracker.interop.vranalysis.b2 import (
    INSTALL,
    VrAnalysisRegistrar,
    load,
    options_of,
)
from vrtracker.services.entries.session_files import OpenSession


@dataclass(frozen=True, slots=True)
class SessionPaths:
    """Where a session's data is, or would be: its folder, suite2p's and the registered data's."""

    root: Path
    suite2p: Path
    one_data: Path


class SessionBackend(Protocol):
    """Knows sessions by their keys; none of this touches the database."""

    @property
    def name(self) -> str:
        """Name in the settings."""

    @property
    def root(self) -> Path | None:
        """Folder that holds the sessions' folders, where it is known."""

    @property
    def session_class(self) -> type | None:
        """Class of the sessions that it opens, as far as that is imported already."""

    def paths(self, key: SessionKey) -> SessionPaths:
        """Return where the session's data is; raise RootUnavailableError if that is unknown."""

    def open(self, key: SessionKey, params: Mapping[str, Any]) -> Any:
        """Return the session's data for reading."""

    def options(self, record: Any, overrides: Mapping[str, Any]) -> Any:
        """Return the options to register a session with, from its row, in plain Python values."""

    def registration(self, key: SessionKey, options: Any) -> Any:
        """Return an object that can ``register()`` the session in place."""

    def registrar(self, overrides: Mapping[str, Any]) -> Any:
        """Return the registrar of a run, or None for the one that the profile names."""


@dataclass(frozen=True)
class NullBackend:
    """No files at all: the database alone."""

    name: str = "null"
    root: Path | None = None
    session_class: ClassVar[type | None] = None

    def paths(self, key: SessionKey) -> SessionPaths:
        """Say that nobody knows."""
        raise RootUnavailableError(
            f"Where the folder of {key} is, is not known; set VRTRACKER_ROOT."
        )

    def open(self, key: SessionKey, params: Mapping[str, Any]) -> Any:
        """Say that there is nothing to open."""
        del params
        return self.paths(key)

    def options(self, record: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the row says of registration."""
        said = {
            "imaging": record.imaging,
            "facecam": record.faceCamera,
            "vrBehaviorVersion": record.vrBehaviorVersion,
        }
        return {**said, **overrides}

    def registration(self, key: SessionKey, options: Any) -> Any:
        """Say that vrAnalysis is needed."""
        del options
        raise MissingDependencyError(f"A B2Registration of {key}", "vranalysis", install=INSTALL)

    def registrar(self, overrides: Mapping[str, Any]) -> None:
        """Leave it to the profile."""
        del overrides


@dataclass(frozen=True)
class FolderBackend(NullBackend):
    """Folders and ALF files, as the tracker reads them."""

    name: str = "folders"
    root: Path | None = None

    def paths(self, key: SessionKey) -> SessionPaths:
        """Return the folders below the root."""
        if self.root is None:
            return super().paths(key)
        folder = SessionFolders(self.root).path(key)
        return SessionPaths(folder, folder / SUITE2P, folder / ONE_DATA)

    def open(self, key: SessionKey, params: Mapping[str, Any]) -> OpenSession:
        """Return the ALF files of the session."""
        del params
        folder = self.paths(key).root
        if not folder.is_dir():
            raise RootUnavailableError(f"{key} has no folder {folder}; is the drive mounted?")
        return OpenSession(folder)


@dataclass(frozen=True)
class VrAnalysisBackend:
    """Opens sessions as B2Session."""

    given_root: Path | None = None
    name: str = "vranalysis"

    @property
    def root(self) -> Path:
        """The tracker's root, else the one that vrAnalysis is configured with."""
        return self.given_root or Path(load("files", "local_data_path")())

    @property
    def session_class(self) -> type | None:
        """B2Session; asking whether a session is one imports nothing."""
        return getattr(sys.modules.get("vrAnalysis.sessions"), "B2Session", None)

    def paths(self, key: SessionKey) -> SessionPaths:
        """Return the folders below the root."""
        return FolderBackend(root=self.root).paths(key)

    def open(self, key: SessionKey, params: Mapping[str, Any]) -> Any:
        """Return the B2Session."""
        session = load("sessions", "B2Session")
        return session.create(*self._name(key), params=dict(params))

    def options(self, record: Any, overrides: Mapping[str, Any]) -> Any:
        """Return B2RegistrationOpts."""
        return options_of(record, overrides)

    def registration(self, key: SessionKey, options: Any) -> Any:
        """Return a B2Registration, which works in the session's folder itself."""
        return load("registration", "B2Registration")(*self._name(key), options)

    def registrar(self, overrides: Mapping[str, Any]) -> VrAnalysisRegistrar:
        """Return the registrar that runs B2Registration."""
        return VrAnalysisRegistrar({name: plain(value) for name, value in overrides.items()})

    def _name(self, key: SessionKey) -> tuple[str, str, str]:
        """Return the key in vrAnalysis' words; the number as the folder spells it, ``001``."""
        folder = SessionFolders(self.root).path(key)
        return key.mouse, key.date.isoformat(), folder.name


def backend_named(name: str, root: Path | None) -> SessionBackend:
    """Return the backend of a name in the settings.

    ``auto`` is vrAnalysis where it is installed, else the folders where the root is known. Nothing
    of vrAnalysis is imported before it is used.
    """
    if name == "auto":
        is_there = importlib.util.find_spec("vrAnalysis") is not None
        name = "vranalysis" if is_there else "folders" if root else "null"
    if name == "vranalysis":
        return VrAnalysisBackend(root)
    return FolderBackend(root=root) if name == "folders" else NullBackend()
