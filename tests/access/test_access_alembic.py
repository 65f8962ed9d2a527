from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from vrtracker.backends.access import alembic_impl, dialect
from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.errors import BackendError


@pytest.fixture
def lab(legacy_file):
    dialect.register()
    assert alembic_impl.AccessImpl.transactional_ddl is False
    engine = sa.create_engine(f"access+ucanaccess:///{legacy_file}")
    with engine.connect() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_unique_constraint("uq_mousedb_mouseName", "mousedb", ["mouseName"])
        operations.create_foreign_key(
            "fk_sessiondb_mouse", "sessiondb", "mousedb", ["mouseName"], ["mouseName"]
        )
        operations.create_table(
            "st_event",
            sa.Column("id", sa.Integer),
            sa.Column("uSessionID", sa.Integer, nullable=False),
            sa.Column("kind", sa.String(20), nullable=False),
            sa.Column("why", sa.Text),
            sa.Column("at", sa.DateTime, nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_st_event"),
            sa.UniqueConstraint("uSessionID", "kind", name="uq_st_event_key"),
            sa.ForeignKeyConstraint(
                ["uSessionID"], ["sessiondb.uSessionID"], name="fk_st_event_session"
            ),
        )
        operations.create_index("ix_st_event_at", "st_event", ["at"])
        event = sa.table("st_event", *(sa.column(name) for name in ("uSessionID", "kind", "at")))
        rows = [{"uSessionID": 2, "kind": "a", "at": dt.datetime(2023, 3, 12, 2, 30)}]
        operations.bulk_insert(event, rows)
        connection.commit()
        yield operations, connection
    engine.dispose()


def shape(connection, table="st_event"):
    inspector = sa.inspect(connection)
    found = (
        {column["name"]: str(column["type"]) for column in inspector.get_columns(table)},
        inspector.get_pk_constraint(table)["name"],
        {key["name"]: key["referred_table"] for key in inspector.get_foreign_keys(table)},
        {index["name"]: index["unique"] for index in inspector.get_indexes(table)},
    )
    connection.rollback()
    return found


START = (
    {
        "id": "INTEGER",
        "uSessionID": "INTEGER",
        "kind": "VARCHAR(20)",
        "why": "TEXT",
        "at": "DATETIME",
    },
    "pk_st_event",
    {"fk_st_event_session": "sessiondb"},
    {"uq_st_event_key": True, "ix_st_event_at": False},
)


def test_created_table_has_names_keys_and_indexes_as_asked(lab):
    _, connection = lab
    assert shape(connection) == START


def test_change_of_type_keeps_rows_keys_indexes_and_relationships(lab):
    operations, connection = lab
    operations.alter_column("st_event", "kind", type_=sa.String(40), existing_type=sa.String(20))
    columns, *rest = shape(connection)
    assert columns == {**START[0], "kind": "VARCHAR(40)"}
    assert tuple(rest) == START[1:]
    found = connection.execute(sa.text("SELECT * FROM [st_event]")).fetchall()
    assert found == [(1, 2, "a", None, dt.datetime(2023, 3, 12, 2, 30))]


def test_renamed_column_takes_its_index_along(lab):
    operations, connection = lab
    operations.alter_column("st_event", "at", new_column_name="happened")
    assert "happened" in shape(connection)[0]
    assert shape(connection)[3] == START[3]


def test_forbidding_null_is_refused_while_rows_have_it(lab):
    operations, connection = lab
    with pytest.raises(BackendError, match="1 rows of st_event have no why"):
        operations.alter_column("st_event", "why", nullable=False)
    assert shape(connection) == START


def test_required_column_is_refused_while_there_are_rows(lab):
    operations, _ = lab
    with pytest.raises(BackendError, match="fill it"):
        operations.add_column("st_event", sa.Column("x", sa.Integer, nullable=False))


@pytest.mark.parametrize(
    "violation",
    [
        "INSERT INTO [st_event] ([uSessionID],[kind],[at]) VALUES (2,'a',#2020-01-01#)",
        "INSERT INTO [st_event] ([uSessionID],[kind],[at]) VALUES (9999,'a',#2020-01-01#)",
        "INSERT INTO [st_event] ([uSessionID],[at]) VALUES (3,#2020-01-01#)",
        "DELETE FROM [sessiondb] WHERE [uSessionID]=2",
        "DELETE FROM [mousedb]",
    ],
    ids=["duplicate", "orphan", "missing", "session with events", "mouse with sessions"],
)
def test_keys_are_enforced_after_a_rebuild(lab, violation):
    operations, connection = lab
    operations.drop_column("st_event", "why")
    with pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.text(violation))


def test_upgrade_and_downgrade_leave_the_lab_tables_as_they_were(
    lab, legacy_file, mdb_export, legacy_csv
):
    operations, connection = lab
    operations.drop_constraint("fk_st_event_session", "st_event", type_="foreignkey")
    operations.rename_table("st_event", "st_event_old")
    operations.drop_index("ix_st_event_at", table_name="st_event_old")
    operations.drop_table("st_event_old")
    operations.drop_constraint("fk_sessiondb_mouse", "sessiondb", type_="foreignkey")
    operations.drop_constraint("uq_mousedb_mouseName", "mousedb", type_="unique")
    assert set(sa.inspect(connection).get_table_names()) == {"sessiondb", "mousedb"}
    connection.close()
    connection.engine.dispose()
    original = legacy_csv / "vrDatabase.accdb"
    for table in ("sessiondb", "mousedb"):
        assert mdb_export(legacy_file, table) == mdb_export(original, table)
    with ops.opened(legacy_file, readonly=True) as file, ops.opened(original, readonly=True) as old:
        found, expected = ({one.name: one for one in ops.list_tables(at)} for at in (file, old))
        assert found == expected
        assert ops.next_autonumber(file, "sessiondb") == ops.next_autonumber(old, "sessiondb")
