"""Options that stand together: the filters of sessions, and what a listing shows."""

# Its annotations are read at run time, when `Selection` is not imported: none "of the future" here.
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Annotated, Any

from vrtracker.cli.commands import Together
from vrtracker.cli.options import AllColumns, Columns, Json, Limit, OrderBy, To, Unblind, option

if TYPE_CHECKING:
    from vrtracker.repositories.selecting import Selection

_PANEL = "Filters"
_SPOKEN = ("today", "yesterday")

Where = Annotated[
    list[str] | None,
    option(
        "--where CONDITION",
        "'imaging and mouse.KO and sessionDate >= today - 7 days': and, or, not, = != < <= > "
        ">=, in (a, b), between, like 'ATL%', contains, is missing; or short: column=a,b, "
        "column~ATL%, column= for a missing value. Repeatable: all must hold. See "
        "docs/selecting.md.",
        rich_help_panel=_PANEL,
    ),
]
Mouse = Annotated[
    list[str] | None, option("--mouse NAME", "Of this mouse. Repeatable.", rich_help_panel=_PANEL)
]
Date = Annotated[str | None, option("--date DATE", "Of this day.", rich_help_panel=_PANEL)]
Since = Annotated[
    str | None, option("--since DATE", "Of this day and later.", rich_help_panel=_PANEL)
]
Until = Annotated[
    str | None, option("--until DATE", "Of this day and earlier.", rich_help_panel=_PANEL)
]
Imaging = Annotated[
    bool | None,
    option("--imaging/--no-imaging", "With imaging, or without.", rich_help_panel=_PANEL),
]
IncludeScratched = Annotated[
    bool, option("--include-scratched", "Scratched ones too.", rich_help_panel=_PANEL)
]


def filters_of(
    where: Where = None,
    *,
    mouse: Mouse = None,
    date: Date = None,
    since: Since = None,
    until: Until = None,
    imaging: Imaging = None,
) -> "Selection":
    """Return what the options select; values are fitted to the columns later.

    `where`: conditions, such as ``imaging and sessionID >= 701``, which all have to hold. Raises
    ConditionError if one cannot be read; it shows where.
    """
    from vrtracker.repositories.selecting import Filters, Selection

    asked = [Selection.written(text) for text in where or ()]
    given: list[tuple[str, Any]] = []
    if mouse:
        given.append(("mouseName", list(mouse)))
    for value, operator in ((date, "=="), (since, ">="), (until, "<=")):
        if value is not None and value.strip().lower().startswith(_SPOKEN):
            asked.append(Selection.written(f"sessionDate {operator} {value}"))
        elif value is not None:
            given.append(("sessionDate", (value, operator)))
    if imaging is not None:
        given.append(("imaging", imaging))
    parts = (Filters(tuple(given)),) if given else ()
    return reduce(and_, asked, Selection(parts, mice=tuple(mouse or ())))


Filters = Annotated["Selection", Together(filters_of)]
"""Stands for the options of `filters_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a listing of mice or sessions shows, and how."""

    columns: Columns = None
    all_columns: AllColumns = False
    order_by: OrderBy = None
    limit: Limit = None
    unblind: Unblind = False
    to: To = None
    json: Json = False


Listed = Annotated[Listing, Together(Listing)]
"""Stands for the options of `Listing`."""
