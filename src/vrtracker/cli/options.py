"""The options and arguments that several commands share, each described once."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AllColumns",
    "Columns",
    "Date",
    "Deletion",
    "DryRun",
    "Imaging",
    "IncludeStale",
    "Json",
    "Key",
    "Limit",
    "MaxErrors",
    "MaxSessions",
    "Mouse",
    "NoRetry",
    "Reason",
    "Registrar",
    "RegistrarOption",
    "Set",
    "Since",
    "Stage",
    "To",
    "Unblind",
    "Until",
    "What",
    "Where",
    "Yes",
]

_FILTERS = "Filters"


class What(enum.StrEnum):
    """What a file of rows holds."""

    MICE = "mice"
    SESSIONS = "sessions"


Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="A session, such as ATL012.2023-01-20.702.", show_default=False
    ),
]
Stage = Annotated[
    str,
    typer.Argument(
        metavar="STAGE",
        help="suite2p, suite2p_qc, registration, red_cell_qc, or one that the lab declares.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Preview; write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document, and nothing else.")]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help="Write the rows, as --json has them: .csv, .tsv, .parquet, .arrow or .feather.",
    ),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the history.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; go on.")]
Deletion = Annotated[
    int | None,
    typer.Option(
        "--deletion",
        metavar="N",
        help="Which one, if it was deleted more than once, by its number in the list of them.",
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Show so many rows at most.")
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B,C", help="Show these columns; key is one of them too."),
]
AllColumns = Annotated[bool, typer.Option("--all-columns", help="Show every column.")]
Unblind = Annotated[bool, typer.Option("--unblind", help="Show the genotype of blinded mice too.")]
IncludeStale = Annotated[
    bool,
    typer.Option(
        "--include-stale",
        help="Also what was made from inputs made again since, or is marked as outdated.",
    ),
]
Registrar = Annotated[
    str | None,
    typer.Option(
        "--registrar",
        metavar="WHAT",
        help='What does the work: alf, "command: PROGRAM {session_path} {staging}", '
        "module:function. The configured one, else alf, when not given.",
    ),
]
RegistrarOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option for it, as JSON. Repeatable."),
]
MaxSessions = Annotated[
    int | None,
    typer.Option("--max-sessions", metavar="N", min=1, help="Stop after so many sessions."),
]
MaxErrors = Annotated[
    int | None,
    typer.Option("--max-errors", metavar="N", min=1, help="Stop after so many failures."),
]
NoRetry = Annotated[bool, typer.Option("--no-retry", help="Leave out what failed before.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="COLUMN=VALUE",
        help="A value; an empty one empties the column. Repeatable.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="'imaging and mouse.KO and sessionDate >= today - 7 days': and, or, not, = != < <= > "
        ">=, in (a, b), between, like 'ATL%', is missing; or short: column=a,b, column~ATL%, "
        "column= for a missing value. Repeatable: all must hold. See docs/selecting.md.",
        rich_help_panel=_FILTERS,
    ),
]
Mouse = Annotated[
    list[str] | None,
    typer.Option(
        "--mouse", metavar="NAME", help="Of this mouse. Repeatable.", rich_help_panel=_FILTERS
    ),
]
Date = Annotated[
    str | None,
    typer.Option("--date", metavar="DATE", help="Of this day.", rich_help_panel=_FILTERS),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Of this day and later.", rich_help_panel=_FILTERS
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="DATE", help="Of this day and earlier.", rich_help_panel=_FILTERS
    ),
]
Imaging = Annotated[
    bool | None,
    typer.Option(
        "--imaging/--no-imaging", help="With imaging, or without.", rich_help_panel=_FILTERS
    ),
]
