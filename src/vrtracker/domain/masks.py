"""Functions that make masks: marked as such, called by import name, known by their source."""

from __future__ import annotations

import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from vrtracker.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    Series = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

_MARK = "vrtracker_mask"
_Function = TypeVar("_Function", bound=Callable[..., Any])


def mask_function(function: _Function) -> _Function:
    """Mark a function as one that makes masks: ``function(session, **options)``.

    Only what is marked is ever called by its name. The session is as from
    ``tracker.sessions.get(key)``; what is returned is a mask as `split_trials` takes it: marks, 1
    where a trial begins and -1 where it ends, and their times.

    Examples
    --------
    >>> from vrtracker.interop.antelop import mask_function, split_trials
    >>> @mask_function
    ... def early(session, until):
    ...     return [1, -1], [0.0, until]
    >>> session = tracker.sessions.get("DEMO001.2023-01-18.701")
    >>> data = [session.load(f"positionTracking.{each}") for each in ("position", "times")]
    >>> split_trials(data, early(session, until=2.0))
    <1 trials of 1667 samples>
    """
    setattr(function, _MARK, True)
    return function


def import_name(function: Any) -> str:
    """Return what a function is called, ``package.module:function``.

    Raises InvalidValueError if it cannot be found by that, or is not marked.
    """
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise InvalidValueError(
            f"{function!r} is no function; give one of a module, with @mask_function before it."
        )
    name = f"{function.__module__}:{function.__qualname__}"
    if function_called(name) is not function:
        raise InvalidValueError(f"{name} is not the function that is found by that name.")
    return name


def function_called(name: str) -> Callable[..., Any]:
    """Return the marked function of that name, of a module that is imported already.

    Nothing is imported: what a database holds does not decide which code runs.

    Raises InvalidValueError if its module was not imported, or has no such function that is marked.
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

    Raises InvalidValueError if its source cannot be read, as of one that was typed in.
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


def series_of(given: Any, what: str) -> Series:
    """Return values and their times as arrays; `what` they are called in errors.

    Raises InvalidValueError if it is no such pair, or there is not one time for each sample.
    """
    import numpy as np

    try:
        values, times = (np.asarray(each) for each in given)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"The {what} is not a pair of arrays, values and times ({error})."
        ) from error
    if times.ndim != 1 or values.shape[:1] != times.shape:
        raise InvalidValueError(
            f"The {what} has values of shape {values.shape} and times of shape {times.shape}; "
            "there must be one time for each sample."
        )
    if times.dtype.kind not in "biufmM":
        raise InvalidValueError(f"The times of the {what} are {times.dtype}; give numbers.")
    return values, times


def mask_of(given: Any) -> Series:
    """Return the marks and times of a mask as arrays of shape ``(n_marks,)``.

    Raises InvalidValueError if 1 and -1 do not take turns, a trial has no end, or the times do not
    ascend: its `row` is the index.
    """
    import numpy as np

    marks, edges = series_of(given, "mask")
    if marks.ndim != 1:
        raise InvalidValueError(f"The marks have {marks.ndim} dimensions; give one.")
    if not ((marks[0::2] == 1).all() and (marks[1::2] == -1).all()):
        expected = [1, -1] * ((len(marks) + 1) // 2)
        row = next(at for at, mark in enumerate(marks.tolist()) if mark != expected[at])
        wanted = "begin" if expected[row] == 1 else "end"
        raise InvalidValueError(
            f"At index {row} the mask has {marks[row]}, where a trial must {wanted} "
            f"({expected[row]}): 1 and -1 take turns.",
            row=row,
            value=marks[row],
        )
    if len(marks) % 2:
        row = len(marks) - 1
        raise InvalidValueError(f"The trial that begins at index {row} has no end.", row=row)
    if (missing := np.isnan(edges)).any():
        row = int(missing.argmax())
        raise InvalidValueError(
            f"At index {row} the mask has no time (NaN); leave that trial out.", row=row
        )
    if not (ascends := edges[1:] >= edges[:-1]).all():
        row = int(ascends.argmin()) + 1
        raise InvalidValueError(
            f"At index {row} the mask goes back in time, from {edges[row - 1]} to {edges[row]}; "
            "sort it, or correct what recorded it.",
            row=row,
        )
    return marks, edges
