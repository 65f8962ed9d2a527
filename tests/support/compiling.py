"""Statements that the tests' many labs have in common are compiled once a run, not once a lab.

Each lab still builds its own; what SQLAlchemy's own cache keys call the same statement, and would
be compiled once where one engine sends it twice, is compiled once for all engines.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest import mock

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

__all__ = ["compiled_once"]

_MOST_KEPT = 5000


@contextmanager
def compiled_once() -> Iterator[None]:
    """Let all databases of the tracker share what is compiled in the block."""
    from vrtracker.backends.access.backend import AccessBackend
    from vrtracker.backends.postgresql import PostgreSQLBackend
    from vrtracker.backends.sqlite import SQLiteBackend
    from vrtracker.database import engines

    with ExitStack() as patches:
        for kind in (AccessBackend, PostgreSQLBackend, SQLiteBackend):
            create = _sharing(kind.create_engine)
            patches.enter_context(mock.patch.object(kind, "create_engine", create))
        prepare = _sharing_prepared(engines.Prepared)
        patches.enter_context(mock.patch.object(engines, "Prepared", prepare))
        yield


def _spelling(dialect: Any) -> tuple[Any, ...]:
    """Return what is the same in two dialects that compile every statement alike."""
    return (
        type(dialect),
        dialect.statement_compiler,
        dialect.paramstyle,
        getattr(dialect, "server_version_info", None),
        dialect.default_schema_name,
    )


class _Cache:
    """What an engine finds in the cache of all; SQLAlchemy's keys begin with the dialect."""

    _all: Any = LRUCache(_MOST_KEPT)

    def __init__(self, dialect: Any) -> None:
        self._dialect = dialect

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._all.get((_spelling(self._dialect), *key[1:]))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._all[_spelling(self._dialect), *key[1:]] = compiled


def _sharing(create: Callable[..., Engine]) -> Callable[..., Engine]:
    @wraps(create)
    def create_engine(*args: Any, **options: Any) -> Engine:
        engine = create(*args, **options)
        engine.update_execution_options(compiled_cache=_Cache(engine.dialect))
        return engine

    return create_engine


def _sharing_prepared(kind: Callable[..., Any]) -> Callable[..., Any]:
    kept: Any = LRUCache(_MOST_KEPT)

    def prepared(statement: Any, dialect: Any) -> Any:
        identity = _identity(statement)
        if identity is None:
            return kind(statement, dialect)
        key = _spelling(dialect), identity
        first = kept.get(key)
        if first is None:
            first = kept[key] = kind(statement, dialect)
        own = copy.copy(first)
        # It depends on what the driver says of the columns of one database.
        own._from_driver = None
        return own

    return prepared


def _identity(statement: Any) -> Any:
    """Return what two statements share only if they are the same, to their fixed values."""
    key = statement._generate_cache_key()
    if key is None:
        return None
    values = tuple(repr((type(bind.value), bind.value)) for bind in key.bindparams)
    return key.key, values
