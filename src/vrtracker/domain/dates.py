"""Read calendar dates and local times in every usual form."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from vrtracker.errors import InvalidValueError

_COMPACT = re.compile(r"\d{8}")
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")


_PLAIN_TYPES = frozenset({str, int, bool, type(None), dt.date, dt.datetime})


def plain(value: Any) -> Any:
    """Turn a numpy or pandas scalar into the Python value it stands for, missing ones into None."""
    if type(value) in _PLAIN_TYPES:
        return value
    module = type(value).__module__.partition(".")[0]
    if module not in {"numpy", "pandas"}:
        return None if isinstance(value, float) and value != value else value  # noqa: PLR0124
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if type(value).__name__ == "datetime64":
        value = value.astype("datetime64[us]")
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    value = value.item() if getattr(value, "ndim", None) == 0 else value
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124


def parse_date(value: Any) -> dt.date:
    """Return the calendar date that `value` shows, as a label: no time zone is ever applied.

    `value`: a date, a datetime (its date part is taken as it stands), a pandas or numpy scalar, or
    text such as ``2023-01-20``, ``2023/1/20``, ``20230120`` or an ISO time. Raises
    InvalidValueError if it shows no date, or one that does not exist.
    """
    value = plain(value)
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, str):
        return _date_of_text(value.strip())
    raise InvalidValueError(_not_a("date", value), value=value)


def parse_day(value: Any) -> dt.date:
    """Return the calendar date that `value` shows, with no time of the day but midnight.

    Raises InvalidValueError if it tells one, or shows no date: what is compared with days would not
    be what it says.
    """
    day, value = parse_date(value), plain(value)
    shown = value
    match = _DAY.match(value.strip()) if isinstance(value, str) else None
    if match and match.end() < len(match.string):
        shown = _datetime_of_text(f"{day}{match.string[match.end() :]}")
    if isinstance(shown, dt.datetime) and shown.time() != dt.time():
        raise InvalidValueError(
            f"these are whole days, and {str(value)!r} is a time of one; write {day}.", value=value
        )
    return day


def parse_datetime(value: Any) -> dt.datetime:
    """Return the local time that `value` shows, naive, whole seconds.

    Raises InvalidValueError if it shows no time, or carries a zone: the lab's columns keep the
    lab's own clock.
    """
    value = plain(value)
    if isinstance(value, str):
        value = _datetime_of_text(value.strip())
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise InvalidValueError(_not_a("time", value), value=value)
    if value.tzinfo is not None:
        raise InvalidValueError(
            f"{value.isoformat()} carries a time zone; give the lab's local time without one.",
            value=value,
        )
    return value.replace(microsecond=0)


def parse_moment(
    value: Any, zone: dt.tzinfo | None, *, of_day: dt.time = dt.time(23, 59, 59)
) -> dt.datetime:
    """Return the instant that `value` shows, aware, whole seconds.

    `value`: a time without a zone is the lab's clock. `zone`: the lab's time zone; the system's if
    None. `of_day`: what time a date stands for; its last second if not given. Raises
    InvalidValueError if it shows no time.
    """
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        is_day = _DAY.fullmatch(text) or _COMPACT.fullmatch(text)
        value = _date_of_text(text) if is_day else _datetime_of_text(text)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, of_day)
    if not isinstance(value, dt.datetime):
        raise InvalidValueError(_not_a("time", value), value=value)
    try:
        if value.tzinfo is None:
            value = value.astimezone() if zone is None else value.replace(tzinfo=zone)
        moment: dt.datetime = value.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValueError(f"{value} is out of range for a time.", value=value) from error
    return moment.replace(microsecond=0)


def _date_of_text(text: str) -> dt.date:
    match = _DAY.match(text)
    try:
        if match:
            date = dt.date(int(match[1]), int(match[2]), int(match[3]))
            if match.end() < len(text):
                _datetime_of_text(f"{date.isoformat()}{text[match.end() :]}")
            return date
        if _COMPACT.fullmatch(text):
            return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        day = _DAY.fullmatch(text) or _COMPACT.fullmatch(text)
        message = f"{text!r} is no day that exists; a date is year, month, day, as in 2023-01-20."
        raise InvalidValueError(message if day else _not_a("date", text), value=text) from error
    raise InvalidValueError(_not_a("date", text), value=text)


def _datetime_of_text(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    if _DAY.fullmatch(text) or _COMPACT.fullmatch(text):
        return dt.datetime.combine(_date_of_text(text), dt.time())
    raise InvalidValueError(_not_a("time", text), value=text)


def _not_a(what: str, value: Any) -> str:
    example = "2023-01-20" if what == "date" else "2023-01-20 14:30:00"
    return f"{value!r} is not a {what}; write it as {example}."
