"""Trials as callers give them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from vrtracker.domain.experiments import Pairs, Trial, typed
from vrtracker.errors import InvalidValueError, UnknownNameError

__all__ = ["iso", "pairs_of", "trial_of"]

_TRIAL = {"parameters", "outcomes", "ended", "model_data", "extra"}
_SCALARS = (bool, int, float, str, type(None))


def trial_of(given: Any, now: str) -> Trial:
    """Return a trial of a mapping; `now` is when it ended if that does not say it."""
    if isinstance(given, Trial):
        return given
    for name in given:
        if name not in _TRIAL:
            raise UnknownNameError("part of a trial", name, sorted(_TRIAL))
    outcomes = given.get("outcomes", ())
    ended = given.get("ended")
    return Trial(
        ended=now if ended is None else iso(ended),
        model_data=bool(given.get("model_data", True)),
        parameters=pairs_of(given.get("parameters", ())),
        outcomes=pairs_of({"outcome": outcomes} if isinstance(outcomes, int | float) else outcomes),
        extra=given.get("extra") or None,
    )


def pairs_of(given: Any) -> Pairs:
    """Return names and values as a trial keeps them: numbers of NumPy as Python's own."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple((str(name), _scalar(name, value)) for name, value in pairs)


def _scalar(name: Any, value: Any) -> Any:
    found = value.item() if hasattr(value, "item") else value
    is_huge = isinstance(found, int) and abs(found) >= 2**63
    if is_huge or not isinstance(found, _SCALARS):
        raise InvalidValueError(
            f"{name} is {value!r}; a parameter or outcome is a number below 2**63, a text, "
            "true or false.",
            column=str(name),
            value=value,
        )
    return typed(found)


def iso(at: dt.datetime) -> str:
    """Return a time by its own clock, to the microsecond."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds")
