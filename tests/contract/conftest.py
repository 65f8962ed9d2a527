from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.backends import OTHERS, Backend
from support.sample_lab import new_lab, open_lab, sample_lab
from support.workflow_lab import WorkflowLab


class _Shared:
    """Databases that tests only read, made once for each backend and run."""

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], tuple[Backend, Any]] = {}

    def get(self, backend: Backend, name: str, build: Any) -> Any:
        key = (backend.name, name)
        if key not in self._made:
            keeper = Backend(backend.name, backend.source, self._folder)
            self._made[key] = (keeper, build(keeper))
        return self._made[key][1]

    def close(self) -> None:
        for keeper, tracker in self._made.values():
            tracker.close()
            keeper.close()


@pytest.fixture(scope="session")
def shared_labs(tmp_path_factory, database_sources) -> Iterator[_Shared]:
    shared = _Shared(tmp_path_factory.mktemp("labs"))
    yield shared
    shared.close()


@pytest.fixture
def sample(backend, shared_labs) -> Any:
    """A tracker on the sample's rows; for reading alone."""
    return shared_labs.get(backend, "sample", sample_lab)


@pytest.fixture
def legacy(backend, shared_labs, shared_file) -> Any:
    """A tracker on the lab's own rows, imported from its CSV files; for reading alone."""

    def build(keeper: Backend) -> Any:
        tracker = open_lab(keeper.migrated_url())
        tracker.import_csv("mice", shared_file("legacy/mousedb.csv")).apply()
        tracker.import_csv("sessions", shared_file("legacy/sessiondb.csv")).apply()
        return tracker

    return shared_labs.get(backend, "legacy", build)


@pytest.fixture
def small(backend, shared_labs) -> Any:
    """A tracker with the mouse ATL012 and its sessions 701 to 703; for what must change nothing."""
    return shared_labs.get(backend, "small", lambda keeper: new_lab(keeper, sessions=3))


class _Labs:
    """Trackers of one test, closed when it ends."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._open: list[Any] = []

    def new(self, **options: Any) -> Any:
        """Return a tracker on a new database; see `new_lab`."""
        return self._keep(new_lab(self._backend, **options))

    def open(self, url: str, **options: Any) -> Any:
        """Return another tracker on a database."""
        return self._keep(open_lab(url, **options))

    def _keep(self, tracker: Any) -> Any:
        self._open.append(tracker)
        return tracker

    def close(self) -> None:
        for tracker in self._open:
            tracker.close()


@pytest.fixture
def labs(backend) -> Iterator[_Labs]:
    made = _Labs(backend)
    yield made
    made.close()


@pytest.fixture(params=OTHERS)
def other(request, tmp_path, database_sources) -> Iterator[Backend]:
    """The databases to which something is copied, of each kind."""
    folder = tmp_path / "other"
    folder.mkdir()
    made = Backend(request.param, database_sources.get(request.param), folder)
    yield made
    made.close()


@pytest.fixture
def tracker(labs) -> Any:
    """A tracker on a new database with the mouse ATL012 and no sessions."""
    return labs.new()


@pytest.fixture
def lab(backend, tmp_path) -> Iterator[WorkflowLab]:
    """A new database with folders for its sessions, and the mice M1 and M2."""
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


@pytest.fixture
def workflow(lab) -> Any:
    """The workflow of the test's `lab`."""
    return lab.tracker.workflow
