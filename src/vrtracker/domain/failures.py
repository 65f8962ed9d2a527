"""Failures that are alike: messages without what differs from session to session."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass

from vrtracker.domain.keys import SessionKey

MOST_TEXT = 100_000
"""How many characters of a message or a traceback are kept: of longer ones both ends."""
_ID_LENGTH = 8
# In this order: a path holds keys and numbers, a key holds numbers.
_PLACEHOLDERS = (
    # Quoted, a path may hold blanks.
    (re.compile(r"""(['"])(?:[A-Za-z]:[\\/]|\\\\|~?/)[^'"\n]*\1"""), "<path>"),
    (re.compile(r"(?<![\w.>])(?:[A-Za-z]:[\\/]|\\\\|~?/)[^\s'\"<>|,;:()]+"), "<path>"),
    (re.compile(r"[\w-]+(?:\.[\w-]+)*([./])\d{4}-\d{2}-\d{2}\1\d+\b"), "<key>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<n>"),
    (re.compile(r"(?<![A-Za-z_0-9])[-+]?\d+(?:\.\d+)*(?:[eE][-+]?\d+)?"), "<n>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The last attempt at a stage of one session, which failed; times are UTC."""

    key: SessionKey
    number: int
    stage: str
    failed_at: dt.datetime | None = None
    error_type: str | None = None
    message: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Failures of one stage whose messages are alike.

    `group`: a short name, made of stage and message: the same in every database and every run.
    `message`: the message, with ``<path>``, ``<key>`` and ``<n>`` for what differs.
    `error_type`, `traceback`: of the last of them that has one.
    `first_at`, `last_at`: UTC; None when no attempt of the tracker's is known.
    `sessions`: in the order in which they were given.
    `numbers`: their autonumbers.
    """

    group: str
    stage: str
    message: str
    error_type: str | None
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    sessions: tuple[SessionKey, ...]
    numbers: tuple[int, ...]
    traceback: str | None


def normal_message(message: str | None, error_type: str | None = None) -> str:
    """Return a message without numbers, paths, keys and runs of blanks.

    Without a message, the error's type stands for it.
    """
    text = message or ""
    for pattern, placeholder in _PLACEHOLDERS:
        text = pattern.sub(placeholder, text)
    return " ".join(text.split()) or error_type or "no message"


def grouped(failures: Iterable[Failure]) -> list[ErrorGroup]:
    """Return failures by stage and message, the most frequent first."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        message = normal_message(failure.message, failure.error_type)
        groups.setdefault((failure.stage, message), []).append(failure)
    return sorted(
        (_group(stage, message, several) for (stage, message), several in groups.items()),
        key=lambda group: -len(group.sessions),
    )


def _group(stage: str, message: str, failures: list[Failure]) -> ErrorGroup:
    times = [failure.failed_at for failure in failures if failure.failed_at is not None]
    # Times are UTC; a failure from before the tracker has none, and is the oldest.
    in_time = sorted(failures, key=lambda one: one.failed_at.timestamp() if one.failed_at else 0.0)
    digest = hashlib.sha256(f"{stage}\n{message}".encode()).hexdigest()
    return ErrorGroup(
        group=digest[:_ID_LENGTH],
        stage=stage,
        message=message,
        error_type=_last(failure.error_type for failure in in_time),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        sessions=tuple(failure.key for failure in failures),
        numbers=tuple(failure.number for failure in failures),
        traceback=_last(failure.traceback for failure in in_time),
    )


def _last(texts: Iterable[str | None]) -> str | None:
    return next(reversed([text for text in texts if text]), None)


def message_of(error: BaseException) -> str:
    """Return the message of an exception as a database can keep it."""
    try:
        return _storable(str(error))
    except Exception:  # noqa: BLE001 - the lab's own exceptions may fail to print themselves
        return f"a {type(error).__name__} that cannot be printed"


def traceback_of(error: BaseException) -> str:
    """Return the full traceback of an exception as a database can keep it."""
    return _storable("".join(traceback.format_exception(error)))


def _storable(text: str) -> str:
    """Write as escapes what no database keeps, NUL and halves of characters; cut what is long."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    if len(text) <= MOST_TEXT:
        return text
    part = MOST_TEXT // 2 - 50
    return f"{text[:part]}\n… {len(text) - 2 * part} characters left out …\n{text[-part:]}"
