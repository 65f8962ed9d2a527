"""Sessions and datasets written as a cache of ONE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vrtracker.domain.one import LeftOut, OneExport
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext

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
    on_disk = lab.folders().labs() if lab.root is not None else {}
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
    sessions, left_out = fit_sessions(rows, names, on_disk)
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


def _unfit(left_out: Sequence[LeftOut]) -> InvalidValueError:
    listing = "; ".join(f"{each.key}: {each.reason}" for each in left_out)
    return InvalidValueError(
        f"ONE cannot hold {len(left_out)} of the sessions and datasets ({listing}); nothing was "
        "written. "
        "Choose others by filters, or leave them out with skip_unfit=True.",
        value={each.key: each.reason for each in left_out},
    )
