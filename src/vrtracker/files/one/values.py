"""Single values of a cache of ONE, read and checked; each raises ValueError if it is none."""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
import uuid
from pathlib import PurePosixPath
from typing import Any

from vrtracker.domain.dates import parse_date
from vrtracker.domain.keys import parse_mouse_name, parse_number
from vrtracker.domain.qc import QC

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MD5 = re.compile(r"[0-9a-f]{32}")
_LONGEST = 255
_LARGEST = 2**53
"""Bytes; up to here floating-point numbers tell every size from the next."""
_MIDNIGHT = dt.time()


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def text(value: Any) -> str:
    """Return a text; a missing one, and the word None that caches of 2021 hold, as empty."""
    if _is_missing(value) or value == "None":
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - one kind for all of them
    if _UNSTORABLE.search(value):
        raise ValueError(f"{value!r} holds a NUL character or half a character")
    return value


def name(value: Any) -> str:
    """Return a text of at most 255 characters."""
    return _short(text(value))


def lab(value: Any) -> str:
    """Return the name of a lab, which ONE takes for that of a folder."""
    found = name(value)
    if found in {".", ".."} or re.search(r"[/\\:]", found):
        raise ValueError(f"{found!r} is no name of a folder")
    return found


def _short(value: str) -> str:
    if len(value) > _LONGEST:
        raise ValueError(f"{value[:40]!r}… is longer than {_LONGEST} characters")
    return value


def subject(value: Any) -> str:
    """Return the name of a mouse."""
    return _short(parse_mouse_name(value))


def number(value: Any) -> int:
    """Return the number of a session."""
    return parse_number(value)


def date(value: Any) -> dt.date:
    """Return a date, from one, from ISO text, or from a time at midnight."""
    if isinstance(value, dt.datetime) and (value.time() != _MIDNIGHT or value.tzinfo):
        raise ValueError(f"{value} is a time and no date")
    return parse_date(value)


def uuid_of_text(value: Any) -> uuid.UUID:
    """Return an id."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no id")  # noqa: TRY004 - one kind for all of them
    try:
        return _uuid(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no UUID") from error


# The datasets of a session, which follow each other, share its id.
_uuid = functools.lru_cache(16)(uuid.UUID)


def path(value: Any) -> str:
    """Return the path of a dataset, which must stay in its session's folder."""
    rel_path = _short(text(value))
    parts = rel_path.split("/")
    is_plain = all(part not in {"", ".", ".."} for part in parts)
    if not is_plain or "\\" in rel_path or ":" in parts[0] or PurePosixPath(rel_path).is_absolute():
        raise ValueError(f"{rel_path!r} is no path below a session's folder")
    return rel_path


def size(value: Any) -> int:
    """Return a size in bytes; 0, which ONE takes for unknown, if it is missing."""
    if _is_missing(value):
        return 0
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LARGEST or value % 1:
        raise ValueError(f"{value!r} is no size in bytes")
    return int(value)


def md5(value: Any) -> str | None:
    """Return a hash, None if it is missing."""
    digest = text(value).lower()
    if digest and not _MD5.fullmatch(digest):
        raise ValueError(f"{digest!r} is no MD5 of 32 digits")
    return digest or None


def exists(value: Any) -> bool:
    """Return whether the file is there, which is taken for granted if nothing is said."""
    if _is_missing(value):
        return True
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} does not say whether the file exists")  # noqa: TRY004
    return value


def qc(value: Any) -> QC:
    """Return a level, by name, number or its digits; NOT_SET if it is missing."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    return QC.NOT_SET if _is_missing(value) else QC.parse(value)
