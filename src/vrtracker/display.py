"""How results read: a sentence, a table, and what there is to say beside it.

``print`` asks for `__str__`, a notebook for `_repr_html_`; both are made of the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 10
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to say of a result.

    `title`: the whole of it in a sentence.
    `rows`: the first ones of a long table are enough.
    `columns`: their headings; none where each row is a name and its value.
    `count`: how many rows there are, if more than are given.
    `notes`: sentences below the table.
    `most`: how many rows and notes are shown.
    """

    title: str
    rows: Sequence[Sequence[Any]] = ()
    columns: Sequence[str] = ()
    count: int | None = None
    notes: Sequence[str] = ()
    most: int = SHOWN

    def text(self) -> str:
        """Return the facts as lines, the table indented."""
        cells = self._cells()
        table = [list(self.columns), *cells] if self.columns and cells else cells
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [_line(row, widths) for row in table]
        return "\n".join([_said(self.title), *lines, *self._more(), *self._notes()])

    def html(self) -> str:
        """Return the facts as HTML; whatever the database holds is text in it."""
        cells = self._cells()
        head = f"<thead>{_row(self.columns, 'th')}</thead>" if self.columns and cells else ""
        body = "".join(_row(row, "td") for row in cells)
        table = f"<table>{head}<tbody>{body}</tbody></table>" if cells else ""
        more = "".join(f"<p>{_escaped(line)}</p>" for line in self._more())
        notes = "".join(f"<li>{_escaped(line)}</li>" for line in self._notes())
        notes = f"<ul>{notes}</ul>" if notes else ""
        return f"<div><p>{_escaped(_said(self.title))}</p>{table}{more}{notes}</div>"

    def _cells(self) -> list[list[str]]:
        return [[_said(value) for value in row] for row in self.rows[: self.most]]

    def _more(self) -> list[str]:
        left = max(self.count or 0, len(self.rows)) - len(self.rows[: self.most])
        return [f"… and {left} more"] if left else []

    def _notes(self) -> list[str]:
        shown = [_said(note, longest=None) for note in self.notes[: self.most]]
        left = len(self.notes) - len(shown)
        return [*shown, f"… and {left} more of these"] if left else shown


class Shown:
    """Reads as its facts, printed and in a notebook."""

    __slots__ = ()

    def facts(self) -> Facts:
        """Return what there is to say."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.facts().text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.facts().html()


def counted(count: int, name: str) -> str:
    """Return a number with its name: ``1 session``, ``2 sessions``."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def first_of(texts: Sequence[str]) -> str:
    """Return the first of some texts, and how many more there are."""
    return f"{texts[0]} (and {len(texts) - 1} more)" if len(texts) > 1 else texts[0]


def table_of(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return the columns in which one of the rows says something, and the rows in them."""
    held = list(rows)
    told = [
        name
        for row in held
        for name, value in row.items()
        if value is not None and value is not False
    ]
    columns = list(dict.fromkeys(told))
    return columns, [[row.get(name) for name in columns] for row in held]


def _said(value: Any, *, longest: int | None = LONGEST) -> str:
    """Return a value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(str(value).split())
    return text if longest is None or len(text) <= longest else f"{text[:longest]}…"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {'  '.join(padded)}".rstrip()


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{_escaped(cell)}</{tag}>' for cell in cells)}</tr>"


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
