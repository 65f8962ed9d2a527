"""The lab's two tables by HTTP: list, look up, add, edit."""

from __future__ import annotations

import hashlib
import http
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request, Response

from vrtracker.as_json import plain_value, records
from vrtracker.errors import ConcurrentUpdateError
from vrtracker.operations import new_id, operation
from vrtracker.services.entries.rows import RowService
from vrtracker.tracker import Tracker
from vrtracker.web.answers import Form, answer, arrow, page, version
from vrtracker.web.problems import Refusal

_MOST = 10_000

Where = Annotated[
    list[str] | None,
    Query(description="Conditions, such as `imaging and sessionID >= 701`; all have to hold."),
]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="Rows at most.")]
After = Annotated[str | None, Query(description="The `next` of the page before.")]
Shape = Annotated[Form, Query(alias="format", description="How rows are written.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=8,
        max_length=200,
        description="Anything that is new for each intended change; a repeated call changes "
        "nothing a second time.",
    ),
]
IfMatch = Annotated[
    str | None, Header(description="The ETag of the row as it was seen; refused if it changed.")
]
_Values = Annotated[
    dict[str, Any],
    Body(description="Values by column, perhaps with `key` and `reason`."),
]


def token_of(tracker: Tracker, request: Request, given: str | None, body: Any) -> tuple[str, bool]:
    """Return the id of the operation that a request is, and whether it was done before.

    The first half of it is the idempotency key's, the second the body's.

    Raises Refusal if the key was used for something else.
    """
    if given is None:
        return new_id(), False
    asked = json.dumps(body, sort_keys=True)
    key, content = (
        hashlib.sha256(text.encode()).hexdigest()[:16]
        for text in (f"{request.url.path}\n{given}", asked)
    )
    done = tracker.operation_like(key)
    if done not in {None, key + content}:
        raise Refusal(
            http.HTTPStatus.CONFLICT,
            "key_used",
            "This Idempotency-Key was used for another request; nothing was written.",
            "Give each intended change a key of its own.",
        )
    return key + content, done is not None


def narrowed(
    service: RowService[Any, Any], query: Any, where: Iterable[str], after: str | None
) -> Any:
    """Return a query under further conditions, of the rows behind the one of a key."""
    for condition in where:
        query = query.where(condition)
    if after is None:
        return query
    number = service.rules.look_ups.id_column.name
    return query.where(**{number: (getattr(service.get(after), number), ">")})


def routes_of(tracker: Tracker, service: RowService[Any, Any], plural: str) -> APIRouter:
    """Return the calls of one table."""
    router, rows = APIRouter(prefix=f"/{plural}", tags=[plural]), Rows(tracker, service, plural)

    @router.get("", summary=f"List {plural}")
    def listed(
        *,
        where: Where = None,
        limit: Limit = 100,
        after: After = None,
        columns: Annotated[str | None, Query(description="Names, with commas between.")] = None,
        scratched: Annotated[bool, Query(description="Scratched sessions too.")] = False,
        form: Shape = Form.JSON,
    ) -> Response:
        query = service.query(include_scratched=scratched)
        return rows.page(narrowed(service, query, where or (), after), limit, columns, form)

    @router.get("/{key}", summary=f"One of the {plural}")
    def shown(key: str) -> Response:
        return rows.one(key)

    @router.post("", status_code=http.HTTPStatus.CREATED, summary=f"Add to the {plural}")
    def added(
        request: Request, values: _Values, idempotency_key: IdempotencyKey = None
    ) -> Response:
        token, is_done = token_of(tracker, request, idempotency_key, values)
        return rows.add(values, token, str(request.url.path), is_done=is_done)

    @router.patch("/{key}", summary=f"Edit one of the {plural}")
    def edited(key: str, values: _Values, if_match: IfMatch = None) -> Response:
        return rows.edit(key, values, if_match)

    return router


