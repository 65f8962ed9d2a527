"""Counting the SQL statements that a piece of code sends through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Statements:
    """What was sent, in order; an executemany is one statement."""

    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many statements were sent."""
        return len(self.statements)


@contextmanager
def counted_statements() -> Iterator[Statements]:
    """Count the statements of every engine, also of one that is made inside the block.

    Statements that a driver sends by itself, and those of ADBC, are not seen.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    seen = Statements()

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
