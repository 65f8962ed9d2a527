"""Change the schema, through Alembic alone.

The scripts live once, in ``migrations/`` of the project; a wheel carries them as
``vrtracker/_migrations``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import CreateTableOp
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Column, Connection, event

from vrtracker.database.engines import Database
from vrtracker.database.structure import Structure
from vrtracker.database.versions import HEAD, REVISIONS, current_revision, require_current
from vrtracker.errors import (
    ConfigurationError,
    SchemaError,
    SchemaOutOfDateError,
    UnknownNameError,
)
from vrtracker.models import Base

_OPERATIONS = (
    "create_table",
    "drop_table",
    "add_column",
    "drop_column",
    "alter_column",
    "create_index",
    "drop_index",
    "add_constraint",
    "drop_constraint",
)


class Revision(NamedTuple):
    """One revision of the schema."""

    revision: str
    title: str
    current: bool


def script_location() -> Path:
    """Return the folder of the migration scripts, in an installed wheel or in a checkout."""
    installed = Path(str(files("vrtracker"))) / "_migrations"
    checkout = Path(__file__).parents[3] / "migrations"
    for folder in (checkout, installed):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError(
        f"The migration scripts are missing (looked in {installed} and {checkout}); "
        "reinstall vrtracker."
    )


def upgrade(target: Any, revision: str = "head") -> str:
    """Bring a database to a revision, making a missing file; return where it is now.

    It is one transaction, or a copy that replaces the file: after a failure or a kill the
    database is as it was.

    Raises SchemaError if the database is not a tracker's, or newer than this version.
    """
    return _move(target, revision, command.upgrade, create=True)


def upgrade_sql(target: Any, revision: str = "head") -> list[str]:
    """Return the statements that bring a database to a revision, and leave it as it is.

    They are run and undone. On Access, where the schema is not changed by SQL, there are only those
    that change rows.
    """
    said: list[str] = []
    target_of(revision)
    with _going(Database(target), revision) as database:
        database.backend.check_target(database.url)
        _require_ours(database)
        with contextlib.suppress(_UndoneError), database.changing_schema() as connection:

            def keep(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
                if not sql.lstrip().upper().startswith(("SELECT", "PRAGMA")):
                    said.append(" ".join(sql.split()))

            event.listen(connection, "before_cursor_execute", keep)
            command.upgrade(_config(connection), revision)
            raise _UndoneError
    return said


class _UndoneError(Exception):
    """Leaves a block whose changes are not to stay."""


def migrate(connection: Connection) -> None:
    """Run every revision on a connection to a database without tables."""
    command.upgrade(_config(connection), "head")


def build(connection: Connection, structure: Structure) -> None:
    """Make the newest schema on a connection, with what the lab has added to another database.

    Columns of the lab's may be empty, as where somebody adds one to a table with rows.
    """
    migrate(connection)
    operations = Operations(MigrationContext.configure(connection))
    for name, columns in structure.added_columns.items():
        for column in columns:
            operations.add_column(name, Column(column.name, column.type, nullable=True))
    for table in structure.added_tables:
        operations.invoke(CreateTableOp.from_table(table))


def downgrade(target: Any, revision: str) -> str:
    """Take a database back to an earlier revision (``base``: no tables); return where it is now.

    What later revisions added is lost.
    """
    return _move(target, revision, command.downgrade, create=False)


def history(target: Any = None) -> list[Revision]:
    """Return every revision, oldest first, marking the one that the database is at."""
    current = None
    if target is not None:
        with Database(target, readonly=True) as database:
            current = current_revision(database)
    scripts = ScriptDirectory.from_config(_config())
    return [
        Revision(script.revision, script.doc, script.revision == current)
        for script in reversed(list(scripts.walk_revisions()))
    ]


def check(target: Any) -> list[str]:
    """Return in words what differs between the database and the models; empty means nothing.

    Columns and tables that the lab has added are not differences.

    Raises SchemaError if the database is not at the revision that this version needs.
    """
    with Database(target, readonly=True) as database:
        require_current(database)
        database.backend.load_operations()
        with database.connect(readonly=True) as connection:
            return differences(connection)


def differences(connection: Connection) -> list[str]:
    """Return in words what differs between a database and the models."""
    context = MigrationContext.configure(
        connection, opts={"include_object": include_object, "compare_type": True}
    )
    return [_in_words(difference) for difference in compare_metadata(context, Base.metadata)]


def upgrade_around(connection: Connection, settled: Collection[str]) -> None:
    """Run every revision, leaving out what they do to tables that have their last form already."""
    config = _config(connection)
    config.attributes["settled"] = frozenset(settled)
    command.upgrade(config, "head")


def leave_alone(impl: Any, settled: Collection[str]) -> None:
    """Make an implementation of Alembic's operations pass over some tables."""
    for verb in _OPERATIONS:
        setattr(impl, verb, _unless(getattr(impl, verb), settled))


def _unless(operate: Callable[..., None], settled: Collection[str]) -> Callable[..., None]:
    def operate_elsewhere(subject: Any, *arguments: Any, **options: Any) -> None:
        table = getattr(subject, "table", subject)
        if getattr(table, "name", table) not in settled:
            operate(subject, *arguments, **options)

    return operate_elsewhere


def include_object(
    subject: Any,
    name: str | None,
    kind: str,
    reflected: bool,  # noqa: FBT001 - Alembic calls it so
    compare_to: Any,
) -> bool:
    """Leave out of a comparison what is in the database alone: it is the lab's own."""
    del subject, name
    return not (reflected and compare_to is None and kind in {"table", "column", "index"})


def target_of(revision: str) -> str:
    """Return the revision that a name stands for.

    Raises UnknownNameError if there is no such revision.
    """
    if revision not in {"head", "base", *REVISIONS}:
        raise UnknownNameError("schema revision", revision, ["base", *REVISIONS, "head"])
    return HEAD if revision == "head" else revision


def _move(target: Any, revision: str, verb: Any, *, create: bool) -> str:
    target_of(revision)
    with _going(Database(target, create=create), revision) as database:
        database.backend.check_target(database.url, create=create)
        if database.backend.exists(database.url):
            _require_ours(database)
        with database.changing_schema() as connection:
            verb(_config(connection), revision)
        return current_revision(database) or "base"


@contextlib.contextmanager
def _going(database: Database, revision: str) -> Iterator[Database]:
    with database:
        try:
            yield database
        except CommandError as error:
            raise SchemaError(f"{database} cannot go to {revision}: {error}") from error


def _require_ours(database: Database) -> None:
    """Refuse a foreign or newer database; an older or empty one is what we are here for."""
    try:
        require_current(database)
    except SchemaOutOfDateError:
        return


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # The path goes through ConfigParser, which reads % as the start of a reference.
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _in_words(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_in_words(part) for part in difference)
    return " ".join(str(part) for part in difference if part is not None)
