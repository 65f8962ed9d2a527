"""The pages that show: overview, a session, a mouse; the tables are in `browsing`."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse

from vrtracker.as_json import KEY_COLUMNS, records
from vrtracker.clock import lab_today
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.stages import StageKind
from vrtracker.domain.states import State
from vrtracker.errors import NotFoundError
from vrtracker.tracker import Tracker
from vrtracker.web import browsing, imaging
from vrtracker.web.fresh import Fresh
from vrtracker.web.rendering import TEMPLATES, Form, Given, Renderer, in_path, then
from vrtracker.web.tables import Rows

_WEEKS = 8
_FIRST, _LAST = dt.date(100, 1, 1), dt.date(9999, 12, 26)
"""Days that the chart is led to: before the first, Access has none; the last ends a week."""
_Until = Annotated[dt.date | None, Query(ge=_FIRST, le=_LAST)]
_SQUARES = 5_000
_NEWEST = 12
_NOTHING, _FAILED = "nothing yet", "failed"
_BUTTONS = {"failed": "reset", "done": "reset", "stale": "reset", "ready": "complete"}


def routes(app: FastAPI, tracker: Tracker, renderer: Renderer, fresh: Fresh) -> APIRouter:
    """Return the pages of a lab."""
    router, pages = APIRouter(include_in_schema=False), _Pages(tracker)
    browsing.add_routes(router, tracker, renderer)
    imaging.add_routes(router, tracker, renderer)

    @router.get("/")
    def overview(until: _Until = None) -> HTMLResponse:
        facts = fresh.get(pages.overview, anew=True)
        return renderer.show("overview.html", facts | (pages.grid(until) if until else {}))

    @router.get("/live")
    def live(until: _Until = None) -> HTMLResponse:
        facts = fresh.get(pages.overview)
        return renderer.show("live.html", facts | (pages.grid(until) if until else {}))

    @router.get("/sessions/{key}")
    def session(key: str) -> HTMLResponse:
        return renderer.show("session.html", pages.session(key))

    @router.post("/sessions/{key}/{verb}")
    def decide(key: str, verb: str, form: Form) -> Any:
        pages.decide(key, verb, form)
        return then(f"/sessions/{in_path(key)}")

    @router.get("/mice/{name}")
    def mouse(name: str, until: _Until = None) -> HTMLResponse:
        return renderer.show("mouse.html", pages.mouse(name, until))

    @router.get("/calls")
    def calls(request: Request) -> HTMLResponse:
        address = str(request.base_url).rstrip("/")
        return renderer.show("calls.html", {"paths": app.openapi()["paths"], "address": address})

    @router.get("/style.css")
    def style() -> FileResponse:
        return FileResponse(TEMPLATES / "style.css", media_type="text/css")

    @router.get("/favicon.ico", status_code=204)
    def icon() -> None:
        """Browsers ask for one; there is none."""

    @router.get("/page.js")
    def script() -> FileResponse:
        return FileResponse(TEMPLATES / "page.js", media_type="text/javascript")

    return router


class _Pages:
    """What is on each page."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._stages = tracker.workflow.stages

    @cached_property
    def _legend(self) -> dict[str, str]:
        """Return the class in the style sheet of each thing that a session may have reached."""
        names = [_NOTHING, *self._stages]
        return {**{name: str(place) for place, name in enumerate(names)}, _FAILED: _FAILED}

    def overview(self) -> dict[str, Any]:
        """Return where everything stands."""
        activity = self._tracker.workflow.activity()
        rows = {name: found.records() for name, found in activity.rows.items()}
        return {
            "at": activity.at.isoformat(timespec="seconds"),
            "standing": rows["stages"],
            "states": [state.value for state in State],
            "kinds": {stage.name: stage.kind.value for stage in self._stages.values()},
            "claims": records(rows["claims"]),
            "failures": records(self._tracker.workflow.errors.records(group=True)),
            "events": records(self._tracker.events.records(_NEWEST)),
            **self.grid(None),
        }

    def grid(self, until: dt.date | None, **filters: Any) -> dict[str, Any]:
        """Return the sessions of eight weeks by mouse and day, and where older and newer ones are.

        `until`: a day of the last week; that of the newest session when not given.
        """
        query, today = self._tracker.query(**filters), lab_today(self._tracker._lab.zone)  # noqa: SLF001
        last = until or _nearest(query, "-sessionDate", (today, "<=")) or today
        monday = last - dt.timedelta(days=last.weekday())
        days = [monday + dt.timedelta(days=each) for each in range(7 - 7 * _WEEKS, 7)]
        most = dt.timedelta(weeks=_WEEKS - 1)
        older = _nearest(query, "-sessionDate", (days[0], "<"))
        newer = _nearest(query, "sessionDate", (days[-1], ">"))
        within = query.where(sessionDate=(days[0], ">=")).where(sessionDate=(days[-1], "<="))
        grid = {
            "until": until,
            "days": days,
            "mice": self._squares(within),
            "older": older if older and older >= _FIRST else None,
            # So that the next one is in the first week that is shown.
            "newer": min(newer, _LAST - most) + most if newer and newer <= _LAST else None,
        }
        return {"grid": grid, "legend": self._legend}

    def _squares(self, query: Any) -> dict[str, dict[dt.date, list[dict[str, Any]]]]:
        """Return sessions by mouse and day, each with its key and what it reached."""
        states = [f"state.{stage}" for stage in self._stages]
        found = query.select(*KEY_COLUMNS, *states).order_by("-sessionDate").limit(_SQUARES)
        by_mouse: dict[str, dict[dt.date, list[dict[str, Any]]]] = {}
        for row in sorted(found.records(), key=lambda each: [each[name] for name in KEY_COLUMNS]):
            reached = _reached({stage: row[f"state.{stage}"] for stage in self._stages})
            key = SessionKey.parse({name: row[name] for name in KEY_COLUMNS})
            square = {"key": str(key), "reached": reached, "place": self._legend[reached]}
            by_mouse.setdefault(key.mouse, {}).setdefault(key.date, []).append(square)
        return by_mouse

    def mouse(self, name: str, until: dt.date | None) -> dict[str, Any]:
        """Return all that is known of a mouse."""
        self._tracker.mice.get(name)
        row = Rows(self._tracker, self._tracker.mice, "mice").row(name)
        return {
            "name": name,
            "row": row,
            "events": records(self._tracker.history.records(name))[::-1],
            **self.grid(until, mouseName=name),
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
            "kinds": {stage.name: stage.kind.value for stage in self._stages.values()},
            "buttons": {
                name: _BUTTONS.get(state)
                for name, state in states.items()
                if self._stages[name].kind is StageKind.PROCESS
            },
            "reasons": {
                stage: [str(each) for each in workflow.why_not(whole, stage)] for stage in states
            },
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

    def decide(self, key: str, verb: str, form: Given) -> None:
        """Do what a form of a session's page asks for."""
        workflow, reason, stage = self._tracker.workflow, form.text("reason"), form.get("stage", "")
        seen = form.number("seen")
        match verb:
            case "qc":
                check, level = form.get("check", ""), form.get("level", "")
                workflow.set_qc(key, check, level, reason=reason, seen=seen)
            case "scratch":
                workflow.scratch(key, reason or "", seen=seen)
            case "unscratch":
                workflow.unscratch(key, reason=reason)
            case "complete":
                workflow.complete(key, stage, reason=reason)
            case "reset":
                workflow.reset(key, stage, reason=reason)
            case "release":
                workflow.release(key, stage or None, reason=reason)
            case _:
                raise NotFoundError("page", verb)


def _nearest(query: Any, order: str, bound: tuple[dt.date, str]) -> dt.date | None:
    """Return the first day in an order that is within a bound and has a session."""
    found = query.where(sessionDate=bound).order_by(order).limit(1).select("sessionDate").records()
    return found[0]["sessionDate"] if found else None


def _reached(states: dict[str, str]) -> str:
    """Return what colours a session: a failure, else the last stage whose output is there."""
    if _FAILED in states.values():
        return _FAILED
    done = [stage for stage, state in states.items() if state in {"done", "stale"}]
    return done[-1] if done else _NOTHING
