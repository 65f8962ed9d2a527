"""Checks of what the database stands with: its backups, and the sessions' folders."""

from __future__ import annotations

import datetime as dt

from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import VrtrackerError
from vrtracker.files.layout import SessionFolders
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration.backups import back_up, newest_backup, require_sound
from vrtracker.services.doctor.diagnosis import Finding, Status
from vrtracker.services.doctor.patient import Patient

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
