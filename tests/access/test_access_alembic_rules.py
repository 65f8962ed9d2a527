"""What Alembic must know of Access, one rule each, on a real file."""

from __future__ import annotations

import datetime as dt
import io

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type
from alembic.migration import MigrationContext
from alembic.operations import Operations

from vrtracker.backends.access import alembic_impl, dialect
from vrtracker.errors import BackendError

LONG_NAME = "x" * 65


@pytest.fixture
def lab(new_file):
    dialect.register()
    assert alembic_impl.AccessImpl.__dialect__ == "access"
    engine = sa.create_engine(f"access+ucanaccess:///{new_file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        operations = Operations(context)
        operations.create_table(
            "box",
            sa.Column("id", sa.Integer),
            sa.Column("name", sa.String(20), nullable=False),
            sa.Column("size", sa.Integer),
            sa.PrimaryKeyConstraint("id", name="pk_box"),
            sa.UniqueConstraint("name", name="uq_box_name"),
        )
        operations.bulk_insert(box(), [{"name": "a", "size": 1}, {"name": "b", "size": 2}])
        yield operations, connection, context
    engine.dispose()


def box(*columns):
    return sa.Table(
        "box", sa.MetaData(), sa.Column("name", sa.String), sa.Column("size", sa.Integer)
    )


def columns(connection, table="box"):
    inspector = sa.inspect(connection)
    return {column["name"]: str(column["type"]) for column in inspector.get_columns(table)}


def rows(connection):
    return connection.execute(sa.text("SELECT * FROM [box] ORDER BY [id]")).fetchall()


# -- Alembic's own table ------------------------------------------------------------------------


def test_version_table_has_room_and_a_named_key(lab):
    _, connection, context = lab
    context._ensure_version_table()
    assert columns(connection, "alembic_version") == {"version_num": "VARCHAR(64)"}
    key = sa.inspect(connection).get_pk_constraint("alembic_version")
    assert key["constrained_columns"] == ["version_num"]
    # The engine asked here gives every primary key its own name; Microsoft's takes the given one.
    written = str(sa.schema.CreateTable(context._version).compile(connection))
    assert "CONSTRAINT [alembic_version_pkc] PRIMARY KEY ([version_num])" in written


# -- SQL that is only written down --------------------------------------------------------------


@pytest.fixture
def offline():
    text = io.StringIO()
    options = {"as_sql": True, "output_buffer": text, "literal_binds": True}
    context = MigrationContext.configure(dialect=dialect.UcanaccessDialect(), opts=options)
    return Operations(context), context, text


def test_written_sql_knows_no_transaction(offline):
    _, context, text = offline
    with context.begin_transaction(_per_migration=False):
        context.impl.emit_begin()
        context.impl.emit_commit()
    assert text.getvalue() == ""


def test_written_rows_have_the_literals_of_access(offline):
    operations, _, text = offline
    table = sa.table("t", sa.column("at", sa.DateTime), sa.column("ok", sa.Boolean))
    operations.bulk_insert(table, [{"at": dt.datetime(2020, 1, 2, 3), "ok": True}])
    written = "INSERT INTO [t] ([at], [ok]) VALUES (#2020-01-02 03:00:00#, True);"
    assert text.getvalue().strip() == written


@pytest.mark.parametrize(
    ("change", "written"),
    [
        (
            lambda op: op.alter_column("t", "x", type_=sa.String(50), existing_nullable=False),
            "ALTER TABLE [t] ALTER COLUMN [x] TEXT(50) NOT NULL;",
        ),
        (
            lambda op: op.alter_column("t", "x", nullable=True, existing_type=sa.Integer()),
            "ALTER TABLE [t] ALTER COLUMN [x] LONG;",
        ),
        (
            lambda op: op.add_column("t", sa.Column("100%", sa.Text)),
            "ALTER TABLE [t] ADD COLUMN [100%] MEMO;",
        ),
        (lambda op: op.drop_column("t", "x"), "ALTER TABLE [t] DROP COLUMN [x];"),
        (
            lambda op: op.create_unique_constraint("uq_t", "t", ["x"]),
            "ALTER TABLE [t] ADD CONSTRAINT [uq_t] UNIQUE ([x]);",
        ),
        (
            lambda op: op.drop_constraint("uq_t", "t", type_="unique"),
            "ALTER TABLE [t] DROP CONSTRAINT [uq_t];",
        ),
        (lambda op: op.create_index("i", "t", ["x"]), "CREATE INDEX [i] ON [t] ([x]);"),
        (lambda op: op.drop_index("i", "t"), "DROP INDEX [i] ON [t];"),
        (lambda op: op.create_table_comment("t", "remark"), ""),
        (lambda op: op.alter_column("t", "x", comment="remark"), ""),
        (lambda op: op.alter_column("t", "x", server_default=None), ""),
        (lambda op: op.create_check_constraint("ck", "t", "x > 1"), ""),
    ],
)
def test_operation_is_written_in_the_sql_of_access(offline, change, written):
    operations, _, text = offline
    change(operations)
    assert text.getvalue().strip() == written


@pytest.mark.parametrize(
    "change",
    [
        lambda op: op.rename_table("t", "u"),
        lambda op: op.alter_column("t", "x", new_column_name="y"),
        lambda op: op.alter_column("t", "x", nullable=False),
        lambda op: op.alter_column("t", "x", server_default="1"),
        lambda op: op.alter_column("t", "x", autoincrement=True),
    ],
    ids=["table", "column", "type unknown", "default", "autonumber"],
)
def test_what_the_sql_of_access_lacks_is_refused(offline, change):
    with pytest.raises(BackendError):
        change(offline[0])
    assert offline[2].getvalue() == ""


# -- tables, columns, keys ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("64 characters", [sa.Column(LONG_NAME, sa.Integer)]),
        ("32 indexes", [sa.Column(f"c{n}", sa.Integer, index=True) for n in range(33)]),
        ("255 columns", [sa.Column(f"c{n}", sa.Integer) for n in range(256)]),
        ("ON DELETE", [sa.Column("b", sa.Integer, sa.ForeignKey("box.id", ondelete="CASCADE"))]),
        ("JSON", [sa.Column("a", sa.JSON)]),
    ],
)
def test_table_beyond_the_limits_is_refused_before_anything_is_made(lab, word, parts):
    operations, connection, _ = lab
    with pytest.raises(sa.exc.SQLAlchemyError, match=word):
        operations.create_table("more", *parts)
    assert sa.inspect(connection).get_table_names() == ["box"]


