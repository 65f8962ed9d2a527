"""Who may come in: by a token, by a password, or in a trusted proxy's name.

Programs show the server's token, or a user's own, in a header with each request. A browser shows
the server's once, in the address that ``vrtracker web --open`` opens, or sends a password, and gets
a cookie for it, with which the pages alone are answered; what they change has to come from a page
of this very server.
"""

from __future__ import annotations

import hmac
import http
import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from vrtracker.domain.roles import Role
from vrtracker.errors import ConfigurationError
from vrtracker.operations import new_id, operation
from vrtracker.web.problems import problem
from vrtracker.web.visits import Visit, Visits, current

if TYPE_CHECKING:
    from vrtracker.web.users import Users

_COOKIE = "vrtracker"
_OPEN = ("/openapi.json", "/style.css")
_HARMLESS = ("GET", "HEAD")
_OF_ONE_S_OWN = tuple(
    f"/{rows}/as/{what}" for rows in ("sessions", "mice") for what in ("view", "chosen")
)
"""What a reader may send: it changes nothing in the lab."""
_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    b"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vrtracker</title>
<link rel="stylesheet" href="/style.css"></head><body><main><h1>vrtracker</h1>{}</main></body>
</html>"""
_STRANGER = """<p>Open the address that <code>vrtracker web</code> prints: it holds the
token.</p>"""
_LOG_IN = """<p role="alert">{}</p><form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required>
</label><button>Log in</button></form>"""
_LARGEST_LOG_IN = 4_000
_WINDOW_S = 300
_MOST_FAILURES = 5
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How one comes in.

    `token`: what opens the door to whoever started the server, and to programs.
    `hosts`: names that the server goes by; None for any. A page of another name that was led to
        this address does not get past.
    `users`: people with passwords and roles.
    `proxy`, `proxy_header`: address whose requests name in this header who asks; that name has to
        be a user's.
    `is_https`: whether the server itself speaks HTTPS.
    """

    token: str
    hosts: Collection[str] | None
    users: Users | None = None
    proxy: str | None = None
    proxy_header: str = "X-Forwarded-User"
    is_https: bool = False


