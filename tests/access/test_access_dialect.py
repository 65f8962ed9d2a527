from __future__ import annotations

import datetime as dt
import importlib
import re
from decimal import Decimal
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from support.sample_lab import passes
from vrtracker.backends.access import dialect
from vrtracker.backends.access.types import RegexPattern

LETTERS = st.text(alphabet="aA%_~.b\n\\é", max_size=8)
ODD = 'it\'s [x] #1# "q" ? % é\nline'
META = sa.MetaData()
MICE = sa.Table(
    "mice",
    META,
    sa.Column("id", sa.Integer),
    sa.Column("name", sa.String(20), nullable=False),
    sa.Column("born", sa.Date),
    sa.Column("w", sa.Double),
    sa.Column("ko", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("size", sa.BigInteger),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("num", sa.Numeric(10, 2)),
    sa.Column("seen", sa.DateTime),
    sa.PrimaryKeyConstraint("id", name="pk_mice"),
    sa.UniqueConstraint("name", name="uq_mice_name"),
)
RUNS = sa.Table(
    "runs",
    META,
    sa.Column("k", sa.String(26)),
    sa.Column("mouse", sa.Integer, nullable=False),
    sa.Column("n", sa.Integer),
    sa.PrimaryKeyConstraint("k", name="pk_runs"),
    sa.ForeignKeyConstraint(["mouse"], ["mice.id"], name="fk_runs_mouse_mice"),
)
RUNS_TOO = RUNS.alias("r2")
FULL = (
    1, "ATL001", dt.date(2022, 1, 2), 21.5, True, ODD, 2**40, b"\x00\xff" * 300,
    Decimal("12.34"), dt.datetime(2023, 3, 12, 2, 30),
)  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    dialect.register()
    path = tmp_path_factory.mktemp("dialect") / "lab.accdb"
    made = sa.create_engine(f"access+ucanaccess:///{path}?create=true")
    META.create_all(made)
    with made.begin() as connection:
        names = [column.name for column in MICE.columns]
        connection.execute(sa.insert(MICE), dict(zip(names[1:], FULL[1:], strict=True)))
        connection.execute(sa.insert(MICE), [{"name": "ATL002", "ko": False}])
        connection.execute(sa.insert(MICE), [{"name": "zed", "ko": False, "w": 7.0}])
        runs = [{"k": f"k{n}", "mouse": 1, "n": n} for n in range(5)]
        connection.execute(sa.insert(RUNS), runs)
    yield made
    made.dispose()


ID = MICE.c.id
QUERIES = {
    "all": (sa.select(MICE).where(ID == 1), [FULL]),
    "odd text": (sa.select(ID).where(MICE.c.note == ODD), [(1,)]),
    "case": (
        sa.select(sa.case((ID == 1, ODD), (ID == 2, "two"), else_="more")).order_by(ID),
        [(ODD,), ("two",), ("more",)],
    ),
    "case of number": (sa.select(sa.case((ID == 1, 1.5))).order_by(ID), [(1.5,), (None,), (None,)]),
    "case of date": (
        sa.select(sa.case((ID == 2, dt.datetime(2020, 1, 2, 3)), else_=MICE.c.seen)).order_by(ID),
        [(dt.datetime(2023, 3, 12, 2, 30),), (dt.datetime(2020, 1, 2, 3),), (None,)],
    ),
    "coalesce": (
        sa.select(sa.func.coalesce(MICE.c.w, 0.0)).order_by(ID),
        [(21.5,), (0.0,), (7.0,)],
    ),
    "nullif": (sa.select(sa.func.nullif(MICE.c.name, "zed")).where(ID == 3), [(None,)]),
    "cast to text": (sa.select(sa.cast(ID, sa.String)).where(ID == 1), [("1",)]),
    "cast to integer": (
        sa.select(sa.cast(MICE.c.w, sa.Integer)).order_by(ID).where(ID > 1),
        [(None,), (7,)],
    ),
    "constants": (sa.select(sa.literal(1), sa.literal("a"), sa.literal(2.5)), [(1, "a", 2.5)]),
    "exists": (sa.select(sa.exists().where(ID == 99)), [(False,)]),
    "join": (
        sa.select(MICE.c.name, RUNS.c.k).join_from(MICE, RUNS).order_by(RUNS.c.k).limit(2),
        [("ATL001", "k0"), ("ATL001", "k1")],
    ),
    "three tables": (
        sa.select(sa.func.count(RUNS_TOO.c.k)).select_from(
            MICE.join(RUNS, RUNS.c.mouse == ID).outerjoin(
                RUNS_TOO, sa.and_(RUNS_TOO.c.n == RUNS.c.n, RUNS_TOO.c.n > 2)
            )
        ),
        [(2,)],
    ),
    "count distinct by derived table": (
        sa.select(sa.func.count()).select_from(sa.select(MICE.c.ko).distinct().subquery()),
        [(2,)],
    ),
    "group": (
        sa.select(RUNS.c.mouse, sa.func.count(), sa.func.max(RUNS.c.n))
        .group_by(RUNS.c.mouse)
        .having(sa.func.count() > 1),
        [(1, 5, 4)],
    ),
    "order by label": (
        sa.select(MICE.c.name, sa.func.length(MICE.c.name).label("size")).order_by("size").limit(1),
        [("zed", 3)],
    ),
    "startswith": (sa.select(ID).where(MICE.c.name.startswith("ATL")).order_by(ID), [(1,), (2,)]),
    "ilike": (sa.select(ID).where(MICE.c.name.ilike("%L002")), [(2,)]),
    "empty in": (sa.select(ID).where(ID.in_([])), []),
    "empty not in": (sa.select(sa.func.count()).where(ID.not_in([])), [(3,)]),
    "is true": (sa.select(ID).where(MICE.c.ko.is_(True)), [(1,)]),
    "is not true": (sa.select(ID).where(MICE.c.ko.is_not(True)).order_by(ID), [(2,), (3,)]),
    "flag": (sa.select(ID).where(MICE.c.ko), [(1,)]),
    "no flag": (sa.select(ID).where(~MICE.c.ko).order_by(ID), [(2,), (3,)]),
    "true": (sa.select(sa.func.count(ID)).where(sa.true()), [(3,)]),
    "not equal": (sa.select(ID).where(MICE.c.name != "zed").order_by(ID), [(1,), (2,)]),
    "date": (sa.select(MICE.c.born).where(MICE.c.born == dt.date(2022, 1, 2)), [(FULL[2],)]),
    "arithmetic": (sa.select(ID % 2, ID / 2, ID // 2).where(ID == 3), [(1, 1.5, 1)]),
    "parts of a date": (sa.select(sa.extract("year", MICE.c.born)).where(ID == 1), [(2022,)]),
    "concat": (sa.select(MICE.c.name + "-" + sa.cast(ID, sa.String)).where(ID == 3), [("zed-3",)]),
    "union": (
        sa.select(ID).union_all(sa.select(RUNS.c.n).where(RUNS.c.n > 3)).order_by("id"),
        [(1,), (2,), (3,), (4,)],
    ),
    "scalar subquery": (
        sa.select(sa.select(sa.func.count()).where(RUNS.c.mouse == ID).scalar_subquery()).where(
            ID == 1
        ),
        [(5,)],
    ),
    "not exists": (
        sa.select(ID).where(~sa.exists().where(RUNS.c.mouse == ID)).order_by(ID),
        [(2,), (3,)],
    ),
}


@pytest.mark.parametrize(("query", "expected"), QUERIES.values(), ids=QUERIES)
def test_query_gives_what_other_databases_give(engine, query, expected):
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(query)] == expected


@pytest.mark.parametrize("limit", [1, 3, 2])
def test_limit_is_not_cached_with_the_statement(engine, limit):
    with engine.connect() as connection:
        found = connection.scalars(sa.select(ID).order_by(ID).limit(limit)).all()
    assert found == [1, 2, 3][:limit]


def test_update_and_delete_count_their_rows(engine):
    with engine.connect() as connection:
        seen = sa.update(MICE).where(ID == 1, MICE.c.name == "ATL001").values(w=MICE.c.w + 1)
        lost = sa.update(MICE).where(ID == 1, MICE.c.name == "other").values(w=1)
        case = sa.update(MICE).values(note=sa.case((ID == 2, ODD), else_=MICE.c.note))
        gone = sa.delete(RUNS).where(RUNS.c.n > 2)
        counts = [connection.execute(one).rowcount for one in (seen, lost, case, gone)]
        connection.rollback()
    assert counts == [1, 0, 3, 2]


NAMES = {"values": [{"k": "a", "mouse": 1}, {"k": "b", "mouse": 1}]}
REFUSED = {
    "WITH": sa.select(sa.select(ID).cte("c")),
    "OVER": sa.select(sa.func.row_number().over()),
    "OFFSET": sa.select(ID).limit(1).offset(1),
    "DISTINCT query": sa.select(MICE.c.ko).distinct().limit(1),
    "expression": sa.select(ID).limit(sa.literal(1) + 1),
    "WITH TIES": sa.select(ID).order_by(ID).fetch(1, with_ties=True),
    "LIMIT on a UNION": sa.select(ID).union(sa.select(RUNS.c.n)).limit(1),
    "FOR UPDATE": sa.select(MICE).with_for_update(),
    "full outer": sa.select(ID).select_from(MICE.outerjoin(RUNS, full=True)),
    "EXCEPT": sa.select(ID).except_(sa.select(RUNS.c.n)),
    "INTERSECT": sa.select(ID).intersect(sa.select(RUNS.c.n)),
    "RETURNING": sa.insert(RUNS).values(k="a", mouse=1).returning(RUNS.c.k),
    "several rows": sa.insert(RUNS).values(NAMES["values"]),
    "subquery as a value": sa.update(MICE).values(
        w=sa.select(sa.func.max(RUNS.c.n)).scalar_subquery()
    ),
    "UPDATE from": sa.update(MICE).where(RUNS.c.mouse == ID).values(w=1),
    "DELETE from": sa.delete(MICE).where(RUNS.c.mouse == ID),
    "several columns": sa.select(ID).where(sa.tuple_(ID, MICE.c.name).in_([(1, "a")])),
    "NULLS FIRST or LAST": sa.select(ID).order_by(ID.nulls_last()),
    "DISTINCT FROM": sa.select(ID).where(MICE.c.w.is_distinct_from(1)),
    "COUNT": sa.select(sa.func.count(sa.distinct(MICE.c.ko))),
    "FILTER": sa.select(sa.func.count().filter(MICE.c.ko)),
    "regular": sa.select(ID).where(MICE.c.name.regexp_match("a")),
    "LATERAL": sa.select(ID, sa.select(RUNS.c.k).where(RUNS.c.mouse == ID).lateral().c.k),
}


@pytest.mark.parametrize(("word", "statement"), REFUSED.items(), ids=REFUSED)
def test_what_access_lacks_is_refused_with_a_remedy(engine, word, statement):
    with pytest.raises(sa.exc.CompileError, match=f"{word}.*; "):
        statement.compile(engine)


@pytest.mark.parametrize(
    ("word", "extra"),
    [
        ("CHECK", [sa.Column("a", sa.Integer), sa.CheckConstraint("a > 1")]),
        ("server default", [sa.Column("a", sa.Integer, server_default="1")]),
        ("JSON", [sa.Column("a", sa.JSON)]),
        ("times of day", [sa.Column("a", sa.Time)]),
        ("ON DELETE", [sa.Column("a", sa.ForeignKey("b.a", ondelete="CASCADE"))]),
    ],
)
def test_table_that_access_cannot_hold_is_refused(engine, word, extra):
    meta = sa.MetaData()
    sa.Table("b", meta, sa.Column("a", sa.Integer, primary_key=True))
    with pytest.raises(sa.exc.CompileError, match=word):
        sa.schema.CreateTable(sa.Table("x", meta, *extra)).compile(engine)


@pytest.mark.parametrize("name", ["x" * 65, "a]b", "a.b"])
def test_name_that_access_forbids_is_refused(engine, name):
    with pytest.raises(sa.exc.IdentifierError):
        sa.select(sa.column(name)).compile(engine)


@pytest.mark.parametrize("other", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "pg"])
@pytest.mark.parametrize("query", [query for query, _ in QUERIES.values()], ids=QUERIES)
def test_compiling_changes_nothing_for_other_databases(engine, query, other):
    before = str(query.compile(dialect=other))
    query.compile(engine)
    assert str(query.compile(dialect=other)) == before


@pytest.fixture(scope="module")
def on_windows(windows):
    return sa.create_engine("access+pyodbc:///C:/lab.accdb")


# Microsoft's LIKE folds letters by itself, and its joins are nested.
JOINS = {name: QUERIES[name] for name in ("join", "three tables")}
SAME = {name: query for name, (query, _) in QUERIES.items() if name not in {"ilike", *JOINS}}


@pytest.mark.parametrize("query", SAME.values(), ids=SAME)
def test_windows_dialect_emits_the_same_sql(engine, on_windows, query):
    here = str(query.compile(engine)).replace(" \nFROM DUAL", "").replace(" FROM DUAL", "")
    assert str(query.compile(on_windows)) == here


@pytest.mark.parametrize(("query", "expected"), JOINS.values(), ids=JOINS)
def test_joins_are_nested_on_windows_alone_and_mean_the_same(engine, on_windows, query, expected):
    literal = {"compile_kwargs": {"literal_binds": True}}
    nested, flat = (str(query.compile(one, **literal)) for one in (on_windows, engine))
    assert nested.partition("FROM ")[2].count("(") > flat.partition("FROM ")[2].count("(")
    with engine.connect() as connection:
        for written in (nested, flat):
            assert connection.exec_driver_sql(written).all() == expected


@pytest.mark.parametrize(("word", "statement"), REFUSED.items(), ids=REFUSED)
def test_windows_dialect_refuses_the_same(on_windows, word, statement):
    with pytest.raises(sa.exc.CompileError, match=f"{word}.*; "):
        statement.compile(on_windows)


@pytest.mark.parametrize("query", [query for query, _ in QUERIES.values()], ids=QUERIES)
def test_compiling_for_windows_changes_nothing_for_other_databases(on_windows, query):
    before = str(query.compile(dialect=sqlite.dialect()))
    query.compile(on_windows)
    assert str(query.compile(dialect=sqlite.dialect())) == before


def test_windows_dialect_makes_the_same_tables(engine, on_windows):
    for table in META.sorted_tables:
        here = str(sa.schema.CreateTable(table).compile(engine)).replace(" OLE", " LONGBINARY")
        assert str(sa.schema.CreateTable(table).compile(on_windows)) == here


def test_windows_dialect_drops_an_index_by_its_table(on_windows):
    index = sa.Index("i", sa.Table("t", sa.MetaData(), sa.Column("c", sa.Integer)).c.c)
    written = str(sa.schema.DropIndex(index).compile(on_windows))
    assert written == "DROP INDEX [i] ON [t]"


def test_literals_are_written_out_also_in_comparisons_and_joins(on_windows):
    joined = MICE.join(RUNS, sa.and_(RUNS.c.mouse == ID, RUNS.c.n != 3))
    query = sa.select(ID).select_from(joined).where(MICE.c.name != "it's")
    written = str(query.compile(on_windows, compile_kwargs={"literal_binds": True}))
    assert "[runs].[n] <> 3" in written
    assert "[mice].[name] <> 'it''s'" in written
    assert "?" not in written


@pytest.mark.parametrize("length", [64, 65])
def test_names_on_windows_have_at_most_64_letters(on_windows, length):
    assert on_windows.dialect.max_identifier_length == 64
    query = sa.select(sa.column("x" * length))
    if length > 64:
        with pytest.raises(sa.exc.IdentifierError):
            query.compile(on_windows)
    else:
        query.compile(on_windows)


def test_rows_changed_are_counted_on_windows(on_windows):
    assert on_windows.dialect.supports_sane_rowcount
    assert on_windows.dialect.supports_sane_multi_rowcount


def test_name_of_the_dialect_leads_to_ours_whoever_was_imported_last(windows):
    importlib.import_module("sqlalchemy_access.pyodbc")
    for _ in range(2):
        assert type(sa.create_engine("access+pyodbc:///a.accdb").dialect) is windows


@pytest.mark.parametrize(
    ("pattern", "escape", "sent"),
    [
        ("a~%b~_%", "~", "a[%]b[_]%"),
        ("[50%] ~~#*?", "~", "[[]50%] ~#*?"),
        ("[a]", None, "[[]a]"),
        (None, "~", None),
    ],
)
def test_pattern_on_windows_has_brackets_where_others_escape(on_windows, pattern, escape, sent):
    compiled = (
        sa.select(ID).where(MICE.c.name.like(sa.bindparam("p"), escape=escape)).compile(on_windows)
    )
    assert str(compiled).endswith("WHERE [mice].[name] LIKE ?")
    assert compiled._bind_processors["p"](pattern) == sent


def test_windows_dialect_refuses_escape_in_an_expression(on_windows):
    query = sa.select(ID).where(MICE.c.name.contains("a%", autoescape=True))
    with pytest.raises(sa.exc.CompileError, match="LIKE with ESCAPE"):
        query.compile(on_windows)


def test_windows_url_names_driver_and_file(on_windows):
    arguments, _ = on_windows.dialect.create_connect_args(on_windows.url)
    driver = "Driver={Microsoft Access Driver (*.mdb, *.accdb)}"
    assert arguments == [f"{driver};DBQ=C:/lab.accdb;ExtendedAnsiSQL=1"]


@pytest.mark.parametrize(
    ("password", "written"),
    [("secret", "PWD=secret"), ("a;DBQ=b}", "PWD={a;DBQ=b}}}")],
)
def test_password_cannot_change_the_connection(windows, password, written):
    url = sa.URL.create("access+pyodbc", "admin", password, database="C:/lab.accdb")
    ((text,), _) = windows().create_connect_args(url)
    assert text.endswith(f";{written}")


def test_windows_reflection_gives_portable_types(windows):
    connection = OdbcCatalogue([("id", "COUNTER", 10), ("name", "VARCHAR", 20), ("x", "NEW", 1)])
    found = windows().get_columns(connection, "mice")
    assert [(column["name"], str(column["type"])) for column in found] == [
        ("id", "INTEGER"),
        ("name", "VARCHAR(20)"),
        ("x", "NULL"),
    ]
    assert [column["autoincrement"] for column in found] == [True, False, False]
    assert {column["default"] for column in found} == {None}


class OdbcCatalogue:
    """Answers with rows of SQLColumns, as its documentation lists them."""

    def __init__(self, columns):
        self.connection = self
        self._columns = columns

    def cursor(self):
        return self

    def columns(self, table):
        keys = ("column_name", "type_name", "column_size")
        rest = {"decimal_digits": 0, "nullable": 1, "column_def": "=Now()"}
        return [
            SimpleNamespace(**dict(zip(keys, row, strict=True)), **rest) for row in self._columns
        ]

    def get_output_converter(self, _kind):
        return None

    def add_output_converter(self, _kind, _converter):
        """Take it; the texts here need none."""


def test_reflection_reads_a_file_made_by_microsoft_access(microsoft_file):
    dialect.register()
    engine = sa.create_engine(f"access+ucanaccess:///{microsoft_file('indexV2010.accdb')}")
    inspector = sa.inspect(engine)
    keys = {
        name: [
            (key["name"], key["constrained_columns"], key["referred_table"])
            for key in inspector.get_foreign_keys(name)
        ]
        for name in inspector.get_table_names()
    }
    engine.dispose()
    assert sorted(keys["Table1"]) == [
        ("Table2Table1", ["otherfk1"], "Table2"),
        ("Table3Table1", ["otherfk2"], "Table3"),
    ]


def test_reflected_table_is_the_declared_one(engine):
    inspector = sa.inspect(engine)
    columns = {column["name"]: column for column in inspector.get_columns("mice")}
    assert columns["id"]["autoincrement"]
    assert {name for name, column in columns.items() if not column["nullable"]} == {
        "id",
        "name",
        "ko",
    }
    assert str(columns["name"]["type"]) == "VARCHAR(20)"
    assert inspector.get_pk_constraint("mice")["constrained_columns"] == ["id"]
    assert inspector.get_unique_constraints("mice")[0]["column_names"] == ["name"]
    assert inspector.get_foreign_keys("runs")[0]["referred_table"] == "mice"


@given(text=LETTERS, pattern=LETTERS)
def test_a_pattern_of_like_is_the_same_as_a_regular_expression(text, pattern):
    # Python's regular expressions read these as Java's do.
    sent = RegexPattern("~", fold=True).process_bind_param(pattern.replace("~", "~~"), None)

    folded = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    assert bool(re.fullmatch(sent, folded)) == passes(text, "like", pattern)
