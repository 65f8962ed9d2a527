"""The app, and the server that runs it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI

from vrtracker.domain.roles import Role
from vrtracker.errors import ConfigurationError
from vrtracker.tracker import Tracker
from vrtracker.web import desk, editing, pages, running, tables, work
from vrtracker.web.fresh import Fresh
from vrtracker.web.guard import Door, Guard
from vrtracker.web.problems import answer_errors, refuse_unknown
from vrtracker.web.rendering import Renderer
from vrtracker.web.running import Target
from vrtracker.web.users import Users

__all__ = ["LOOPBACK", "LabServer", "Target", "app_of"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_GRACE_S = 10
_LARGEST = 1_000_000
"""Bytes of a request's body."""


def app_of(tracker: Tracker, door: Door, *, target: Target | None = None) -> Any:
    """Return the ASGI app of a lab: one for each person, whose tracker signs with the name.

    `target`: what the shell is told of the lab, for runs; the tracker's own when not given.
    """
    root = None if tracker.root is None else str(tracker.root)
    runs, held = running.Runs(target or Target(tracker.url, root)), desk.Held()
    fresh = Fresh()

    @cache
    def app_for(person: str | None, role: Role | None) -> FastAPI:
        own = tracker if person is None or role is None else tracker.signing_as(person, role)
        return _app(own, runs, held, fresh)

    return Guard(app_for, door)


def _app(tracker: Tracker, runs: running.Runs, held: desk.Held, fresh: Fresh) -> FastAPI:
    app = FastAPI(
        title="vrtracker",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=_LARGEST,
        dependencies=[Depends(refuse_unknown)],
        description="Mice, sessions, their processing and quality control.",
    )
    answer_errors(app)
    renderer = app.state.renderer = Renderer(tracker)
    prefix = "/api/v1"
    app.include_router(work.routes(tracker), prefix=prefix)
    app.include_router(tables.routes_of(tracker, tracker.sessions, "sessions"), prefix=prefix)
    app.include_router(tables.routes_of(tracker, tracker.mice, "mice"), prefix=prefix)
    # Those with fixed names come before those that take any key there.
    app.include_router(editing.routes(tracker, renderer))
    app.include_router(desk.routes(tracker, renderer, held))
    app.include_router(running.routes(tracker, renderer, runs))
    app.include_router(pages.routes(app, tracker, renderer, fresh))
    return app


class LabServer(uvicorn.Server):
    """Serves a lab: to this computer alone, or to users with passwords.

    `port`: 0 for any that is free.
    `ready`: called with the address and the token once requests are answered.
    `users`: who may come in by a password or a proxy; without any the host is this computer.
    `proxy`, `public_name`: address of a proxy that names in ``X-Forwarded-User`` who asks, and the
        name by which it is asked, which it passes on as ``Host``.
    `certificate`, `certificate_key`: files of PEM, for HTTPS.

    Raises ConfigurationError if the host is another one than this computer itself and there are no
    users, or the port is taken.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        ready: Callable[[str, str], None],
        users: Users | None = None,
        proxy: str | None = None,
        public_name: str | None = None,
        certificate: Path | None = None,
        certificate_key: Path | None = None,
        target: Target | None = None,
    ) -> None:
        is_local = host in LOOPBACK
        if not is_local and not (users and users.roles()):
            raise ConfigurationError(
                f"Without users the server answers this computer alone, not {host}. Add some: "
                "vrtracker web-user add NAME --role editor; or from another computer use a "
                f"tunnel: ssh -L {port}:127.0.0.1:{port} THIS_COMPUTER"
            )
        if (proxy is None) is not (public_name is None):
            # Without the name any page could be led here, and say that it is the proxy.
            raise ConfigurationError(
                "Behind a proxy both are needed: --proxy ADDRESS and --name HOST, the name by "
                "which people ask it."
            )
        self._door = _listening(host, port)
        self._ready = ready
        self._token = secrets.token_urlsafe(24)
        name = f"[{host}]" if ":" in host else host
        scheme = "http" if certificate is None else "https"
        self._address = f"{scheme}://{name}:{self._door.getsockname()[1]}"
        door = Door(
            token=self._token,
            hosts=(*_NAMES, public_name or "") if is_local or proxy else None,
            users=users,
            proxy=proxy,
            is_https=certificate is not None,
        )
        config = uvicorn.Config(
            app_of(tracker, door, target=target),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            # What a proxy says of others is read in `guard`, from the one that is trusted.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=certificate,
            ssl_keyfile=certificate_key,
        )
        super().__init__(config)

    def serve_until_stopped(self) -> None:
        """Answer until `stop` is called, or the process is asked to end."""
        self.run(sockets=[self._door])

    def stop(self) -> None:
        """End, once what is being answered is answered."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that requests are answered."""
        await super().startup(sockets)
        if self.started:
            self._ready(self._address, self._token)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family)
        # Told that it is TCP, asyncio sends what is small at once, and not 40 ms later.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({error.strerror}); give another one: --port 0 "
            "takes any that is free."
        ) from error
