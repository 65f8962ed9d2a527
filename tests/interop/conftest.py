"""The old module's stand-in, on databases of every kind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.backends import Backend
from support.fake_vranalysis import install
from support.sample_lab import open_lab
from vrtracker.domain.keys import SessionKey
from vrtracker.interop.vranalysis import get_database
from vrtracker.services.administration.adoption import adopt

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
def fake_vranalysis(tmp_path, monkeypatch) -> Iterator[Path]:
    """The package that stands for vrAnalysis, on the path; its folder."""
    folder = install(tmp_path / "packages")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("FAKE_VRANALYSIS_ROOT", str(tmp_path / "root"))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "vrAnalysis"]:
        del sys.modules[name]


class LegacyUrls:
    """Databases with the lab's own rows, made once for each backend and run."""

    def __init__(self, folder: Path, shared_file: Any) -> None:
        self._folder = folder
        self._file = shared_file
        self._made: dict[str, tuple[Backend, str]] = {}

    def get(self, backend: Backend) -> str:
        if backend.name not in self._made:
            keeper = Backend(backend.name, backend.source, self._folder)
            url = keeper.migrated_url()
            with open_lab(url) as tracker:
                for what, name in (("mice", "mousedb"), ("sessions", "sessiondb")):
                    tracker.import_csv(what, self._file(f"legacy/{name}.csv")).apply()
            self._made[backend.name] = (keeper, url)
        return self._made[backend.name][1]

    def close(self) -> None:
        for keeper, _ in self._made.values():
            keeper.close()


@pytest.fixture(scope="session")
def legacy_urls(tmp_path_factory, shared_file, database_sources) -> Iterator[LegacyUrls]:
    made = LegacyUrls(tmp_path_factory.mktemp("legacy"), shared_file)
    yield made
    made.close()


@pytest.fixture
def legacy(backend, legacy_urls, tmp_path, monkeypatch) -> Iterator[Desk]:
    """The lab's own rows, imported from its CSV files; for reading alone."""
    url = legacy_urls.get(backend)
    monkeypatch.setenv("VRTRACKER_URL", url)
    made = Desk(url, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def adopted(shared_file, tmp_path_factory) -> Path:
    """The lab's own Access file, adopted; for reading alone."""
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    path = tmp_path_factory.mktemp("adopted") / "vrDatabase.accdb"
    shutil.copy(shared_file("legacy/vrDatabase.accdb"), path)
    path.chmod(0o644)
    adopt(path)
    return path
