"""Frozen selections: one form of rows that is the same on every database, and its hash.

A row is a line of JSON: its key, then its cells in the order of the columns. In it a number is its
shortest decimal as a text behind ``#``, whatever type the database keeps it in; a date is ISO, a
time too (one at midnight is its day), one of a known zone in UTC with ``Z``; bytes are hexadecimal
behind ``x``; a text stands behind ``'``. The digest of a row is the first 32 digits of the SHA-256
of its line. The hash of a selection is the SHA-256 of the line of its columns and, in the order of
the keys' code points, of lines ``KEY DIGEST``, each ended by a line feed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from vrtracker.domain.dates import plain
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import ImportFileError

FORMAT = "vrtracker selection 1"
_DIGITS = 32


def canonical(value: Any) -> Any:
    """Return a cell as a line of a selection spells it."""
    if value is None or isinstance(value, bool):
        return value
    spell = next((spell for kinds, spell in _SPELLINGS if isinstance(value, kinds)), _text)
    return spell(value)


def _text(value: object) -> str:
    return f"'{value}"


def _number(value: float | Decimal) -> str:
    return f"#{_plain_number(value)}"


def _plain_number(value: float | Decimal) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return format(exact.normalize(), "f") if exact else "0"


def _time(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        return f"{value.astimezone(dt.UTC).replace(tzinfo=None).isoformat()}Z"
    return value.date().isoformat() if value.time() == dt.time() else value.isoformat()


_SPELLINGS: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((int, float, Decimal), _number),
    ((dt.datetime,), _time),
    ((dt.date, dt.time), lambda value: str(value.isoformat())),
    ((bytes, bytearray, memoryview), lambda value: f"x{bytes(value).hex()}"),
)


def digest_of(key: str, cells: Iterable[Any]) -> str:
    """Return the digest of a row."""
    line = json.dumps([key, *map(canonical, cells)], separators=(",", ":"))
    return hashlib.sha256(line.encode("ascii")).hexdigest()[:_DIGITS]


def hash_of(columns: Sequence[str], digests: Mapping[str, str]) -> str:
    """Return the hash of rows, whose digests are given by key: SHA-256, hexadecimal."""
    lines = [json.dumps(list(columns), separators=(",", ":"))]
    lines += [f"{key} {digests[key]}" for key in sorted(digests)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What is kept of a selection.

    `query`: ``parts`` that all have to hold (a condition as text, or pairs of name and value),
    ``is_key``, ``include_scratched``. `digests`: digest of each row, by its key, in the order of
    the listing. `event_id`: the last event of the history before it was frozen; 0 for none.
    """

    name: str
    frozen_at: dt.datetime
    actor: str
    query: Mapping[str, Any]
    columns: tuple[str, ...]
    digests: Mapping[str, str]
    event_id: int
    note: str | None = None

    @property
    def hash(self) -> str:
        """The hash of the rows: SHA-256, hexadecimal."""
        return hash_of(self.columns, self.digests)

    def document(self) -> dict[str, Any]:
        """Return it as JSON, with the hash of all that stands in it as `seal`."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "frozen_at": self.frozen_at.isoformat(),
            "actor": self.actor,
            "note": self.note,
            "hash": self.hash,
            "event_id": self.event_id,
            "query": in_json(self.query),
            "columns": list(self.columns),
            "rows": dict(self.digests),
        }
        return {**document, "seal": _seal_of(document)}

    @classmethod
    def of_document(cls, document: Any, where: str) -> Self:
        """Read what `document` returns.

        Raises ImportFileError if it is something else, or was changed.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ImportFileError(
                f"{where} is no selection that this version reads ({FORMAT!r}); export it anew."
            )
        try:
            _check_shape(document)
            found = cls(
                name=str(document["name"]),
                frozen_at=dt.datetime.fromisoformat(document["frozen_at"]).astimezone(dt.UTC),
                actor=str(document["actor"]),
                query=dict(of_json(document["query"])),
                columns=tuple(map(str, document["columns"])),
                digests={str(key): str(digest) for key, digest in document["rows"].items()},
                event_id=int(document["event_id"]),
                note=document["note"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ImportFileError(
                f"{where} is not a whole selection ({error!r}); export it anew."
            ) from error
        if found.hash != document.get("hash"):
            raise ImportFileError(
                f"{where} was changed: its rows do not have the hash that it names. Export it anew."
            )
        if _seal_of(document) != document["seal"]:
            raise ImportFileError(
                f"{where} was changed: its query, columns or what else stands beside the rows do "
                "not have the hash that it names. Export it anew."
            )
        return found


def _seal_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all but the seal itself, hexadecimal."""
    sealed = {name: value for name, value in document.items() if name != "seal"}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode("ascii")).hexdigest()


def _check_shape(document: Mapping[str, Any]) -> None:
    """Raise a ValueError where something is missing, or of another kind."""
    query = of_json(document["query"])
    parts = query["parts"]
    fits = {
        "query": isinstance(parts, list) and all(map(_is_part, parts)),
        "is_key": isinstance(query["is_key"], bool),
        "include_scratched": isinstance(query["include_scratched"], bool),
        "columns": _are_texts(document["columns"]),
        "rows": _are_texts([*document["rows"], *document["rows"].values()]),
        "name": _are_texts([document["name"], document["actor"], document["seal"]]),
        "note": isinstance(document["note"], str | None),
    }
    for name, is_fitting in fits.items():
        if not is_fitting:
            raise ValueError(f"{name} is of another kind")
    for key in document["rows"]:
        SessionKey.parse(key)


def _is_part(part: Any) -> bool:
    """Return whether it is a condition as a text, or pairs of a name and a value."""
    if isinstance(part, str):
        return True
    return isinstance(part, list) and all(
        isinstance(pair, list) and len(pair) == len(("name", "value")) and isinstance(pair[0], str)
        for pair in part
    )


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def in_json(value: Any) -> Any:
    """Return what a query was asked with as JSON, which `of_json` reads back as it was."""
    if isinstance(value, tuple):
        return {"tuple": [in_json(part) for part in value]}
    if isinstance(value, Mapping):
        return {"mapping": {str(name): in_json(part) for name, part in value.items()}}
    known = plain(value)
    if known is None or isinstance(known, bool | int | float | str):
        return known
    if isinstance(known, Iterable):
        return [in_json(part) for part in known]
    return str(known)


def of_json(value: Any) -> Any:
    """Return what `in_json` wrote."""
    match value:
        case {"tuple": parts}:
            return tuple(of_json(part) for part in parts)
        case {"mapping": parts}:
            return {name: of_json(part) for name, part in parts.items()}
        case list():
            return [of_json(part) for part in value]
    return value
