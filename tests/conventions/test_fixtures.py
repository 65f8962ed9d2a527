"""The fixtures that the suite stands on do what the tests take for granted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from support import backends, missing
from support.backends import Source, Sources
from support.missing import BackendMissingError
from support.postgres import PostgresServer


def absent_source(_run_folder: Path) -> Source:
    message = "nobody has installed it"
    raise BackendMissingError(message)


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.fixture
def absent(monkeypatch, tmp_path: Path) -> Sources:
    monkeypatch.setitem(backends.SOURCES, "absent", absent_source)
    return Sources(tmp_path)


def test_missing_backend_is_skipped_by_name(absent, monkeypatch):
    monkeypatch.setenv(missing.REQUIRED_VARIABLE, "sqlite")

    with pytest.raises(pytest.skip.Exception, match="backend absent: nobody has installed it"):
        absent.get("absent")


def test_missing_backend_fails_where_it_is_required(absent, monkeypatch):
    monkeypatch.setenv(missing.REQUIRED_VARIABLE, "sqlite, absent")

    with pytest.raises(pytest.fail.Exception, match="backend absent is required here"):
        absent.get("absent")


def test_unknown_required_backend_is_reported(monkeypatch):
    monkeypatch.setenv(missing.REQUIRED_VARIABLE, "sqlite,oracle")

    assert backends.unknown_required() == ["oracle"]


def test_new_database_is_empty(backend):
    engine = sa.create_engine(backend.new_url())
    try:
        assert sa.inspect(engine).get_table_names() == []
    finally:
        engine.dispose()


def test_databases_of_a_test_are_apart(backend):
    first, second = backend.new_url(), backend.new_url()

    rows(first, "CREATE TABLE apart (number INTEGER)")

    with pytest.raises(sa.exc.DBAPIError):
        rows(second, "SELECT number FROM apart")


def test_migrated_database_has_the_labs_tables_and_no_rows(backend):
    url = backend.migrated_url()

    assert rows(url, "SELECT count(*) FROM sessiondb") == [(0,)]
    assert rows(url, "SELECT count(*) FROM mousedb") == [(0,)]


def test_databases_are_dropped_after_the_test(postgres_server: PostgresServer, tmp_path):
    source = backends.PostgresSource(postgres_server)
    made = backends.Backend("postgresql", source, tmp_path)
    url = made.new_url()

    made.close()

    with pytest.raises(sa.exc.OperationalError):
        rows(url, "SELECT 1")


def test_files_are_removed_after_the_test(tmp_path):
    made = backends.Backend("sqlite", backends.SqliteSource(tmp_path), tmp_path)
    rows(made.new_url(), "CREATE TABLE gone (number INTEGER)")

    made.close()

    assert list(tmp_path.iterdir()) == []


def test_test_is_marked_with_its_backend(backend, request):
    assert backend.marker in request.keywords


def test_statements_are_counted(backend, statement_counter):
    url = backend.new_url()
    rows(url, "CREATE TABLE counted (number INTEGER)")

    with statement_counter() as seen:
        rows(url, "SELECT number FROM counted")
        rows(url, "SELECT count(*) FROM counted")

    assert seen.count == len(seen.statements)
    assert [text for text in seen.statements if text.startswith("SELECT ")] == [
        "SELECT number FROM counted",
        "SELECT count(*) FROM counted",
    ]


def test_statements_are_not_counted_afterwards(statement_counter):
    with statement_counter() as seen:
        pass

    rows("sqlite://", "SELECT 1")

    assert seen.count == 0


def test_password_role_gets_in_with_its_password(postgres_server: PostgresServer):
    assert rows(postgres_server.password_url("postgres"), "SELECT current_user") == [("rig",)]


def test_password_role_is_refused_with_another(postgres_server: PostgresServer):
    with pytest.raises(sa.exc.OperationalError):
        rows(postgres_server.password_url("postgres", "guess"), "SELECT 1")


def test_sqlite_template_stands_in_the_file_alone(tmp_path, monkeypatch):
    def migrate(url: str) -> None:
        connection = sqlite3.connect(sa.make_url(url).database)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE made (number INTEGER)")
        connection.close()

    monkeypatch.setattr(backends, "migrate", migrate)
    source = backends.SqliteSource(tmp_path)

    url = source.migrated(tmp_path, "copy")

    assert rows(url, "SELECT count(*) FROM made") == [(0,)]
