"""Read text files of rows, and find out how they are encoded and separated."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from vrtracker.errors import ImportFileError, MissingDependencyError
from vrtracker.files.tables.table import Table, TableOptions, make_table

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_MARKS = {
    # The mark of UTF-32 begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with mark"}
_SAID = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_LOOKED_AT = 200
_ZEROS_OF_UTF_16 = 10


def read_text(path: Path, data: bytes, options: TableOptions) -> Table | None:
    """Return the table in a text file; None if there is nothing in it."""
    encoding = options.encoding or _encoding_of(path, data)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ImportFileError(
            f"{path} is not {encoding.upper()} (byte {error.start}); save it as that and try "
            "again, or say what it is."
        ) from error
    said = _SAID.match(text)
    text = text[said.end() :] if said else text
    delimiter = options.delimiter or (said[1] if said else _delimiter_of(path, text))
    rows = list(_rows(path, text, delimiter, before=1 if said else 0))
    name = _NAMES.get(encoding, encoding.upper() if "utf" in encoding else encoding)
    told = f"{name}{_sample(data, text)}, {_named(delimiter)}"
    return make_table(rows, told, delimiter=delimiter)


def _named(delimiter: str) -> str:
    return f"{_DELIMITERS[delimiter]}s" if delimiter in _DELIMITERS else repr(delimiter)


def _rows(path: Path, text: str, delimiter: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each row with the line that it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = before + 1
    try:
        for fields in reader:
            yield line, fields
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise ImportFileError(
            f"{path} is not a proper CSV file: {error}, in the row that begins in line {line}. "
            'Close each quote, and write one within a text twice: "".'
        ) from error


def _sample(data: bytes, text: str) -> str:
    """Return the first word outside ASCII, by which people see whether the encoding is right."""
    if text.isascii() or _mark_of(data):
        return ""
    word = re.search(r"[\w.-]*[^\x00-\x7f][\w.-]*", text)
    return f" (it holds {word[0]!r})" if word else ""


def _mark_of(data: bytes) -> str | None:
    return next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)


def _encoding_of(path: Path, data: bytes) -> str:
    marked = _mark_of(data)
    if marked:
        return marked
    if _is_utf8(data):
        _refuse_zero_bytes(path, data)
        return "utf-8"
    try:
        import charset_normalizer
    except ImportError as error:
        raise MissingDependencyError(
            f'{path} is not UTF-8. Finding out its encoding, unless encoding="…" says it,',
            "tables",
        ) from error
    # Texts of a few words fit dozens of code pages. Those of Western Europe are what is asked
    # for; what makes no sense in them is refused, with what else it may be.
    found = charset_normalizer.from_bytes(
        data, threshold=0.1, cp_isolation=["utf_16_le", "utf_16_be", "cp1252"]
    ).best()
    if found is None:
        guess = charset_normalizer.from_bytes(data).best()
        hint = f'encoding="{guess.encoding}" is a guess' if guess else "it may be no text at all"
        raise ImportFileError(
            f"{path} is neither UTF-8, UTF-16 nor cp1252 (Latin-1); say what it is with "
            f'encoding="…" ({hint}).'
        )
    return found.encoding.replace("_", "-")


def _is_utf8(data: bytes) -> bool:
    """Tell whether it is UTF-8: of UTF-16 without mark, about every second byte is zero."""
    if data.count(0) * _ZEROS_OF_UTF_16 > len(data):
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_zero_bytes(path: Path, data: bytes) -> None:
    before, zero, _ = data.partition(b"\0")
    if zero:
        line = before.count(b"\n") + 1
        raise ImportFileError(
            f"{path} holds a zero byte in line {line}, as no table does: it is damaged, or of "
            "another kind. Write it anew."
        )


def _delimiter_of(path: Path, text: str) -> str:
    """Return what separates the fields: what splits the header, and most rows as it does."""
    scores = {delimiter: _score(text, delimiter) for delimiter in _DELIMITERS}
    best = max(scores.values())
    if not best[1]:
        return ","
    found = [delimiter for delimiter, score in scores.items() if score == best]
    if len(found) > 1:
        choices = " or ".join(f'delimiter="{_DELIMITERS[delimiter]}"' for delimiter in found)
        raise ImportFileError(f"{path} can be read in several ways; say which: {choices}.")
    return found[0]


def _score(text: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows that have as many fields as the header, and how many."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = list(itertools.islice(filter(any, reader), _LOOKED_AT))
    except csv.Error:
        return 0, 0
    width = len(rows[0]) if rows else 1
    if width == 1:
        return 0, 0
    return sum(len(row) == width for row in rows) / len(rows), width
