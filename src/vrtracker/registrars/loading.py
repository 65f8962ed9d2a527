"""From what a user writes to a registrar."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vrtracker.domain.registrars import Registrar
from vrtracker.errors import ConfigurationError, InvalidValueError, UnknownNameError
from vrtracker.registrars.alf_indexer import AlfIndexer
from vrtracker.registrars.command import CommandRegistrar
from vrtracker.registrars.function import FunctionRegistrar

__all__ = ["ENTRY_POINTS", "registrar_from"]

ENTRY_POINTS = "vrtracker.registrars"
"""The group of entry points in which packages offer registrars."""
_COMMAND = "command:"


def registrar_from(spec: Any, options: Mapping[str, Any] | None = None) -> Registrar:
    """Return the registrar that a specification names.

    Parameters
    ----------
    spec
        ``alf``; ``command: PROGRAM …``; ``module:function``; the name of an entry point in the
        group ``vrtracker.registrars``; a function; or a registrar, which is returned as it is.
    options
        Options for a function, or for the ALF indexer (``hashes``) or command (``timeout_s``).

    Raises
    ------
    ConfigurationError
        If it cannot be loaded.
    UnknownNameError
        If there is nothing of that name.
    InvalidValueError
        If the options are not plain values.
    """
    given = _plain(options or {})
    if isinstance(spec, str):
        return _named(spec.strip(), given)
    if hasattr(spec, "register") and hasattr(spec, "estimate"):
        return spec  # type: ignore[no-any-return]
    if callable(spec):
        return FunctionRegistrar(spec, given)
    raise ConfigurationError(f"{spec!r} is no registrar; give a name, a function or a registrar.")


def _named(spec: str, options: dict[str, Any]) -> Registrar:
    try:
        if spec == "alf":
            return AlfIndexer(**options)
        if spec.startswith(_COMMAND):
            return CommandRegistrar(spec.removeprefix(_COMMAND).strip(), **options)
    except TypeError as error:
        raise ConfigurationError(f"The registrar {spec!r} does not take that: {error}") from error
    offered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if spec in offered:
        return _wrapped(offered[spec].load(), spec, options)
    if ":" not in spec:
        raise UnknownNameError("registrar", spec, ["alf", *offered, "module:function"])
    return _wrapped(_import(spec), spec, options)


def _import(spec: str) -> Any:
    module, _, path = spec.partition(":")
    # A lab's own module lies where the command is run, as for python -m.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The registrar {spec!r} cannot be loaded ({error}); write module:function."
        ) from error
    return found


def _wrapped(found: Any, spec: str, options: dict[str, Any]) -> Registrar:
    if isinstance(found, type):
        found = found(**options)
    if hasattr(found, "register") and hasattr(found, "estimate"):
        return found  # type: ignore[no-any-return]
    if not isinstance(found, Callable):  # type: ignore[arg-type]
        raise ConfigurationError(f"{spec!r} is not a function; name one.")
    return FunctionRegistrar(found, options, spec)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"The options are kept with each attempt as JSON; give plain values ({error})."
        ) from error
    return plain
