"""``vrtracker web``: the lab by HTTP."""

from __future__ import annotations

import json as json_module
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit
from vrtracker.cli.options import Json, argument, option
from vrtracker.cli.output import answer, note, say, write_json, write_table
from vrtracker.cli.shell import is_terminal, shell_of
from vrtracker.errors import InvalidValueError, MissingDependencyError

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker


def web(
    context: typer.Context,
    *,
    host: Annotated[
        str, option("--host HOST", "Address to answer at: this computer's.")
    ] = "127.0.0.1",
    port: Annotated[int, option("--port N", "0: any that is free.", min=0, max=65535)] = 8000,
    open_page: Annotated[bool, option("--open", "Open the page in the browser.")] = False,
    read_only: Annotated[bool, option("--read-only", "Refuse to write.")] = False,
    proxy: Annotated[
        str | None,
        option(
            "--proxy ADDRESS",
            "A proxy there says who asks, in the header X-Forwarded-User; a user's name.",
        ),
    ] = None,
    name: Annotated[
        str | None, option("--name HOST", "The name by which people ask that proxy.")
    ] = None,
    certificate: Annotated[Path | None, option("--certificate FILE", "For HTTPS: PEM.")] = None,
    certificate_key: Annotated[
        Path | None, option("--certificate-key FILE", "Its key: PEM.")
    ] = None,
    json: Json = False,
) -> None:
    """Serve the lab by HTTP, to this computer and whoever shows the token, until Ctrl-C.

    Pages for people, calls for programs under /api/v1. With --json one line tells url and token.
    To other computers too, once there are users: vrtracker web-user add.

    Example: vrtracker web --port 0 --json

    Example: vrtracker web --host 0.0.0.0 --certificate lab.pem --certificate-key lab.key
    """
    shell = shell_of(context)
    if (certificate is None) is not (certificate_key is None):
        raise InvalidValueError("HTTPS needs both: --certificate and --certificate-key.")
    with shell.open(readonly=read_only) as tracker:
        serve(
            tracker,
            open_page=open_page,
            json=json,
            host=host,
            port=port,
            proxy=proxy,
            public_name=name,
            certificate=certificate,
            certificate_key=certificate_key,
            target=(shell.url, shell.root),
        )


def serve(
    tracker: Tracker,
    *,
    target: tuple[str | None, str | None],
    open_page: bool = False,
    json: bool = False,
    **options: Any,
) -> None:
    """Serve a lab until somebody ends it; say where.

    Parameters
    ----------
    target
        Database and folder, as the shell is told of them.
    **options
        Of `LabServer`.
    """
    serving, users = _modules("vrtracker web")

    def ready(address: str, token: str) -> None:
        if json:
            say(json_module.dumps({"url": address, "token": token}))
        else:
            say(f"pages:    {address}/enter?token={token}  (Ctrl-C ends it)")
            say(f"programs: {address}/api/v1  Authorization: Bearer {token}")
        sys.stdout.flush()
        if open_page:
            typer.launch(f"{address}/enter?token={token}")

    known = users.Users()
    server = serving.LabServer(
        tracker, ready=ready, users=known, target=serving.Target(*target), **options
    )
    if (
        options.get("host", "127.0.0.1") not in serving.LOOPBACK
        and options.get("certificate") is None
    ):
        note("Without --certificate passwords cross the net as they are typed.")
    # The server ends what it is at, and then raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
    with suppress(KeyboardInterrupt):
        server.serve_until_stopped()


def _modules(what: str) -> tuple[Any, Any]:
    try:
        from vrtracker.web import serving, users
    except ImportError as error:
        raise MissingDependencyError(what, "web") from error
    return serving, users


_Name = Annotated[str, argument("NAME", "As it stands in the history.")]
people = Commands(name="web-user", no_args_is_help=True, help="Who may use the lab's pages.")


@people.command("add")
def add_user(
    name: _Name,
    *,
    role: Annotated[str, option("--role ROLE", "reader, editor or admin.")] = "reader",
    by_proxy: Annotated[
        bool, option("--by-proxy", "Comes by a proxy alone; has no password.")
    ] = False,
    json: Json = False,
) -> None:
    """Let somebody in, or give a new role and password; it is asked for, or read from a pipe.

    Example: vrtracker web-user add ann --role editor
    """
    users = _modules("vrtracker web-user")[1].Users()
    password = None if by_proxy else _password(name)
    had_token = name in users.holders()
    users.add(name, role, password)
    text = f"{name} is {role} ({users.path})"
    text += f"\nThe token ended; a new one: vrtracker web-user token {name}" if had_token else ""
    answer({"name": name, "role": role}, text, json=json)


@people.command("remove")
def remove_user(name: _Name, *, json: Json = False) -> None:
    """Let somebody in no longer, also who is there now.

    Example: vrtracker web-user remove ann
    """
    _modules("vrtracker web-user")[1].Users().remove(name)
    answer({"name": name}, f"{name} is let in no longer", json=json)


@people.command("list")
def list_users(*, json: Json = False) -> None:
    """List who is let in, and the roles.

    Example: vrtracker web-user list --json
    """
    users = _modules("vrtracker web-user")[1].Users()
    holders = users.holders()
    rows = [
        {"name": name, "role": str(role), "token": name in holders}
        for name, role in users.roles().items()
    ]
    write_json(rows) if json else write_table(rows)


@people.command("token")
def give_token(
    name: _Name,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Let programs in no longer.")] = False,
    json: Json = False,
) -> None:
    """Give somebody a token for programs, which sign with the name; it is shown this once.

    One that there was is none now.

    Example: vrtracker web-user token ann
    """
    users = _modules("vrtracker web-user")[1].Users()
    if revoke:
        users.revoke_token(name)
        told, said = {"name": name}, f"{name} has no token now"
    else:
        token = users.new_token(name)
        told, said = {"name": name, "token": token}, token
    write_json(told) if json else say(said)


def _password(name: str) -> str:
    if is_terminal("stdin"):
        asked: str = typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().rstrip("\n")
