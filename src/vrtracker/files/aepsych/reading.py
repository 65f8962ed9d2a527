"""Read a database of AEPsych, whatever the age of its schema; the file is only read.

What differs with age: tables of trials are missing, or what was sent along with a trial, or with
a message, or the participant and further metadata. What is missing is taken from the messages.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vrtracker.domain.experiments import (
    CONFIG,
    LONGEST_UID,
    MESSAGE,
    STRATEGY,
    Experiment,
    Message,
    Pairs,
    Trial,
    as_text,
    trials_told,
    typed,
    written,
)
from vrtracker.errors import ImportFileError, InvalidValueError
from vrtracker.files.aepsych.pickles import content_of, plain_value

_NEEDED = {"master", "replay_data"}
_VERSIONS = {CONFIG: ("config_data", "config"), STRATEGY: ("strat_data", "strat")}
_Row = dict[str, Any]
_IDS = uuid.UUID("6a1f0d52-5f3e-5f0a-9a52-2d8f7f0a4c11")
"""Names the ids of experiments that have none, or one that an earlier one of the file has."""


def is_aepsych(path: Path) -> bool:
    """Return whether a file is a database of AEPsych."""
    if not path.is_file():
        return False
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError), _opened(path) as connection:
        return _tables(connection) >= _NEEDED
    return False


def read_experiments(path: Path) -> list[Experiment]:
    """Return all experiments of a file, in its order.

    Raises ImportFileError if it is no such database, is damaged, or has a message that is no plain
    value.
    """
    if not path.is_file():
        what = f"There is no file {path}"
        if path.exists():
            what = f"{path} is {'a folder' if path.is_dir() else 'no regular file'}"
        raise ImportFileError(f"{what}; give the path of an AEPsych database.")
    try:
        with _opened(path) as connection:
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
            if not _tables(connection) >= _NEEDED:
                raise ImportFileError(
                    f"{path} is no database of AEPsych: it lacks the tables master and "
                    "replay_data. Nothing was written; give another file."
                )
            found = _File(path, connection).experiments()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise ImportFileError(
            f"{path} cannot be read as a SQLite database ({error}); nothing was written. Give a "
            "whole copy of the file."
        ) from error
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _tables(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables; a view of that name may hold anything."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {row[0] for row in rows}


class _File:
    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._there = _tables(connection)
        self._uids: set[str] = set()

    def experiments(self) -> list[Experiment]:
        messages = self._of_master("replay_data")
        versions = {name: self._of_master(name) for name, _ in _VERSIONS.values()}
        raws = self._of_master("raw_data")
        values = {name: self._by(name, "iteration_id") for name in ("param_data", "outcome_data")}
        found = []
        for master in self._rows("master"):
            number = master["unique_id"]
            sent = [self._message(row) for row in messages.pop(number, ())]
            told = sent + [
                Message.of(_content(row.get(column)), category=category, sent=self._at(name, row))
                for category, (name, column) in _VERSIONS.items()
                for row in versions[name].pop(number, ())
            ]
            own = raws.pop(number, ())
            trials = [self._trial(row, values) for row in own]
            if not own and not raws:
                trials = self._told(sent)
            elif own and "extra_data" not in own[0]:
                trials = _with_extra(trials, sent)
            found.append(self._experiment(master, told, trials))
        self._refuse_left({"replay_data": messages, **versions, "raw_data": raws}, "experiment")
        self._refuse_left(values, "trial")
        return found

    def _refuse_left(self, tables: dict[str, dict[Any, list[_Row]]], owner: str) -> None:
        for name, left in tables.items():
            if left:
                raise self._problem(name, next(iter(left.values()))[0], f"belongs to no {owner}")

    def _experiment(self, master: _Row, messages: list[Message], trials: list[Trial]) -> Experiment:
        more: Any = master.get("extra_metadata")
        # What is no JSON is kept as the text that it is.
        with contextlib.suppress(ValueError, TypeError):
            more = json.loads(more)
        return Experiment(
            uid=self._uid(master, messages),
            participant=as_text(master.get("participant_id")),
            name=as_text(master.get("experiment_name")),
            about=as_text(master.get("experiment_description")),
            more=more,
            origin=self._path.name,
            messages=tuple(messages),
            trials=tuple(trials),
        )

    def _uid(self, master: _Row, messages: list[Message]) -> str:
        given = as_text(master.get("experiment_id")) or ""
        if not given or given in self._uids or len(given) > LONGEST_UID:
            began = messages[0].sent if messages else master["unique_id"]
            given = str(uuid.uuid5(_IDS, f"{given}/{began}"))
        if given in self._uids:
            raise self._problem("master", master, "is there twice")
        self._uids.add(given)
        return given

    def _rows(self, table: str) -> list[_Row]:
        if table not in self._there:
            return []
        rows = self._connection.execute(f'SELECT * FROM "{table}" ORDER BY unique_id')  # noqa: S608
        return [dict(row) for row in rows]

    def _by(self, table: str, column: str) -> dict[Any, list[_Row]]:
        found: dict[Any, list[_Row]] = defaultdict(list)
        for row in self._rows(table):
            found[row.get(column)].append(row)
        return found

    def _of_master(self, table: str) -> dict[Any, list[_Row]]:
        return self._by(table, "master_table_id")

    def _message(self, row: _Row) -> Message:
        content = self._plain("replay_data", "message_contents", row)
        extra = self._plain("replay_data", "extra_info", row) or None
        verb = as_text(row.get("message_type"))
        return Message.of(
            content, category=MESSAGE, verb=verb, sent=self._at("replay_data", row), extra=extra
        )

    def _trial(self, row: _Row, values: dict[str, dict[Any, list[_Row]]]) -> Trial:
        number = row["unique_id"]
        extra = self._plain("raw_data", "extra_data", row)
        if isinstance(extra, str):
            extra = self._checked("raw_data", row, lambda: json.loads(extra))
        flag = row.get("model_data")
        return Trial(
            ended=self._at("raw_data", row),
            model_data=flag is None or bool(flag),
            parameters=self._pairs("param", values["param_data"].pop(number, ())),
            outcomes=self._pairs("outcome", values["outcome_data"].pop(number, ())),
            extra=extra or None,
        )

    def _pairs(self, kind: str, rows: Any) -> Pairs:
        for row in rows:
            if isinstance(row.get(f"{kind}_value"), bytes):
                raise self._problem(f"{kind}_data", row, "has bytes for a value")
        return tuple(
            (str(row.get(f"{kind}_name")), typed(row.get(f"{kind}_value"))) for row in rows
        )

    def _told(self, messages: list[Message]) -> list[Trial]:
        try:
            return list(trials_told(messages, one_each=True))
        except InvalidValueError as error:
            raise ImportFileError(f"{self._path}: {error} Nothing was written.") from error

    def _plain(self, table: str, column: str, row: _Row) -> Any:
        value = row.get(column)
        if not isinstance(value, bytes):
            return value
        return self._checked(table, row, lambda: plain_value(value), f"its {column} ")

    def _at(self, table: str, row: _Row) -> str | None:
        value = row.get("timestamp")
        if value is None:
            return None
        found = self._checked(table, row, lambda: dt.datetime.fromisoformat(value))
        if found.tzinfo is not None:
            raise self._problem(table, row, f"has a time with a zone ({value})")
        return str(found.isoformat(timespec="microseconds"))

    def _checked(self, table: str, row: _Row, make: Any, what: str = "") -> Any:
        try:
            made = make()
            written(made) if isinstance(made, list | dict) else None
        except (ValueError, TypeError) as error:
            raise self._problem(table, row, f"cannot be read: {what}{error}") from error
        return made

    def _problem(self, table: str, row: _Row, what: str) -> ImportFileError:
        return ImportFileError(
            f"{self._path}: {table}, unique_id {row.get('unique_id')}, {what}. Nothing was written "
            "or run; correct a copy of the file, or delete the row there."
        )


def _content(value: Any) -> Any:
    return content_of(value) if isinstance(value, bytes) else value


def _with_extra(trials: list[Trial], messages: list[Message]) -> list[Trial]:
    """Return trials with what was sent along with the messages that told of them."""
    tells = [each for each in messages if each.verb == "tell"]
    if len(tells) != len(trials):
        return trials
    sent = [each.extra or _sent_along(each.content) for each in tells]
    return [replace(trial, extra=extra) for trial, extra in zip(trials, sent, strict=True)]


def _sent_along(content: Any) -> Any:
    return content.get("extra_info") or None if isinstance(content, dict) else None
