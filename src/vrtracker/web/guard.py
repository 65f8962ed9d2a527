"""Who may come in: one token, and this computer's own names."""

from __future__ import annotations

import hmac
import http
from collections.abc import Collection
from typing import Any

from vrtracker.web.problems import problem

__all__ = ["Guard"]

_OPEN = ("/", "/openapi.json")
_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Lets a request through to the app, or answers it.

    Parameters
    ----------
    app
        An ASGI app.
    token
        What every request but those for the page and the description has to show, as
        ``Authorization: Bearer TOKEN``.
    hosts
        Names that the server goes by; a page of another name that was led to this address does
        not get past.
    """

    def __init__(self, app: Any, *, token: str, hosts: Collection[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        answering = self._refused(scope["path"], headers) or self._app
        await answering(scope, receive, _with_headers(send))

    def _refused(self, path: str, headers: dict[bytes, bytes]) -> Any:
        host = headers.get(b"host", b"").decode("latin-1")
        if _name(host) not in self._hosts:
            return problem(
                http.HTTPStatus.MISDIRECTED_REQUEST,
                "wrong_host",
                f"This is not {_name(host)[:100]!r}.",
                "Use the address that vrtracker web prints.",
            )
        if path in _OPEN:
            return None
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return problem(
                http.HTTPStatus.UNAUTHORIZED,
                "no_token",
                "The request shows no token, or another one.",
                "Send the header that vrtracker web prints: Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None


def _name(host: str) -> str:
    """Return the name in ``name:port``; that of an address of IPv6 keeps its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _with_headers(send: Any) -> Any:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return sent
