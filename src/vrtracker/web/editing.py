"""Pages that change rows: edit one, edit many, enter today's, bring a table, take back."""

from __future__ import annotations

import http
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from vrtracker.as_json import plain_value
from vrtracker.errors import InvalidValueError
from vrtracker.operations import current
from vrtracker.services.entries.rows import RowService
from vrtracker.tracker import Tracker
from vrtracker.web.answers import digest, version
from vrtracker.web.problems import Refusal
from vrtracker.web.rendering import Form, Given, Renderer, in_path, then
from vrtracker.web.tables import Rows

_WAS = "was."
_DECIDED = frozenset(
    {"suite2p", "suite2pQC", "suite2pDate", "redCellQC", "redCellQCDate", "logtime"}
    | {"vrRegistration", "vrRegistrationDate", "vrRegistrationError", "vrRegistrationException"}
    | {"sessionQC", "scratchJustification"}
)
"""Columns that work and decisions set; a session's page has buttons for them."""
_MOST_SHOWN = 500


def settable(service: RowService[Any, Any]) -> list[str]:
    """Return the columns of a table that its pages edit."""
    fixed = {*service.key_columns, service.rules.look_ups.id_column.name}
    return [name for name in service.columns if name not in fixed | _DECIDED]


def routes(tracker: Tracker, renderer: Renderer) -> APIRouter:
    """Return the pages that change rows."""
    router = APIRouter(include_in_schema=False)
    _entering(router, tracker, renderer)
    for plural, service in (("sessions", tracker.sessions), ("mice", tracker.mice)):
        _table(router, _Editing(tracker, service, plural, renderer))
    _undoing(router, tracker, renderer)
    return router


def _table(router: APIRouter, editing: _Editing) -> None:
    plural = editing.plural

    @router.post(f"/{plural}/bulk")
    def bulk(form: Form) -> Response:
        return editing.bulk(form)

    @router.post(f"/{plural}/import")
    def imported(form: Form) -> Response:
        return editing.imported(form)

    @router.get(f"/{plural}/import")
    def to_import() -> Response:
        return editing.to_import()

    @router.get(f"/{plural}/{{key}}/edit")
    def form_of(key: str) -> Response:
        return editing.form_of(key)

    @router.post(f"/{plural}/{{key}}/edit")
    def edit(key: str, form: Form) -> Response:
        return editing.edit(key, form)


class _Editing:
    """Edits of one of the lab's tables, each shown before it is made."""

    def __init__(
        self, tracker: Tracker, service: RowService[Any, Any], plural: str, renderer: Renderer
    ) -> None:
        self._service = service
        self._rows = Rows(tracker, service, plural)
        self._renderer = renderer
        self.plural = plural

    def form_of(self, key: str) -> Response:
        """Return the form that a row is edited in."""
        row = self._rows.row(key)
        values = {name: _text(row[name]) for name in settable(self._service)}
        facts = {
            "plural": self.plural,
            "key": row["key"],
            "values": values,
            "version": version(row),
            "ticks": {name for name in values if isinstance(row[name], bool)},
        }
        return self._renderer.show("edit.html", facts)

    def edit(self, key: str, form: Given) -> Response:
        """Write what was changed in the form; show both versions if somebody else was quicker."""
        was = {
            name.removeprefix(_WAS): _lines(value)
            for name, value in form.items()
            if name.startswith(_WAS)
        }
        given = {name: _lines(form[name]) for name in was if name in form}
        wanted = {name: value for name, value in given.items() if value != was[name]}
        if wanted:
            values = {name: value or None for name, value in wanted.items()}
            try:
                self._rows.edit(
                    key, values | {"reason": form.text("reason")}, form.get("version", "")
                )
            except Refusal as refusal:
                return self._conflict(key, refusal, was, wanted, form.get("reason", ""))
        return then(f"/{self.plural}/{in_path(key)}")

    def _conflict(
        self,
        key: str,
        refusal: Refusal,
        was: Mapping[str, str],
        wanted: Mapping[str, str],
        reason: str,
    ) -> Response:
        now = refusal.more["current"]
        rows = [
            {"name": name, "was": was[name], "now": _text(now.get(name)), "yours": wanted.get(name)}
            for name in was
            if name in wanted or was[name] != _text(now.get(name))
        ]
        facts = {"plural": self.plural, "key": key, "rows": rows, "reason": reason}
        facts["version"] = refusal.headers["ETag"]
        return self._renderer.show("conflict.html", facts, http.HTTPStatus.CONFLICT)

    def bulk(self, form: Given) -> Response:
        """Show what an edit of many rows would change; write it once that has been seen."""
        column, text = form.get("column", ""), form.get("value", "")
        if column in _DECIDED:
            raise InvalidValueError(f"{column} is set by work and decisions, a session at a time.")
        keys, where = form.all("key"), form.text("where")
        is_scratched_too = "scratched" in form
        name = "key" if self.plural == "sessions" else "mouseName"
        wanted: Any = {name: keys} if keys else where
        if wanted is None and self.plural == "sessions" and not is_scratched_too:
            # All that the table shows: what is changed has been seen.
            wanted = {"sessionQC": True}
        query = self._service.query(wanted, include_scratched=is_scratched_too)
        values, is_all = {column: text or None}, wanted is None
        plan = self._service.update(values, query, dry_run=True, all_rows=is_all)
        seen = digest([sorted(plan.changes), plain_value(plan.changes)])
        if form.get("seen") == seen and plan.rows:
            reason = form.text("reason")
            self._service.update(values, query, seen=plan, reason=reason, all_rows=is_all)
            return then(f"/undo?operation={current()}&done=1")
        cells = plan.facts().rows
        facts = {
            "plural": self.plural,
            "column": column,
            "value": text,
            "keys": keys,
            "where": where or "",
            "scratched": is_scratched_too,
            "reason": form.get("reason", ""),
            "plan": plan,
            "cells": cells[:_MOST_SHOWN],
            "seen": seen,
            "differs": "seen" in form,
        }
        return self._renderer.show("bulk.html", facts)

    def to_import(self) -> Response:
        """Return the form that takes a table."""
        return self._renderer.show("import.html", {"plural": self.plural, "text": "", "plan": None})

    def imported(self, form: Given) -> Response:
        """Show what a table holds; add its rows once that has been seen, all or none."""
        text = form.get("text", "")
        with tempfile.TemporaryDirectory(prefix="vrtracker-") as folder:
            path = Path(folder) / f"{self.plural}.csv"
            path.write_text(text, encoding="utf-8")
            plan = self._service.read_table(path)
        problems = [str(each).replace(f"{path}", "the table") for each in plan.problems]
        if form.get("seen") == digest(text) and not problems:
            plan.apply()
            return then(f"/undo?operation={current()}&done=1")
        facts = {
            "plural": self.plural,
            "text": text,
            "plan": plan,
            "problems": problems,
            "seen": digest(text),
        }
        return self._renderer.show("import.html", facts)


