"""From settings and a database to a lab."""

from __future__ import annotations

import datetime as dt
import os
import zoneinfo
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean

from vrtracker.database import Database
from vrtracker.domain.disk_rules import DiskRules
from vrtracker.domain.retrying import RunPolicy
from vrtracker.domain.roles import ProfileRoles, Role
from vrtracker.domain.stages import Stage, StageGraph, StageKind
from vrtracker.errors import ConfigurationError, UnknownNameError
from vrtracker.services.context import LabContext
from vrtracker.settings import DiskSettings, Settings


def lab_of(
    database: Database,
    settings: Settings,
    *,
    root: str | os.PathLike[str] | None = None,
    actor: str | None = None,
) -> LabContext:
    """Return the lab that the settings describe; root and actor come before theirs.

    Raises ConfigurationError if a declared stage does not fit the database, or a policy is for a
    stage of review. Raises UnknownNameError if a policy is for a stage that there is not.
    """
    declared = _declared(settings)
    _check_columns(declared, database)
    stages = StageGraph(declared)
    return LabContext(
        database=database,
        stages=stages,
        actor=actor or settings.actor,
        root=_root(root or settings.root),
        zone=zoneinfo.ZoneInfo(settings.timezone) if settings.timezone else None,
        lease=_minutes(settings.lease_minutes),
        output=settings.output,
        backups=settings.backups,
        safety_copies=settings.safety_copies,
        presets=settings.presets,
        policies=_policies(settings, stages),
        disk=_rules(settings.reconcile),
        roles=_roles(settings),
    )


def plain_lab(database: Database, settings: Settings, *, actor: str | None = None) -> LabContext:
    """Return a lab for what is done to a database as a whole, at whatever revision it is."""
    return LabContext(
        database=database,
        stages=StageGraph(),
        actor=actor or settings.actor,
        backups=settings.backups,
        safety_copies=settings.safety_copies,
        roles=_roles(settings),
    )


def _roles(settings: Settings) -> ProfileRoles:
    by_name = {name: Role(role) for name, role in settings.roles.items()}
    return ProfileRoles(by_name, Role(settings.default_role))


def _rules(given: DiskSettings) -> DiskRules:
    return DiskRules(**{name: value for name, value in vars(given).items() if value is not None})


def _declared(settings: Settings) -> list[Stage]:
    return [
        Stage(
            name=name,
            title=stage.title or name,
            kind=StageKind(stage.kind),
            requires=tuple(stage.requires),
            applies_if=tuple(stage.applies_if),
        )
        for name, stage in settings.stages.items()
    ]


def _policies(settings: Settings, stages: StageGraph) -> dict[str, RunPolicy]:
    """Return the policies of stages; refuse those of stages that no program does."""
    for name in settings.policies:
        if stages[name].kind is StageKind.REVIEW:
            raise ConfigurationError(
                f"The profile has a policy for {name!r}, which people do; take it out."
            )
    return {
        name: RunPolicy(
            attempts=given.attempts,
            first_wait=_minutes(given.first_wait_minutes),
            wait_factor=given.wait_factor,
            longest_wait=_minutes(given.longest_wait_minutes),
            permanent=tuple(given.permanent),
            max_failures_in_a_row=given.max_failures_in_a_row,
            timeout_minutes=given.timeout_minutes,
        )
        for name, given in settings.policies.items()
    }


def _check_columns(declared: list[Stage], database: Database) -> None:
    """Refuse stages that apply by columns that are not there, or are no tick boxes."""
    for stage in declared:
        columns: Any = database.tables.sessions.c if stage.applies_if else {}
        for name in stage.applies_if:
            kind = columns[name].type if name in columns else None
            if not isinstance(kind, Boolean):
                boxes = [each.name for each in columns.values() if isinstance(each.type, Boolean)]
                raise ConfigurationError(
                    f"The stage {stage.name!r} applies if {name!r}. "
                    f"{UnknownNameError('tick box', name, boxes)}"
                )


def _root(root: str | os.PathLike[str] | None) -> Path | None:
    return None if root is None else Path(root).expanduser().absolute()


def _minutes(minutes: float) -> dt.timedelta:
    return dt.timedelta(minutes=minutes)