@pytest.mark.parametrize(
    "change",
    [
        lambda op: op.add_column("box", sa.Column(LONG_NAME, sa.Integer)),
        lambda op: op.alter_column("box", "size", new_column_name=LONG_NAME),
        lambda op: op.create_index(LONG_NAME, "box", ["size"]),
        lambda op: op.create_unique_constraint(LONG_NAME, "box", ["size"]),
        lambda op: op.create_index("i", "box", [sa.text("name DESC")]),
    ],
    ids=["column", "rename", "index", "unique", "expression"],
)
def test_name_or_index_that_access_forbids_is_refused(lab, change):
    operations, connection, _ = lab
    before = columns(connection), sa.inspect(connection).get_indexes("box")
    with pytest.raises(sa.exc.SQLAlchemyError):
        change(operations)
    assert (columns(connection), sa.inspect(connection).get_indexes("box")) == before


def test_check_is_left_out_with_a_warning(lab, caplog):
    lab[0].create_check_constraint("ck_box_size", "box", "size > 0")
    assert "ck_box_size left out" in caplog.text


def test_key_without_a_name_gets_one(lab):
    operations, connection, _ = lab
    operations.create_unique_constraint(None, "box", ["size"])
    names = {key["name"] for key in sa.inspect(connection).get_unique_constraints("box")}
    assert names == {"uq_box_name", "uq_size"}


@pytest.mark.parametrize(
    "drop",
    [
        lambda op, **how: op.drop_index("none", "box", **how),
        lambda op, **how: op.drop_constraint("none", "box", type_="unique", **how),
        lambda op, **how: op.drop_column("box", "none", **how),
    ],
    ids=["index", "key", "column"],
)
def test_dropping_what_is_not_there_is_an_error_unless_allowed(lab, drop):
    operations, connection, _ = lab
    with pytest.raises(BackendError, match="none"):
        drop(operations)
    drop(operations, if_exists=True)
    assert len(rows(connection)) == 2


