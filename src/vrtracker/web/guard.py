"""Who may come in: one token, and this computer's own names.

Programs show the token in a header with each request. Browsers show it once, in the address that
``vrtracker web --open`` opens, and get a cookie for it, with which the pages alone are answered;
what they change has to come from a page of this very server.
"""

from __future__ import annotations

import hmac
import http
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse

from vrtracker.web.problems import problem

__all__ = ["Guard"]

_COOKIE = "vrtracker"
_OPEN = ("/openapi.json", "/style.css")
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_STRANGER = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vrtracker</title>
</head><body><main><h1>vrtracker</h1><p>Open the address that <code>vrtracker web</code> prints: it
holds the token.</p></main></body></html>"""


class Guard:
    """Lets a request through to the app, or answers it.

    Parameters
    ----------
    app
        An ASGI app.
    token
        What opens the door.
    hosts
        Names that the server goes by; a page of another name that was led to this address does
        not get past.
    """

    def __init__(self, app: Any, *, token: str, hosts: Collection[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(hosts)
        self._visits: set[str] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        answering = self._answering(scope, headers)
        await answering(scope, receive, _with_headers(send))

    def _answering(self, scope: Any, headers: dict[bytes, bytes]) -> Any:
        path, host = scope["path"], headers.get(b"host", b"").decode("latin-1")
        if _name(host) not in self._hosts:
            return problem(
                http.HTTPStatus.MISDIRECTED_REQUEST,
                "wrong_host",
                f"This is not {_name(host)[:100]!r}.",
                "Use the address that vrtracker web prints.",
            )
        if path in _OPEN:
            return self._app
        if path.startswith("/api/"):
            return self._of_program(headers)
        return self._of_browser(scope, headers, host)

    def _of_program(self, headers: dict[bytes, bytes]) -> Any:
        if hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            return self._app
        return problem(
            http.HTTPStatus.UNAUTHORIZED,
            "no_token",
            "The request shows no token, or another one.",
            "Send the header that vrtracker web prints: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _of_browser(self, scope: Any, headers: dict[bytes, bytes], host: str) -> Any:
        visit = _cookie(headers)
        if scope["path"] == "/enter":
            return self._entered(scope["query_string"])
        if visit not in self._visits:
            return HTMLResponse(_STRANGER, http.HTTPStatus.UNAUTHORIZED)
        if scope["method"] not in {"GET", "HEAD"} and headers.get(b"origin") != (
            f"http://{host}".encode()
        ):
            return HTMLResponse(_STRANGER, http.HTTPStatus.FORBIDDEN)
        if scope["path"] == "/leave":
            self._visits.discard(visit)
            return HTMLResponse(_STRANGER)
        return self._app

    def _entered(self, query: bytes) -> Any:
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0].encode()
        if not hmac.compare_digest(given, self._token):
            return HTMLResponse(_STRANGER, http.HTTPStatus.UNAUTHORIZED)
        visit = secrets.token_urlsafe(24)
        self._visits.add(visit)
        answer = RedirectResponse("/", http.HTTPStatus.SEE_OTHER)
        answer.set_cookie(_COOKIE, visit, httponly=True, samesite="strict")
        return answer


def _cookie(headers: dict[bytes, bytes]) -> str:
    """Return the visit that a browser's cookie names, or an empty text."""
    try:
        shown = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return ""
    return shown[_COOKIE].value if _COOKIE in shown else ""


def _name(host: str) -> str:
    """Return the name in ``name:port``; that of an address of IPv6 keeps its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _with_headers(send: Any) -> Any:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return sent
