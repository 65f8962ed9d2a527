"""The options and arguments that several commands share, each described once."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer


def option(names: str, text: str, **settings: Any) -> Any:
    """Return an option as its help shows it: ``--to FILE``, ``--yes -y``; settings are typer's."""
    words = names.split()
    declared = [word for word in words if word.startswith("-")]
    value = " ".join(words[len(declared) :]) or None
    return typer.Option(*declared, metavar=value, help=text, **settings)


def argument(name: str, text: str) -> Any:
    """Return an argument as its help shows it: ``KEY``, ``FILE...``."""
    return typer.Argument(metavar=name, help=text)


class What(enum.StrEnum):
    """What a file of rows holds."""

    MICE = "mice"
    SESSIONS = "sessions"


Key = Annotated[str, argument("KEY", "A session, such as ATL012.2023-01-20.702.")]
Stage = Annotated[
    str,
    argument(
        "STAGE", "suite2p, suite2p_qc, registration, red_cell_qc, or one that the lab declares."
    ),
]
DryRun = Annotated[bool, option("--dry-run", "Show what it would do; write nothing.")]
Json = Annotated[bool, option("--json", "Write one JSON document, and nothing else.")]
To = Annotated[
    Path | None,
    option(
        "--to FILE", "Write the rows, as --json has them: .csv, .tsv, .parquet, .arrow or .feather."
    ),
]
Reason = Annotated[str | None, option("--reason TEXT", "Why, for the history.")]
Yes = Annotated[bool, option("--yes -y", "Do not ask; go on.")]
Deletion = Annotated[
    int | None,
    option(
        "--deletion N",
        "Which one, if it was deleted more than once, by its number in the list of them.",
    ),
]
Limit = Annotated[int | None, option("--limit N", "Show so many rows at most.", min=0)]
Columns = Annotated[
    str | None, option("--columns A,B,C", "Show these columns; key is one of them too.")
]
OrderBy = Annotated[
    str | None,
    option(
        "--order-by A,-B",
        "Sort by these columns, - for descending; by row number when not given.",
    ),
]
AllColumns = Annotated[bool, option("--all-columns", "Show every column.")]
Unblind = Annotated[bool, option("--unblind", "Show the genotype of blinded mice too.")]
IncludeStale = Annotated[
    bool,
    option(
        "--include-stale",
        "Also what was made from inputs made again since, or is marked as outdated.",
    ),
]
Registrar = Annotated[
    str | None,
    option(
        "--registrar WHAT",
        'What does the work: alf, "command: PROGRAM {session_path} {staging}", '
        "module:function. The configured one, else alf, when not given.",
    ),
]
RegistrarOption = Annotated[
    list[str] | None, option("--option NAME=VALUE", "An option for it, as JSON. Repeatable.")
]
MaxSessions = Annotated[
    int | None, option("--max-sessions N", "Stop after so many sessions.", min=1)
]
MaxErrors = Annotated[int | None, option("--max-errors N", "Stop after so many failures.", min=1)]
NoRetry = Annotated[bool, option("--no-retry", "Leave out what failed before.")]
Set = Annotated[
    list[str] | None,
    option("--set COLUMN=VALUE", "A value; an empty one empties the column. Repeatable."),
]
