"""Queues, decisions and the work of others by HTTP."""

from __future__ import annotations

import http
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from vrtracker.as_json import plain_value, records
from vrtracker.operations import operation
from vrtracker.services.workflow.foreign import ForeignWorker
from vrtracker.tracker import Tracker
from vrtracker.web.answers import Form, answer, page, typed
from vrtracker.web.tables import After, IdempotencyKey, Limit, Shape, Where, narrowed, token_of


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Decision(_Given):
    """What somebody decides on a check of a session."""

    level: str = Field(description="PASS, WARNING, FAIL, CRITICAL or NOT_SET.")
    reason: str | None = None
    criteria: str | None = None
    evidence: str | None = None
    seen: int | None = Field(
        default=None, ge=0, le=2**53, description="The newest decision_id that is known, 0: none."
    )


class Reason(_Given):
    """Why."""

    reason: str | None = None


class Asked(_Given):
    """Who asks for work, and for which."""

    stage: str
    where: str | None = None
    name: str = Field(default="foreign", max_length=100)
    host: str = Field(default="unknown", max_length=200)
    pid: int = Field(default=0, ge=0, le=2**31 - 1)
    versions: dict[str, str] = {}


class File(_Given):
    """A file that the work made, by its path below the session's folder."""

    path: str
    size: int = Field(ge=0, le=2**53)
    md5: str | None = Field(default=None, pattern="^[0-9a-f]{32}$")
    revision: str | None = None


