"""The statements of this run, as the dialect for Windows writes them, run on a real file.

What the contract suite sent through UCanAccess in the same run is recorded too: these tests come
after it by the names of the folders.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from support.backends import Backend
from support.recorded_statements import work_through
from support.windows import windows_engine
from support.workflow_lab import WorkflowLab
from vrtracker.backends.access import ucanaccess
from vrtracker.backends.access.backend import AccessBackend
from vrtracker.database.migration import _config
from vrtracker.models import Base

pytestmark = [
    pytest.mark.access,
    pytest.mark.skipif(sys.platform == "win32", reason="there the suite itself runs this SQL"),
]

# What stands before a parenthesis in Microsoft's SQL: words of its grammar, and its functions.
WORDS = {"AND", "AS", "BY", "EXISTS", "FROM", "IN", "INTO", "JOIN", "NOT", "ON", "OR", "SELECT"}
WORDS |= {"THEN", "TOP", "UNION", "ALL", "VALUES", "WHERE", "KEY", "REFERENCES", "UNIQUE", "TEXT"}
FUNCTIONS = {"IIf", "Len", "LCase", "UCase", "Mid", "CBool", "CLng", "CDbl", "Fix", "Int"}
FUNCTIONS |= {"count", "sum", "min", "max", "avg", "DatePart", "DateDiff", "Format"}
UNKNOWN = re.compile(
    r"\b(CASE|WHEN|COALESCE|CAST|OVER|WITH|EXCEPT|INTERSECT|OFFSET|FETCH|LIMIT|ESCAPE|DUAL"
    r"|RETURNING|NULLS|FILTER|LATERAL|FULL)\b|\|\||%|!="
)
TEXTS_AND_NAMES = re.compile(r"'(?:[^']|'')*'|\[[^\]]*\]|#[^#]*#")

# Microsoft, "Access specifications": ANDs in a WHERE clause, tables in a query, letters of SQL.
MOST_CONDITIONS, MOST_TABLES, LONGEST_STATEMENT = 99, 31, 64_000
MOST_LISTED = 600


@pytest.fixture(scope="module")
def recorded_statements(database_sources, tmp_path_factory) -> Any:
    source = database_sources.get("access")
    folder = tmp_path_factory.mktemp("recorded_statements")
    keeper = Backend("access", source, folder)
    with WorkflowLab(keeper.migrated_url(), folder / "root") as lab:
        work_through(lab)
    yield source.recorded_statements
    keeper.close()


@pytest.fixture(scope="module")
def engine(windows, recorded_statements, database_sources, tmp_path_factory) -> Any:
    keeper = Backend("access", database_sources.get("access"), tmp_path_factory.mktemp("windows"))
    made = windows_engine(sa.make_url(keeper.migrated_url()).database)
    kinds = made.dialect.type_compiler_instance
    with made.connect() as connection:
        for (table, name), kind in columns_of_labs(recorded_statements).items():
            text = f"ALTER TABLE [{table}] ADD COLUMN [{name}] {kinds.process(kind)}"
            connection.exec_driver_sql(text)
    yield made
    made.dispose()
    keeper.close()


def columns_of_labs(recorded_statements: Any) -> dict[tuple[str, str], Any]:
    """Return the columns that the statements of the suite name beyond our own, with a type."""
    found = {}
    for recorded in recorded_statements.statements.values():
        for part in sa.sql.visitors.iterate(recorded.compiled.statement):
            own = Base.metadata.tables.get(getattr(getattr(part, "table", None), "name", None))
            if own is not None and isinstance(part, sa.Column) and part.name not in own.c:
                found.setdefault((own.name, part.name), part.type)
    return found


def written(recorded: Any, dialect: Any) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL for Windows with its lists written out, and its parameters in order."""
    old = recorded.compiled
    if isinstance(old.statement, sa.schema.ExecutableDDLElement):
        return str(old.statement.compile(dialect=dialect)), ()
    new = old.statement.compile(dialect=dialect, column_keys=old.column_keys)
    # The values of a prepared statement were given to the driver; NULL fits where they did.
    unknown = {name: None for name, bind in new.binds.items() if bind.required}
    given = {**{name: bind.value for name, bind in new.binds.items()}, **(recorded.values or {})}
    # How long a list is, is a matter of its values: which test wrote the statement first.
    lists = {
        name: list(given[name])[:MOST_LISTED]
        for name, bind in new.binds.items()
        if bind.expanding and given[name] is not None
    }
    values = {**unknown, **(recorded.values or {}), **lists}
    state = new.construct_expanded_state(values, escape_names=False)
    processors = {**new._bind_processors, **state.processors}
    return state.statement, tuple(
        processors[name](state.parameters[name]) if name in processors else state.parameters[name]
        for name in state.positiontup
    )


