"""The pages that show: overview, a session, a mouse; the tables are in `browsing`."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse

from vrtracker.as_json import KEY_COLUMNS, records
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.stages import StageKind
from vrtracker.domain.states import State
from vrtracker.errors import NotFoundError
from vrtracker.tracker import Tracker
from vrtracker.web import browsing
from vrtracker.web.fresh import Fresh
from vrtracker.web.rendering import TEMPLATES, Form, Given, Renderer, in_path, then
from vrtracker.web.tables import Rows

_SQUARES = 2_000
_NEWEST = 12
_NOTHING, _FAILED = "nothing yet", "failed"
_BUTTONS = {"failed": "reset", "done": "reset", "stale": "reset", "ready": "complete"}


def routes(app: FastAPI, tracker: Tracker, renderer: Renderer, fresh: Fresh) -> APIRouter:
    """Return the pages of a lab."""
    router, pages = APIRouter(include_in_schema=False), _Pages(tracker)
    browsing.add_routes(router, tracker, renderer)

    @router.get("/")
    def overview() -> HTMLResponse:
        return renderer.show("overview.html", fresh.get(pages.overview, anew=True))

    @router.get("/live")
    def live() -> HTMLResponse:
        return renderer.show("live.html", fresh.get(pages.overview))

    @router.get("/sessions/{key}")
    def session(key: str) -> HTMLResponse:
        return renderer.show("session.html", pages.session(key))

    @router.post("/sessions/{key}/{verb}")
    def decide(key: str, verb: str, form: Form) -> Any:
        pages.decide(key, verb, form)
        return then(f"/sessions/{in_path(key)}")

    @router.get("/mice/{name}")
    def mouse(name: str) -> HTMLResponse:
        return renderer.show("mouse.html", pages.mouse(name))

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
            "squares": self._squares(),
            "legend": self._legend,
            "failures": records(self._tracker.workflow.errors.records(group=True)),
            "events": records(self._tracker.events.records(_NEWEST)),
        }

    def _squares(self, where: Any = None) -> dict[str, list[dict[str, Any]]]:
        """Return the newest sessions by mouse, each with its key and what it reached."""
        query = self._tracker.query(where).order_by("-sessionDate").limit(_SQUARES)
        found = query.select(*KEY_COLUMNS, *(f"state.{stage}" for stage in self._stages)).records()
        by_mouse: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(found, key=lambda each: [each[name] for name in KEY_COLUMNS]):
            states = {stage: row[f"state.{stage}"] for stage in self._stages}
            square = {"key": str(SessionKey.parse({n: row[n] for n in KEY_COLUMNS}))}
            square["reached"] = _reached(states)
            square["place"] = self._legend[square["reached"]]
            by_mouse.setdefault(row["mouseName"], []).append(square)
        return by_mouse

    def mouse(self, name: str) -> dict[str, Any]:
        """Return all that is known of a mouse."""
        self._tracker.mice.get(name)
        row = Rows(self._tracker, self._tracker.mice, "mice").row(name)
        return {
            "name": name,
            "row": row,
            "squares": self._squares({"mouseName": name}),
            "legend": self._legend,
            "events": records(self._tracker.history.records(name))[::-1],
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
        match verb:
            case "qc":
                workflow.set_qc(key, form.get("check", ""), form.get("level", ""), reason=reason)
            case "scratch":
                workflow.scratch(key, reason or "")
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


def _reached(states: dict[str, str]) -> str:
    """Return what colours a session: a failure, else the last stage whose output is there."""
    if _FAILED in states.values():
        return _FAILED
    done = [stage for stage, state in states.items() if state in {"done", "stale"}]
    return done[-1] if done else _NOTHING
