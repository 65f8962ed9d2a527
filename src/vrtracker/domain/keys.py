"""The identity of a session: mouse, calendar date, number."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from vrtracker.domain.dates import parse_date, plain
from vrtracker.errors import InvalidKeyError, InvalidValueError

MOUSE_NAME = re.compile(r"[\w.-]+")
_PATH = re.compile(
    r"(?:.*[/\\])?(?P<mouse>[\w.-]+)[/\\](?P<date>\d{4}-\d{1,2}-\d{1,2})[/\\](?P<number>\d+)[/\\]?"
)
_DOTTED = re.compile(r"(?P<mouse>[\w.-]+)\.(?P<date>\d{4}-\d{1,2}-\d{1,2})\.(?P<number>\d+)")
_REFERENCE = re.compile(r"(?P<date>\d{4}-\d{1,2}-\d{1,2})_(?P<number>\d+)_(?P<mouse>[\w.-]+)")
NAMESPACE = uuid.UUID("6d2c4e0a-7f52-3c3f-9d0e-1b0a5e6f4c21")
"""Of the ids of sessions."""
_COLUMN_SPELLINGS = (
    ("mouseName", "sessionDate", "sessionID"),
    ("mouse_name", "session_date", "session_id"),
    ("mouse_name", "date", "session_id"),
    ("mouse", "date", "number"),
    ("subject", "date", "number"),
)


@dataclass(frozen=True, slots=True, order=True)
class SessionKey:
    """Name one session, without touching database or disk.

    Attributes
    ----------
    mouse : str
        Name of the mouse (`mouseName`, ONE's subject).
    date : datetime.date
        The lab's calendar date (`sessionDate`), a label.
    number : int
        Number of the session (`sessionID`), such as 702; a folder ``001`` is number 1.

    Examples
    --------
    >>> key = vrtracker.SessionKey.parse("ATL012.2023-01-20.702")
    >>> key.reference, str(key.path)
    ('2023-01-20_702_ATL012', 'ATL012/2023-01-20/702')
    """

    mouse: str
    date: dt.date
    number: int

    @classmethod
    def parse(cls, value: Any) -> SessionKey:
        """Read a key in any usual spelling.

        Parameters
        ----------
        value
            ``ATL012.2023-01-20.702``, ``ATL012/2023-01-20/702`` (or the path of such a folder),
            ``2023-01-20_702_ATL012``, a tuple of the three, a mapping or object with the columns
            of `sessiondb`, or anything with a `key`.

        Raises
        ------
        InvalidKeyError
            If it does not name a session.

        Examples
        --------
        >>> str(vrtracker.SessionKey.parse(("ATL012", "2023-01-20", 702)))
        'ATL012.2023-01-20.702'
        >>> vrtracker.SessionKey.parse("ATL012/2023-01-20/702").number
        702
        """
        if isinstance(value, SessionKey):
            return value
        if isinstance(value, str):
            return cls._of_text(value)
        if isinstance(value, tuple | list):
            return cls._of_parts(*_three(value))
        if isinstance(getattr(value, "key", None), SessionKey):
            return value.key  # type: ignore[no-any-return]
        if len(getattr(value, "shape", ())) > 1:
            raise InvalidKeyError(
                f"A {type(value).__name__} of {len(value)} rows does not name a session; give a "
                "condition, or a list of keys."
            )
        return cls._of_fields(value)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> SessionKey:
        """Return the key in a row, as it stands there: old names need not be such as new ones.

        Examples
        --------
        >>> row = tracker.sessions.records(limit=1)[0]
        >>> str(vrtracker.SessionKey.of_row(row))
        'DEMO001.2023-01-18.701'
        """
        return cls(row["mouseName"], row["sessionDate"], row["sessionID"])

    @classmethod
    def _of_text(cls, text: str) -> SessionKey:
        stripped = text.strip()
        for pattern in (_DOTTED, _REFERENCE, _PATH):
            match = pattern.fullmatch(stripped)
            if match:
                return cls._of_parts(match["mouse"], match["date"], match["number"])
        raise InvalidKeyError(_not_a_key(text))

    @classmethod
    def _of_parts(cls, mouse: Any, date: Any, number: Any) -> SessionKey:
        try:
            return cls(parse_mouse_name(mouse), parse_date(date), parse_number(number))
        except InvalidValueError as error:
            raise InvalidKeyError(f"{_not_a_key((mouse, date, number))} {error}") from error

    @classmethod
    def _of_fields(cls, value: Any) -> SessionKey:
        is_mapping = isinstance(value, Mapping) or hasattr(value, "keys")
        for names in _COLUMN_SPELLINGS:
            if is_mapping and all(name in value for name in names):
                return cls._of_parts(*(value[name] for name in names))
            if not is_mapping and all(hasattr(value, name) for name in names):
                return cls._of_parts(*(getattr(value, name) for name in names))
        raise InvalidKeyError(_not_a_key(value))

    def __str__(self) -> str:
        return f"{self.mouse}.{self.date.isoformat()}.{self.number}"

    @property
    def columns(self) -> dict[str, Any]:
        """The key as columns of `sessiondb`."""
        return {"mouseName": self.mouse, "sessionDate": self.date, "sessionID": self.number}

    @property
    def path(self) -> PurePosixPath:
        """The folder of the session relative to the root: ``ATL012/2023-01-20/702``."""
        return PurePosixPath(self.mouse, self.date.isoformat(), str(self.number))

    @property
    def reference(self) -> str:
        """ONE's reference, number padded to three digits: ``2023-01-20_702_ATL012``."""
        return f"{self.date.isoformat()}_{self.number:03d}_{self.mouse}"

    @property
    def uuid(self) -> uuid.UUID:
        """The session's id for outside formats: version 3, the same wherever the key is."""
        return uuid.uuid3(NAMESPACE, id_name(self.mouse, self.date.isoformat(), self.number))


def id_name(mouse: str, day: str, number: int) -> str:
    """Return the name of which, in `NAMESPACE`, the id of a session is made."""
    return f"{mouse}/{day}/{number:03d}"


def is_key(text: str) -> bool:
    """Return whether a text is the key of a session, in any usual spelling."""
    try:
        SessionKey.parse(text)
    except InvalidKeyError:
        return False
    return True


def parse_mouse_name(value: Any) -> str:
    """Return the mouse's name, or raise InvalidValueError if it cannot name a folder."""
    name = plain(value)
    if isinstance(name, str) and MOUSE_NAME.fullmatch(name.strip()) and set(name.strip()) != {"."}:
        return name.strip()
    raise InvalidValueError(
        f"{value!r} is not a mouse name; use letters, digits, '_', '-' and '.' only.",
        column="mouseName",
        value=value,
    )


def parse_number(value: Any) -> int:
    """Return the session's number from an integer or a folder name such as ``001``."""
    number = plain(value)
    if isinstance(number, str) and number.strip().isascii() and number.strip().isdigit():
        number = int(number)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31:
        return number
    raise InvalidValueError(
        f"{value!r} is not a session number; give a whole number such as 702.",
        column="sessionID",
        value=value,
    )


def _three(parts: Any) -> tuple[Any, Any, Any]:
    if len(parts) != 3:  # noqa: PLR2004
        raise InvalidKeyError(_not_a_key(parts))
    return parts[0], parts[1], parts[2]


def _not_a_key(value: Any) -> str:
    return (
        f"{value!r} does not name a session; write mouse.date.number, "
        "such as ATL012.2023-01-20.702."
    )
