"""Rows as answers: JSON pages, CSV or Arrow; versions of rows."""

from __future__ import annotations

import csv
import enum
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import Response

from vrtracker.as_json import KEY_COLUMNS
from vrtracker.domain.keys import SessionKey

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Form(enum.StrEnum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


def answer(
    document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON document as an answer."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return Response(text.encode(), status, dict(headers or {}), "application/json")


def page(
    rows: Sequence[Mapping[str, Any]], following: str | None, form: Form, names: Sequence[str] = ()
) -> Response:
    """Return rows, and the key behind which the next ones begin, or None behind the last.

    In CSV the key stands in the header ``X-Next``, and `names` at the top if there are no rows.
    """
    if form is Form.JSON:
        return answer({"items": rows, "next": following})
    return Response(_csv(rows, names), 200, _next(following), "text/csv; charset=utf-8")


def version(row: Mapping[str, Any]) -> str:
    """Return the ETag of a row, which is another one once anything in it has changed."""
    return f'"{digest(row)[:32]}"'


def digest(document: Any) -> str:
    """Return what tells whether a document is as it was."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def arrow(table: pa.Table, following: str | None) -> Response:
    """Return a table as a stream of Arrow, typed as frames are."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    kind = "application/vnd.apache.arrow.stream"
    return Response(bytes(sink.getvalue()), 200, _next(following), kind)


def typed(frame: pd.DataFrame, limit: int) -> Response:
    """Return the first rows of a frame of sessions as a stream of Arrow."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    behind = table.select(KEY_COLUMNS).slice(limit - 1, 2).to_pylist()
    following = str(SessionKey.parse(behind[0])) if len(behind) > 1 else None
    return arrow(table.slice(0, limit), following)


def _next(following: str | None) -> dict[str, str]:
    return {} if following is None else {"X-Next": following}
