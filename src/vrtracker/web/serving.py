"""The app, and the server that runs it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI

from vrtracker.errors import ConfigurationError
from vrtracker.tracker import Tracker
from vrtracker.web import pages, tables, work
from vrtracker.web.guard import Guard
from vrtracker.web.problems import answer_errors, refuse_unknown

__all__ = ["LabServer", "app_of"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_GRACE_S = 10
_LARGEST = 1_000_000
"""Bytes of a request's body."""


def app_of(tracker: Tracker, *, token: str) -> Any:
    """Return the ASGI app of a lab, which answers whoever shows the token."""
    app = FastAPI(
        title="vrtracker",
        version="1",
        docs_url=None,
        redoc_url=None,
        max_body_size=_LARGEST,
        dependencies=[Depends(refuse_unknown)],
        description="Mice, sessions, their processing and quality control.",
    )
    answer_errors(app)
    prefix = "/api/v1"
    app.include_router(work.routes(tracker), prefix=prefix)
    app.include_router(tables.routes_of(tracker, tracker.sessions, "sessions"), prefix=prefix)
    app.include_router(tables.routes_of(tracker, tracker.mice, "mice"), prefix=prefix)

    app.include_router(pages.routes(app, tracker))
    return Guard(app, token=token, hosts=_NAMES)


class LabServer(uvicorn.Server):
    """Serves a lab, to this computer alone.

    Parameters
    ----------
    port
        0 for any that is free.
    ready
        Called with the address and the token once requests are answered.

    Raises
    ------
    ConfigurationError
        If the host is another one than this computer itself, or the port is taken.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        ready: Callable[[str, str], None],
    ) -> None:
        if host not in _LOOPBACK:
            raise ConfigurationError(
                f"The server answers this computer alone, not {host}. From another one use a "
                f"tunnel: ssh -L {port}:127.0.0.1:{port} THIS_COMPUTER"
            )
        self._door = _listening(host, port)
        self._ready = ready
        self._token = secrets.token_urlsafe(24)
        name = f"[{host}]" if ":" in host else host
        self._address = f"http://{name}:{self._door.getsockname()[1]}"
        config = uvicorn.Config(
            app_of(tracker, token=self._token),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
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
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({error.strerror}); give another one: --port 0 "
            "takes any that is free."
        ) from error