def _entering(router: APIRouter, tracker: Tracker, renderer: Renderer) -> None:
    def form(given: Mapping[str, str], warnings: Any = ()) -> Response:
        mice = [row["mouseName"] for row in tracker.mice.query().select("mouseName").records()]
        facts = {"given": given, "mice": mice, "warnings": list(warnings)}
        return renderer.show("enter.html", facts)

    @router.get("/sessions/new")
    def blank(mouse: str = "") -> Response:
        return form({"mouse": mouse, "date": "today", "number": "701", "like": "yes"})

    @router.post("/sessions/new")
    def enter(given: Form) -> Response:
        key = (given.get("mouse", "").strip(), given.get("date", ""), given.get("number", ""))
        values: dict[str, Any] = {"sessionNotes": given.text("notes")}
        values |= {name: True for name in ("imaging", "behavior") if name in given}
        chosen = {name: value for name, value in values.items() if value is not None}
        # A mouse's first session has none to be like.
        has_last = "like" in given and tracker.query(mouseName=key[0]).exists()
        plan = tracker.enter(key, chosen, like="LAST" if has_last else None)
        if plan.warnings and "agreed" not in given:
            return form(given, plan.warnings)
        (added,) = plan.apply()
        return then(f"/sessions/{in_path(added)}")


def _undoing(router: APIRouter, tracker: Tracker, renderer: Renderer) -> None:
    @router.get("/undo")
    def shown(chosen: Annotated[str, Query(alias="operation")] = "", done: str = "") -> Response:
        plan = tracker.undo(chosen or None, last=not chosen)
        return _undo_page(renderer, plan, is_done=bool(done))

    @router.post("/undo")
    def undo(form: Form) -> Response:
        plan = tracker.undo(form.get("operation", ""))
        if form.get("seen") != _cells(plan):
            return _undo_page(renderer, plan, is_done=False)
        plan.apply(reason=form.text("reason"))
        return then("/")


def _undo_page(renderer: Renderer, plan: Any, *, is_done: bool) -> Response:
    rows = plain_value(plan.rows())
    facts = {"plan": plan, "rows": rows[:_MOST_SHOWN], "seen": _cells(plan), "is_done": is_done}
    return renderer.show("undo.html", facts)


def _cells(plan: Any) -> str:
    return digest([plain_value(each) for each in plan.cells])


def _text(value: Any) -> str:
    """Return a value as a field of a form holds it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else _lines(str(value))


def _lines(text: str) -> str:
    """Return a text with the ends of lines that forms change."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
