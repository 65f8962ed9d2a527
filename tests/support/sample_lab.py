"""Small labs that the tests fill databases with, and an independent reading of filters.

`SAMPLE_MICE` and `SAMPLE_SESSIONS` hold what real rows hold and what breaks careless code: gaps,
quotes, per cent signs, backslashes, other alphabets. `passes` says in plain Python which value a
filter lets through; it shares nothing with the package.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

import vrtracker
from support.backends import Backend
from vrtracker.database import Database
from vrtracker.domain.states import State
from vrtracker.repositories.queue import Queue

DAY = dt.date(2023, 1, 20)
KEY = "ATL012.2023-01-20.701"
ACTOR = "tester"

SAMPLE_MICE: list[dict[str, Any]] = [
    {"mouseName": "ATL012", "KO": True, "tracked": True, "experimentID": 1, "sex": "F"},
    {"mouseName": "ATL028", "KO": False, "tracked": False, "experimentID": None, "sex": "M"},
    {"mouseName": "CR_Hippocannula6", "KO": False, "environmentOrder": "1.3.4", "experimentID": 2},
    {"mouseName": "atl-ü.3", "KO": True, "dateOfBirth": dt.date(2022, 5, 1), "notes": "50% fed"},
]
SAMPLE_TEXTS = [
    None,
    "Blender VR",
    "blender vr",
    "Gratings VR",
    "100% good",
    "100 good",
    'it\'s "quoted"',
    r"C:\data\new",
    r"ends with \ ".strip(),
    "naïve Ünïcøde ✓ 小鼠",
    "NAÏVE ÜNÏCØDE ✓ 小鼠",
    "'; DROP TABLE sessiondb; --",
    "two\nlines",
    "%s and %(name)s and :name and ?",
    "~tilde~%~_",
    "under_score",
    "underXscore",
]
SAMPLE_TIMES = [
    None,
    dt.datetime(2022, 12, 31, 23, 59, 59),
    dt.datetime(2023, 1, 20),
    dt.datetime(2023, 1, 20, 14, 30),
    dt.datetime(2023, 3, 26, 1, 30),
]
_FLAGS = ("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration", "suite2p")
_INTEGERS = {
    "experimentID": [None, 0, 1, 2, 12],
    "vrEnvironments": [None, 1, 12, 123],
    "numPlanes": [None, 5, 5, 5],
}
_NUMBERS = {
    "headPlateRotation": [None, 328.0, 8.5, 3.5],
    "pockelsPercentage": [None, 4.0, 12.800000190734863, -0.1],
}


def _sample_sessions(count: int) -> list[dict[str, Any]]:
    draw = random.Random(20230120)
    rows: list[dict[str, Any]] = []
    for position in range(count):
        row: dict[str, Any] = {
            "mouseName": SAMPLE_MICE[position % len(SAMPLE_MICE)]["mouseName"],
            "sessionDate": dt.date(2022, 12, 30) + dt.timedelta(days=position % 7),
            "sessionID": 701 + position,
        }
        row |= {name: draw.random() < 0.5 for name in _FLAGS}
        row |= {name: draw.choice(values) for name, values in {**_INTEGERS, **_NUMBERS}.items()}
        row["experimentType"] = SAMPLE_TEXTS[position % len(SAMPLE_TEXTS)]
        row["sessionNotes"] = draw.choice(SAMPLE_TEXTS)
        row["suite2pDate"] = draw.choice(SAMPLE_TIMES)
        row["sessionQC"] = draw.random() < 0.8
        row["scratchJustification"] = None if row["sessionQC"] else "Laser wasn't lasing"
        rows.append(row)
    # The order of entry must not happen to be that of the key.
    draw.shuffle(rows)
    return rows


SAMPLE_SESSIONS = _sample_sessions(96)


def open_lab(url: str, **options: Any) -> vrtracker.Tracker:
    """Open a tracker that signs as `ACTOR`."""
    return vrtracker.open(url, **{"actor": ACTOR, **options})


def new_lab(backend: Backend, *, mice: int = 1, sessions: int = 0, **options: Any) -> Any:
    """Return a tracker on a new database with mice ATL012, ATL013, … and sessions 701, 702, …."""
    tracker = open_lab(backend.migrated_url(), **options)
    tracker.mice.add_many([{"mouseName": f"ATL{12 + n:03d}"} for n in range(mice)])
    tracker.sessions.add_many(session_rows(sessions))
    return tracker


def session_rows(count: int, *, start: int = 701, **values: Any) -> list[dict[str, Any]]:
    """Return rows of sessions 701, 702, … (or from `start`) of ATL012 on one day."""
    return [
        {"mouseName": "ATL012", "sessionDate": DAY, "sessionID": start + n, **values}
        for n in range(count)
    ]


def add_sessions(url: str, numbers: list[int]) -> None:
    """Add sessions of ATL012 one by one, as a process of its own does."""
    with open_lab(url) as tracker:
        for number in numbers:
            tracker.sessions.add(("ATL012", DAY, number))


def sample_lab(backend: Backend) -> Any:
    """Return a tracker on a new database that holds the sample."""
    tracker = open_lab(backend.migrated_url())
    tracker.mice.add_many(SAMPLE_MICE)
    tracker.sessions.add_many(SAMPLE_SESSIONS)
    return tracker


def raw_engine(url: str) -> sa.Engine:
    """Return an engine of SQLAlchemy's own on a database, as another program would have."""
    from vrtracker.backends import parse_url

    return sa.create_engine(parse_url(url), poolclass=sa.NullPool)


