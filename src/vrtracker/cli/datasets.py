"""``vrtracker datasets``: the files of sessions, recorded and compared with the disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit, in_the_shell
from vrtracker.cli.filters import Filters
from vrtracker.cli.listing import counted
from vrtracker.cli.options import Json, Key, To, argument, option
from vrtracker.cli.output import note, say, write_json, write_listing, write_table
from vrtracker.cli.progress import counting
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.domain.datasets import DatasetRecord, Problem
    from vrtracker.repositories.selecting import Selection

commands = Commands(help="The files of sessions: list, record, compare with the disk.")

_LISTED = ("path", "size", "md5", "revision", "qc", "exists")
_COUNTS = ("added", "updated", "unchanged", "missing", "hashed")

_KeyOrNone = Annotated[str | None, argument("KEY", "A session; else give filters.")]
_All = Annotated[bool, option("--all", "All sessions that are not scratched.")]


@commands.command("list")
def list_datasets(context: typer.Context, key: Key, *, to: To = None, json: Json = False) -> None:
    """List the recorded files of a session, with size, hashes, revision and QC.

    Whether a file exists is what the last scan found.

    Example: vrtracker datasets list ATL012.2023-01-20.702
    """
    with shell_of(context).open(readonly=True) as tracker:
        rows = [_document(record) for record in tracker.datasets.list(key)]
    write_listing(rows, _LISTED, json=json, to=to, nothing="No dataset is recorded of it.")


@commands.command()
def scan(
    context: typer.Context,
    key: _KeyOrNone = None,
    *,
    all_: _All = False,
    hashes: Annotated[
        bool, option("--hashes/--no-hashes", "Read what is new for its hashes.")
    ] = True,
    rehash: Annotated[bool, option("--rehash", "Read all, whatever the size and time.")] = False,
    filters: Filters,
    json: Json = False,
) -> None:
    """Record the files in the folders of sessions: what is new, what was changed, what is gone.

    Files with ALF names count, and those that a stage has recorded. Only what has another size
    or time than its record is read. QC is kept; the record of a file that is gone stays, marked.
    Sessions without a folder here are left alone, unless KEY names one. Exit code 3 if something
    cannot be read.

    Example: vrtracker datasets scan --all

    Example: vrtracker datasets scan --mouse ATL012 --since 2023-01-01
    """
    wanted = _wanted(key, filters, everything=all_)
    with shell_of(context).open() as tracker, counting("sessions looked at") as progress:
        found = tracker.datasets.scan(wanted, hashes=hashes, rehash=rehash, progress=progress)
    problems = _problems(found.problems)
    if json:
        counts = {name: getattr(found, name) for name in ("sessions", *_COUNTS)}
        without = [str(each) for each in found.without_folder]
        write_json({**counts, "without_folder": without, "problems": problems})
    else:
        write_table([{name: getattr(found, name) for name in _COUNTS}])
        _write_problems(problems)
        if found.without_folder:
            say(f"{counted(len(found.without_folder), 'session')} without a folder here")
        say(f"{counted(found.sessions, 'session')} looked at")
    if problems:
        raise typer.Exit(Exit.SOME_FAILED)


@commands.command()
def verify(
    context: typer.Context,
    key: _KeyOrNone = None,
    *,
    all_: _All = False,
    filters: Filters,
    json: Json = False,
) -> None:
    """Read the recorded files again, and compare their content with the hashes on record.

    Nothing is written. Exit code 1 if a file is gone or holds something else.

    Example: vrtracker datasets verify ATL012.2023-01-20.702

    Example: vrtracker datasets verify --all --json
    """
    wanted = _wanted(key, filters, everything=all_)
    with shell_of(context).open(readonly=True) as tracker, counting("sessions read") as progress:
        found = tracker.datasets.verify(wanted, progress=progress)
    problems = _problems(found.problems)
    files = {
        what: [{"key": str(key), "path": path} for key, path in getattr(found, what)]
        for what in ("changed", "missing", "unhashed")
    }
    if json:
        write_json({"good": found.good, **files, "problems": problems})
    else:
        write_table([{"what": what, **one} for what, ones in files.items() for one in ones])
        _write_problems(problems)
        say(f"{counted(found.good, 'file')} as recorded")
    if not found.is_good:
        raise typer.Exit(Exit.NO)


@commands.command()
def prune(
    context: typer.Context,
    key: _KeyOrNone = None,
    *,
    all_: _All = False,
    apply: Annotated[bool, option("--apply", "Do what is listed.")] = False,
    filters: Filters,
    json: Json = False,
) -> None:
    """List ALF files that are not recorded, and records without a file; --apply takes them away.

    Files go into a trash folder below the root, records out of the database; a list of both is
    written first, and datasets restore brings them back. A recorded file is never moved; the record
    of a file that a stage made is kept. Scan first, so that what is new counts as recorded.

    Example: vrtracker datasets prune --all

    Example: vrtracker datasets prune ATL012.2023-01-20.702 --apply
    """
    wanted = _wanted(key, filters, everything=all_)
    with shell_of(context).open(readonly=not apply) as tracker:
        with counting("sessions looked at") as progress:
            plan = tracker.datasets.prune(wanted, progress=progress)
        name = plan.apply() if apply else None
    problems = _problems(plan.problems)
    files = {
        what: [{"key": str(key), "path": path} for key, path in getattr(plan, what)]
        for what in ("unknown", "missing", "kept")
    }
    if json:
        write_json({"applied": apply, "name": name, **files, "problems": problems})
    else:
        write_table([{"what": what, **one} for what, ones in files.items() for one in ones])
        _write_problems(problems)
        moved, removed = counted(len(plan.unknown), "file"), counted(len(plan.missing), "record")
        say(f"{moved} and {removed} {'taken away' if apply else 'to take away: --apply'}")
        if name is not None:
            again = shell_of(context).command(f"datasets restore {name}")
            note(f"To bring them back: {again}")
    if problems:
        raise typer.Exit(Exit.SOME_FAILED)


@commands.command()
def restore(
    context: typer.Context,
    name: Annotated[
        str | None, argument("NAME", "Which pruning; the last one if not given.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Bring back what datasets prune took away.

    Where another file is by now, that stays; so does another QC of a file that was recorded again.
    The exit code is 3 then, and what was taken away stays in the trash; so it is where a file
    cannot be moved back, or a later list is damaged.

    Example: vrtracker datasets restore
    """
    with shell_of(context).open() as tracker:
        back = tracker.datasets.restore(name)
    if json:
        write_json(dataclasses.asdict(back))
    else:
        for each in back.left:
            say(f"left in the trash: {each}")
        files, records = counted(back.files, "file"), counted(back.records, "record")
        say(f"{files} and {records} of {back.name} came back")
        if back.left:
            again = shell_of(context).command(f"datasets restore {back.name}")
            note(f"To bring back the rest: {again}")
        for each in back.damaged:
            say(f"problem: {each}")
    if back.left or back.damaged:
        raise typer.Exit(Exit.SOME_FAILED)


def _wanted(key: str | None, filters: Selection, *, everything: bool) -> Any:
    if (key is not None) + bool(filters) + everything != 1:
        raise InvalidValueError("Give KEY, or filters, or --all for all sessions: one of them.")
    return filters if key is None else key


def _document(record: DatasetRecord) -> dict[str, Any]:
    shown = {**dataclasses.asdict(record), "qc": record.qc.name}
    return {name: plain_value(value) for name, value in shown.items()}


def _problems(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"key": str(each.key), "message": in_the_shell(each.message)} for each in problems]


def _write_problems(problems: Sequence[Mapping[str, str]]) -> None:
    for each in problems:
        say(f"problem: {each['key']}: {each['message']}")
