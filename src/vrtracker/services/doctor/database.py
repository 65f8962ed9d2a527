"""Checks of the database: whether it opens, is whole, and what stands in it."""

from __future__ import annotations

from vrtracker.database.structure import misfits
from vrtracker.database.versions import HEAD, require_current
from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import BackendError, DatabaseAwayError, DatabaseUnavailableError
from vrtracker.repositories.copying import TableRepository
from vrtracker.services.doctor.diagnosis import Finding, Status, of_error
from vrtracker.services.doctor.patient import Patient
from vrtracker.services.holders import why_abandoned
from vrtracker.services.workflow.abandoned import free_abandoned

_LARGE_LOG = 64 * 1024**2
_SHOWN = 5


def whole(patient: Patient) -> Finding:
    """Open the database, and have it check itself where it can."""
    restore = "Keep a copy of it as it is, then restore a backup: vrtracker restore BACKUP"
    try:
        database = patient.open()
        with database.connect(readonly=True) as connection:
            damage = database.backend.health.damage(connection)
    except (DatabaseAwayError, DatabaseUnavailableError):
        raise
    except BackendError as error:
        return of_error(error, restore)
    if damage:
        found = " ".join("; ".join(damage).split())
        return Finding(Status.ERROR, f"It is damaged: {found}.", restore)
    return Finding(Status.OK, f"{database} can be read, and no damage is known.")


def log(patient: Patient) -> Finding:
    """Look at the log of changes that are not in the file yet."""
    database = patient.database
    found = database.backend.health.log(database.url)
    if found is None:
        return Finding(Status.OK, "No log of changes lies beside it.")
    path, size = found
    if size <= max(_LARGE_LOG, patient.file.stat().st_size if patient.file else 0):
        return Finding(Status.OK, f"{path.name} holds {size / 1024**2:.1f} MB.")
    return Finding(
        Status.WARNING,
        f"{path} has grown to {size / 1024**2:.1f} MB: somebody reads without an end.",
        "Close programs that have the database open; then: vrtracker doctor --fix",
        fix=_shorten_log,
    )


def _shorten_log(patient: Patient) -> str:
    database = patient.database
    database.dispose()
    database.backend.health.shorten_log(database.url)
    return "The log was brought into the database's file."


def locks(patient: Patient) -> Finding:
    """Ask who keeps others from writing."""
    database = patient.database
    found = database.backend.health.holders(database.url, database.read_engine)
    if not found:
        return Finding(Status.OK, "Nobody keeps others from writing.")
    return Finding(
        Status.WARNING,
        f"Others cannot write, or may have to wait, because of {'; '.join(found)}.",
        "If it lasts, close it there.",
    )


def schema(patient: Patient) -> Finding:
    """Compare the schema with the one that this version works with."""
    from vrtracker.database import migration

    database = patient.database
    require_current(database)
    differences = migration.check(database.url)
    if not differences:
        return Finding(Status.OK, f"The schema is at revision {HEAD}.")
    return Finding(
        Status.ERROR,
        f"The schema is at revision {HEAD}, but differs: {_some(differences)}.",
        "Undo what was changed in the tables past the tracker, or restore a backup.",
    )


def references(patient: Patient) -> Finding:
    """Look for rows that refer to a mouse, a session or an attempt that is not there."""
    with patient.lab.unit(readonly=True) as unit:
        found = unit.orphans.all()
    if not found:
        return Finding(Status.OK, "Every row that refers to another one finds it.")
    count = sum(each.rows for each in found)
    said = [f"{each.table}.{each.column} = {each.value!r}" for each in found]
    return Finding(
        Status.ERROR,
        f"{counted(count, 'row')} refer to something that is not there: {_some(said)}.",
        "Add what is missing (vrtracker mice add NAME), or correct these rows, or delete them.",
    )


def cells(patient: Patient) -> Finding:
    """Look for cells that their columns do not take: SQLite lets a tick box hold a text."""
    with patient.lab.database.connect(readonly=True) as connection:
        found = misfits(patient.lab.database, connection)
    if not found:
        return Finding(Status.OK, "Every cell fits its column.")
    table, column, _, (key, number) = found[0]
    change = f"UPDATE {table} SET {column} = VALUE WHERE {key} = {number!r}"  # noqa: S608 - is shown
    return Finding(
        Status.ERROR,
        f"These do not fit their columns: {_some(list(map(str, found)))}.",
        f"Correct each by SQL, such as: {change}; until then its row cannot be read.",
    )


def names(patient: Patient) -> Finding:
    """Look for mice and sessions whose keys differ in the case of letters alone."""
    database, found = patient.lab.database, []
    with database.connect(readonly=True) as connection:
        for table in (database.tables.mice, database.tables.sessions):
            found += TableRepository(database, connection, table).keys_that_differ_by_case()
    if not found:
        return Finding(Status.OK, "No names differ in the case of letters alone.")
    return Finding(
        Status.ERROR,
        f"These differ from others in the case of letters alone: {_some(found)}. Access, Windows "
        "and macOS take them for one.",
        "Give one of each another name: vrtracker mice edit NAME --set mouseName=OTHER",
    )


def claims(patient: Patient) -> Finding:
    """Look for sessions that are claimed by processes which are gone."""
    lab = patient.lab
    with lab.unit(readonly=True) as unit:
        rows = [row for row in unit.attempts.open_claims() if row["outcome"] == "running"]
    dead = [(row, why[0]) for row in rows for why in [why_abandoned(lab, row)] if why]
    if not dead:
        return Finding(Status.OK, f"{counted(len(rows), 'session')} worked on, by the living.")
    said = [f"{SessionKey.of_row(row)} {row['stage']} ({why})" for row, why in dead]
    return Finding(
        Status.WARNING,
        f"{counted(len(dead), 'claim')} of processes that are gone: {_some(said)}.",
        "The next run takes these sessions over; to free them now: vrtracker doctor --fix",
        fix=_free,
    )


def _free(patient: Patient) -> str:
    with patient.writing() as lab:
        return " ".join(free_abandoned(lab)) or "Somebody else has freed the claims."


def _some(said: list[str]) -> str:
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return f"{'; '.join(said[:_SHOWN])}{more}"
