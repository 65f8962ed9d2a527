from __future__ import annotations

import shutil

import pytest

from vrtracker.backends.access import jars
from vrtracker.errors import ConfigurationError, DatabaseUnavailableError


@pytest.fixture
def folder(tmp_path):
    for path in jars.locate():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_configured_folder_is_used_alone(folder, monkeypatch):
    monkeypatch.setenv(jars.FOLDER_VARIABLE, str(folder))
    assert {path.parent for path in jars.locate()} == {folder}


def test_missing_file_of_a_configured_folder_is_named(folder, monkeypatch):
    monkeypatch.setenv(jars.FOLDER_VARIABLE, str(folder))
    (folder / "hsqldb-2.7.4.jar").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks hsqldb-2\.7\.4\.jar"):
        jars.locate()


def test_changed_file_of_a_configured_folder_is_refused(folder, monkeypatch):
    monkeypatch.setenv(jars.FOLDER_VARIABLE, str(folder))
    with (folder / "hsqldb-2.7.4.jar").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ConfigurationError, match="differs from the pinned"):
        jars.locate()


def test_file_that_arrives_changed_is_discarded(folder, monkeypatch):
    (folder / jars.JARS[-1].filename).unlink()
    wrong = jars.Jar("org.slf4j", "slf4j-api", "2.0.17", "0" * 64)
    monkeypatch.setattr(jars, "JARS", (*jars.JARS[:-1], wrong))
    with pytest.raises(DatabaseUnavailableError, match="not the released"):
        jars.install(folder=folder, progress=lambda *_: None)
    assert not (folder / wrong.filename).exists()


def test_broken_file_of_the_cache_is_fetched_again(folder):
    (folder / "slf4j-api-2.0.17.jar").write_bytes(b"half")
    seen = []
    jars.install(folder=folder, progress=lambda *step: seen.append(step))
    assert seen == [(0, 1, "slf4j-api-2.0.17.jar"), (1, 1, "done")]
    assert [path.is_file() for path in jars.install(folder=folder)] == [True] * len(jars.JARS)