def test_each_statement_is_compiled_for_windows_and_taken_by_a_real_file(
    recorded_statements, engine
):
    refused = []
    # A file is read anew for a connection that is the only one.
    with engine.connect() as connection:
        for recorded in recorded_statements.statements.values():
            try:
                text, values = written(recorded, engine.dialect)
                if text not in recorded_statements.ran:
                    connection.exec_driver_sql(text, values).close()
            except sa.exc.IntegrityError:
                # It was understood; the rows that it refers to are in another file.
                pass
            except sa.exc.SQLAlchemyError as error:
                refused.append(f"{recorded.compiled.string}\n  {error}")
            connection.rollback()
    assert not refused, "\n".join(refused)


def test_each_statement_uses_what_microsofts_engine_knows(recorded_statements, engine):
    strange = []
    for recorded in recorded_statements.statements.values():
        text = TEXTS_AND_NAMES.sub("?", written(recorded, engine.dialect)[0])
        called = set(re.findall(r"(\w+)\s*\(", text)) - WORDS - FUNCTIONS
        strange += [f"{word} in {text}" for word in called | set(UNKNOWN.findall(text))]
    assert not strange, "\n".join(strange)


def test_each_statement_keeps_within_the_limits_of_the_engine(recorded_statements, engine):
    large = []
    for recorded in recorded_statements.statements.values():
        text = TEXTS_AND_NAMES.sub("?", written(recorded, engine.dialect)[0])
        conditions, tables = text.count(" AND "), text.count(" JOIN ")
        if conditions > MOST_CONDITIONS or tables > MOST_TABLES or len(text) > LONGEST_STATEMENT:
            large.append(f"{conditions} AND, {tables} JOIN, {len(text)} letters: {text[:200]}")
    assert not large, "\n".join(large)


def test_pattern_of_a_cached_statement_is_that_of_each_run(engine):
    sent = []

    def note(_connection, _cursor, _text, values, _context, _many):
        sent.append(values)

    name = Base.metadata.tables["mousedb"].c.mouseName
    sa.event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        for pattern in ("a~%", "b~_", "[c"):
            connection.execute(sa.select(name).where(name.ilike(pattern, escape="~")))
    sa.event.remove(engine, "before_cursor_execute", note)
    assert sent == [("a[%]",), ("b[_]",), ("[[]c",)]


def test_autonumber_is_asked_for_as_on_windows(engine):
    table = Base.metadata.tables["mousedb"]
    flags = dict.fromkeys(("tracked", "trackerExists", "KO", "Blinded"), False)
    with engine.connect() as connection:
        numbers = [
            connection.execute(sa.insert(table), {"mouseName": name, **flags}).inserted_primary_key
            for name in ("A1", "A2")
        ]
        last = connection.exec_driver_sql("SELECT @@identity AS lastrowid").scalar()
        connection.rollback()
    assert [number[0] for number in numbers] == [last - 1, last]


# -- schema changes -----------------------------------------------------------------------------

# UCanAccess has none of them, Microsoft's engine has all.
NOT_HERE = re.compile(r"ALTER TABLE \[\w+\] (DROP|ALTER) |DROP INDEX ")
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \[([^\]]+)\]")


def migrate(connection: Any, *, up: bool) -> None:
    """Run the revisions one by one, without what keeps and replaces files."""
    scripts = list(ScriptDirectory.from_config(_config()).walk_revisions())
    with Operations.context(MigrationContext.configure(connection)):
        for script in reversed(scripts) if up else scripts:
            (script.module.upgrade if up else script.module.downgrade)()


def test_migrations_for_windows_run_on_a_real_file(windows, database_sources, tmp_path):
    AccessBackend().load_operations()
    url = sa.make_url(database_sources.get("access").new(tmp_path, "new"))
    ucanaccess.connect(url.database, create=True).close()
    engine = windows_engine(url.database)
    written, indexes = [], set()

    def only_what_runs_here(_connection, _cursor, text, values, _context, _many):
        written.append(text)
        index = INDEX.match(text)
        # An index that was to be dropped is still there when it is made again on the way down.
        is_there = index is not None and index[1] in indexes
        indexes.update(index.groups() if index else ())
        return ("SELECT 1 FROM DUAL" if NOT_HERE.match(text) or is_there else text), values

    sa.event.listen(engine, "before_cursor_execute", only_what_runs_here, retval=True)
    with engine.connect() as connection:
        migrate(connection, up=True)
        made = set(sa.inspect(connection).get_table_names())
        migrate(connection, up=False)
        left = sa.inspect(connection).get_table_names()
    engine.dispose()
    assert made == set(Base.metadata.tables)
    assert left == []
    dropped = ("notes", "strain", "genotype", "dateOfBirth", "sex")
    of_mice = [text for text in written if NOT_HERE.match(text) and "[mousedb]" in text]
    assert of_mice[:5] == [f"ALTER TABLE [mousedb] DROP COLUMN [{name}]" for name in dropped]
