"""Run all checks, and put right what can be put right without any risk."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from vrtracker.errors import VrtrackerError
from vrtracker.services.doctor import database, machine
from vrtracker.services.doctor.diagnosis import Check, Diagnosis, Finding, Status, of_error
from vrtracker.services.doctor.patient import CannotBeSeenError, Patient

CHECKS: dict[str, Callable[[Patient], Finding]] = {
    "profile": machine.profile,
    "drivers": machine.drivers,
    "place": machine.place,
    "space": machine.space,
    "database": database.whole,
    "log": database.log,
    "locks": database.locks,
    "schema": database.schema,
    "references": database.references,
    "cells": database.cells,
    "names": database.names,
    "claims": database.claims,
    "clock": machine.clock,
    "backups": machine.backups,
    "root": machine.root,
    "registrars": machine.registrars,
}
"""The checks by name, in the order in which they are made."""


def examine(
    target: str | os.PathLike[str] | None = None, *, fix: bool = False, **options: Any
) -> Diagnosis:
    """Look at all that a lab's database needs, and say what is wrong and what to do about it.

    Whatever is wrong, also with the settings or the database, is a check's result.

    Parameters
    ----------
    target
        Path of the database, URL, or name of a profile, as for `vrtracker.open`.
    fix
        Put right what can be without any risk: free claims of processes that are gone, make a
        backup where one is missing, old or damaged, shorten a log.
    **options
        ``root``, ``actor``, as for `vrtracker.open`.

    Returns
    -------
    Diagnosis
        ``checks`` (each with ``name, status, message, remedy``), ``is_well``, ``fixed``.

    Examples
    --------
    >>> found = vrtracker.doctor("lab.db", root="lab")
    >>> [check.message for check in found.checks if check.name == "references"]
    ['Every row that refers to another one finds it.']
    """
    patient = Patient(target, **options)
    try:
        found = {name: look(check, patient) for name, check in CHECKS.items()}
        fixed = []
        for name, finding in found.items() if fix else ():
            if finding.fix is not None:
                fixed += _fixed(name, finding.fix, patient)
                found[name] = look(CHECKS[name], patient)
        checks = [
            Check(name, each.status, each.message, each.remedy) for name, each in found.items()
        ]
        return Diagnosis(str(patient), tuple(checks), tuple(fixed))
    finally:
        patient.close()


def look(check: Callable[[Patient], Finding], patient: Patient) -> Finding:
    """Make one check; whatever is raised there is what it found."""
    try:
        return check(patient)
    except CannotBeSeenError as error:
        return Finding(Status.SKIPPED, str(error))
    except VrtrackerError as error:
        return of_error(error)
    except Exception as error:  # noqa: BLE001 - a doctor that falls over what it finds is none
        return Finding(Status.ERROR, f"{type(error).__name__}: {error}", "Look at what it names.")


def _fixed(name: str, fix: Callable[[Patient], str], patient: Patient) -> list[str]:
    try:
        return [fix(patient)]
    except VrtrackerError as error:
        return [f"{name} could not be put right: {error}"]
