"""Find the columns that the headers of a file name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from vrtracker.errors import UnknownNameError
from vrtracker.files.tables.table import Table

_LOOKED_AT = 10
_BETWEEN_NAMES = re.compile(r"[,;\t|]")


def match_headers(
    header: Sequence[str], known: Collection[str], wanted: Mapping[str, str] | None
) -> tuple[list[str | None], list[tuple[str, str]]]:
    """Return the column that each header names, and what is wrong with headers.

    `known`: names of the columns. Case, blanks and underscores make no difference, unless they are
    what tells two columns apart. `wanted`: columns by header, before what the header says by
    itself; empty: it is left out. None where the caller cannot say so. A column is None where a
    header names nothing, is left out, or is not the only one of its column. What is wrong is told
    of the header or column. Raises UnknownNameError if `wanted` names one that does not exist.
    """
    mapped = {_header_of(header, name): column for name, column in (wanted or {}).items()}
    for column in filter(None, mapped.values()):
        if column not in known:
            raise UnknownNameError("column", column, known)
    alike = defaultdict(list)
    for column in known:
        alike[_folded(column)].append(column)
    columns: list[str | None] = []
    problems = {}
    for name in header:
        found = [mapped[name]] if name in mapped else [name] if name in known else None
        found = alike[_folded(name)] if found is None else found
        columns.append(found[0] or None if len(found) == 1 else None)
        if len(found) != 1:
            hint = (
                f'Say which it is: map={{"{name}": "…"}}' if name else 'Leave it out: map={"": ""}'
            )
            problems[name] = _no_column(name, found, known)
            problems[name] += "" if wanted is None else f" {hint}"
    twice = _twice(header, columns)
    columns = [None if column in twice else column for column in columns]
    return columns, [*problems.items(), *twice.items()]


def find_header_below(
    table: Table, keys: Collection[str], wanted: Mapping[str, str] | None
) -> int | None:
    """Return the line that looks like the header, where what stands above it was taken for it.

    `keys`: columns that each header has: the first row names none of them, one of the next all.
    `wanted`: as in `match_headers`.
    """
    of_name = {_folded(key): key for key in keys}
    of_name |= {_folded(name): column for name, column in (wanted or {}).items()}

    def named(cells: Sequence[object]) -> set[str]:
        texts = [cell for cell in cells if isinstance(cell, str)]
        if table.delimiter is not None:
            # A title may have spoken for another delimiter than the rows do.
            texts += [part.strip(' "') for text in texts for part in _BETWEEN_NAMES.split(text)]
        return {of_name[_folded(text)] for text in texts if _folded(text) in of_name} & {*keys}

    if named(table.header):
        return None
    below = table.rows[:_LOOKED_AT]
    return next((line for line, cells in below if named(cells) == {*keys}), None)


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).casefold()


def _header_of(header: Sequence[str], name: str) -> str:
    alike = [name] if name in header else [one for one in header if _folded(one) == _folded(name)]
    if len(set(alike)) != 1:
        raise UnknownNameError("header", name, header)
    return alike[0]


def _no_column(name: str, found: Sequence[str], known: Collection[str]) -> str:
    if found:
        return f"{name!r} can be {' or '.join(found)}."
    if not name:
        return "the column has no name; give it one, or empty it."
    return str(UnknownNameError("column", name, known))


def _twice(header: Sequence[str], columns: Sequence[str | None]) -> dict[str, str]:
    spelled = defaultdict(list)
    for name, column in zip(header, columns, strict=True):
        if column is not None:
            spelled[column].append(name)
    return {
        column: f"the column stands in the header twice ({', '.join(map(repr, names))})."
        for column, names in spelled.items()
        if len(names) > 1
    }
