"""Connections that stay outside the pool, for the next look-up or unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_MOST = 2


class AtHand:
    """A few connections of each engine; to take one from its pool takes longer than a look-up."""

    def __init__(self) -> None:
        self._kept: dict[Engine, list[Connection]] = {}

    def take(self, engine: Engine) -> Connection:
        """Return a connection that no other thread uses."""
        # What an engine raises is not told in the context of this: it would name the password.
        with suppress(LookupError):
            return self._kept[engine].pop()
        return engine.connect()

    def keep(self, connection: Connection) -> None:
        """Take back what has no transaction; the pool gets it where there are enough."""
        kept = self._kept.setdefault(connection.engine, [])
        if len(kept) < _MOST:
            kept.append(connection)
        else:
            connection.close()

    def close(self, *engines: Engine | None) -> None:
        """Give those of one engine after the other to its pool."""
        for engine in engines:
            kept = self._kept.get(engine, []) if engine is not None else []
            # Another thread may take the last one meanwhile.
            with suppress(IndexError):
                while True:
                    kept.pop().close()

    def invalidate(self, error: BaseException | None) -> None:
        """Give all up that are of the age of one that was lost."""
        for connection in self._all():
            connection.invalidate(error)
            connection.close()

    def drop(self, engine: Engine, connection: Connection, error: BaseException | None) -> None:
        """Give a connection up that leads nowhere, and all of its age, here and in the pool."""
        connection.invalidate(error)
        self.invalidate(error)
        engine.dispose()

    def _all(self) -> Iterator[Connection]:
        for kept in list(self._kept.values()):
            while kept:
                yield kept.pop()
