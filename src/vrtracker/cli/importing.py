"""``vrtracker import``: files of rows, caches of ONE, experiments of AEPsych, NWB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vrtracker.as_json import plain_value
from vrtracker.cli.commands import Commands
from vrtracker.cli.exits import Exit, in_the_shell, say_error
from vrtracker.cli.listing import counted
from vrtracker.cli.options import DryRun, Json, What, Yes, argument, option
from vrtracker.cli.output import say, write_json, write_table
from vrtracker.cli.shell import agree, is_terminal, shell_of
from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    from vrtracker.services.entries.imports import ImportPlan

imports = Commands(help="Bring mice and sessions in from files.")

_PREVIEW = 10
_TOTALS = ("added", "updated", "unchanged")
_OF_NWB = ("problems", "new", "same", "left_out", "mouse", "session", "rig", "notes", "beside")

_What = Annotated[What, argument("mice|sessions", "What the file holds.")]


@imports.command("table")
def import_table(
    context: typer.Context,
    what: _What,
    file: Annotated[
        Path,
        argument(
            "FILE",
            ".csv, .tsv, .txt, .xlsx, .xls, .ods, .parquet or .arrow; its first row names columns.",
        ),
    ],
    *,
    sheet: Annotated[
        str | None, option("--sheet NAME", "The sheet of a workbook with several.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        option(
            "--map HEADER=COLUMN",
            "The column that a header means; with nothing after = it is left out. Repeatable.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        option(
            "--delimiter SIGN",
            "What separates the fields: one character, or comma, semicolon, tab, pipe.",
        ),
    ] = None,
    encoding: Annotated[
        str | None, option("--encoding NAME", "Such as utf-8, utf-16, cp1252, latin-1.")
    ] = None,
    decimal: Annotated[str | None, option("--decimal SIGN", "Decimal sign: , or .")] = None,
    date_format: Annotated[
        str | None,
        option(
            "--date-format FORMAT",
            "How texts show dates: %d/%m/%Y has the day first, iso begins with the year.",
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        option("--missing WORD", "A word that means a missing value, in texts too. Repeatable."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Add the rows of a table, all or none.

    How the file is written is found out and told: encoding, delimiter, decimal comma, the order
    of day and month. What can be meant in two ways is refused, with the option that says it.

    Headers are matched without regard to case, blanks and underscores. Cells that are empty, or
    say NA, nan, null, none or -, are missing values; in a column of texts such words are kept,
    with a warning, unless --missing names them, and in one that always has a value, as tick boxes
    do, they are refused. Tick boxes take yes and no, true and false, 1 and
    0, ja and nein, oui and non, or x and blank. Dates may be real dates of a workbook, or its
    numbers of days; a column of dates leaves times of day out, and says so. Merged cells, and
    formulas without a result or with an error for one, are refused; so are numbers in a column of
    texts that are shown otherwise than they are, such as 12 as 012.

    Shows the rows, and each problem with its line and column; with problems nothing is written.
    On a terminal it asks before it adds; elsewhere it goes on. All but UTF-8 text and Parquet
    needs the extra "tables" of the package.

    Example: vrtracker import table mice colony.xlsx --sheet Mice --map "Animal=mouseName" --dry-run

    Example: vrtracker import table sessions 2023.csv --date-format "%d/%m/%Y" --yes
    """
    with shell_of(context).open(readonly=dry_run) as tracker:
        service = tracker.mice if what is What.MICE else tracker.sessions
        plan = service.read_table(
            file,
            sheet=sheet,
            map=_mapping(map_ or ()),
            delimiter=delimiter,
            encoding=encoding,
            decimal=decimal,
            date_format=date_format,
            missing=missing or (),
        )
        _show_and_apply(plan, dry_run=dry_run, yes=yes, json=json)