def test_making_what_is_there_is_allowed_where_asked(lab):
    operations, connection, _ = lab
    operations.create_table("box", sa.Column("other", sa.Integer), if_not_exists=True)
    operations.add_column("box", sa.Column("size", sa.Integer), if_not_exists=True)
    operations.create_index("uq_box_name", "box", ["size"], if_not_exists=True)
    operations.drop_table("none", if_exists=True)
    assert list(columns(connection)) == ["id", "name", "size"]


# -- batches ------------------------------------------------------------------------------------


def test_batch_changes_the_table_in_place(lab):
    operations, connection, _ = lab
    with operations.batch_alter_table("box") as batch:
        batch.add_column(sa.Column("note", sa.Text))
        batch.alter_column("size", type_=sa.Double, existing_type=sa.Integer)
        batch.create_index("ix_box_size", ["size"])
        batch.drop_constraint("uq_box_name", type_="unique")
    assert rows(connection) == [(1, "a", 1.0, None), (2, "b", 2.0, None)]
    assert [index["name"] for index in sa.inspect(connection).get_indexes("box")] == ["ix_box_size"]


def test_batch_that_would_copy_the_table_is_refused(lab):
    operations, connection, _ = lab
    with (
        pytest.raises(BackendError, match="leave out recreate"),
        operations.batch_alter_table("box", recreate="always") as batch,
    ):
        batch.add_column(sa.Column("note", sa.Text))
    assert rows(connection) == [(1, "a", 1), (2, "b", 2)]


# -- autogenerate -------------------------------------------------------------------------------


def declared(**types):
    metadata = sa.MetaData()
    sa.Table(
        "box",
        metadata,
        sa.Column("id", types.get("id", sa.Integer)),
        sa.Column("name", types.get("name", sa.String(20)), nullable=False),
        sa.Column("size", types.get("size", sa.Integer), server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_box"),
        sa.UniqueConstraint("name", name="uq_box_name"),
    )
    sa.Table(
        "lid",
        metadata,
        sa.Column("box", sa.Integer, nullable=False),
        sa.Column("code", sa.String(5), nullable=False),
        sa.PrimaryKeyConstraint("box", name="pk_lid"),
        sa.ForeignKeyConstraint(["box"], ["box.id"], name="fk_other", ondelete="CASCADE"),
        sa.Index("ix_lid_code", "code", unique=True),
    )
    return metadata


def differences(lab, **types):
    operations, connection, _ = lab
    operations.create_table(
        "lid",
        sa.Column("box", sa.Integer, nullable=False),
        sa.Column("code", sa.String(5), nullable=False),
        sa.PrimaryKeyConstraint("box", name="pk_lid"),
        sa.ForeignKeyConstraint(["box"], ["box.id"], name="fk_lid_box"),
    )
    operations.create_index("ix_lid_code", "lid", ["code"], unique=True)
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return compare_metadata(context, declared(**types))


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"size": sa.SmallInteger},
        {"name": sa.CHAR(20)},
        {"name": sa.Unicode(20)},
    ],
    ids=["as declared", "small", "char", "unicode"],
)
def test_what_access_holds_alike_is_no_difference(lab, types):
    assert differences(lab, **types) == []


@pytest.mark.parametrize(
    "types",
    [{"name": sa.String(30)}, {"name": sa.Text}, {"size": sa.Double}, {"size": sa.Boolean}],
    ids=["longer", "long text", "number", "flag"],
)
def test_another_type_is_a_difference(lab, types):
    (found,) = differences(lab, **types)
    assert found[0][0] == "modify_type"


def test_reflected_types_are_written_into_scripts_as_portable_ones(lab):
    _, connection, context = lab
    autogenerate = AutogenContext(context, opts={"sqlalchemy_module_prefix": "sa."})
    found = [
        _repr_type(column["type"], autogenerate)
        for column in sa.inspect(connection).get_columns("box")
    ]
    assert found == ["sa.Integer()", "sa.String(length=20)", "sa.Integer()"]
