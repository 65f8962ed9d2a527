"""The tables of a database as a page of HTML, with a diagram; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape

from vrtracker.database.description import ColumnFacts, TableFacts
from vrtracker.database.versions import HEAD

_WIDE, _GAP_X, _GAP_Y, _LINE, _HEAD = 190, 90, 24, 15, 24
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; max-width: 75em }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #bbb; padding: .2em .5em;
text-align: left; vertical-align: top }} svg {{ max-width: 100%; height: auto }}
svg text {{ font: 12px sans-serif }} svg .name {{ font-weight: bold }}
svg rect {{ fill: #f6f8fb; stroke: #456 }} svg path {{ fill: none; stroke: #89a }}
</style>
</head>
<body>
<h1>{title}</h1>
{diagram}
{tables}
</body>
</html>
"""
_TABLE = """<h2 id="{name}">{name}</h2>
<p>{comment}</p>
<table>
<tr><th>column</th><th>type</th><th>may be missing</th><th>holds</th></tr>
{rows}
</table>"""


def as_html(tables: list[TableFacts]) -> str:
    """Return the page: a diagram of what refers to what, then each table."""
    title = f"Tables of vrtracker, revision {HEAD}"
    listed = "\n".join(map(_table, tables))
    return _PAGE.format(title=title, diagram=_diagram(tables), tables=listed)


def _table(table: TableFacts) -> str:
    rows = "\n".join(map(_row, table.columns))
    return _TABLE.format(name=escape(table.name), comment=escape(table.comment), rows=rows)


def _row(column: ColumnFacts) -> str:
    holds = [escape(column.comment or "a column of the lab's own")]
    holds += ["the table's key"] if column.key else []
    if column.refers_to:
        parent = escape(column.refers_to.partition(".")[0])
        holds.append(f'names <a href="#{parent}">{escape(column.refers_to)}</a>')
    cells = (escape(column.name), escape(column.type), "yes" if column.optional else "")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, "; ".join(holds))) + "</tr>"


def _diagram(tables: list[TableFacts]) -> str:
    """Draw each table as a box, one column to the right of what it refers to."""
    depths = _depths(tables)
    places: dict[str, tuple[int, int]] = {}
    bottoms: dict[int, int] = {}
    shapes = []
    for table in tables:
        depth = depths[table.name]
        x, y = depth * (_WIDE + _GAP_X) + 1, bottoms.get(depth, 1)
        places[table.name] = x, y
        lines = _shown(table)
        high = _HEAD + _LINE * len(lines) + 4
        bottoms[depth] = y + high + _GAP_Y
        shapes.append(f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{high}" rx="4"/>')
        shapes.append(
            f'<a href="#{escape(table.name)}"><text class="name" x="{x + 8}" y="{y + 16}">'
            f"{escape(table.name)}</text></a>"
        )
        for number, column in enumerate(lines):
            at = y + _HEAD + _LINE * number + 10
            shapes.append(f'<text x="{x + 8}" y="{at}">{escape(column.name)}</text>')
            if column.refers_to:
                far, top = places[column.refers_to.partition(".")[0]]
                start, middle = far + _WIDE, x - _GAP_X // 2
                shapes.append(f'<path d="M{start} {top + 12} H{middle} V{at - 4} H{x}"/>')
    wide = (max(bottoms, default=0) + 1) * (_WIDE + _GAP_X)
    high = max(bottoms.values(), default=0)
    label = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="What refers to what" '
    return f'{label}viewBox="0 0 {wide} {high}" width="{wide}">{"".join(shapes)}</svg>'


def _shown(table: TableFacts) -> list[ColumnFacts]:
    """Return the columns that a diagram shows: keys, and what refers to others."""
    return [column for column in table.columns if column.key or column.refers_to]


def _depths(tables: list[TableFacts]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for table in tables:
        parents = (c.refers_to.partition(".")[0] for c in table.columns if c.refers_to)
        depths[table.name] = max((depths[parent] + 1 for parent in parents), default=0)
    return depths
