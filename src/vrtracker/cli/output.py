"""Write what a command found: tables for people, one JSON document for programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import typer

from vrtracker.cli.exits import Exit, say_error
from vrtracker.cli.shell import is_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

_KEYS = ("key", "mouseName", "subject_key", "attempt_id", "path", "rel_path", "revision")
"""Columns that are copied from the screen, and hence never cut or folded."""
_UNLIMITED = 1_000_000
_STDOUT, _STDERR = 1, 2


class Output(io.TextIOWrapper):
    """Standard output, which ends the command where it takes no more.

    That its reader (``head``) has gone away is no error.
    """

    @classmethod
    def in_place_of(cls, stream: Any) -> Self:
        """Return one for a stream, which is of no use after that."""
        how = {"encoding": stream.encoding, "line_buffering": stream.line_buffering}
        return cls(stream.detach(), errors="replace", **how)

    def write(self, text: str, /) -> int:
        """Write text."""
        try:
            return super().write(text)
        except OSError as error:
            raise self._ended(error) from error

    def flush(self) -> None:
        """Write out what is held back."""
        try:
            super().flush()
        except OSError as error:
            raise self._ended(error) from error

    def _ended(self, error: OSError) -> typer.Exit:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        if isinstance(error, BrokenPipeError):
            return typer.Exit(Exit.OK)
        say_error(f"Standard output cannot be written ({error.strerror}); what was done is done.")
        return typer.Exit(Exit.UNAVAILABLE)


def write_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    # Where standard output is not UTF-8, escapes carry what it could not.
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(
        document, indent=2, ensure_ascii=ascii_only, allow_nan=False, default=os.fspath
    )
    typer.echo(text)


@contextlib.contextmanager
def kept_for_json(*, json: bool) -> Iterator[None]:
    """With --json, lead what the lab's code and its programs print in the block to standard error.

    So standard output holds the one document alone.
    """
    if not json:
        yield
        return
    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr), _descriptor_led_to_stderr():
        yield


@contextlib.contextmanager
def _descriptor_led_to_stderr() -> Iterator[None]:
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


def say(text: str = "") -> None:
    """Write a line for people to standard output."""
    typer.echo(text)


def answer(document: Any, *lines: str, json: bool) -> None:
    """Write what was done: a document for programs, lines for people."""
    if json:
        write_json(document)
    else:
        say("\n".join(lines))


def note(text: str) -> None:
    """Write a remark to standard error, so that standard output holds the rows alone."""
    typer.echo(text, err=True)


def write_listing(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    *,
    json: bool,
    to: Path | None,
    nothing: str,
    shown: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write the rows of a listing: into a file, as one JSON document, or as a table for people.

    Parameters
    ----------
    columns
        Those of the table, and of a file without rows; all of the first row when not given.
    nothing
        The remark for people where there are no rows.
    shown
        The rows as people read them.
    """
    if to is not None:
        from vrtracker.files.tables.writing import write_listing as write

        write(to, rows, columns or ())
        done = {"rows": len(rows), "file": str(to)}
        write_json(done) if json else say("{rows} rows written to {file}".format(**done))
    elif json:
        write_json(rows)
    else:
        write_table(rows if shown is None else shown, columns)
        if not rows:
            note(nothing)


def write_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows as a table: folded to a terminal's width, one line a row anywhere else.

    `columns`: names of the columns, those of the first row when not given; no rows, no table.
    """
    if not rows:
        return
    if is_terminal("stdout"):
        _write_folded(table_of(rows, columns))
        return
    names, cells, numeric = _laid_out(rows, columns)
    _write_lines([names, *cells], [name in numeric for name in names])


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Table:
    """Return rows as a table for a terminal, which folds all but its keys; see `write_table`."""
    from rich.table import Table

    names, cells, numeric = _laid_out(rows, columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        justify: Literal["left", "right"] = "right" if name in numeric else "left"
        table.add_column(name, justify=justify, no_wrap=name in _KEYS, overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _laid_out(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None
) -> tuple[list[str], list[list[str]], set[str]]:
    """Return the names of the columns, what stands in them, and which hold numbers."""
    names = list(columns if columns is not None else rows[0])
    numeric = {name for name in names if all(_is_number(row[name]) for row in rows)}
    return names, [[_shown(row[name]) for name in names] for row in rows], numeric


def write_pairs(pairs: Mapping[str, Any]) -> None:
    """Write one record, a line for each column that has a value."""
    lines = [[name, _shown(value)] for name, value in pairs.items() if value is not None]
    _write_lines(lines, [False, False])


def _write_lines(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Write one line a row, however long, the columns aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        )
        text.append("  ".join(cells).rstrip())
    typer.echo("\n".join(text))


def _write_folded(table: Table) -> None:
    """Write a table that is folded to the width of the terminal, all but its keys."""
    from rich.console import Console

    console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
    # A terminal that is narrower than the keys wraps the line itself; none of it is lost.
    least = table.__rich_measure__(console, console.options.update(width=_UNLIMITED)).minimum
    console.width = max(console.width, least)
    console.print(table, crop=False, soft_wrap=False)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_shown_change(change)}" for name, change in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return " ".join(str(value).split())


def _shown_change(change: Any) -> str:
    if isinstance(change, list | tuple) and len(change) == 2:  # noqa: PLR2004
        old, new = change
        return _shown(new) if old is None else f"{_shown(old)} → {_shown(new) or 'nothing'}"
    return _shown(change)