def spelled(bind: sa.Engine | sa.Connection, statement: str) -> sa.TextClause:
    """Return SQL with each "name" in the database's own quotes; Access takes "…" for a text."""
    quote = bind.dialect.identifier_preparer.quote_identifier
    return sa.text(re.sub(r'"(\w+)"', lambda name: quote(name[1]), statement))


def run_sql(url: str, *statements: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run SQL past the tracker, all in one transaction; return the rows of the last."""
    rows: list[tuple[Any, ...]] = []
    with raw_engine(url).begin() as connection:
        for statement in statements:
            result = connection.execute(spelled(connection, statement), values)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


def change_schema(url: str, *changes: Callable[[Operations], object]) -> None:
    """Change tables past the migrations, with Alembic's operations: each database spells its own.

    What one change makes is there for the next. A missing file is made.
    """
    for change in changes:
        database = Database(url, create=True)
        try:
            with database.changing_schema() as connection:
                change(Operations(MigrationContext.configure(connection)))
        finally:
            database.dispose()


def table_counts(url: str) -> dict[str, int]:
    """Return how many rows each table has, to show that nothing was written."""
    with raw_engine(url).connect() as connection:
        names = sorted(sa.inspect(connection).get_table_names())
        quoted = connection.dialect.identifier_preparer.quote_identifier
        counts = [f"SELECT '{name}', count(*) FROM {quoted(name)}" for name in names]
        # In one statement: it is asked before and after each of very many refusals.
        rows = connection.execute(sa.text(" UNION ALL ".join(counts))) if counts else []
        return {str(name).strip(): int(count) for name, count in rows}


def numbers(frame: Any) -> list[int]:
    """Return the sessions' numbers of a frame, in its order."""
    return [int(number) for number in frame["sessionID"]]


# -- filters, read independently ------------------------------------------------------------

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
}


def passes(value: Any, operator: str, wanted: Any) -> bool:
    """Tell whether a filter lets a value through; None is a missing value.

    A missing value is unequal to every value, as in pandas, and has no place in an order.
    """
    if operator in _ORDERINGS:
        return value is not None and _ORDERINGS[operator](value, wanted)
    simple: dict[str, Callable[[], bool]] = {
        "==": lambda: bool(value == wanted),
        "!=": lambda: bool(value != wanted),
        "in": lambda: value in wanted,
        "not_in": lambda: value not in wanted,
        "between": lambda: value is not None and wanted[0] <= value <= wanted[1],
        "is_null": lambda: (value is None) is wanted,
        "like": lambda: value is not None and _is_like(value, wanted),
        "contains": lambda: value is not None and _fold(wanted) in _fold(value),
    }
    return simple[operator]()


def _is_like(text: str, pattern: str) -> bool:
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(letter, re.escape(_fold(letter))) for letter in pattern)
    return re.fullmatch(expression, _fold(text), re.DOTALL) is not None


def _fold(text: str) -> str:
    """Make the 26 letters small: no database is sure to know the case of the others."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def registration_queue(context: Any, selected: Any = None) -> Queue:
    """Return the queue of what is ready to be registered, as a run has it."""
    return Queue(
        context.database,
        context.stages["registration"],
        context.stages,
        [State.READY],
        filters=context.selection(selected),
        run="abcdef01",
        left_behind=False,
        only_due=True,
        without=(),
    )
