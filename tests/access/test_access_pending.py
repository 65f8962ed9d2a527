"""Changes of one transaction share passes over the file, and are written as without it."""

from __future__ import annotations

import random

import pytest

from vrtracker.backends.access import jvm, ucanaccess
from vrtracker.backends.access.mirror import share_passes

TABLE = (
    "CREATE TABLE [{name}] ([id] COUNTER NOT NULL, [name] TEXT(20), [n] LONG, [raw] OLE, "
    "CONSTRAINT [pk_{name}] PRIMARY KEY ([id]), CONSTRAINT [uq_{name}] UNIQUE ([name]))"
)
UPDATE = "UPDATE [{name}] SET [n]=? WHERE [id]=?"


@pytest.fixture
def connection(new_file):
    opened = ucanaccess.connect(new_file)
    cursor = opened.cursor()
    for name in ("people", "pets"):
        cursor.execute(TABLE.format(name=name))
        rows = [(f"row {number}", number, b"raw") for number in range(1, 41)]
        cursor.executemany(f"INSERT INTO [{name}] ([name],[n],[raw]) VALUES (?,?,?)", rows)
    opened.commit()
    yield opened
    opened.close()


def update(connection, *numbers, table="people"):
    cursor = connection.cursor()
    cursor.executemany(UPDATE.format(name=table), [(-number, number) for number in numbers])


def passes(connection):
    """Return how many passes over tables the commit is going to take."""
    share_passes(connection.java)
    return int(jvm.private_field(connection.java, "commands").size())


def in_file(connection, table="people"):
    """Return the rows as the file holds them."""
    connection.close()
    with ucanaccess.connect(connection.path, readonly=True) as again:
        return again.cursor().execute(f"SELECT * FROM [{table}] ORDER BY [id]").fetchall()


def test_statements_on_rows_in_their_order_share_one_pass(connection):
    update(connection, *range(1, 41))
    connection.cursor().execute("UPDATE [pets] SET [n]=0 WHERE [id]<30")
    connection.cursor().execute("DELETE FROM [pets] WHERE [id]>=30")

    assert passes(connection) == 2

    connection.commit()
    assert [row[2] for row in in_file(connection)] == [-number for number in range(1, 41)]
    assert [row[2] for row in in_file(connection, "pets")] == [0] * 29


@pytest.mark.parametrize(
    "change",
    [
        lambda connection: update(connection, 3, 2),
        lambda connection: update(connection, 3, 3),
        lambda connection: (update(connection, 3), update(connection, 4, table="pets")),
    ],
    ids=["backwards", "one row twice", "two tables"],
)
def test_pass_is_shared_by_nothing_else(connection, change):
    change(connection)
    assert passes(connection) == 2


def test_names_that_rows_hand_on_arrive(connection):
    rename = "UPDATE [people] SET [name]=? WHERE [id]=?"
    given = [("free", 5), ("row 5", 6), ("row 6", 7), ("row 7", 4), ("row 4", 5)]
    connection.cursor().executemany(rename, given)
    connection.commit()

    names = {number: name for number, name, *_ in in_file(connection)}
    assert [names[number] for number in (4, 5, 6, 7)] == ["row 7", "row 4", "row 5", "row 6"]


@pytest.mark.parametrize("seed", range(5))
def test_any_changes_in_any_order_are_in_the_file_as_in_memory(connection, seed):
    chance = random.Random(seed)
    cursor = connection.cursor()
    for at in range(60):
        table = chance.choice(["people", "pets"])
        first = chance.randrange(1, 45)
        change = chance.choice(
            [
                f"UPDATE [{table}] SET [n]={at} WHERE [id]={first}",
                f"UPDATE [{table}] SET [n]=[n]+1 WHERE [id]>={first}",
                f"UPDATE [{table}] SET [name]='at {at}' WHERE [id]={first}",
                f"UPDATE [{table}] SET [raw]=NULL WHERE [id]={first}",
                f"DELETE FROM [{table}] WHERE [id]={first}",
                f"INSERT INTO [{table}] ([name],[n]) VALUES ('new {at}',{at})",
            ]
        )
        cursor.execute(change)
    query = "SELECT * FROM [{}] ORDER BY [id]"
    wanted = {name: cursor.execute(query.format(name)).fetchall() for name in ("people", "pets")}
    connection.commit()

    assert {name: in_file(connection, name) for name in wanted} == wanted