class Outcome(_Given):
    """How the work went."""

    outcome: Literal["succeeded", "failed", "cancelled"]
    message: str = Field(default="", description="Of the error, or why it was given back.")
    error_type: str = Field(default="Failure", pattern="^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    details: str | None = Field(default=None, description="A traceback.")
    datasets: list[File] = []
    bytes: int = Field(default=0, ge=0, le=2**53)


def routes(tracker: Tracker) -> APIRouter:
    """Return the calls around the work."""
    router, workflow = APIRouter(), tracker.workflow

    @router.get("/status", tags=["work"], summary="Sessions in each state of each stage")
    def status(where: Where = None) -> Response:
        asked = " and ".join(f"({each})" for each in where or ())
        stages = workflow.state_counts(asked or None)
        return answer({"url": tracker.url, "role": tracker.role, "stages": stages})

    @router.get("/stages", tags=["work"], summary="The stages of the lab")
    def stages() -> Response:
        told = [
            {
                "name": stage.name,
                "title": stage.title,
                "kind": stage.kind.value,
                "requires": list(stage.requires),
                "applies_if": list(stage.applies_if),
            }
            for stage in workflow.stages.values()
        ]
        return answer({"items": told, "next": None})

    @router.get("/needs/{stage}", tags=["work"], summary="What a stage has to do")
    def needs(
        *,
        stage: str,
        where: Where = None,
        limit: Limit = 100,
        after: After = None,
        blocked: Annotated[bool, Query(description="Also what waits for a stage.")] = False,
        form: Shape = Form.JSON,
    ) -> Response:
        query = narrowed(tracker.sessions, tracker.query(), where or (), after)
        found = workflow.needs.found(stage, query, include_blocked=blocked, limit=limit + 1)
        if form is Form.ARROW:
            return typed(found.frame(), limit)
        rows = records(found.records())
        following = rows[limit - 1]["key"] if len(rows) > limit else None
        return page(rows[:limit], following, form)

    @router.get("/errors", tags=["work"], summary="Sessions that failed, and why")
    def errors(stage: str | None = None) -> Response:
        return answer({"items": records(workflow.errors.records(stage)), "next": None})

    @router.get("/events", tags=["history"], summary="The newest events")
    def events(limit: Limit = 100) -> Response:
        return answer({"items": records(tracker.events.records(limit))})

    _looking(router, tracker)
    _judging(router, tracker)
    _claims(router, tracker)
    return router


def _looking(router: APIRouter, tracker: Tracker) -> None:
    workflow = tracker.workflow

    @router.get("/sessions/{key}/history", tags=["history"], summary="Its events")
    def history(key: str) -> Response:
        return answer({"items": records(tracker.history.records(key)), "next": None})

    @router.get("/sessions/{key}/attempts", tags=["history"], summary="What was tried")
    def attempts(key: str) -> Response:
        return answer({"items": records(workflow.attempts.records(key)), "next": None})

    @router.get("/sessions/{key}/datasets", tags=["sessions"], summary="Its files")
    def datasets(key: str) -> Response:
        return answer({"items": plain_value(tracker.datasets.records(key)), "next": None})

    @router.get("/sessions/{key}/qc", tags=["judging"], summary="What was decided")
    def decisions(key: str) -> Response:
        return answer({"items": records(tracker.decisions.records(key)), "next": None})

    @router.get("/sessions/{key}/why-not/{stage}", tags=["work"], summary="What it waits for")
    def why_not(key: str, stage: str) -> Response:
        reasons = workflow.why_not(key, stage)
        told = [{"code": each.code, "message": each.message} for each in reasons]
        return answer({"items": told, "next": None})


def _judging(router: APIRouter, tracker: Tracker) -> None:
    workflow = tracker.workflow

    def after(key: str) -> Response:
        states = workflow.states(key)
        return answer({"key": str(tracker.sessions.get(key).key), "states": states})

    @router.post("/sessions/{key}/qc/{kind}", tags=["judging"], summary="Decide on a check")
    def judge(
        request: Request,
        key: str,
        kind: str,
        decision: Decision,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        # Without `seen` it is the content of old servers: a retry across an update is known again.
        asked = decision.model_dump(exclude={"seen"} if decision.seen is None else None)
        token, is_done = token_of(tracker, request, idempotency_key, asked)
        if not is_done:
            with operation(token):
                workflow.set_qc(key, kind, **asked)
        return after(key)

    @router.post("/sessions/{key}/scratch", tags=["judging"], summary="Give it up")
    def scratch(key: str, given: Reason) -> Response:
        workflow.scratch(key, given.reason or "")
        return after(key)

    @router.post("/sessions/{key}/unscratch", tags=["judging"], summary="Take it back")
    def unscratch(key: str, given: Reason) -> Response:
        workflow.unscratch(key, reason=given.reason)
        return after(key)

    @router.post("/sessions/{key}/stages/{stage}/complete", tags=["work"], summary="It was done")
    def complete(key: str, stage: str, given: Reason) -> Response:
        workflow.complete(key, stage, reason=given.reason)
        return after(key)

    @router.post("/sessions/{key}/stages/{stage}/reset", tags=["work"], summary="Take that back")
    def reset(key: str, stage: str, given: Reason) -> Response:
        workflow.reset(key, stage, reason=given.reason)
        return after(key)


def _claims(router: APIRouter, tracker: Tracker) -> None:
    foreign = tracker.workflow.foreign

    @router.get("/claims", tags=["claims"], summary="Who works on what")
    def claims() -> Response:
        return answer({"items": records(tracker.workflow.claims.records()), "next": None})

    @router.post(
        "/claims",
        status_code=http.HTTPStatus.CREATED,
        tags=["claims"],
        summary="Take the next session; 204 where there is none",
    )
    def claim(request: Request, asked: Asked, idempotency_key: IdempotencyKey = None) -> Response:
        worker = ForeignWorker(
            name=asked.name, host=asked.host, pid=asked.pid, versions=asked.versions
        )
        token, _ = token_of(tracker, request, idempotency_key, asked.model_dump())
        taken = foreign.claim(asked.stage, asked.where, worker=worker, token=token)
        if taken is None:
            return Response(status_code=http.HTTPStatus.NO_CONTENT)
        return answer(plain_value(taken), status=http.HTTPStatus.CREATED)

    @router.post("/claims/{attempt}/heartbeat", tags=["claims"], summary="The work goes on")
    def heartbeat(attempt: str) -> Response:
        return answer({"attempt_id": attempt, "lease_until": plain_value(foreign.renew(attempt))})

    @router.post("/claims/{attempt}/outcome", tags=["claims"], summary="How the work went")
    def outcome(attempt: str, told: Outcome) -> Response:
        document: dict[str, Any] = {"attempt_id": attempt, "outcome": told.outcome}
        if foreign.outcome(attempt) == told.outcome:
            # It was told before, and the answer was lost.
            return answer(document)
        if told.outcome == "succeeded":
            files = [file.model_dump() for file in told.datasets]
            foreign.succeed(attempt, datasets=files, bytes=told.bytes)
        elif told.outcome == "failed":
            following = foreign.fail(
                attempt, error=told.message, kind=told.error_type, details=told.details
            )
            document |= {
                "retry_after": plain_value(following.retry_after),
                "set_aside": following.set_aside,
            }
        else:
            foreign.cancel(attempt, told.message or "given back")
        return answer(document)
