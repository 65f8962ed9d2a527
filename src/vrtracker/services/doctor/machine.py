"""Checks of this computer: settings, drivers, where the file lies, room, clock, backups, root."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from vrtracker.backends.disk import network_drive, synced_folder
from vrtracker.database import Database, DatabaseClock
from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import VrtrackerError
from vrtracker.files.layout import SessionFolders
from vrtracker.registrars import registrar_from
from vrtracker.registrars.checking import require_working
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration.backups import back_up, newest_backup, require_sound
from vrtracker.services.administration.moving import where_it_went
from vrtracker.services.administration.opening import lab_of
from vrtracker.services.doctor.diagnosis import Finding, Status
from vrtracker.services.doctor.patient import CannotBeSeenError, Patient
from vrtracker.settings import config_path, settings_for

_MEGABYTE = 1024**2
_LITTLE = 1024 * _MEGABYTE
"""Bytes; below it the rest of a drive is soon used up."""
_TOO_LITTLE = 100 * _MEGABYTE


def profile(patient: Patient) -> Finding:
    """Read the settings, and hold the stages and policies of the profile to the database."""
    settings = settings_for(patient.target)
    named = str(Database(settings.database))
    try:
        database = patient.database
    except CannotBeSeenError:
        pass
    else:
        lab_of(database, settings)
    name = settings.profile
    by = f"the profile {name!r} in {config_path()}" if name else "no profile"
    return Finding(Status.OK, f"The database is {named}, by {by}.")


def drivers(patient: Patient) -> Finding:
    """Look for what opens this kind of database."""
    database = patient.named
    found = database.backend.health.equipment(database.url)
    return Finding(Status.OK, found)


def place(patient: Patient) -> Finding:
    """Ask whether the file lies where another program or computer copies or changes it."""
    file = patient.named.backend.file(patient.named.url)
    if file is None:
        return Finding(Status.SKIPPED, "The database is on a server.")
    went = where_it_went(patient.named)
    if went is not None:
        remedy = f"Give that one, in {config_path()}, VRTRACKER_URL or --url."
        return Finding(Status.WARNING, f"{file} was moved to {went}, and is only read.", remedy)
    synced = synced_folder(file)
    if synced is not None:
        return Finding(
            Status.WARNING,
            f"{file} lies in {synced!r}, which a cloud service synchronises: it copies the file "
            "while it is written to, and two computers write to two copies.",
            "Move it to a folder of this computer or of a file server.",
        )
    network = network_drive(file)
    if network is None:
        return Finding(Status.OK, f"{file} lies on a drive of this computer.")
    if patient.named.backend.health.fit_for_network_drives:
        return Finding(Status.OK, f"{file} lies on a network drive ({network}).")
    return Finding(
        Status.WARNING,
        f"{file} lies on a network drive ({network}), where only one computer may use it.",
        f"Move it to this computer; for several: vrtracker clone {file} "
        "postgresql://USER@SERVER/DATABASE",
    )


def space(patient: Patient) -> Finding:
    """Ask how much room is left for the database, its backups and the sessions."""
    size = patient.file.stat().st_size if patient.file is not None else 0
    wanted = {"the database": (patient.file, size), "backups": (patient.settings.backups, size)}
    wanted["the sessions"] = (patient.root, 0)
    left, low = [], Status.OK
    for what, (path, needed) in wanted.items():
        there = None if path is None else _nearest(path.expanduser())
        if there is not None:
            free = shutil.disk_usage(there).free
            left.append(f"{free / _MEGABYTE:,.0f} MB for {what}")
            if free < max(_TOO_LITTLE, 2 * needed):
                low = Status.ERROR
            elif free < _LITTLE and low is Status.OK:
                low = Status.WARNING
    if not left:
        return Finding(Status.SKIPPED, "Neither the database nor a folder is on a drive here.")
    remedy = None if low is Status.OK else "Make room there, or move some of it to another drive."
    return Finding(low, f"Left: {', '.join(left)}.", remedy)


def _nearest(path: Path) -> Path | None:
    """Return the folder of a path that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), None)


