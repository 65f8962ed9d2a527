"""The pages: plain HTML made here, which needs no script, and works by the keyboard alone."""

from __future__ import annotations

import http
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader

from vrtracker.as_json import KEY_COLUMNS, records
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.stages import StageKind
from vrtracker.errors import ConcurrentUpdateError, VrtrackerError
from vrtracker.tracker import Tracker
from vrtracker.web.problems import status_of
from vrtracker.web.tables import narrowed

__all__ = ["routes"]

_SHOWN = ("imaging", "numPlanes", "experimentType", "sessionNotes")
_ROWS = 200
_SQUARES = 2_000
_NEWEST = 12
_NOTHING, _FAILED = "nothing yet", "failed"


async def _form(request: Request) -> dict[str, str]:
    """Return what a form of one of the pages sends."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


_Form = Annotated[dict[str, str], Depends(_form)]


def routes(app: FastAPI, tracker: Tracker) -> APIRouter:
    """Return the pages of a lab."""
    router, pages = APIRouter(include_in_schema=False), _Pages(tracker)

    @router.get("/")
    def overview() -> HTMLResponse:
        return pages.show("overview.html", pages.overview())

    @router.get("/sessions")
    def sessions(
        where: str = "",
        order: str = "",
        after: str = "",
        *,
        scratched: Annotated[bool, Query()] = False,
    ) -> HTMLResponse:
        return pages.told(
            "sessions.html", lambda: pages.sessions(where, order, after, scratched=scratched)
        )

    @router.get("/sessions/{key}")
    def session(key: str) -> HTMLResponse:
        return pages.told("session.html", lambda: pages.session(key))

    @router.post("/sessions/{key}/{verb}")
    def decide(key: str, verb: str, form: _Form) -> Any:
        return pages.decide(key, verb, form)

    @router.get("/calls")
    def calls(request: Request) -> HTMLResponse:
        address = str(request.base_url).rstrip("/")
        return pages.show("calls.html", {"paths": app.openapi()["paths"], "address": address})

    @router.get("/style.css")
    def style() -> FileResponse:
        return FileResponse(
            Path(__file__).parent / "templates" / "style.css", media_type="text/css"
        )

    return router


class _Pages:
    """What is on each page."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._stages = tracker.workflow.stages
        self._templates = Environment(
            loader=PackageLoader("vrtracker.web"), autoescape=True, trim_blocks=True
        )
        self._templates.filters |= {"path": _in_path, "when": _when, "level": _level}

    @cached_property
    def _legend(self) -> dict[str, str]:
        """Return the class in the style sheet of each thing that a session may have reached."""
        names = [_NOTHING, *self._stages]
        return {**{name: str(place) for place, name in enumerate(names)}, _FAILED: _FAILED}

    def show(self, name: str, facts: dict[str, Any], status: int = 200) -> HTMLResponse:
        """Return a page; `facts` are what its template speaks of."""
        common = {
            "database": self._tracker.url,
            "stages": list(self._stages),
            "role": self._tracker.role,
            "may_write": not self._tracker.database.readonly,
        }
        return HTMLResponse(self._templates.get_template(name).render(common | facts), status)

    def told(self, name: str, find: Callable[[], dict[str, Any]]) -> HTMLResponse:
        """Return a page, or one that says what is wrong."""
        try:
            return self.show(name, find())
        except VrtrackerError as error:
            return self._wrong(error)

    def _wrong(self, error: VrtrackerError) -> HTMLResponse:
        return self.show("wrong.html", {"message": str(error)}, status_of(error))

    def overview(self) -> dict[str, Any]:
        """Return where everything stands."""
        workflow = self._tracker.workflow
        return {
            "counts": workflow.state_counts(),
            "squares": self._squares(),
            "legend": self._legend,
            "failures": records(workflow.errors.records(group=True)),
            "claims": records(workflow.claims.records()),
            "events": records(self._tracker.events.records(_NEWEST)),
        }

    def _squares(self) -> dict[str, list[dict[str, Any]]]:
        """Return the newest sessions by mouse, each with its key and what it reached."""
        query = self._tracker.query().order_by("-sessionDate").limit(_SQUARES)
        found = query.select(*KEY_COLUMNS, *(f"state.{stage}" for stage in self._stages)).records()
        by_mouse: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(found, key=lambda each: [each[name] for name in KEY_COLUMNS]):
            states = {stage: row[f"state.{stage}"] for stage in self._stages}
            square = {"key": str(SessionKey.parse({n: row[n] for n in KEY_COLUMNS}))}
            square["reached"] = _reached(states)
            square["place"] = self._legend[square["reached"]]
            by_mouse.setdefault(row["mouseName"], []).append(square)
        return by_mouse

    def sessions(self, where: str, order: str, after: str, *, scratched: bool) -> dict[str, Any]:
        """Return the rows of a condition."""
        query = self._tracker.query(where.strip() or None, include_scratched=scratched)
        count = query.count()
        query = narrowed(self._tracker.sessions, query, (), after or None)
        names = (*KEY_COLUMNS, *_SHOWN, *(f"state.{stage}" for stage in self._stages))
        query = query.select(*names).order_by(*([order] if order else [])).limit(_ROWS + 1)
        found = query.records()
        rows = records(found[:_ROWS])
        following = rows[-1]["key"] if len(found) > _ROWS and not order else None
        asked = {"where": where, "order": order, "scratched": scratched or None}
        kept = {name: value for name, value in asked.items() if value}
        return {
            "rows": rows,
            "columns": (*KEY_COLUMNS, *_SHOWN),
            "count": count,
            "where": where,
            "order": order,
            "scratched": scratched,
            "next": following and urlencode({**kept, "after": following}),
            "link": lambda name: urlencode({**kept, "order": name}),
        }

    def session(self, key: str) -> dict[str, Any]:
        """Return all that is known of a session."""
        tracker, workflow = self._tracker, self._tracker.workflow
        session = tracker.sessions.get(key)
        whole = str(session.key)
        states = workflow.states(whole)
        return {
            "key": whole,
            "row": records(tracker.sessions.records(session.key))[0],
            "mouse": records(tracker.mice.records({"mouseName": session.mouseName}))[0],
            "states": states,
            "reasons": {
                stage: [str(each) for each in workflow.why_not(whole, stage)] for stage in states
            },
            "reviews": [
                stage.name.removesuffix("_qc")
                for stage in self._stages.values()
                if stage.kind is StageKind.REVIEW
            ],
            "levels": [level.name for level in QC],
            "decisions": records(tracker.decisions.records(whole)),
            "attempts": records(workflow.attempts.records(whole))[::-1],
            "datasets": tracker.datasets.records(whole),
            "events": records(tracker.history.records(whole))[::-1],
            **self._beside(session.record),
        }

    def _beside(self, record: Any) -> dict[str, str | None]:
        """Return the keys of the mouse's session before and after."""
        keys = sorted(self._tracker.query(mouseName=record.mouseName).keys())
        number = {str(key): place for place, key in enumerate(keys)}.get(str(record.key))
        if number is None:
            return {"previous": None, "following": None}
        return {
            "previous": str(keys[number - 1]) if number else None,
            "following": str(keys[number + 1]) if number + 1 < len(keys) else None,
        }

    def decide(self, key: str, verb: str, form: dict[str, str]) -> Any:
        """Do what a form of a session's page asks for, and show the page again."""
        workflow, reason = self._tracker.workflow, form.get("reason") or None
        verbs: dict[str, Callable[[], object]] = {
            "qc": lambda: workflow.set_qc(
                key, form.get("check", ""), form.get("level", ""), reason=reason
            ),
            "scratch": lambda: workflow.scratch(key, reason or ""),
            "unscratch": lambda: workflow.unscratch(key, reason=reason),
            "notes": lambda: self._write_notes(key, form),
        }
        try:
            if verb in verbs:
                verbs[verb]()
            return RedirectResponse(f"/sessions/{_in_path(key)}", http.HTTPStatus.SEE_OTHER)
        except VrtrackerError as error:
            return self._wrong(error)

    def _write_notes(self, key: str, form: dict[str, str]) -> None:
        """Write the notes, unless somebody else has since the page was shown."""
        wanted, shown = form.get("notes") or None, form.get("shown") or None
        filters = {"sessionNotes": shown} if shown else {"sessionNotes": None}
        sessions = self._tracker.sessions
        if not sessions.update({"sessionNotes": wanted}, key, **filters).matched:
            raise _changed(key, sessions.get(key).sessionNotes)


def _changed(key: str, now: str | None) -> VrtrackerError:
    error = ConcurrentUpdateError(key)
    error.args = (f"The notes of {key} were changed by somebody else. They are now: {now!r}",)
    return error


def _in_path(text: object) -> str:
    return quote(str(text), safe="")


def _when(text: str) -> str:
    """Return a time in UTC as one reads it."""
    return text.replace("T", " ").removesuffix("+00:00")


def _level(number: int) -> str:
    return QC(number).name


def _reached(states: dict[str, str]) -> str:
    """Return what colours a session: a failure, else the last stage whose output is there."""
    if _FAILED in states.values():
        return _FAILED
    done = [stage for stage, state in states.items() if state in {"done", "stale"}]
    return done[-1] if done else _NOTHING
