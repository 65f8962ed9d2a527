"""What code a registrar is: what it says itself, else the distribution that it comes with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import packages_distributions, version

from vrtracker.domain.registrars import Registrar

_UNSAID = object()


def version_of(registrar: Registrar) -> str | None:
    """Return what code a registrar is, or None where nobody can tell."""
    said = getattr(registrar, "version", _UNSAID)
    if said is _UNSAID:
        return distribution_of(type(registrar).__module__)
    return None if said is None else str(said)


# What is loaded stays as it was, also when pip puts another version beside it.
@cache
def distribution_of(module: str) -> str | None:
    """Return name and version of the installed distribution that a module is of.

    Returns None for a file that is not installed, and where several distributions share the name.
    """
    names = set(packages_distributions().get(module.partition(".")[0], ()))
    if len(names) != 1:
        return None
    (name,) = names
    return f"{name} {version(name)}"
