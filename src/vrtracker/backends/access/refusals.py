"""Refusals of what Access cannot do: the fact, and what to write in its place."""

from __future__ import annotations

from typing import NoReturn

from sqlalchemy import exc

_REMEDIES = {
    "CASE without a result type": "give the results a type: literal(value, type)",
    "COUNT(DISTINCT ...)": "count the rows of a derived table: select(count()).select_from("
    "select(column).distinct().subquery())",
    "a common table expression (WITH)": "use a derived table: statement.subquery()",
    "a window function (OVER)": "sort by a key and count in Python",
    "an aggregate with FILTER": "sum over a case() expression",
    "OFFSET": "page by key: where(key > last_seen).order_by(key).limit(n)",
    "a LIMIT that is an expression": "pass an int to limit()",
    "LIMIT on a DISTINCT query": "limit around it: select(statement.subquery()).limit(n)",
    "LIMIT on a UNION": "limit around it: select(statement.subquery()).limit(n)",
    "PERCENT or WITH TIES": "use limit(n)",
    "DISTINCT ON": "use group_by() with an aggregate",
    "FOR UPDATE": "compare and set: update(...).where(state == seen) and check the row count",
    "a full outer join": "unite a left join with the unmatched rows of the other side: union_all",
    "EXCEPT": "use where(~exists(...))",
    "INTERSECT": "use where(exists(...))",
    "RETURNING": "select by key after the statement; an autonumber is in inserted_primary_key",
    "several rows in VALUES": "pass the rows as a list of parameters (executemany)",
    "VALUES as a table": "insert the rows into a table first",
    "UPDATE with a subquery as a value": "select the values first, then update by key",
    "UPDATE from several tables": "select the keys first, then update where key IN (...)",
    "DELETE from several tables": "delete where key IN (select ...)",
    "LIKE with ESCAPE": "filter by equality or IN, or strip the wildcards from the pattern",
    "regular expressions": "use LIKE, or filter in Python",
    "IN on several columns": "combine with and_() and or_()",
    "NULLS FIRST or LAST": "sort by case((column.is_(None), 1), else_=0) first",
    "IS DISTINCT FROM": "write or_(a != b, and_(a.is_(None), b.is_not(None)), ...)",
    "LATERAL": "use a derived table",
    "a CHECK constraint": "check in Python, or limit it to other databases: "
    'CheckConstraint(...).ddl_if(callable_=lambda *a, dialect, **k: dialect.name != "access")',
    "a server default": "give the column a Python default",
    "a computed column": "compute it in the query",
    "ON DELETE, ON UPDATE or DEFERRABLE": "delete or change the dependent rows first",
    "IF EXISTS": "ask inspect(connection).has_table(name) first",
    "a temporary table": "make an ordinary one and drop it",
    "an index on an expression": "index plain columns",
    "a partial or covering index": "index all rows, on the plain columns",
    "a schema name": "leave schema unset",
    "a column for times of day": "store text (HH:MM:SS) or a full date and time",
    "a JSON column": "store text, through a TypeDecorator",
    "a DECIMAL of more than 28 digits": "use Numeric(28, scale) or Double",
    "more than 255 columns": "split the table",
    "more than 32 indexes": "drop some (a foreign key counts as one)",
}


def refuse(what: str) -> NoReturn:
    """Raise the error for a feature of the list above.

    Raises CompileError always.
    """
    raise exc.CompileError(f"Access cannot do {what}; {_REMEDIES[what]}.")
