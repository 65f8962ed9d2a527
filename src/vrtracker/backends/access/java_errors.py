"""The exceptions of PEP 249, and what of Java's becomes which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Warning(Exception):  # noqa: A001, N818  # the name is prescribed by PEP 249
    """Important remark that is no failure."""


class Error(Exception):
    """Base of the driver's errors; `sqlstate` is the five-character code, where there is one."""

    def __init__(self, message: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class InterfaceError(Error):
    """The driver was used wrongly, such as after closing."""


class DatabaseError(Error):
    """The database refused or failed."""


class DataError(DatabaseError):
    """A value does not fit: too long, out of range, of the wrong type."""


class OperationalError(DatabaseError):
    """The file cannot be opened, read or written, or another transaction is in the way."""


class IntegrityError(DatabaseError):
    """A key, a relationship or a required column forbids it; `constraint` names it if known."""

    def __init__(self, message: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message, sqlstate)
        self.constraint = _constraint(message)


class InternalError(DatabaseError):
    """The driver itself failed."""


class ProgrammingError(DatabaseError):
    """The statement is wrong: syntax, unknown table or column, number of parameters."""


class NotSupportedError(DatabaseError):
    """Access, or the driver, has no such feature."""


class ReadOnlyConnectionError(OperationalError):
    """The connection was opened read-only; nothing was sent to the database."""


# SQLSTATE: class (first two characters), or the whole code where it says more.
_BY_STATE: dict[str, type[DatabaseError]] = {
    "07": ProgrammingError,
    "08": OperationalError,
    "0A": NotSupportedError,
    "21": ProgrammingError,
    "22": DataError,
    "23": IntegrityError,
    "25": OperationalError,
    "40": OperationalError,
    "42": ProgrammingError,
    "44": IntegrityError,
    "XX": OperationalError,
}
_BY_TEXT: tuple[tuple[str, type[DatabaseError]], ...] = (
    ("integrity constraint violation", IntegrityError),
    ("feature not supported", NotSupportedError),
    ("only supported for hibernate", NotSupportedError),
    ("unexpected token", ProgrammingError),
    ("object not found", ProgrammingError),
    ("object name already exists", ProgrammingError),
    ("doesn't exist", ProgrammingError),
)
_PREFIX = re.compile(r"^(?:UCAExc:+[\d.]*\s*)?(?:(?:[a-z]+\.)+[A-Za-z]+(?:Exception|Error):\s*)*")
# Schema statements: the whole statement comes first, the reason last.
_FAILED_SCHEMA = re.compile(r"^.*?Failed to execute \[.*\]: (?=java\.|net\.|org\.)", re.DOTALL)
_LONGEST_CHAIN = 8
_UNIQUE = "23505"
# The SQL standard's "transaction rollback".
_ROLLED_BACK = "40000"
# PostgreSQL's code for it; the standard has none.
_DAMAGED = "XX001"
# What Jackcess trips over in pages that hold nonsense: Java's errors, and its own words.
_TRIPS = ("ClassCast", "IndexOutOfBounds", "NegativeArraySize", "BufferUnderflow")
_NONSENSE = re.compile(
    r"unexpected page type|given rowid is invalid|empty database file|invalid page number|"
    r"database corrupted|usage map|unrecognized (?:map|data|long value) type|long value definition|"
    r"invalid overflow row|unexpected order in index|unexpected (?:inline )?var length|"
    r"could not find (?:child entry|index page|system table)",
    re.IGNORECASE,
)


def from_java(error: Any) -> Error:
    """Return the PEP 249 exception for a Java one; the caller raises it ``from`` the latter.

    The class follows the SQLSTATE. Schema statements carry none, so there the text decides.
    """
    chain = _chain(error)
    state = next((found for found in map(_state, chain) if found), None)
    message = _message(chain)
    if any("ConstraintViolation" in type(link).__name__ for link in chain):
        # Jackcess, which writes the file at commit, and compares as Access does.
        state = _UNIQUE
        message = (
            "A value stands twice in a unique column; Access ignores the case of letters there. "
            f"({message})"
        )
    elif any("ClosedChannel" in type(link).__name__ for link in chain):
        # The driver closes the file at the first refusal, then trips over the closed file.
        state = _ROLLED_BACK
        message = (
            "Access refused one of several changes, and nothing was written; the driver does not "
            "say which. Look for names that differ only by the case of letters, which Access "
            "takes for one, or make the changes one at a time."
        )
    elif _is_of_damage(chain):
        state = _DAMAGED
        message = message if message != "(n/a)" else type(chain[-1]).__name__
    return _class(state, message, chain)(message, state)


def _is_of_damage(chain: list[Any]) -> bool:
    tripped = any(name in type(link).__name__ for link in chain for name in _TRIPS)
    return tripped or _NONSENSE.search(_message(chain)) is not None


def _class(state: str | None, message: str, chain: list[Any]) -> type[Error]:
    if state and state[:2] in _BY_STATE:
        return _BY_STATE[state[:2]]
    folded = message.casefold()
    for text, kind in _BY_TEXT:
        if text in folded:
            return kind
    if any("java.io." in type(link).__name__ for link in chain):
        return OperationalError
    return DatabaseError


def _chain(error: Any) -> list[Any]:
    chain: list[Any] = []
    link = error
    while link is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(link)
        link = link.getCause() if hasattr(link, "getCause") else None
    return chain


def _state(error: Any) -> str | None:
    state = error.getSQLState() if hasattr(error, "getSQLState") else None
    return str(state) if state is not None else None


def _message(chain: list[Any]) -> str:
    for link in chain:
        text = link.getMessage() if hasattr(link, "getMessage") else str(link)
        if text is not None and str(text) not in ("", "null"):
            return _PREFIX.sub("", _FAILED_SCHEMA.sub("", str(text))).strip()
    return type(chain[0]).__name__


def _constraint(message: str) -> str | None:
    found = re.search(r"violation:[^;]*;\s*(\S+)\s+table:", message)
    return found.group(1) if found else None


@contextmanager
def translated() -> Iterator[None]:
    """Raise what Java raises in the block as an exception of PEP 249."""
    try:
        yield
    except Error:
        raise
    except Exception as error:
        if not hasattr(error, "getMessage"):
            raise
        raise from_java(error) from error
