"""Trials as callers give them; and what no database keeps, refused at the door."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vrtracker.domain.experiments import Experiment, Pairs, Trial, typed
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.values import storable_text
from vrtracker.services.experiments.owners import require_uid

_TRIAL = {"parameters", "outcomes", "ended", "model_data", "extra"}
_SCALARS = (bool, int, float, str, type(None))


def trials_of(given: Any, now: str, zone: dt.tzinfo | None) -> list[Trial]:
    """Return the trials of a list of mappings; `now` is when one ended that does not say it."""
    if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
        raise InvalidValueError(
            f"The trials are {given!r}; give a list of trials, such as "
            '[{"parameters": {"contrast": 0.5}, "outcomes": 1}].'
        )
    made = [_trial(each, now, zone) for each in given]
    require_storable(Experiment(uid="", trials=tuple(made)))
    return made


def _trial(given: Any, now: str, zone: dt.tzinfo | None) -> Trial:
    if isinstance(given, Trial):
        return given
    if not isinstance(given, Mapping) or not given:
        raise InvalidValueError(
            f"A trial is {given!r}; give a mapping with its parameters, outcomes, or both."
        )
    for name in given:
        if name not in _TRIAL:
            raise UnknownNameError("part of a trial", name, sorted(_TRIAL))
    outcomes, ended, extra = (given.get(name) for name in ("outcomes", "ended", "extra"))
    if not isinstance(extra, Mapping | None):
        raise InvalidValueError(f"extra is {extra!r}; give a mapping.", column="extra")
    return Trial(
        ended=now if ended is None else iso(ended, zone),
        model_data=bool(given.get("model_data", True)),
        parameters=pairs_of(given.get("parameters")),
        outcomes=pairs_of({"outcome": outcomes} if _is_single(outcomes) else outcomes),
        extra=extra or None,
    )


def pairs_of(given: Any) -> Pairs:
    """Return names and values as a trial keeps them: numbers of NumPy as Python's own."""
    items = given.items() if isinstance(given, Mapping) else () if given is None else given
    try:
        pairs = [(str(name), value) for name, value in items]
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"Parameters and outcomes are a mapping, or pairs of name and value, not {given!r}."
        ) from error
    if any(not name for name, _ in pairs):
        raise InvalidValueError("A parameter or outcome has no name; give it one.")
    return tuple((name, _scalar(name, value)) for name, value in pairs)


def _is_single(given: Any) -> bool:
    """Return whether an outcome is one value, of NumPy too."""
    return isinstance(given, int | float | str) or getattr(given, "ndim", None) == 0


def _scalar(name: str, value: Any) -> Any:
    # Of NumPy; an array of several has no single item.
    found = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    is_huge = isinstance(found, int) and abs(found) >= 2**63
    if is_huge or not isinstance(found, _SCALARS):
        raise InvalidValueError(
            f"{name} is {value!r}; a parameter or outcome is a number below 2**63, a text, "
            "true or false.",
            column=name,
            value=value,
        )
    return typed(found)


def iso(at: Any, zone: dt.tzinfo | None) -> str:
    """Return a time by the clock of the zone, None for the computer's, to the microsecond."""
    if not isinstance(at, dt.datetime) or not isinstance(at.year, int):  # NaT
        raise InvalidValueError(f"{at!r} is no time; give a datetime.")
    if at.tzinfo is not None:
        at = at.astimezone(zone)
    return str(at.replace(tzinfo=None).isoformat(timespec="microseconds"))


def begun(**fields: Any) -> Experiment:
    """Return an experiment as callers begin it, or raise InvalidValueError naming the field."""
    given = Experiment(**fields)
    require_uid(given.uid)
    for field in ("name", "about", "participant"):
        value: Any = getattr(given, field)
        if value is not None and (not isinstance(value, str) or not value):
            raise InvalidValueError(
                f"{field} is {value!r}; give a text, or None.", column=field, value=value
            )
    if not isinstance(given.more, Mapping | None):
        raise InvalidValueError(f"more is {given.more!r}; give a mapping.", column="more")
    require_storable(given)
    return given if given.more is None else replace(given, more=dict(given.more))


def require_storable(given: Experiment) -> None:
    """Raise InvalidValueError, which names the field, for a text that no database keeps."""
    # What refers to itself is refused when it is written.
    with contextlib.suppress(RecursionError):
        for field in ("uid", "participant", "name", "about", "more", "origin"):
            _check(field, getattr(given, field))
        for number, trial in enumerate(given.trials, 1):
            for field in ("parameters", "outcomes", "extra"):
                _check(f"trial {number}, {field}", getattr(trial, field))
        for number, message in enumerate(given.messages, 1):
            for field in ("verb", "extra"):
                _check(f"message {number}, {field}", getattr(message, field))
            # JSON without an escape holds no such letter, and costs time to read.
            if message.form == "text" or (message.form == "json" and "\\u" in message.body):
                _check(f"message {number}, content", message.content)


def _check(field: str, value: Any) -> None:
    if isinstance(value, str):
        try:
            storable_text(value)
        except InvalidValueError as error:
            raise InvalidValueError(f"{field}: {error}", column=field, value=value) from error
    elif isinstance(value, Mapping):
        for name, each in value.items():
            _check(field, name)
            _check(f"{field}, {name}", each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check(field, each)
