"""Descriptions of rigs: what is wrong with one, its hash, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from vrtracker.errors import InvalidValueError

_UNIQUE = ("features", "videos", "equipment")
_STAGE = "registration"


class Violation(NamedTuple):
    """One thing that is wrong with a description, and where: ``$.features[3].name``."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Required:
    """A file that a piece of equipment leaves in the session's folder."""

    equipment: str
    """Its name."""
    stage: str
    """The stage that needs it."""
    pattern: str
    """Path below the session's folder, with ``*`` and ``?``."""


def rig_schema() -> dict[str, Any]:
    """Return the published JSON Schema of a description, draft 2020-12."""
    text = resources.files(__package__).joinpath("rig.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def parse_rig(data: bytes, where: str) -> Any:
    """Return what a file in JSON holds.

    Raises InvalidValueError if it is no JSON; a key that stands twice, NaN and infinity are none.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError as error:
        raise InvalidValueError(f"{where} is nested too deeply to be a rig.") from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{where} is no UTF-8 text; save it as that.") from error
    except ValueError as error:
        raise InvalidValueError(f"{where} is no JSON: {error}.") from error


def violations(content: Any) -> list[Violation]:
    """Return all that is wrong with a description, in the order of its paths; empty if nothing is.

    Beside the schema, names have to be there once, a video that a feature names has to exist, and
    the rig's name has no ``@``.
    """
    found = [
        Violation(error.json_path, error.message) for error in _validator().iter_errors(content)
    ]
    found += _half_letters(content, "$")
    found += _references(content)
    return sorted(found)


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a description, hexadecimal; the order of keys does not count."""
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def for_export(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with all that Antelop looks for when it reads files of the rig."""
    return {**content, "videos": content.get("videos", [])}


def required_files(content: Mapping[str, Any]) -> list[Required]:
    """Return the files that the equipment of a rig leaves."""
    return [
        Required(each["name"], each.get("stage", _STAGE), pattern)
        for each in content.get("equipment", ())
        for pattern in each.get("required_files", ())
    ]


def differences(old: Any, new: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of what differs, None where there is none.

    Members of lists are told apart by their names, where all have one.
    """
    if isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        old, new = ({f"[{each['name']}]": each for each in part} for part in (old, new))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        old, new = ({f".{name}": value for name, value in part.items()} for part in (old, new))
    elif _canonical(old) != _canonical(new):
        yield path, old, new
        return
    else:
        return
    for name in [*old, *(each for each in new if each not in old)]:
        if name not in old or name not in new:
            yield f"{path}{name}", old.get(name), new.get(name)
        else:
            yield from differences(old[name], new[name], f"{path}{name}")


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, ValidationError, validators

    def required(_: Any, names: Sequence[str], instance: Any, __: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for name in names:
                if name not in instance:
                    yield ValidationError("is missing", path=[name])

    kind = validators.extend(Draft202012Validator, {"required": required})
    return kind(rig_schema())


def _references(content: Any) -> Iterator[Violation]:
    """Yield a name like that of a version, names that stand twice, and videos that are none."""
    if not isinstance(content, dict):
        return
    name = content.get("name")
    if isinstance(name, str) and "@" in name:
        yield Violation("$.name", f"{name!r} holds '@', behind which versions are told")
    names: dict[str, dict[str, str]] = {}
    for part in _UNIQUE:
        seen = names.setdefault(part, {})
        for place, each in _members(content, part):
            called, path = each.get("name"), f"$.{part}[{place}]"
            if isinstance(called, str) and seen.setdefault(called.casefold(), path) != path:
                other = seen[called.casefold()]
                yield Violation(f"{path}.name", f"{called!r} is the name of {other}")
    for place, each in _members(content, "features"):
        source = each.get("source")
        video = source.get("video") if isinstance(source, dict) else None
        if isinstance(video, str) and not _is_video(content, video):
            yield Violation(
                f"$.features[{place}].source.video", f"{video!r} is no video of the rig"
            )


def _members(content: Mapping[str, Any], part: str) -> Iterator[tuple[int, dict[str, Any]]]:
    members = content.get(part)
    for place, each in enumerate(members if isinstance(members, list) else ()):
        if isinstance(each, dict):
            yield place, each


def _is_video(content: Mapping[str, Any], name: str) -> bool:
    return any(each.get("name") == name for _, each in _members(content, "videos"))


def _half_letters(value: Any, path: str) -> Iterator[Violation]:
    """Yield texts with half a character, which no database keeps."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _half_letters(name, path)
            yield from _half_letters(each, f"{path}.{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _half_letters(each, f"{path}[{place}]")
    elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        shown = path.encode("ascii", "backslashreplace").decode()
        yield Violation(shown, f"{value!a} holds half a character")


def _named(members: Sequence[Any]) -> bool:
    return all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in members)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON knows")