class Rows:
    """What the calls of a table do."""

    def __init__(self, tracker: Tracker, service: RowService[Any, Any], plural: str) -> None:
        self._tracker, self._service, self._plural = tracker, service, plural

    def page(self, query: Any, limit: int, columns: str | None, form: Form) -> Response:
        """Answer so many rows of a query, in order of their numbers."""
        asked = None if columns is None else [name.strip() for name in columns.split(",")]
        chosen = self._service.columns if asked is None else asked
        key_columns = self._service.key_columns
        # One more than is wanted tells whether that is all.
        query = query.select(*chosen, *(each for each in key_columns if each not in chosen))
        query = query.limit(limit + 1)
        if form is Form.ARROW:
            return self._arrow(query, limit, len(chosen))
        found = query.records()
        following = self._key(found[limit - 1]) if len(found) > limit else None
        shown = [dict(itertools.islice(row.items(), len(chosen))) for row in found[:limit]]
        named = [
            {"key": self._key(whole), **row}
            for whole, row in zip(found, records(shown), strict=False)
        ]
        if asked is None:
            return page(named, following, form, ["key", *chosen])
        return page(records(shown), following, form, chosen)

    def _arrow(self, query: Any, limit: int, width: int) -> Response:
        table, key_columns = query.arrow(), self._service.key_columns
        last = table.select(key_columns).slice(limit - 1, 1).to_pylist()
        following = self._key(last[0]) if table.num_rows > limit else None
        return arrow(table.slice(0, limit).select(range(width)), following)

    def one(
        self, key: str, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Answer a row with its version, and of a session the states of its stages."""
        row = self.row(key)
        states = self._tracker.workflow.states
        around = {"states": states(row["key"])} if self._plural == "sessions" else {}
        return answer(
            {**row, **around}, status=status, headers={"ETag": version(row), **(headers or {})}
        )

    def add(self, values: Mapping[str, Any], token: str, path: str, *, is_done: bool) -> Response:
        """Add a row, once however often the call is repeated."""
        given = dict(values)
        if is_done:
            there = given["key"] if "key" in given else self._key(given)
            return self.one(there, headers={"Idempotency-Replayed": "true"})
        key = given.pop("key", None)
        with operation(token):
            row = self._service.add(key, **given)
        added = self._key({name: getattr(row, name) for name in self._service.key_columns})
        where = {"Location": f"{path}/{added}"}
        return self.one(added, status=http.HTTPStatus.CREATED, headers=where)

    def edit(self, key: str, values: Mapping[str, Any], seen: str | None) -> Response:
        """Edit a row as it was seen."""
        given = dict(values)
        reason = given.pop("reason", None)
        whole = self._service.rules.key(key)
        plan = self._service.update(given, whole, dry_run=True)
        before = self.row(key)
        if seen is not None and seen.strip() not in {"*", version(before)}:
            raise _changed(before)
        if plan.rows:
            try:
                self._service.update(given, whole, seen=plan, reason=reason)
            except ConcurrentUpdateError as error:
                raise _changed(self.row(key)) from error
        new = {**before, **{name: given[name] for name in self._service.key_columns & given.keys()}}
        return self.one(self._key(new))

    def row(self, key: Any) -> dict[str, Any]:
        """Return a row, from which `version` makes its version."""
        found = self._service.records(self._service.rules.key(key))
        if not found:
            self._service.get(key)
        row = records(found)[0]
        return {"key": self._key(found[0]), **row}

    def _key(self, row: Mapping[str, Any]) -> str:
        columns = {name: row[name] for name in self._service.key_columns}
        whole = columns if len(columns) > 1 else next(iter(columns.values()))
        return str(self._service.rules.key(whole))


def _changed(now: Mapping[str, Any]) -> Refusal:
    return Refusal(
        http.HTTPStatus.PRECONDITION_FAILED,
        "changed",
        f"{now['key']} was changed by somebody else since it was read; nothing was written.",
        "Look at `current`, and send the edit again with the ETag that it came with.",
        more={"current": plain_value(now)},
        headers={"ETag": version(now)},
    )
