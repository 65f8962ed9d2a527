"""Which software an attempt was made with."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from vrtracker.domain.registrars import Registrar
from vrtracker.registrars import version_of
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.outcomes import REGISTRAR


def versions_of(lab: LabContext, registrar: Registrar) -> dict[str, str]:
    """Return the versions of Python, the registrar, this package and what it stands on."""
    versions = {"python": platform.python_version()}
    code = version_of(registrar)
    if code is not None:
        versions[REGISTRAR] = code
    for name in ("vrtracker", "sqlalchemy", *lab.database.backend.driver_versions):
        installed = _installed(name)
        if installed is not None:
            versions[name] = installed
    return versions


@cache
def _installed(name: str) -> str | None:
    """Return the version of a package, which is looked for on the disk, or None without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
