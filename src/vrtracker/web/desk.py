"""The quality desk: one session after the other, judged by one key."""

from __future__ import annotations

import http
import threading
import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from vrtracker import operations
from vrtracker.as_json import plain_value, records
from vrtracker.domain.qc import QC
from vrtracker.domain.stages import Stage
from vrtracker.tracker import Tracker
from vrtracker.web.problems import Refusal
from vrtracker.web.rendering import Form, Given, Renderer, in_path, then
from vrtracker.web.visits import current

_HELD_S = 300
_PORTION = 50
_SCRATCH = "scratch"
_LEVELS = {"PASS": "1 p", "WARNING": "2 w", "FAIL": "3 f", _SCRATCH: "4 s"}
"""What is decided, with the keys that do it."""
_NEED_REASON = ("FAIL", _SCRATCH)


class Held:
    """What lies before which reviewer: a session that one has lies before no other.

    It is laid back after a while without a decision.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def take(self, stage: str, keys: list[str]) -> str | None:
        """Return the first of these sessions that lies before nobody else; it is yours now.

        Who only reads keeps none from others.
        """
        me, now = current.get().number, time.monotonic()
        if not current.get().may_write:
            return keys[0] if keys else None
        with self._lock:
            self._held = {
                what: (who, since)
                for what, (who, since) in self._held.items()
                if now - since < _HELD_S and not (who == me and what[0] == stage)
            }
            free = next((key for key in keys if (stage, key) not in self._held), None)
            if free is not None:
                self._held[stage, free] = me, now
            return free


def routes(tracker: Tracker, renderer: Renderer, held: Held) -> APIRouter:
    """Return the pages of the desk."""
    router, desk = APIRouter(include_in_schema=False), _Desk(tracker, held)

    @router.get("/quality/{kind}")
    def shown(
        *, kind: str, after: str = "", key: str = "", done: str = "", level: str = "", op: str = ""
    ) -> Response:
        facts = desk.shown(kind, after, key)
        return renderer.show("desk.html", facts | {"done": done, "level": level, "op": op})

    @router.post("/quality/{kind}")
    def judge(kind: str, form: Form) -> Response:
        key, level = form.get("key", ""), form.get("level", "")
        desk.judge(kind, form)
        done = f"done={in_path(key)}&level={in_path(level)}&op={operations.current()}"
        return then(f"/quality/{in_path(kind)}?after={in_path(key)}&{done}")

    @router.post("/quality/{kind}/undo")
    def undo(kind: str, form: Form) -> Response:
        tracker.undo(form.get("operation", "")).apply(reason="taken back at the desk")
        return then(f"/quality/{in_path(kind)}?key={in_path(form.get('key', ''))}")

    return router


class _Desk:
    """What lies on the desk."""

    def __init__(self, tracker: Tracker, held: Held) -> None:
        self._tracker = tracker
        self._held = held

    def shown(self, kind: str, after: str, key: str) -> dict[str, Any]:
        """Return a session to judge, with all that is needed for it; None where none is left."""
        stage = self._review(kind)
        chosen = self._chosen(stage, after, key)
        facts = {
            "kind": stage.name.removesuffix("_qc"),
            "title": stage.title,
            "left": self._tracker.query(state={stage.name: "ready"}).count(),
            "levels": _LEVELS,
            "need_reason": _NEED_REASON,
            "key": chosen,
        }
        return facts if chosen is None else facts | self._about(chosen, stage)

    def _review(self, kind: str) -> Stage:
        if kind == "session":
            said = "A session as a whole is judged on its own page, not in a queue."
            raise Refusal(http.HTTPStatus.NOT_FOUND, "no_queue", said, "Open it under Sessions.")
        return self._tracker.workflow.stages.review(kind)

    def _chosen(self, stage: Stage, after: str, key: str) -> str | None:
        """Return the session asked for, else the next one that lies before nobody else."""
        if key:
            whole = str(self._tracker.sessions.get(key).key)
            if self._held.take(stage.name, [whole]) is None:
                raise _elsewhere(whole, stage)
            return whole
        waiting = self._tracker.query(state={stage.name: "ready"})
        behind = waiting
        if after:
            number = self._tracker.sessions.get(after).uSessionID
            behind = waiting.where(uSessionID=(number, ">"))
        # What was skipped comes again behind the last one.
        for query in (behind, waiting) if after else (behind,):
            keys = [str(each) for each in query.limit(_PORTION).keys()]  # noqa: SIM118 -- a query's
            taken = self._held.take(stage.name, keys)
            if taken is not None:
                return taken
        return None

    def _about(self, key: str, stage: Stage) -> dict[str, Any]:
        tracker = self._tracker
        row = records(tracker.sessions.records(key))[0]
        return {
            "row": row,
            "mouse": records(tracker.mice.records({"mouseName": row["mouseName"]}))[0],
            "state": tracker.workflow.states(key)[stage.name],
            "decisions": records(tracker.decisions.records(key))[::-1],
            "datasets": plain_value(tracker.datasets.records(key)),
            "attempts": records(tracker.workflow.attempts.records(key))[::-1][:3],
            "others": tracker.workflow.states(key),
        }

    def judge(self, kind: str, form: Given) -> None:
        """Decide on what lies before oneself."""
        stage = self._review(kind)
        key, level, reason = form.get("key", ""), form.get("level", ""), form.text("reason")
        seen = form.number("seen")
        if level in _NEED_REASON and reason is None:
            raise Refusal(
                http.HTTPStatus.BAD_REQUEST, "no_reason", f"{level} needs a reason.", "Give one."
            )
        if self._held.take(stage.name, [key]) is None:
            raise _elsewhere(key, stage)
        state = self._tracker.workflow.states(key)[stage.name]
        if state != form.get("state"):
            raise _decided(key, stage, state, self._tracker.decisions.records(key))
        if level == _SCRATCH:
            self._tracker.workflow.scratch(key, reason or "", seen=seen)
        else:
            chosen = QC.parse(level)
            self._tracker.workflow.set_qc(key, kind, chosen, reason=reason, seen=seen)


def _elsewhere(key: str, stage: Stage) -> Refusal:
    return _too_late(key, stage, "held", f"{key} lies before another reviewer.")


def _decided(key: str, stage: Stage, state: str, decisions: list[Any]) -> Refusal:
    said = f"{key} was decided meanwhile: it is {state} now; nothing was written."
    if decisions:
        last = decisions[-1]
        why = f" ({last['reason']})" if last["reason"] else ""
        said += f" {last['actor']} said {QC(last['qc_level']).name}{why}."
    return _too_late(key, stage, "decided", said)


def _too_late(key: str, stage: Stage, code: str, said: str) -> Refusal:
    check = stage.name.removesuffix("_qc")
    more = {"onward": f"/quality/{in_path(check)}?after={in_path(key)}"}
    return Refusal(http.HTTPStatus.CONFLICT, code, said, "Take the next one.", more=more)
