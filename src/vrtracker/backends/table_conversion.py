"""What becomes of a table that somebody else made, and that is to be one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Date, DateTime, Integer, Numeric, String, Table
from sqlalchemy.types import TypeDecorator, TypeEngine

_FAMILIES: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Boolean, "tick box"),
    (Integer, "whole number"),
    (Numeric, "number"),
    (String, "text"),
    (DateTime, "time"),
    (Date, "time"),
)


@dataclass(frozen=True, slots=True)
class TableConversion:
    """One table, as it is to be and as it was found."""

    table: Table
    """Our columns, keys and indexes. Other columns of the table that was found stay."""
    found: Mapping[str, str]
    """For each of our columns that is there: how it is spelled there."""
    types: Mapping[str, TypeEngine[Any]]
    """For each of those: its type."""

    @property
    def id_name(self) -> str:
        """The column of autonumbers."""
        return next(iter(self.table.primary_key.columns)).name

    @property
    def missing(self) -> tuple[str, ...]:
        """Our columns that are not there."""
        return tuple(name for name in self.table.c.keys() if name not in self.found)  # noqa: SIM118

    @property
    def retyped(self) -> frozenset[str]:
        """Columns of another family of types, whose values have to be written anew."""
        return frozenset(
            name
            for name, found in self.types.items()
            if family(found) != family(self.table.c[name].type)
        )


def family(kind: TypeEngine[Any]) -> str:
    """Return in a word what values a column holds, whatever the database calls its type."""
    plain = kind.impl if isinstance(kind, TypeDecorator) else kind
    return next((word for base, word in _FAMILIES if isinstance(plain, base)), "other")
