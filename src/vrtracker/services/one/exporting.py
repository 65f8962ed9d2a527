"""Sessions and datasets written as a cache of ONE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.one import LeftOut, OneExport
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.one import NAMES
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("uSessionID", "mouseName", "sessionDate", "sessionID", "experimentType")


def export_cache(
    lab: LabContext, folder: Path, chosen: Selection, *, skip_unfit: bool
) -> OneExport:
    """Write the sessions that pass filters; see `vrtracker.tracker.Tracker.export_one`."""
    from vrtracker.arrow import read_table
    from vrtracker.files.one.columns import cache_tables, fit_datasets, fit_sessions
    from vrtracker.files.one.writing import refuse_foreign, write_cache

    refuse_foreign(folder)
    listing = Listing(chosen, _COLUMNS, include_scratched=chosen.is_key)
    tables = lab.database.tables
    columns = Columns(tables, tables.sessions, lab.stages, lab.now)
    rows = read_table(
        lab.database, listing_statement(tables, tables.sessions, listing, columns=columns)
    )
    with lab.unit(readonly=True) as unit:
        names = unit.one.names()
        # Of most sessions it is quicker to read the datasets of all than to look for each.
        is_most = 2 * len(rows) > unit.sessions.count(Listing(include_scratched=True))
        statement = unit.one.datasets(None if is_most else listing)
    sessions, left_out = fit_sessions(rows, names, _labs(lab, rows, names))
    if len(sessions):
        found = read_table(lab.database, statement, repeating="rel_path")
        datasets, more = fit_datasets(found, sessions)
        left_out += more
    if left_out and not skip_unfit:
        raise _unfit(left_out)
    if not len(sessions):
        raise InvalidValueError(
            "No session is selected that ONE can hold; nothing was written. Give other filters."
        )
    made, unhashed = cache_tables(sessions, datasets)
    write_cache(folder, made, created=lab.now())
    return OneExport(
        folder=str(folder),
        sessions=len(sessions),
        datasets=len(datasets),
        left_out=tuple(left_out),
        unhashed=unhashed,
    )


def _labs(lab: LabContext, rows: pa.Table, names: dict[int, dict[str, Any]]) -> dict[str, str]:
    """Return the lab of each mouse all of whose sessions are below one.

    Of a mouse in several places each session's own goes into `names`, unless a cache has told one.
    """
    import pyarrow as pa

    if lab.root is None:
        return {}
    folders = lab.folders()
    labs = folders.labs()
    if any(len(places) > 1 for places in labs.values()):
        mice = rows.column("mouseName").to_pylist()
        divided = [place for place, mouse in enumerate(mice) if len(labs.get(mouse, ())) > 1]
        for row in rows.take(pa.array(divided, pa.int64())).to_pylist():
            told = names.setdefault(row["uSessionID"], dict.fromkeys(NAMES))
            mouse, day = row["mouseName"], row["sessionDate"].date()
            key = SessionKey(mouse, day, row["sessionID"])
            found = folders.lab_of(key, labs[mouse])
            # Its folder may be on another computer.
            own = next(filter(None, labs[mouse])) if found is None else found
            told["lab"] = told["lab"] or own
    return {mouse: places[0] for mouse, places in labs.items() if len(places) == 1}


def _unfit(left_out: Sequence[LeftOut]) -> InvalidValueError:
    listing = "; ".join(f"{each.key}: {each.reason}" for each in left_out)
    return InvalidValueError(
        f"ONE cannot hold {len(left_out)} of the sessions and datasets ({listing}); nothing was "
        "written. "
        "Choose others by filters, or leave them out with skip_unfit=True.",
        value={each.key: each.reason for each in left_out},
    )
