"""Fixtures of the whole suite.

``backend``
    Parametrised over every database that the suite knows: ``backend.new_url()`` is a database
    without tables, ``backend.migrated_url()`` one with the newest schema, and
    ``backend.copied_url(make)`` a copy of what `make` makes once in a run; each call makes
    another one, and all are dropped when the test ends. To run on some alone:
    ``@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)``.
``put_sqlite``
    Where a test is about SQLite alone: ``put_sqlite(path)`` is a copy with the newest schema.
``postgres_server``
    A `support.postgres.PostgresServer` of each version, for what only a server has.
``windows``
    The dialect for Windows, `PyodbcDialect`, on any machine, while the module's tests run.
``statement_counter``
    ``with statement_counter() as seen: ...``, then ``seen.count`` and ``seen.statements``.
``shared_data``, ``shared_file``
    The lab's sample files, a folder beside the checkout, and one file of it by name.
"""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import xdist
from hypothesis import HealthCheck, settings

from support.backends import POSTGRES_NAMES, SOURCES, Backend, Sources, marker, unknown_required
from support.compiling import compiled_once
from support.coverage import coverage_paused, import_measured
from support.environment import heed_interrupts, isolate, keep_temporary_files_in_memory
from support.examples import PROFILE_VARIABLE, examples
from support.missing import (
    REQUIRED_VARIABLE,
    BackendMissingError,
    give_up,
    required_backends,
)
from support.postgres import PostgresServer
from support.selection import left_out, repeated
from support.statements import Statements, counted_statements
from support.windows import install_published, windows_dialect

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"
BACKEND_FIXTURES = ("backend", "postgres_server")
ACCESS_TESTS = PROJECT / "tests" / "access"
REPEATED = pytest.StashKey[bool]()
BETWEEN_FREEZES = 200
DONE = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    unknown = unknown_required()
    if unknown:
        known = ", ".join(SOURCES)
        message = f"{REQUIRED_VARIABLE} names {', '.join(unknown)}; the backends are {known}"
        raise pytest.UsageError(message)
    heed_interrupts()
    keep_temporary_files_in_memory()
    home = Path(tempfile.mkdtemp(prefix="vrt-home-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    isolate(home)
    # A shared machine makes any deadline a lottery, and CI must fail the same way twice.
    settings.register_profile(
        "vrtracker",
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile(
        "soak", settings.get_profile("vrtracker"), derandomize=False, max_examples=examples(100)
    )
    settings.load_profile(os.environ.get(PROFILE_VARIABLE, "vrtracker"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with the kind of database that it runs on, before -m selects.

    Examples that would show nothing more are left out; see `support.selection`.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        for fixture in BACKEND_FIXTURES:
            if callspec is not None and fixture in callspec.params:
                item.add_marker(marker(callspec.params[fixture]))
        if ACCESS_TESTS in item.path.parents:
            item.add_marker("access")
    for item in repeated(items):
        item.stash[REPEATED] = True
    out = set(left_out(items))
    if "long" not in config.option.markexpr:
        out |= {item for item in items if item.get_closest_marker("long")}
    items[:] = [item for item in items if item not in out]
    config.hook.pytest_deselected(items=list(out))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let coverage rest where others have shown the same lines; see `support.selection`."""
    with coverage_paused() if item.stash.get(REPEATED, False) else nullcontext():
        result = yield
    if next(DONE) % BETWEEN_FREEZES == 0:
        leave_out_of_collections()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Measure in one of the processes what our modules run on import, and nothing of the tests'.

    All others would wait for the one that collects them under measurement.
    """
    worker = getattr(session.config, "workerinput", {}).get("workerid", "gw0")
    if worker == "gw0" and not xdist.is_xdist_controller(session):
        import_measured("vrtracker")
    with coverage_paused():
        return (yield)


def leave_out_of_collections() -> None:
    """Leave what lives to the end out of all later garbage collections.

    These are the collected tests, then what is compiled once for all labs and grows: gone through
    each time, it takes more and more of the run.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    """Begin with little to go through."""
    leave_out_of_collections()
    # With so few objects left that count, each tenth collection would be one of all of them.
    gc.set_threshold(700, 10, 30)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    with compiled_once():
        yield


@pytest.fixture(scope="session")
def database_sources(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sources]:
    base = tmp_path_factory.getbasetemp()
    # The folders of a run's workers lie beside each other.
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "databases"
    folder.mkdir(exist_ok=True)
    sources = Sources(folder)
    yield sources
    sources.close()


@pytest.fixture(scope="session")
def put_sqlite(database_sources: Sources) -> Callable[[Path], Path]:
    """Put a SQLite database with the newest schema and no rows where a path leads."""

    def put(path: Path) -> Path:
        database_sources.get("sqlite").migrated(path.parent, path.stem)
        return path

    return put


@pytest.fixture(params=list(SOURCES))
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, database_sources: Sources
) -> Iterator[Backend]:
    made = Backend(request.param, database_sources.get(request.param), tmp_path)
    yield made
    made.close()


@pytest.fixture(params=POSTGRES_NAMES)
def postgres_server(request: pytest.FixtureRequest, database_sources: Sources) -> PostgresServer:
    return database_sources.get(request.param).server


@pytest.fixture(scope="session")
def published_dialect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sqlalchemy-access")
    try:
        install_published(folder)
    except BackendMissingError as error:
        give_up("the Windows dialect", str(error), required="access" in required_backends())
    return folder


@pytest.fixture(scope="module")
def windows(published_dialect: Path) -> Iterator[type]:
    with windows_dialect(published_dialect) as dialect:
        yield dialect


@pytest.fixture
def statement_counter() -> Callable[[], AbstractContextManager[Statements]]:
    return counted_statements


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _shared("data")


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    return lambda name: _shared(f"data/{name}")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        required = "CI" in os.environ and SHARED.exists()
        give_up(f"shared/{name}", "it is not beside the checkout", required=required)
    return path
