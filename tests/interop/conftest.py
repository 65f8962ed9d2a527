"""The old module's stand-in, on databases of every kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backends import Backend
from support.lab import open_lab
from support.stand_in import install
from vrtracker.domain.keys import SessionKey
from vrtracker.interop.vranalysis import get_database

SUITE2P = ("stat", "ops", "F", "Fneu", "iscell", "spks")


class Desk:
    """What a notebook has before it: the two databases, and folders of sessions."""

    def __init__(self, url: str, root: Path) -> None:
        self.url = url
        self.root = root
        self._open: list[Any] = []
        self.sessions: Any = self.database("vrSessions")
        self.mice: Any = self.database("vrMice")

    def database(self, name: str) -> Any:
        """Return a database by its name, closed when the test ends."""
        self._open.append(get_database(name))
        return self._open[-1]

    @property
    def tracker(self) -> Any:
        return self.sessions.working

    def close(self) -> None:
        for database in self._open:
            if "tracker" in vars(database):
                database.tracker.close()

    def add(self, number: int = 701, *, folder: bool = True, **columns: Any) -> SessionKey:
        """Add a session of ATL012 with its folder and one recording in it."""
        key = SessionKey.parse(("ATL012", "2023-01-20", number))
        self.sessions.tracker.sessions.add(key, **columns)
        if folder:
            self.folder(key).mkdir(parents=True)
            (self.folder(key) / "recording.mat").write_bytes(b"x")
        return key

    def folder(self, key: SessionKey) -> Path:
        return self.root / key.path

    def suite2p(self, key: SessionKey, *, lacking: tuple[str, ...] = ()) -> Path:
        """Write one plane of suite2p's output and return its folder."""
        plane = self.folder(key) / "suite2p" / "plane0"
        plane.mkdir(parents=True, exist_ok=True)
        for name in SUITE2P:
            if name not in lacking:
                (plane / f"{name}.npy").write_bytes(b"x")
        return plane

    def one(self, key: SessionKey, **files: bytes) -> Path:
        """Write files into the output folder; ``__`` in a name stands for a dot."""
        folder = self.folder(key) / "oneData"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / f"{name.replace('__', '.')}.npy").write_bytes(content)
        return folder

    def row(self, key: SessionKey) -> Any:
        """Return the row as the tracker has it now."""
        return self.tracker.sessions.get(key).record

    def fault(self, key: SessionKey, text: str) -> None:
        """Make the registration of a session fail with this text."""
        (self.folder(key) / "fault").write_text(text)


@pytest.fixture
def empty_desk(backend, tmp_path, monkeypatch) -> Iterator[Desk]:
    """A new database without rows; the root holds a mouse's empty folder."""
    root = tmp_path / "root"
    (root / "ATL012").mkdir(parents=True)
    url = backend.migrated_url()
    monkeypatch.setenv("VRTRACKER_URL", url)
    monkeypatch.setenv("VRTRACKER_ROOT", str(root))
    made = Desk(url, root)
    yield made
    made.close()


@pytest.fixture
def desk(empty_desk) -> Desk:
    """A new database with the mice ATL012 and ATL015."""
    empty_desk.mice.tracker.mice.add_many([{"mouseName": "ATL012"}, {"mouseName": "ATL015"}])
    return empty_desk


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Iterator[Path]:
    """The package that stands for vrAnalysis, on the path; its folder."""
    folder = install(tmp_path / "packages")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("STAND_IN_ROOT", str(tmp_path / "root"))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "vrAnalysis"]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def legacy_urls() -> Iterator[dict[str, tuple[Backend, str]]]:
    made: dict[str, tuple[Backend, str]] = {}
    yield made
    for keeper, _ in made.values():
        keeper.close()


@pytest.fixture
def legacy(backend, legacy_urls, shared_file, tmp_path, tmp_path_factory, monkeypatch) -> Any:
    """The lab's own rows, imported from its CSV files; for reading alone."""
    if backend.name not in legacy_urls:
        keeper = Backend(backend.name, backend.source, tmp_path_factory.mktemp("legacy"))
        url = keeper.migrated_url()
        with open_lab(url) as tracker:
            tracker.import_csv("mice", shared_file("legacy/mousedb.csv")).apply()
            tracker.import_csv("sessions", shared_file("legacy/sessiondb.csv")).apply()
        legacy_urls[backend.name] = (keeper, url)
    url = legacy_urls[backend.name][1]
    monkeypatch.setenv("VRTRACKER_URL", url)
    made = Desk(url, tmp_path)
    yield made
    made.close()
