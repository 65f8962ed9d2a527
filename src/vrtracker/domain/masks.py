"""Functions that make masks: marked as such, called by import name, known by their source."""

from __future__ import annotations

import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from vrtracker.errors import InvalidValueError

__all__ = ["code_hash", "data_hash", "function_called", "import_name", "mask_function"]

_MARK = "vrtracker_mask"
_Function = TypeVar("_Function", bound=Callable[..., Any])


def mask_function(function: _Function) -> _Function:
    """Mark a function as one that makes masks: ``function(session, **options)``.

    Only what is marked is ever called by its name. The session is as from
    ``tracker.sessions.get(key)``; what is returned is kept: arrays of NumPy, numbers, texts, and
    lists, tuples and dicts of such.
    """
    setattr(function, _MARK, True)
    return function


def import_name(function: Any) -> str:
    """Return what a function is called, ``package.module:function``.

    Raises
    ------
    InvalidValueError
        If it cannot be found by that, or is not marked.
    """
    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    if function_called(name) is not function:
        raise InvalidValueError(f"{name} is not the function that is found by that name.")
    return name


def function_called(name: str) -> Callable[..., Any]:
    """Return the marked function of that name, of a module that is imported already.

    Nothing is imported: what a database holds does not decide which code runs.

    Raises
    ------
    InvalidValueError
        If its module was not imported, or has no such function that is marked.
    """
    module_name, _, path = name.partition(":")
    found: Any = sys.modules.get(module_name)
    if found is None:
        raise InvalidValueError(
            f"{name} makes masks, and its module was not imported; import {module_name} first."
        )
    # Without running what a module may do when it is asked for a name.
    for part in path.split("."):
        found = inspect.getattr_static(found, part, None)
    if not callable(found) or not getattr(found, _MARK, False):
        raise InvalidValueError(
            f"{name} is no function that is marked as one that makes masks; put @mask_function "
            "before it."
        )
    function: Callable[..., Any] = found
    return function


def code_hash(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's source, wherever it stands.

    Raises
    ------
    InvalidValueError
        If its source cannot be read, as of one that was typed in.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise InvalidValueError(
            f"The source of {function!r} cannot be read ({error}); put it in a module."
        ) from error
    return hashlib.sha256(source.encode()).hexdigest()


def data_hash(datasets: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of what is on record of files: path, size, and hash or time."""
    rows = sorted(
        (row["rel_path"], row["size_bytes"], row["sha256"] or row["md5"] or row["modified"])
        for row in datasets
        if row["missing_since"] is None
    )
    return hashlib.sha256(repr(rows).encode()).hexdigest()
