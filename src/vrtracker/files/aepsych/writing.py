"""Write experiments as a database of AEPsych, in the newest form of its tables."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from vrtracker.domain.experiments import CONFIG, MESSAGE, STRATEGY, Experiment, Message, as_text
from vrtracker.errors import InvalidValueError

_OF_MASTER = ("master_table_id INTEGER REFERENCES master (unique_id)",)
_OF_TRIAL = ("iteration_id INTEGER REFERENCES raw_data (unique_id)",)
_TABLES: dict[str, Sequence[str]] = {
    "master": (
        "experiment_name VARCHAR(256)",
        "experiment_description VARCHAR(2048)",
        "experiment_id VARCHAR(10)",
        "participant_id VARCHAR(50)",
        "extra_metadata VARCHAR(4096)",
    ),
    "replay_data": (
        "timestamp DATETIME",
        "message_type VARCHAR(64)",
        "message_contents BLOB",
        "extra_info BLOB",
        *_OF_MASTER,
    ),
    "strat_data": ("timestamp DATETIME", "strat BLOB", *_OF_MASTER),
    "config_data": ("timestamp DATETIME", "config BLOB", *_OF_MASTER),
    "raw_data": ("timestamp DATETIME", "model_data BOOLEAN", "extra_data BLOB", *_OF_MASTER),
    "param_data": ("param_name VARCHAR(50)", "param_value VARCHAR(50)", *_OF_TRIAL),
    "outcome_data": ("outcome_name VARCHAR(50)", "outcome_value FLOAT", *_OF_TRIAL),
}


def write_experiments(path: Path, experiments: Iterable[Experiment]) -> None:
    """Write a new file; it is there as a whole or not at all.

    Raises InvalidValueError if there is something under that name, or it cannot be written.
    """
    if path.exists():
        raise InvalidValueError(f"{path} is there already; give the name of a new file.")
    try:
        # Beside where it goes, so that giving it its name is one step.
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as made:
            unnamed = Path(made.name)
    except OSError as error:
        raise InvalidValueError(
            f"{path} cannot be written ({error.strerror}); give another path."
        ) from error
    try:
        with contextlib.closing(sqlite3.connect(unnamed)) as connection, connection:
            _Writing(connection).write(experiments)
        os.link(unnamed, path)
    except FileExistsError as error:
        raise InvalidValueError(f"{path} came to be meanwhile; give another name.") from error
    finally:
        unnamed.unlink()


class _Writing:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def write(self, experiments: Iterable[Experiment]) -> None:
        for name, columns in _TABLES.items():
            every = ", ".join(("unique_id INTEGER NOT NULL PRIMARY KEY", *columns))
            self._connection.execute(f"CREATE TABLE {name} ({every})")
        for each in experiments:
            more = each.more
            text = more if more is None or isinstance(more, str) else json.dumps(more)
            number = self._add("master", each.name, each.about, each.uid, each.participant, text)
            for message in each.messages:
                self._message(message, number)
            for trial in each.trials:
                extra = _pickled(json.dumps(trial.extra)) if trial.extra else None
                raw = self._add("raw_data", _time(trial.ended), trial.model_data, extra, number)
                for name, value in trial.parameters:
                    self._add("param_data", name, as_text(value), raw)
                for name, value in trial.outcomes:
                    self._add("outcome_data", name, value, raw)

    def _message(self, message: Message, master: int) -> None:
        content = message.content
        # What was never opened goes out as it came.
        held = content if message.form == "opaque" else _pickled(content)
        at = _time(message.sent)
        if message.category == MESSAGE:
            extra = _pickled(message.extra)
            self._add("replay_data", at, message.verb, held, extra, master)
        else:
            table = {CONFIG: "config_data", STRATEGY: "strat_data"}[message.category]
            self._add(table, at, held, master)

    def _add(self, table: str, *values: Any) -> int:
        names = ", ".join(column.split()[0] for column in _TABLES[table])
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        return int(self._connection.execute(statement, values).lastrowid or 0)


def _time(iso: str | None) -> str | None:
    return None if iso is None else iso.replace("T", " ")


def _pickled(value: Any) -> bytes | None:
    """Return a pickle of a plain value; nothing but this program's own values is ever in it."""
    return None if value is None else pickle.dumps(value, protocol=4)
