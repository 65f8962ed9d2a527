"""``vrtracker web``: the lab by HTTP."""

from __future__ import annotations

import json as json_module
import signal
import sys
from contextlib import suppress
from typing import Annotated

import typer

from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json
from vrtracker.cli.output import say
from vrtracker.cli.shell import shell_of
from vrtracker.errors import MissingDependencyError

__all__ = ["web"]


def web(
    context: typer.Context,
    *,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Address to answer at: this computer's.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="0: any that is free.", show_default=True
        ),
    ] = 8000,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse to write.")] = False,
    json: Json = False,
) -> None:
    """Serve the lab by HTTP, to this computer and whoever shows the token, until Ctrl-C.

    Pages for people, calls for programs under /api/v1. With --json one line tells url and token.

    Example: vrtracker web --port 0 --json
    """
    try:
        from vrtracker.web.serving import LabServer
    except ImportError as error:
        raise MissingDependencyError("vrtracker web", "web") from error

    def ready(address: str, token: str) -> None:
        if json:
            say(json_module.dumps({"url": address, "token": token}))
        else:
            say(f"pages:    {address}/enter?token={token}  (Ctrl-C ends it)")
            say(f"programs: {address}/api/v1  Authorization: Bearer {token}")
        sys.stdout.flush()
        if open_page:
            typer.launch(f"{address}/enter?token={token}")

    with shell_of(context).open(readonly=read_only) as tracker:
        server = LabServer(tracker, host=host, port=port, ready=ready)
        # The server ends what it is at, and then raises the signal again.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
        with suppress(KeyboardInterrupt):
            server.serve_until_stopped()
