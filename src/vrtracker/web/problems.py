"""From errors to a status and one form of answer: ``{"error": {code, message, remedy}}``."""

from __future__ import annotations

import http
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from vrtracker.as_json import plain_value
from vrtracker.errors import (
    BackendError,
    ClaimHeldError,
    ConcurrentUpdateError,
    ConditionError,
    DatabaseAwayError,
    DatabaseUnavailableError,
    DependentRowsError,
    DuplicateError,
    EditConflictError,
    InvalidTransitionError,
    NotEmptyError,
    NotFoundError,
    NotUndoableError,
    ReadOnlyError,
    RoleError,
    RootUnavailableError,
    SchemaError,
    VrtrackerError,
)

_STATUS: tuple[tuple[tuple[type[VrtrackerError], ...], http.HTTPStatus], ...] = (
    ((NotFoundError,), http.HTTPStatus.NOT_FOUND),
    ((ReadOnlyError, RoleError), http.HTTPStatus.FORBIDDEN),
    (
        (
            ClaimHeldError,
            ConcurrentUpdateError,
            DependentRowsError,
            DuplicateError,
            InvalidTransitionError,
            NotEmptyError,
            NotUndoableError,
        ),
        http.HTTPStatus.CONFLICT,
    ),
    (
        (DatabaseUnavailableError, SchemaError, RootUnavailableError),
        http.HTTPStatus.SERVICE_UNAVAILABLE,
    ),
    # It would fail again: nobody shall wait for it.
    ((BackendError,), http.HTTPStatus.INTERNAL_SERVER_ERROR),
    ((VrtrackerError,), http.HTTPStatus.BAD_REQUEST),
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_AGAIN_S = "5"
ONLY_READS = "This server only reads."


class Refusal(Exception):  # noqa: N818 -- it is an answer, not a fault
    """An answer that is none: what the web's own rules refuse."""

    def __init__(
        self,
        status: http.HTTPStatus,
        code: str,
        message: str,
        remedy: str,
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.remedy = status, code, message, remedy
        self.more, self.headers = dict(more or {}), dict(headers or {})


def problem(
    status: int,
    code: str,
    message: str,
    remedy: str,
    *,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error as every call gives it."""
    told = {"code": code, "message": message, "remedy": remedy, **(more or {})}
    return JSONResponse({"error": told}, status_code=status, headers=dict(headers or {}))


def answer_errors(app: FastAPI) -> None:
    """Have an app answer every error in the one form."""
    app.add_exception_handler(VrtrackerError, _ours)
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def status_of(error: VrtrackerError) -> http.HTTPStatus:
    """Return the status that an error of ours is answered with."""
    return next(status for kinds, status in _STATUS if isinstance(error, kinds))


def _is_of_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api/", "/openapi.json"))


def _page(request: Request, message: str, status: int, onward: str | None = None) -> Response:
    # A form that is asked for again comes empty: what was typed would be gone.
    away = status == http.HTTPStatus.SERVICE_UNAVAILABLE and request.method in {"GET", "HEAD"}
    facts = {"message": message, "onward": onward, "again": away}
    answer: Response = request.app.state.renderer.show("wrong.html", facts, status)
    return answer


def _ours(request: Request, error: Any) -> Response:
    status, said = status_of(error), str(error)
    if isinstance(error, ReadOnlyError) and "readonly=True" in said:
        said = f"{ONLY_READS} Start another one."
    if _is_of_page(request):
        return _page(request, said, status)
    # Our messages say the fact first, and the remedy after it.
    said = said.partition("\n")[0] if isinstance(error, ConditionError) else said
    fact, *remedy = _SENTENCE.split(said, maxsplit=1)
    headers = {"Retry-After": _AGAIN_S} if isinstance(error, DatabaseAwayError) else {}
    more: dict[str, Any] = {}
    if isinstance(error, EditConflictError):
        more = {"conflicts": plain_value(error.conflicts)}
    elif isinstance(error, ConditionError):
        more = {"condition": error.text, "at": error.at}
    return problem(status, _code(error), fact, *(remedy or [""]), more=more, headers=headers)


def _refusal(request: Request, error: Any) -> Response:
    if _is_of_page(request):
        said = f"{error.message} {error.remedy}"
        return _page(request, said, error.status, error.more.get("onward"))
    given = {"more": error.more, "headers": error.headers}
    return problem(error.status, error.code, error.message, error.remedy, **given)


def _invalid(request: Request, error: Any) -> Response:
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()
    )
    status = http.HTTPStatus.UNPROCESSABLE_ENTITY
    if _is_of_page(request):
        return _page(request, wrong, status)
    return problem(status, "invalid_request", wrong, "What each call takes: /openapi.json")


def refuse_unknown(request: Request) -> None:
    """Refuse a query with a name that the call does not know; it would select nothing.

    Raises Refusal, which names the parameters that the call takes.
    """
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise Refusal(
            http.HTTPStatus.UNPROCESSABLE_ENTITY,
            "unknown_parameter",
            f"The call takes no parameter {unknown[0]!r}.",
            f"It takes: {', '.join(sorted(known)) or 'none'}.",
        )


def _http(request: Request, error: Any) -> Response:
    status = http.HTTPStatus(error.status_code)
    if _is_of_page(request):
        return _page(request, f"{status.phrase}.", status)
    code = status.phrase.lower().replace(" ", "_")
    message = f"{status.phrase}: {error.detail}" if error.detail != status.phrase else error.detail
    return problem(status, code, message, "What there is: /openapi.json", headers=error.headers)


def _unforeseen(request: Request, _error: Any) -> Response:
    status = http.HTTPStatus.INTERNAL_SERVER_ERROR
    fact = "Something went wrong that should not."
    remedy = "The server's own output has the traceback; please report it."
    if _is_of_page(request):
        return _page(request, f"{fact} {remedy}", status)
    return problem(status, "unforeseen", fact, remedy)


def _code(error: VrtrackerError) -> str:
    """Return ``not_found`` for a NotFoundError."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