class Guard:
    """Lets a request through to the app of whoever asks, or answers it.

    `app_of`: returns the ASGI app of a person with a role; of None, whoever started the server.
    """

    def __init__(self, app_of: Callable[[str | None, Role | None], Any], door: Door) -> None:
        self._app_of = app_of
        self._door = door
        self._visits = Visits()
        self._trials = _Trials()
        self._checking = threading.Lock()
        self._secret = secrets.token_urlsafe(24)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app_of(None, None)(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        asked = _Asked(scope, self._door)
        sending = _with_headers(send)
        try:
            # What one request writes is one operation, and no part of the command that serves.
            with operation(new_id()):
                await self._answering(asked)(scope, receive, sending)
        except ConfigurationError:
            # Where nobody knows who may come in, nobody does.
            refused = problem(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                "users",
                "The file of users cannot be read.",
                "vrtracker web-user list tells why.",
            )
            await refused(scope, receive, sending)

    def _answering(self, asked: _Asked) -> Any:
        if self._door.hosts is not None and asked.name not in self._door.hosts:
            return problem(
                http.HTTPStatus.MISDIRECTED_REQUEST,
                "wrong_host",
                f"This is not {asked.name[:100]!r}.",
                "Use the address that vrtracker web prints.",
            )
        if asked.path in _OPEN:
            return self._app_of(None, None)
        if asked.path.startswith("/api/"):
            return self._of_program(asked)
        return self._of_browser(asked)

    def _of_program(self, asked: _Asked) -> Any:
        kind, _, token = asked.authorization.partition(" ")
        if kind.lower() != "bearer":
            token = ""
        if hmac.compare_digest(token.encode(), self._door.token.encode()):
            return self._app_of(None, None)
        person = self._door.users.holder(token) if self._door.users and token else None
        role = None if person is None else self._role(person)
        if role is None:
            return self._unknown_token(asked, token)
        if asked.is_harmless or role.includes(Role.EDITOR):
            return self._app_of(person, role)
        return problem(
            http.HTTPStatus.FORBIDDEN,
            "role",
            f"{person} is a reader, who changes nothing.",
            "Whoever runs the server gives roles: vrtracker web-user add NAME --role editor",
        )

    def _unknown_token(self, asked: _Asked, token: str) -> Response:
        """Refuse a token that is nobody's; who has one is never kept out by others' trials."""
        tried = ("", asked.address)
        if token and self._trials.are_too_many(tried):
            return problem(
                http.HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_trials",
                "Too many tokens from there were none.",
                "Wait five minutes.",
                headers={"Retry-After": str(_WINDOW_S)},
            )
        if token:
            self._trials.failed(tried)
        return problem(
            http.HTTPStatus.UNAUTHORIZED,
            "no_token",
            "The request shows no token, or another one.",
            "Send the header that vrtracker web prints: Authorization: Bearer TOKEN; or one's own "
            "token: vrtracker web-user token NAME",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _of_browser(self, asked: _Asked) -> Any:
        if asked.path == "/enter":
            return self._entered(asked)
        is_ours = asked.is_harmless or asked.headers.get(b"origin") == asked.origin.encode()
        if not is_ours:
            return _page(_STRANGER, http.HTTPStatus.FORBIDDEN)
        if asked.path == "/login" and not asked.is_harmless and self._door.users:
            return self._log_in
        visit, role = self._visit(asked)
        return self._stranger() if visit is None else self._of_visitor(asked, visit, role)

    def _of_visitor(self, asked: _Asked, visit: Visit, role: Role | None) -> Any:
        if asked.path == "/leave" and not asked.is_harmless:
            self._visits.end(visit.number)
            return self._stranger(http.HTTPStatus.OK, "You have left.")
        may_write = role is None or role.includes(Role.EDITOR)
        if not (asked.is_harmless or may_write or asked.path in _OF_ONE_S_OWN):
            return _page("<p>A reader changes nothing.</p>", http.HTTPStatus.FORBIDDEN)
        current.set(replace(visit, may_write=may_write))
        return self._app_of(visit.person, role)

    def _visit(self, asked: _Asked) -> tuple[Visit | None, Role | None]:
        """Return the visit that a request belongs to, and the person's role as it is now."""
        visit = self._visits.find(asked.cookie)
        if asked.proxied_person is not None:
            name = asked.proxied_person
            visit = Visit(hmac.digest(self._secret.encode(), name.encode(), "sha256").hex(), name)
        if visit is None or visit.person is None:
            return visit, None
        role = self._role(visit.person)
        return (None, None) if role is None else (visit, role)

    def _role(self, person: str) -> Role | None:
        return self._door.users.roles().get(person) if self._door.users else None

    def _stranger(
        self, status: int = http.HTTPStatus.UNAUTHORIZED, said: str = "Please log in."
    ) -> Response:
        has_users = self._door.users is not None and bool(self._door.users.roles())
        return _page(_LOG_IN.format(said) if has_users else _STRANGER, status)

    def _entered(self, asked: _Asked) -> Response:
        given = parse_qs(asked.query.decode("latin-1")).get("token", [""])[0].encode()
        if not hmac.compare_digest(given, self._door.token.encode()):
            return _page(_STRANGER, http.HTTPStatus.UNAUTHORIZED)
        return self._let_in(None, asked)

    def _let_in(self, person: str | None, asked: _Asked) -> Response:
        visit = self._visits.begin(person)
        answer = RedirectResponse("/", http.HTTPStatus.SEE_OTHER)
        is_secure = asked.origin.startswith("https:")
        answer.set_cookie(_COOKIE, visit.number, httponly=True, samesite="strict", secure=is_secure)
        return answer

    async def _log_in(self, scope: Any, receive: Any, send: Any) -> None:
        asked = _Asked(scope, self._door)
        body = b""
        async for part in Request(scope, receive).stream():
            body += part
            if len(body) > _LARGEST_LOG_IN:
                break
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        answer = await run_in_threadpool(self._one_by_one, form, asked)
        await answer(scope, receive, send)

    def _one_by_one(self, form: dict[str, str], asked: _Asked) -> Response:
        """Check one log-in at a time: many at once would not be counted, and fill the memory."""
        with self._checking:
            return self._checked(form, asked)

    def _checked(self, form: dict[str, str], asked: _Asked) -> Response:
        """Let in who has the password, a few trials at a time from each address and name."""
        name, users = form.get("name", "")[:200], self._door.users
        tried = (name, asked.address)
        if self._trials.are_too_many(tried):
            said = "Too many failures; wait five minutes."
            answer = self._stranger(http.HTTPStatus.TOO_MANY_REQUESTS, said)
            answer.headers["Retry-After"] = str(_WINDOW_S)
            return answer
        if users is not None and users.is_password(name, form.get("password", "")):
            self._trials.succeeded(tried)
            return self._let_in(name, asked)
        self._trials.failed(tried)
        return self._stranger(said="That name and password do not go together.")


class _Trials:
    """Passwords and tokens that were none, by who tried and from where."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], list[float]] = {}

    def are_too_many(self, tried: tuple[str, str]) -> bool:
        """Return whether nothing more is tried for now."""
        return len(self._lately(tried)) >= _MOST_FAILURES

    def failed(self, tried: tuple[str, str]) -> None:
        """Count a failure."""
        if len(self._failures) > _MOST_KEPT:
            self._failures.clear()
        self._failures[tried] = [*self._lately(tried), time.monotonic()]

    def succeeded(self, tried: tuple[str, str]) -> None:
        """Forget the failures before."""
        self._failures.pop(tried, None)

    def _lately(self, tried: tuple[str, str]) -> list[float]:
        now = time.monotonic()
        return [when for when in self._failures.get(tried, ()) if now - when < _WINDOW_S]


class _Asked:
    """A request, as far as it tells who asks."""

    def __init__(self, scope: Any, door: Door) -> None:
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.is_harmless = scope["method"] in _HARMLESS
        self.headers = {name.lower(): value for name, value in scope["headers"]}
        self.authorization = self._text("authorization")
        host = self._text("host")
        self.name = _name(host)
        peer = (scope.get("client") or ("",))[0]
        by_proxy = door.proxy is not None and peer == door.proxy
        scheme = self._text("x-forwarded-proto") if by_proxy else ""
        scheme = "https" if door.is_https or scheme == "https" else "http"
        self.origin = f"{scheme}://{host}"
        last = self._text("x-forwarded-for").rpartition(",")[2].strip()
        self.address = (last if by_proxy else "") or peer
        self.proxied_person = (self._text(door.proxy_header) if by_proxy else "") or None
        self.cookie = _cookie(self._text("cookie"))

    def _text(self, name: str) -> str:
        return str(self.headers.get(name.lower().encode(), b""), "latin-1")


def _cookie(text: str) -> str:
    """Return the visit that a browser's cookie names, or an empty text."""
    try:
        shown = SimpleCookie(text)
    except CookieError:
        return ""
    return shown[_COOKIE].value if _COOKIE in shown else ""


def _name(host: str) -> str:
    """Return the name in ``name:port``; that of an address of IPv6 keeps its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _page(content: str, status: int) -> Response:
    return HTMLResponse(_PAGE.format(content), status)


def _with_headers(send: Any) -> Any:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return sent