@imports.command("csv")
def import_csv(
    context: typer.Context,
    what: _What,
    file: Annotated[Path, argument("FILE", "CSV, UTF-8, with a header of column names.")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Add the rows of a CSV file, all or none; the older name of import table.

    It reads plain CSV alone: separated by commas, UTF-8, decimal points, dates that begin with
    the year.

    Example: vrtracker import csv mice mousedb.csv --dry-run

    Example: vrtracker import csv sessions sessiondb.csv --yes
    """
    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = tracker.import_csv(what.value, file)
        _show_and_apply(plan, dry_run=dry_run, yes=yes, json=json)


@imports.command("one")
def import_one(
    context: typer.Context,
    folder: Annotated[
        Path, argument("FOLDER", "Holds sessions.pqt, and datasets.pqt if there are any.")
    ],
    *,
    overwrite: Annotated[
        bool, option("--overwrite", "In a conflict take what the cache says.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take over a cache of ONE, of any age: its sessions, datasets, levels of quality, ids.

    Sessions are known by subject, date and number, datasets by their path. What the database lacks
    is added, mice too; where both say something else it is a conflict, and nothing is written. On
    a terminal it asks before it writes; elsewhere it goes on.

    Example: vrtracker import one ~/Downloads/ONE/alyx.lab.org --dry-run

    Example: vrtracker import one cache --yes --json
    """
    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = tracker.import_one(folder, overwrite=overwrite)
        if not json:
            write_table([{"": what, **_counts(of)} for what, of in plan.counts.items()])
            for line in plan.facts().notes:
                say(line)
        is_applied = not dry_run and not plan.conflicts and plan.added + plan.updated > 0
        if is_applied:
            fact = f"This adds {plan.added} and updates {plan.updated} of them."
            _ask(fact, yes=yes or json)
            plan.apply()
    totals = {name: plan.total(name) for name in _TOTALS}
    of = {what: _counts(counts) for what, counts in plan.counts.items()}
    told = {"mice": list(plan.mice), "notes": list(plan.notes), "applied": is_applied}
    document = {**totals, "conflicts": list(plan.conflicts), **of, **told}
    _report(plan, document, is_applied=is_applied, json=json)


@imports.command("aepsych")
def import_aepsych(
    context: typer.Context,
    files: Annotated[list[Path], argument("FILE...", "Databases of AEPsych.")],
    *,
    mouse: Annotated[
        str | None,
        option(
            "--mouse NAME",
            "Whose the experiments are; else new ones are the participant's, if so called.",
        ),
    ] = None,
    session: Annotated[str | None, option("--session KEY", "The session they belong to.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take in the experiments of AEPsych: messages, trials, versions of configuration and strategy.

    Databases of every age are read, and only read. Messages are plain values, or refused; what
    else is pickled there is kept as it is and never opened. What is here already is left alone,
    what an experiment has grown by is added; one that is nobody's yet is assigned to --mouse or
    --session, one that is a mouse's to a --session of it. One that is another one here, or
    another's, is a conflict, and nothing is written.

    Example: vrtracker import aepsych default.db --mouse ATL012 --dry-run

    Example: vrtracker import aepsych rig1.db rig2.db --yes --json
    """
    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = tracker.experiments.read(*files, mouse=mouse, session=session)
        is_new = any(plan.counts.values())
        if not json:
            write_table([dict(plan.counts)])
        is_applied = is_new and not dry_run and not plan.conflicts
        if is_applied:
            _ask("This writes them.", yes=yes or json)
            plan.apply()
    _report(plan, dict(plan.counts), is_applied=is_applied, json=json)


@imports.command("nwb")
def import_nwb(
    context: typer.Context,
    file: Annotated[Path, argument("FILE", "The NWB file.")],
    *,
    session: Annotated[str, option("--session KEY", "The session that it is of.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take events, intervals, series and positions of an NWB file over, as ALF files.

    All that is wrong with the file is listed first; then nothing is written. A mouse, session or
    rig that is not there is added as the file describes it, and of a file of ours experiments,
    masks and runs of tracking too. Needs the extra "nwb" of the package.

    Example: vrtracker import nwb 702.nwb --session ATL012.2023-01-20.702 --dry-run
    """
    from vrtracker.interop.nwb import import_nwb as plan_of

    with shell_of(context).open(readonly=dry_run) as tracker:
        plan = plan_of(tracker, file, session)
        if not json:
            for told in (*(f"problem: {each}" for each in plan.problems), *plan.notes):
                say(told)
            for path, why in plan.left_out:
                say(f"left out: {path}: {why}")
        is_applied = not plan.problems and not dry_run
        if is_applied:
            fact = f"This writes {counted(len(plan.new), 'file')} of {plan.key}."
            _ask(fact, yes=yes or json)
            plan.apply()
    if json:
        values = {name: getattr(plan, name) for name in _OF_NWB}
        write_json({"key": str(plan.key), **values, "applied": is_applied})
    elif not plan.problems:
        done = "written" if is_applied else "to write"
        say(f"{counted(len(plan.new), 'file')} {done}, {len(plan.same)} there already")
    if plan.problems:
        say_error(f"{file} has {counted(len(plan.problems), 'problem')}; nothing was written.")
        raise typer.Exit(Exit.BAD_INPUT)


def _counts(of: Mapping[str, int]) -> dict[str, int]:
    return {name: of.get(name, 0) for name in (*_TOTALS, "conflicts")}


def _mapping(assignments: Sequence[str]) -> dict[str, str]:
    columns = {}
    for text in assignments:
        header, sign, column = text.rpartition("=")
        if not sign:
            raise InvalidValueError(f"--map {text!r} is not of the form HEADER=COLUMN.")
        columns[header.strip()] = column.strip()
    return columns


def _show_and_apply(plan: ImportPlan, *, dry_run: bool, yes: bool, json: bool) -> None:
    if not json:
        _write_preview(plan)
    number = 0
    if not plan.problems and not dry_run:
        _ask(f"This adds {counted(len(plan.rows), 'row')}.", yes=yes or json)
        number = plan.apply()
    if json:
        write_json(_document(plan, number))
    elif not plan.problems:
        say(f"{counted(number, 'row')} imported" if not dry_run else "Nothing was written.")
    if plan.problems:
        say_error(
            f"{plan.path} has {counted(len(plan.problems), 'problem')}; nothing was imported."
        )
        raise typer.Exit(Exit.BAD_INPUT)


def _ask(fact: str, *, yes: bool) -> None:
    agree(fact, yes=yes or not is_terminal("stdin"))


def _report(plan: Any, document: dict[str, Any], *, is_applied: bool, json: bool) -> None:
    """Say what came of a plan that may have conflicts."""
    if json:
        write_json(document)
    elif not plan.conflicts:
        say("Imported." if is_applied else "Nothing was written.")
    if plan.conflicts:
        say_error(in_the_shell(str(plan.contradiction())))
        raise typer.Exit(Exit.CONFLICT)


def _write_preview(plan: ImportPlan) -> None:
    rows = [{name: plain_value(value) for name, value in row.items()} for row in plan.rows]
    if not plan.problems:
        filled = [name for name in (rows[0] if rows else ()) if any(r[name] for r in rows)]
        write_table(rows[:_PREVIEW], filled)
        if len(rows) > _PREVIEW:
            say(f"... and {len(rows) - _PREVIEW} more")
    for remark in plan.notes:
        say(remark)
    for problem in plan.problems:
        say(in_the_shell(f"problem: {problem}"))
    for warning in plan.warnings:
        say(in_the_shell(f"warning: {warning}"))
    say(
        f"{plan.path}: {counted(len(rows), 'good row')}, "
        f"{counted(len(plan.problems), 'problem')}, {counted(len(plan.warnings), 'warning')}"
    )


def _document(plan: ImportPlan, imported: int) -> dict[str, Any]:
    def listed(problems: Any) -> list[dict[str, Any]]:
        return [
            {"line": one.line, "column": one.column, "message": in_the_shell(one.message)}
            for one in problems
        ]

    return {
        "what": plan.what,
        "file": str(plan.path),
        "rows": len(plan.rows),
        "imported": imported,
        "notes": list(plan.notes),
        "problems": listed(plan.problems),
        "warnings": listed(plan.warnings),
    }
