"""What the cells of a file mean, by the kind of the column that they are meant for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vrtracker.files.tables.columns import Column, Disguised, Doubt, Kind, Target, Unread
from vrtracker.files.tables.days import read_days, read_years_first
from vrtracker.files.tables.numbers import read_numbers
from vrtracker.files.tables.table import YEAR_FIRST, Table, TableOptions

_NOTHING = {"-", "--", "nan", "na", "n/a", "#n/a", "<na>", "nat", "null", "none"}
_YES = ("yes", "y", "true", "t", "1", "1.0", "-1", "ja", "j", "wahr", "oui", "vrai", "si", "sí")
_NO = ("no", "n", "false", "f", "0", "0.0", "nein", "falsch", "non", "faux")
_FLAGS = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
_MARKS = {"x", "✓", "✔"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a whole table means: the cells by column, what was found out, what is in doubt."""

    columns: Mapping[str, list[Any]]
    notes: tuple[str, ...]
    doubts: tuple[Doubt, ...]


def understand(
    table: Table,
    rows: Sequence[tuple[int, Sequence[Any]]],
    targets: Sequence[Target | None],
    options: TableOptions,
) -> Meaning:
    """Read the cells of a table by the columns they are meant for.

    `rows`: those rows of the table that are as long as its header. `targets`: the column of each
    header; None: it is left out.
    """
    lines = [line for line, _ in rows]
    columns = [
        Column(target, lines, [_present(cells[place], target, options) for _, cells in rows])
        for place, target in enumerate(targets)
        if target is not None
    ]
    of_kind = {kind: [one for one in columns if one.target.kind is kind] for kind in Kind}
    for column in of_kind[Kind.TEXT]:
        _read_texts(column)
    for column in of_kind[Kind.FLAG]:
        _read_flags(column)
    notes = read_numbers([*of_kind[Kind.INTEGER], *of_kind[Kind.NUMBER]], options, table.delimiter)
    for column in [*of_kind[Kind.DATE], *of_kind[Kind.TIME]]:
        if options.date_format != YEAR_FIRST:
            read_days(column, options.date_format, table.first_day)
        elif column.target.kind is Kind.DATE:
            read_years_first(column)
    return Meaning(
        {column.target.name: column.cells for column in columns},
        (*notes, *(note for column in columns for note in column.notes)),
        tuple(doubt for column in columns for doubt in column.doubts),
    )


def _present(cell: Any, target: Target, options: TableOptions) -> Any:
    """Return a cell, or None where it stands for a missing value.

    Words such as NA may be meant in a text, and count there only when they are asked for; in a
    column that always has a value they are no value, and are left for the column to refuse.
    """
    if isinstance(cell, Disguised):
        return _text_of(cell) if target.kind is Kind.TEXT else cell.number
    if not isinstance(cell, str):
        return None if isinstance(cell, float) and cell != cell else cell  # noqa: PLR0124
    word = _word(cell)
    if not cell or (not word and target.kind is not Kind.TEXT):
        return None
    is_word = word in {_word(missing) for missing in options.missing} or (
        target.kind is not Kind.TEXT and word in _NOTHING
    )
    return None if is_word and target.can_be_missing else cell


def _text_of(cell: Disguised) -> Unread:
    number = str(cell.number).removesuffix(".0")
    return Unread(
        f"the cell shows another text than the number {number} that it holds; format the column "
        "as text and type it again."
    )


def _read_texts(column: Column) -> None:
    words = [
        (line, cell)
        for line, cell in zip(column.lines, column.cells, strict=True)
        if isinstance(cell, str) and _word(cell) in _NOTHING
    ]
    if words:
        (line, word), *others = words
        more = f" here and in {len(others)} more" if others else ""
        hint = f'; if it stands for a missing value: missing=["{word.strip()}"]'
        message = f"{word!r} is kept as text{more}{hint if column.target.can_be_missing else ''}."
        column.doubts.append(Doubt(line, column.target.name, message))
    column.cells = [_text(cell) for cell in column.cells]


def _text(cell: Any) -> Any:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return str(cell).removesuffix(".0")
    if isinstance(cell, dt.date | dt.time | dt.timedelta):
        return Unread(
            f"the cell is a date or time ({cell}), the column holds text. A spreadsheet may have "
            "made it of what was typed: format the column as text, and type it again."
        )
    return cell


def _read_flags(column: Column) -> None:
    marks = {word for text in column.texts() if (word := _word(text)) in _MARKS}
    column.cells = [_flag(cell) for cell in column.cells]
    if marks and None in column.cells and False not in column.cells:
        # Who ticks with a cross leaves the rest blank: a no, and not the column's default.
        column.cells = [False if cell is None else cell for cell in column.cells]
        column.notes.append(f"{column.target.name}: {min(marks)} is yes, blank is no")


def _flag(cell: Any) -> Any:
    """Return yes or no, in the languages of spreadsheets; what is neither stays as it is."""
    if not isinstance(cell, str):
        return cell
    word = _word(cell)
    return True if word in _MARKS else _FLAGS.get(word, cell)


def _word(cell: str) -> str:
    return cell.strip().casefold()
