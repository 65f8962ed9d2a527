"""From what a user writes to a registrar."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vrtracker.domain.registrars import Registrar
from vrtracker.errors import ConfigurationError, InvalidValueError, UnknownNameError
from vrtracker.registrars.alf_indexer import AlfIndexer
from vrtracker.registrars.command import CommandRegistrar
from vrtracker.registrars.function import FunctionRegistrar

ENTRY_POINTS = "vrtracker.registrars"
"""The group of entry points in which packages offer registrars."""
_COMMAND = "command:"


def registrar_from(spec: Any, options: Mapping[str, Any] | None = None) -> Registrar:
    """Return the registrar that a specification names.

    `spec`: ``alf``; ``command: PROGRAM …``; ``module:function``; the name of an entry point in the
    group ``vrtracker.registrars``; a function; or a registrar, which is returned as it is.
    `options`: options for a function, or for the ALF indexer (``hashes``) or command
    (``timeout_s``). Raises ConfigurationError if it cannot be loaded, or does not take the options;
    UnknownNameError if there is nothing of that name; InvalidValueError if the options are not
    plain values.
    """
    given = _plain(options or {})
    if isinstance(spec, str):
        return _named(spec.strip(), given)
    return _wrapped(spec, None, given)


def _named(spec: str, options: dict[str, Any]) -> Registrar:
    if spec == "alf":
        return _made(AlfIndexer, spec, options)
    if spec.startswith(_COMMAND):
        command = spec.removeprefix(_COMMAND).strip()
        return _made(CommandRegistrar, spec, {"command": command, **options})
    offered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if spec not in offered and ":" not in spec:
        raise UnknownNameError("registrar", spec, ["alf", *offered, "module:function"])
    load = offered[spec].load if spec in offered else partial(_import, spec)
    try:
        found = load()
    except Exception as error:
        raise ConfigurationError(
            f"The registrar {spec!r} cannot be loaded ({error}); write module:function."
        ) from error
    return _wrapped(found, spec, options)


def _import(spec: str) -> Any:
    module, _, path = spec.partition(":")
    # A lab's own module lies where the command is run, as for python -m.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _wrapped(found: Any, spec: str | None, options: dict[str, Any]) -> Registrar:
    if isinstance(found, type):
        return _made(found, spec or found.__qualname__, options)
    if hasattr(found, "register") and hasattr(found, "estimate"):
        if options:
            raise ConfigurationError(
                f"{found!r} is a registrar already and takes no options; give them when making it."
            )
        return found  # type: ignore[no-any-return]
    if not callable(found):
        raise ConfigurationError(
            f"{spec or found!r} is no registrar; give a name, a function or a registrar."
        )
    return FunctionRegistrar(found, options, spec)


def _made(kind: Callable[..., Any], spec: str, options: dict[str, Any]) -> Registrar:
    try:
        return kind(**options)  # type: ignore[no-any-return]
    except TypeError as error:
        raise ConfigurationError(f"The registrar {spec!r} does not take that: {error}") from error


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"The options are kept with each attempt as JSON; give plain values ({error})."
        ) from error
    return plain
