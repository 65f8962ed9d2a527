"""What only a PostgreSQL server can do, or refuse."""

from __future__ import annotations

import pickle
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from keyring.backend import KeyringBackend

import vrtracker
from support.postgres import PASSWORD, PASSWORD_ROLE, PostgresServer
from support.sample_lab import (
    DAY,
    KEY,
    new_lab,
    numbers,
    open_lab,
    raw_engine,
    registration_queue,
    run_sql,
    session_rows,
)
from vrtracker.database.migration import check, upgrade
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    ReadOnlyError,
    RoleError,
    VrtrackerError,
)

WRONG = "s3cret-w%rd@x"


@pytest.fixture
def server_database(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"vrt_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, owner=PASSWORD_ROLE)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def url(postgres_server: PostgresServer, server_database: str) -> str:
    """The URL of an empty database for a role that must give its password, with it."""
    return postgres_server.password_url(server_database)


@pytest.fixture(scope="module")
def filled_databases() -> Iterator[dict[PostgresServer, str]]:
    """A database with three sessions by server, made when a test first copies it."""
    made: dict[PostgresServer, str] = {}
    yield made
    for server, name in made.items():
        server.drop_database(name)


def fill(url: str) -> None:
    with vrtracker.init(url, actor="tester") as tracker:
        tracker.mice.add("ATL012")
        tracker.sessions.add_many(session_rows(3))


@pytest.fixture
def lab(postgres_server, server_database, url, filled_databases) -> Iterator[Any]:
    """A tracker of the role that must give its password, on three sessions of its own."""
    if postgres_server not in filled_databases:
        filled = f"vrt_{uuid.uuid4().hex[:12]}"
        postgres_server.create_database(filled, owner=PASSWORD_ROLE)
        filled_databases[postgres_server] = filled
        fill(postgres_server.password_url(filled))
    postgres_server.drop_database(server_database)
    postgres_server.create_database(
        server_database, template=filled_databases[postgres_server], owner=PASSWORD_ROLE
    )
    with vrtracker.open(url, actor="tester") as tracker:
        yield tracker


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Yield what is said by an error and by all those that caused it."""
    while error is not None:
        yield f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


# -- getting in --------------------------------------------------------------------------------


def test_password_with_odd_letters_gets_in(lab):
    assert numbers(lab.sessions.frame()) == [701, 702, 703]
    assert lab.sessions.get(KEY).sessionID == 701


def test_password_of_the_environment_gets_in(lab, url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    address = sa.make_url(url)._replace(password=None).render_as_string(hide_password=False)

    with open_lab(address) as tracker:
        assert len(tracker.sessions.frame()) == 3
        assert tracker.sessions.count() == 3


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, upgrade, check])
def test_wrong_password_is_refused_and_never_shown(postgres_server, server_database, work):
    address = postgres_server.password_url(server_database, WRONG)

    with pytest.raises(DatabaseUnavailableError, match="password") as refused:
        work(address)

    assert PASSWORD_ROLE in str(refused.value)
    for text in texts_of(refused.value):
        assert WRONG not in text
        assert "s3cret" not in text


def test_wrong_password_in_the_query_is_never_shown(postgres_server, server_database):
    address = sa.make_url(postgres_server.password_url(server_database))._replace(password=None)
    address = address.update_query_dict({"password": "s3cret"})

    with pytest.raises(DatabaseUnavailableError, match="password") as refused:
        open_lab(address.render_as_string(hide_password=False))

    for text in texts_of(refused.value):
        assert "s3cret" not in text


def test_password_is_shown_nowhere(lab):
    shown = [repr(lab), str(lab), lab.url, repr(lab._lab), repr(lab._lab.database)]
    shown += [repr(lab._lab.database.read_engine), repr(lab.sessions.get(KEY))]

    for text in shown:
        assert PASSWORD not in text
        assert "p%40ss" not in text


def test_pickled_tracker_holds_no_password_and_finds_its_own(lab, monkeypatch):
    lab.sessions.frame()
    pickled = pickle.dumps(lab)

    for form in (PASSWORD.encode(), b"p%40ss", b"p@ss"):
        assert form not in pickled
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with pickle.loads(pickled) as again:
        assert numbers(again.sessions.frame()) == [701, 702, 703]


def test_unknown_database_is_refused(postgres_server):
    with pytest.raises(DatabaseUnavailableError, match="vrt_nowhere") as refused:
        open_lab(postgres_server.password_url("vrt_nowhere"))

    assert "createdb" in str(refused.value)


@pytest.mark.parametrize("work", [open_lab, vrtracker.init, check])
def test_server_that_does_not_answer_is_reported(work):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(DatabaseUnavailableError, match=str(port)) as refused:
        work(f"postgresql://rig:{'s3cret'}@127.0.0.1:{port}/lab")

    for text in texts_of(refused.value):
        assert "s3cret" not in text


def test_unknown_host_is_reported():
    with pytest.raises(DatabaseUnavailableError, match="nowhere"):
        open_lab("postgresql://rig@nowhere.invalid/lab")


def test_role_without_rights_is_told_so(postgres_server, server_database):
    owner = postgres_server.url(server_database)
    vrtracker.init(owner).close()

    with (
        pytest.raises(RoleError, match=r"permission denied .* admin grant rig"),
        open_lab(postgres_server.password_url(server_database)) as tracker,
    ):
        tracker.sessions.count()


def test_role_that_may_only_read_reads(postgres_server, server_database):
    owner = postgres_server.url(server_database)
    with vrtracker.init(owner) as tracker:
        tracker.mice.add("ATL012")
    run_sql(owner, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {PASSWORD_ROLE}")

    with open_lab(postgres_server.password_url(server_database)) as tracker:
        assert len(tracker.mice.frame()) == 1
        with pytest.raises(RoleError, match="role reader"):
            tracker.mice.add("B1")


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_the_driver_is_the_same(lab, url, scheme):
    address = url.replace("postgresql+psycopg", scheme, 1)

    with open_lab(address) as tracker:
        assert tracker.sessions.count() == 3


def test_options_of_the_url_are_kept_for_every_connection(lab, url):
    address = sa.make_url(url).update_query_dict({"options": "-c search_path=elsewhere,public"})
    text = address.render_as_string(hide_password=False)

    with open_lab(text) as tracker:
        assert len(tracker.sessions.frame()) == 3
        assert tracker.sessions.count() == 3
        engine = tracker._lab.database.read_engine
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW search_path").scalar() == "elsewhere,public"


# -- connections that end ----------------------------------------------------------------------


def end_connections(server: PostgresServer, database: str) -> None:
    """End every connection to a database, as a restart of the server does."""
    run_sql(
        server.url("postgres"),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name",
        name=database,
    )


@pytest.fixture
def after_restart(lab, postgres_server, server_database) -> Any:
    """A tracker whose connections have all been used, and then ended by the server."""
    lab.sessions.frame()
    lab.sessions.get(KEY)
    lab.sessions.update({"numPlanes": 1}, KEY)
    end_connections(postgres_server, server_database)
    return lab


def test_frame_and_look_up_do_not_notice_a_restart_of_the_server(after_restart):
    assert numbers(after_restart.sessions.frame()) == [701, 702, 703]
    assert after_restart.sessions.get(KEY).sessionID == 701


@pytest.mark.parametrize(
    "work",
    [
        lambda tracker: tracker.sessions.count(),
        lambda tracker: tracker.sessions.update({"numPlanes": 5}, KEY),
        lambda tracker: tracker.sessions.add(("ATL012", DAY, 900)),
    ],
    ids=["count", "update", "add"],
)
def test_other_work_fails_once_at_most_after_a_restart_of_the_server(after_restart, work):
    try:
        work(after_restart)
    except DatabaseUnavailableError:
        work(after_restart)


def test_connections_are_given_back(lab, postgres_server, server_database):
    def read(_number: int) -> None:
        lab.sessions.frame()
        lab.sessions.get(KEY)
        lab.sessions.count()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(64)))
    assert postgres_server.connections(server_database) <= 20

    lab.close()
    for _ in range(100):
        if postgres_server.connections(server_database) == 0:
            break
    assert postgres_server.connections(server_database) == 0


def test_claiming_reads_no_more_rows_the_more_is_done(lab, postgres_server, server_database):
    address = postgres_server.url(server_database)
    run_sql(
        address,
        "INSERT INTO sessiondb SELECT (jsonb_populate_record(NULL::sessiondb, to_jsonb(one) || "
        "jsonb_build_object('uSessionID', n + 1000, 'sessionID', n, 'vrRegistration', n > 3500)"
        ')).* FROM sessiondb one, generate_series(1001, 6000) n WHERE one."sessionID" = 701',
    )
    run_sql(
        address,
        'INSERT INTO vrt_stage_state ("uSessionID", stage, changed_at) '
        'SELECT "uSessionID", \'registration\', now() FROM sessiondb WHERE "uSessionID" > 4500',
    )
    run_sql(address, "ANALYZE")
    context = lab._lab
    queue = registration_queue(context)
    with context.unit(readonly=True) as unit:
        plan = "\n".join(unit.executor.plan(queue._statement.limit(1)))
    assert "Index Scan using pk_vrt_stage_state" in plan
    assert "Seq Scan on vrt_stage_state" not in plan


def test_refused_statements_do_not_use_connections_up(lab):
    for _ in range(40):
        with pytest.raises(VrtrackerError):
            lab.sessions.add(KEY)

    assert lab.sessions.count() == 3


# -- the server's own rules --------------------------------------------------------------------


def test_server_keeps_the_columnar_reader_to_reading(lab):
    reader = lab._lab.database._arrow_reader()

    with pytest.raises(reader.errors, match="read-only"):
        reader.read("DELETE FROM vrt_event RETURNING event_id", [], [None])


def test_reading_does_not_hold_a_transaction_open(lab, postgres_server, server_database):
    lab.sessions.frame()
    lab.sessions.get(KEY)
    list(lab.sessions.iter())
    lab.sessions.count()

    states = run_sql(
        postgres_server.url("postgres"),
        "SELECT state FROM pg_stat_activity WHERE datname = :name",
        name=server_database,
    )
    assert states
    assert ("idle in transaction",) not in states


def test_deadlock_is_one_of_our_errors(lab):
    database = lab._lab.database
    first, second = database.begin(readonly=False), database.begin(readonly=False)
    lock = 'SELECT 1 FROM sessiondb WHERE "sessionID" = {} FOR UPDATE'

    def cross(connection: Any, number: int) -> BaseException | None:
        try:
            with database.translating():
                connection.exec_driver_sql(lock.format(number))
        except BackendError as error:
            return error
        finally:
            connection.rollback()
        return None

    with first, second, ThreadPoolExecutor(2) as pool:
        first.exec_driver_sql(lock.format(701))
        second.exec_driver_sql(lock.format(702))
        crossing = [pool.submit(cross, first, 702), pool.submit(cross, second, 701)]
        errors = [str(one.result()) for one in crossing if one.result()]

    assert len(errors) == 1
    assert "try again" in errors[0]


def test_read_only_error_of_the_server_names_the_remedy(lab):
    database = lab._lab.database

    with (
        database.begin(readonly=True) as connection,
        pytest.raises(ReadOnlyError, match="for writing"),
        database.translating(),
    ):
        connection.exec_driver_sql("DELETE FROM vrt_event")


def test_address_without_a_user_or_password_is_shown_as_one_types_it(lab, url):
    shown = sa.make_url(lab.url)

    assert shown.drivername == "postgresql"
    assert shown.database == sa.make_url(url).database
    assert shown.password is None


KINDS = [
    ("boolean", "true", "boolean"),
    ("bigint", "9007199254740993", "Int64"),
    ("smallint", "7", "Int64"),
    ("real", "0.5", "float64"),
    ("numeric(10, 2)", "12.25", "float64"),
    ("date", "'2022-05-01'", "datetime64[us]"),
    ("timestamptz", "'2022-05-01 09:30+00'", "datetime64[us]"),
    ("char(3)", "'abc'", "str"),
    ("uuid", "'00000000-0000-0000-0000-000000000007'", "object"),
    ("jsonb", "jsonb_build_object('a', 1)", "object"),
    ("integer[]", "'{1,2}'", "object"),
    ("time", "'09:30'", "object"),
    ("interval", "'2 days'", "object"),
    ("bytea", "'\\x00ff'", "object"),
    ("point", "'(1,2)'", "object"),
]


@pytest.mark.filterwarnings("ignore:Did not recognize type:sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("backend", ["postgresql16"], indirect=True)
def test_columns_of_any_type_come_along(backend, monkeypatch):
    tracker = new_lab(backend, sessions=3)
    tracker.close()
    columns = {f"odd{number}": dtype for number, (_, _, dtype) in enumerate(KINDS)}
    for name, (kind, value, _) in zip(columns, KINDS, strict=True):
        run_sql(
            tracker.url,
            f"ALTER TABLE sessiondb ADD COLUMN {name} {kind}",
            f'UPDATE sessiondb SET {name} = {value} WHERE "sessionID" = 702',
        )

    with open_lab(tracker.url) as again, open_lab(tracker.url) as slow:
        frame, none = again.sessions.frame(), again.sessions.frame(sessionID=0)
        monkeypatch.setattr(slow._lab.database.backend, "arrow_reader", lambda _url: None)
        by_rows = slow.sessions.frame()
        odd = again.sessions.get(("ATL012", DAY, 702)).extra
        assert len(list(again.sessions.iter())) == 3
        again.sessions.delete(("ATL012", DAY, 702))
        deleted = again.history(("ATL012", DAY, 702))["changes"].iloc[-1]
    for name, dtype in columns.items():
        for found in (frame, none, by_rows):
            assert str(found[name].dtype) == dtype
        assert frame[name].isna().tolist() == [True, False, True]
        assert odd[name] is not None
        assert deleted[name][0] is not None
    same = [name for name in frame.columns if columns.get(name) != "object"]
    pd.testing.assert_frame_equal(by_rows[same], frame[same])


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_tables_of_another_schema_are_not_taken_for_ours(backend):
    url = backend.new_url()
    run_sql(
        url,
        "CREATE SCHEMA archive",
        "CREATE TABLE archive.sessiondb (number integer)",
        "CREATE TABLE archive.mousedb (number integer)",
    )

    with vrtracker.init(url) as tracker:
        assert tracker.sessions.count() == 0
    with raw_engine(url).connect() as connection:
        assert "number" not in {
            column["name"] for column in sa.inspect(connection).get_columns("sessiondb")
        }


# -- what the server is told -------------------------------------------------------------------


def test_connections_bear_our_name_or_that_of_the_url_and_no_reader_leaves_one_in_transaction(lab):
    lab.sessions.frame()
    lab.sessions.get(KEY)
    seen = "SELECT application_name, state FROM pg_stat_activity WHERE datname = current_database()"
    with lab.database.connect() as connection:
        found = connection.execute(sa.text(seen)).all()
    assert {name for name, _ in found} == {"vrtracker"}
    assert "idle in transaction" not in {state for _, state in found}

    named = lab.database.url.update_query_dict({"application_name": "rig 3"})
    other = vrtracker.database_of(named.render_as_string(hide_password=False))
    with other.connect() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "rig 3"
    other.dispose()


def test_statement_that_takes_too_long_is_ended_for_readers_and_writers(lab, tmp_path, monkeypatch):
    url = lab.database.url.render_as_string(hide_password=False)
    config = tmp_path / "config.toml"
    config.write_text("[profiles.rig]\nstatement_timeout_seconds = 1\n")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    monkeypatch.setenv("VRTRACKER_PROFILE", "rig")
    with vrtracker.open(url) as tracker:
        for readonly in (True, False):
            with (
                pytest.raises(DatabaseUnavailableError, match="statement_timeout_seconds"),
                tracker.database.connect(readonly=readonly) as connection,
            ):
                connection.execute(sa.text("SELECT pg_sleep(5)"))
        with pytest.raises(BackendError, match="took too long"):
            tracker.database.handle.read_arrow(sa.select(sa.func.pg_sleep(5)), [None])
        assert len(tracker.sessions.frame()) == 3


def test_database_in_use_is_not_dropped(lab, url):
    lab.sessions.count()
    with vrtracker.open(url) as other, pytest.raises(BackendError, match="nobody connected"):
        other.database.drop(other.database.name)
    assert lab.sessions.count() == 3


class _Memory(KeyringBackend):
    """A keyring that ends with the test."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_password_of_the_keyring_gets_in_and_is_shown_nowhere(lab, url, monkeypatch, tmp_path):
    monkeypatch.setattr("keyring.core._keyring_backend", _Memory())
    plain = sa.make_url(url)._replace(password=None)
    address = plain.render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailableError):
        open_lab(address)

    vrtracker.database_of(address).remember_password(PASSWORD)

    with open_lab(address) as tracker:
        assert len(tracker.sessions.frame()) == 3
        assert tracker.sessions.count() == 3
        assert tracker.back_up(tmp_path).path.is_file()
        shown = [repr(tracker), str(tracker.database), repr(tracker.database.read_engine)]
        assert PASSWORD not in " ".join([*shown, str(pickle.dumps(tracker))])
    vrtracker.database_of(address).remember_password(None)
    with pytest.raises(DatabaseUnavailableError):
        open_lab(address)


def test_service_of_libpq_names_the_database(lab, tmp_path, monkeypatch):
    given = lab.database.url
    file = tmp_path / "services"
    file.write_text(
        f"[rig]\nhost={given.host or given.query.get('host')}\nport={given.port}\n"
        f"dbname={given.database}\nuser={given.username}\npassword={PASSWORD}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))

    with open_lab("postgresql:///?service=rig") as tracker:
        assert len(tracker.sessions.frame()) == 3
        assert PASSWORD not in str(tracker.database)
    monkeypatch.setenv("PGSERVICE", "rig")
    with open_lab("postgresql://") as tracker:
        assert tracker.sessions.count() == 3
        assert len(tracker.sessions.frame()) == 3