def clock(patient: Patient) -> Finding:
    """Compare the clock of this computer with that of the database, or of its drive."""
    # Of a file it is asked by a new one beside it, which a database that only reads never makes.
    with Database(patient.database.url) as database:
        skew = DatabaseClock(database, host=patient.host).skew()
    if not skew:
        return Finding(Status.OK, "The clock of this computer and that of the database agree.")
    side = "ahead of" if skew > dt.timedelta() else "behind"
    seconds = abs(skew).total_seconds()
    return Finding(
        Status.WARNING,
        f"The clock of this computer is {seconds:.0f} s {side} that of the database.",
        "Set the wrong one right. The tracker goes by that of the database.",
    )


def registrars(patient: Patient) -> Finding:
    """Load the registrars that the profile names, and ask those that can tell."""
    named = patient.settings.registrars
    if not named:
        return Finding(Status.OK, "The profile names no registrar, so it is alf.")
    wrong = []
    for stage, spec in named.items():
        try:
            require_working(registrar_from(spec))
        except VrtrackerError as error:
            wrong.append(f"{stage}: {error}")
    if not wrong:
        return Finding(Status.OK, f"All {len(named)} that the profile names can be loaded.")
    return Finding(
        Status.ERROR,
        " ".join(wrong),
        f"Install what they are in, or correct registrars in {config_path()}.",
    )


_OLD = dt.timedelta(days=7)


def backups(patient: Patient) -> Finding:
    """Look for the newest backup of this database: how old it is, and whether it is whole."""
    database, folder = patient.named, patient.settings.backups
    if folder is None:
        return Finding(
            Status.SKIPPED,
            "No folder for backups is known.",
            "Set VRTRACKER_BACKUPS, or backups in the profile; then: vrtracker backup",
        )
    if not folder.expanduser().is_dir():
        # Made anew, it would hide that a drive is not there.
        return Finding(
            Status.WARNING,
            f"The folder for backups, {folder}, is not there.",
            "Connect its drive; if it is new, make it. Then: vrtracker backup",
        )
    found = newest_backup(database, folder.expanduser())
    make = "Make one: vrtracker backup"
    if found is None:
        return Finding(Status.WARNING, f"No backup of it is in {folder}.", make, fix=_back_up)
    path, made_at = found
    try:
        require_sound(database, path)
    except VrtrackerError as error:
        return Finding(Status.ERROR, f"The newest backup is not whole: {error}", make, fix=_back_up)
    age = patient.host() - made_at
    said = f"The newest backup, {path.name}, is {counted(age.days, 'day')} old and whole."
    if age > _OLD:
        return Finding(Status.WARNING, said, make, fix=_back_up)
    return Finding(Status.OK, said)


def _back_up(patient: Patient) -> str:
    made = back_up(patient.lab, patient.settings.backups)
    return f"A backup was made: {made.path}."


def root(patient: Patient) -> Finding:
    """Look for the folders of the sessions that are not scratched."""
    if patient.root is None:
        return Finding(
            Status.SKIPPED,
            "The folder that holds the sessions is not known.",
            "Set VRTRACKER_ROOT, or root in the profile, or give --root.",
        )
    folders = SessionFolders(patient.root)
    folders.check()
    with patient.lab.unit(readonly=True) as unit:
        keys = [SessionKey(*key) for key in unit.sessions.present_keys(Listing())]
    there = sum(folders.find(key) is not None for key in keys)
    said = f"{there} of {counted(len(keys), 'session')} have their folder in {patient.root}."
    if keys and not there:
        remedy = "Give the right root: VRTRACKER_ROOT, root in the profile, or --root."
        return Finding(Status.ERROR, said, remedy)
    if there < len(keys):
        return Finding(Status.WARNING, said, "See which: vrtracker reconcile")
    return Finding(Status.OK, said)
