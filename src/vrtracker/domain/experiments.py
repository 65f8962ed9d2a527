"""Experiments as they come and go: setup, messages, trials; and what a message says of trials."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from vrtracker.errors import InvalidValueError

MESSAGE, CONFIG, STRATEGY = "message", "config", "strat"
CATEGORIES = (MESSAGE, CONFIG, STRATEGY)
LONGEST_UID = 64
_SETUP = ("participant", "name", "about", "more")

Pairs = tuple[tuple[str, Any], ...]
"""Names and values in order; a name may stand there more than once."""


def written(value: Any) -> str:
    """Return a value as JSON, in letters that every database keeps.

    Raises InvalidValueError if it is none of null, true and false, numbers, texts, and lists and
    mappings of such.
    """
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"{type(value).__name__} cannot be recorded as JSON ({error}); give plain values: "
            "numbers, texts, lists, dicts."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, or a version of a configuration or strategy.

    `sent`: when, by the rig's clock, ISO 8601. `form`: what the body holds: ``json``, ``text``, or
    ``opaque`` for bytes in base64. `sha256`: of the content, of opaque bytes of themselves.
    """

    category: str = MESSAGE
    verb: str | None = None
    sent: str | None = None
    form: str
    body: str
    sha256: str
    extra: Any = None

    @classmethod
    def of(cls, content: Any, **fields: Any) -> Self:
        """Return the message that holds a text, bytes, or a value that JSON knows."""
        form, body = "json", ""
        if isinstance(content, bytes):
            form, body = "opaque", base64.b64encode(content).decode()
        elif isinstance(content, str):
            form, body = "text", content
        else:
            body = written(content)
        plain = content if form == "opaque" else body.encode(errors="surrogatepass")
        digest = hashlib.sha256(plain).hexdigest()
        return cls(form=form, body=body, sha256=digest, **fields)

    @property
    def content(self) -> Any:
        """What it holds; opaque bytes are never opened."""
        if self.form == "opaque":
            return base64.b64decode(self.body)
        return json.loads(self.body) if self.form == "json" else self.body

    @property
    def same_as(self) -> tuple[Any, ...]:
        """What two of the same message have in common."""
        return self.verb, self.sent, self.form, self.sha256, written(self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial; its parameters and outcomes in order."""

    ended: str | None = None
    model_data: bool = True
    parameters: Pairs = ()
    outcomes: Pairs = ()
    extra: Any = None

    @property
    def same_as(self) -> tuple[Any, ...]:
        """What two of the same trial have in common."""
        # A whole number is the same outcome however it is kept.
        outcomes = [(name, _number(value)) for name, value in self.outcomes]
        parameters = [(name, typed(value)) for name, value in self.parameters]
        return self.ended, self.model_data, written([parameters, outcomes, self.extra])


def _number(value: Any) -> Any:
    """Return an outcome as a database keeps it: a number as a float, none in place of NaN."""
    if not isinstance(value, int | float):
        return value
    return None if math.isnan(value) else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment with all that belongs to it."""

    uid: str
    participant: str | None = None
    name: str | None = None
    about: str | None = None
    more: Any = None
    origin: str | None = None
    messages: tuple[Message, ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many trials, parameters, outcomes, messages and blobs there are."""
        return {
            "trials": len(self.trials),
            "parameters": sum(len(each.parameters) for each in self.trials),
            "outcomes": sum(len(each.outcomes) for each in self.trials),
            "messages": sum(each.category == MESSAGE for each in self.messages),
            "blobs": sum(each.form == "opaque" for each in self.messages),
        }

    @property
    def configs(self) -> list[Any]:
        """The versions of the configuration that can be read, those of setup messages too."""
        versions = []
        for message in self.messages:
            if message.category == MESSAGE and message.verb == "setup":
                match message.content:
                    case {"message": {"config_str": text}}:
                        versions.append(text)
            elif message.category == CONFIG and message.form != "opaque":
                versions.append(message.content)
        return versions

    def replayed(self) -> Self:
        """Return the experiment with the trials that its messages tell of, and no others."""
        return replace(self, trials=tuple(trials_told(self.messages)))


def newer(here: Experiment, there: Experiment) -> tuple[Experiment, list[str]]:
    """Return what another copy of an experiment has beyond this one, and where they differ.

    An experiment only grows: of messages, of each category, and of trials, one copy must begin
    with all that the other one has.
    """
    problems = [
        f"{name} is {mine!r} here, {theirs!r} there"
        for name in _SETUP
        if (mine := getattr(here, name)) != (theirs := getattr(there, name))
    ]
    messages: list[Message] = []
    for category in CATEGORIES:
        mine, theirs = (
            [each for each in one.messages if each.category == category] for one in (here, there)
        )
        messages += _beyond(f"{category} {{}}", mine, theirs, problems)
    trials = _beyond("trial {}", here.trials, there.trials, problems)
    return replace(there, messages=tuple(messages), trials=tuple(trials)), problems


def _beyond(
    called: str, here: Sequence[Any], there: Sequence[Any], problems: list[str]
) -> Sequence[Any]:
    for number, (mine, theirs) in enumerate(zip(here, there, strict=False), 1):
        if mine.same_as != theirs.same_as:
            problems.append(f"{called.format(number)} is another one")
            return ()
    return there[len(here) :]


# -- values --------------------------------------------------------------------------------------

_SHOWN: dict[str, Any] = {"True": True, "False": False}
_SHOWN |= {name: float(name) for name in ("nan", "inf", "-inf")}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,18})(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def typed(text: Any) -> Any:
    """Return the number or truth that a text shows, else the text.

    A number is written as JSON has it (``7``, ``-0.50``, ``1E+16``), and does not begin with a
    zero that says nothing: ``007`` is somebody's id.
    """
    if not isinstance(text, str):
        return text
    found = _NUMBER.fullmatch(text)
    if found is None:
        return _SHOWN.get(text, text)
    number = int(text) if found[2] is found[3] is None else float(text)
    return text if number in {math.inf, -math.inf} else number


def as_text(value: Any) -> str | None:
    """Return the text that `typed` makes the value of."""
    return value if value is None or isinstance(value, str) else str(value)


# -- what messages tell of trials ----------------------------------------------------------------

_STIMULI = re.compile(r"^\s*stimuli_per_trial\s*[=:]\s*(\d+)", re.MULTILINE)


def told_by(trial: Trial) -> Message:
    """Return the message that tells of a trial.

    Raises InvalidValueError if a name stands there twice, which no such message can say.
    """
    config, outcome = dict(trial.parameters), dict(trial.outcomes)
    for pairs, held in ((trial.parameters, config), (trial.outcomes, outcome)):
        if len(held) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidValueError(f"{twice!r} is given twice for one trial; number the names.")
    told = {
        "config": {name: [value] for name, value in config.items()},
        "outcome": {name: [value] for name, value in outcome.items()},
        "model_data": trial.model_data,
    }
    content: dict[str, Any] = {"type": "tell", "message": told}
    if trial.extra:
        content["extra_info"] = trial.extra
    return Message.of(content, verb="tell", sent=trial.ended, extra=trial.extra or None)


def trials_told(messages: Iterable[Message], *, one_each: bool = False) -> Iterator[Trial]:
    """Yield the trials that messages tell of, in order.

    `one_each`: each message tells of one trial, as in files without tables of trials. Raises
    InvalidValueError if a message does not say what it must; it says which one.
    """
    stimuli = 1
    for number, message in enumerate(messages, 1):
        if message.category != MESSAGE or message.form != "json":
            continue
        content = message.content
        match content:
            case {"message": {"config_str": str(text)}} if message.verb == "setup":
                found = _STIMULI.search(text)
                stimuli = int(found[1]) if found else 1
            case {"message": {"outcome": _} as told} if message.verb == "tell":
                one = one_each or stimuli > 1
                try:
                    yield from _trials(message, content, told, one_each=one)
                except (IndexError, TypeError, ValueError, AttributeError) as error:
                    raise InvalidValueError(
                        f"Message {number} tells of no trial that can be read ({error})."
                    ) from error
            case _ if message.verb == "tell":
                raise InvalidValueError(f"Message {number} tells of a trial without an outcome.")


def _trials(
    message: Message, content: Mapping[str, Any], told: Mapping[str, Any], *, one_each: bool
) -> Iterator[Trial]:
    config = {name: _many(value) for name, value in (told.get("config") or {}).items()}
    outcome = told["outcome"]
    more = {name: told[name] for name in told if name not in {"config", "outcome", "model_data"}}
    extra = {**(content.get("extra_info") or {}), **more} or None
    model_data = bool(told.get("model_data", True))
    count = len(next(iter(config.values()), [None]))
    if one_each or (not isinstance(outcome, dict) and len(_many(outcome)) != count):
        rows = [(config, _outcomes(outcome))]
    else:
        named = outcome if isinstance(outcome, dict) else {"outcome": outcome}
        each = {name: _many(value) for name, value in named.items()}
        rows = [
            (
                {name: _many(values[place]) for name, values in config.items()},
                tuple((name, _value(values[place])) for name, values in each.items()),
            )
            for place in range(count)
        ]
    for parameters, outcomes in rows:
        yield Trial(
            ended=message.sent,
            model_data=model_data,
            parameters=tuple(_parameters(parameters)),
            outcomes=outcomes,
            extra=extra,
        )


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parameters(config: Mapping[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    for name, values in config.items():
        if len(values) == 1:
            yield name, _value(values[0])
        else:
            for place, value in enumerate(values):
                yield f"{name}_stimuli{place}", _value(value)


def _outcomes(outcome: Any) -> Pairs:
    if isinstance(outcome, dict):
        return tuple((name, _value(_single(value))) for name, value in outcome.items())
    if not isinstance(outcome, list):
        return (("outcome", _value(outcome)),)
    return tuple((f"outcome_{at}", _value(_single(value))) for at, value in enumerate(outcome))


def _single(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    (only,) = value
    return only


def _value(told: Any) -> Any:
    if isinstance(told, list | dict):
        raise TypeError(f"{told!r} is not one value")
    return typed(told)
