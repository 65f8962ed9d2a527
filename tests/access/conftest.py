from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.access_files import mdb_export as export_table

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _java():
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    from vrtracker.backends.access import jvm

    jvm.start()


@pytest.fixture
def new_file(tmp_path):
    from vrtracker.backends.access import ucanaccess

    path = tmp_path / "new.accdb"
    ucanaccess.connect(path, create=True).close()
    return path


@pytest.fixture
def put_migrated(database_sources):
    """Put a database with the newest schema and no rows where a path leads."""

    def put(path):
        database_sources.get("access").migrated(path.parent, path.stem)
        return path

    return put


@pytest.fixture
def legacy_file(tmp_path):
    source = DATA / "legacy" / "vrDatabase.accdb"
    if not source.is_file():
        pytest.skip("shared data/legacy is not here")
    return Path(shutil.copy(source, tmp_path / "lab.accdb"))


@pytest.fixture
def legacy_csv():
    return DATA / "legacy"


@pytest.fixture
def microsoft_file(tmp_path):
    def copy(name):
        source = DATA / "access" / name
        if not source.is_file():
            pytest.skip("shared data/access is not here")
        return Path(shutil.copy(source, tmp_path / name))

    return copy


@pytest.fixture
def mdb_export():
    times = "%Y-%m-%d %H:%M:%S"
    return lambda path, table: export_table(path, table, "-D", times, "-T", times)
