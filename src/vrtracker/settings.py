"""Settings: from the environment, then from one TOML file of profiles.

``VRTRACKER_URL``, ``VRTRACKER_ROOT``, ``VRTRACKER_PROFILE`` and the like come first; then the
profile that is asked for, or the file's default one. The file is named by ``VRTRACKER_CONFIG``,
else it is ``config.toml`` in the user's configuration folder.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import math
import os
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

import platformdirs
from annotated_types import Ge, Gt, Le, Lt, MinLen

from vrtracker.errors import ConfigurationError, UnknownNameError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
RoleName = Literal["reader", "editor", "admin"]
_Kind = TypeVar("_Kind")
_STRICT: Any = {"extra": "forbid"}
"""For pydantic, which checks these classes, and is imported, only where there is a file."""


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """A stage that the lab declares."""

    __pydantic_config__ = _STRICT

    title: str | None = None
    kind: Literal["process", "review"] = "process"
    requires: list[str] = field(default_factory=list)
    applies_if: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How runs of a stage treat failures; not given: as `RunPolicy` has it.

    `attempts`: after so many failures in a row a session is set aside.
    `first_wait_minutes`, `wait_factor`, `longest_wait_minutes`: how long a session waits after its
        first failure, by how much longer after each further one, and at most.
    `permanent`: classes of exceptions after which it is set aside at once, base classes too.
    `max_failures_in_a_row`: a run stops after so many sessions that failed one after the other.
    `timeout_minutes`: how long the registrar may work on one session.
    """

    __pydantic_config__ = _STRICT

    attempts: Annotated[int, Ge(1)] | None = None
    first_wait_minutes: Annotated[float, Ge(0)] = 0
    wait_factor: Annotated[float, Ge(1), Le(100)] = 2
    longest_wait_minutes: Annotated[float, Ge(0), Le(525_600)] = 1440
    permanent: list[str] = field(default_factory=list)
    max_failures_in_a_row: Annotated[int, Ge(1)] | None = None
    timeout_minutes: Annotated[float, Gt(0), Lt(math.inf)] | None = None

    def __post_init__(self) -> None:
        for name in self.permanent:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(
                    f"permanent: {name!r} is no name of a class; write FileNotFoundError, or "
                    "lab.steps.NoFlips"
                )
        if self.first_wait_minutes > self.longest_wait_minutes:
            raise ValueError(
                f"the first wait, {self.first_wait_minutes:g} minutes, is over the longest, "
                f"{self.longest_wait_minutes:g}; raise longest_wait_minutes"
            )


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """What `vrtracker.interop.vranalysis.get_database` gives under one name.

    `table`: the lab's table that it shows.
    `profile`: profile of the database; the one that declares it when not given.
    `unique_fields`: columns that name one row; the table's key when not given.
    `default_conditions`: filters of listings; unscratched sessions, or all mice, when not given.
    `constructor`: class of the object, ``module:Class``.
    """

    __pydantic_config__ = _STRICT

    table: Literal["sessiondb", "mousedb"]
    profile: str | None = None
    unique_fields: list[str] | None = None
    default_conditions: dict[str, Any] | None = None
    constructor: str | None = None


@dataclass(frozen=True, kw_only=True)
class DiskSettings:
    """What ``vrtracker reconcile`` expects on disk; not given: as `DiskRules` has it."""

    __pydantic_config__ = _STRICT

    suite2p_files: Annotated[tuple[str, ...], MinLen(1)] | None = None
    registration_files: tuple[str, ...] | None = None
    loss_limit: Annotated[float, Ge(0), Le(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One lab, or one database of it."""

    __pydantic_config__ = _STRICT

    url: str | None = None
    root: Path | None = None
    timezone: str | None = None
    lease_minutes: Annotated[float, Ge(1)] = 15
    statement_timeout_seconds: Annotated[float, Gt(0), Le(2_000_000)] | None = None
    output: str = "oneData"
    reconcile: DiskSettings = DiskSettings()
    registrars: dict[str, str] = field(default_factory=dict)
    stages: dict[str, StageSettings] = field(default_factory=dict)
    policies: dict[str, PolicySettings] = field(default_factory=dict)
    backups: Path | None = None
    safety_copies: bool = True
    raw_data: str | None = None
    session_backend: Literal["auto", "null", "folders", "vranalysis"] = "auto"
    databases: dict[str, DatabaseSettings] = field(default_factory=dict)
    default_role: RoleName = "admin"
    roles: dict[str, RoleName] = field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.timezone is not None:
            try:
                zoneinfo.ZoneInfo(self.timezone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(
                    f"timezone: {self.timezone!r} is not a time zone; write Europe/London"
                ) from error
        seen: dict[str, str] = {}
        for name in self.roles:
            if name.casefold() in seen:
                other = seen[name.casefold()]
                raise ValueError(f"roles: {other!r} and {name!r} are one name; keep one")
            seen[name.casefold()] = name


@dataclass(frozen=True, kw_only=True)
class _File:
    __pydantic_config__ = _STRICT
    default_profile: str | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings(Profile):
    """What holds after environment and profile are put together."""

    actor: str
    profile: str | None = None

    @property
    def database(self) -> str:
        """Path or URL of the database.

        Raises ConfigurationError if none is named.
        """
        if self.url is None:
            raise ConfigurationError(
                "No database is named; give its path or URL (--url), or set VRTRACKER_URL, or a "
                "profile."
            )
        return self.url


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise ConfigurationError(f"VRTRACKER_SAFETY_COPIES is {text!r}; write true or false.")
    return word in _YES


_YES, _NO = {"1", "true", "yes", "on", "t", "y"}, {"0", "false", "no", "off", "f", "n"}
VARIABLES: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("url", "profile", "timezone", "actor"), str),
    **dict.fromkeys(("root", "backups"), Path),
    "safety_copies": _flag,
}
"""What ``VRTRACKER_URL`` and the like are, by the name of the setting."""


def config_path() -> Path:
    """Return where the settings file is, or would be."""
    named = os.environ.get("VRTRACKER_CONFIG")
    if named:
        return Path(named).expanduser()
    return platformdirs.user_config_path("vrtracker", appauthor=False) / "config.toml"


def load_settings(profile: str | None = None) -> Settings:
    """Return the settings.

    `profile`: name of a profile; it counts before the environment's database and root. Raises
    ConfigurationError if the file cannot be read, holds something unknown, or a password. Raises
    UnknownNameError if there is no such profile.
    """
    file = _read_file(config_path())
    environment = _environment()
    named = environment.pop("profile", None)
    name = profile or named or file.get("default_profile") or None
    values: dict[str, Any] = {"actor": _user(), "profile": name}
    if name is None:
        try:
            return Settings(**values | environment)
        except ValueError as error:
            raise ConfigurationError(f"The settings are wrong: {error}") from error
    of_profile = _profile(file, name)
    is_asked_for = profile is not None
    values |= environment | of_profile if is_asked_for else of_profile | environment
    return _checked(Settings, values, "The settings are wrong")


def settings_for(target: str | os.PathLike[str] | None = None) -> Settings:
    """Return the settings that hold for a database.

    `target`: path of the database, SQLAlchemy URL, or name of a profile. When not given:
    ``VRTRACKER_URL``, else the profile of ``VRTRACKER_PROFILE``, else the default profile.
    """
    if target is None:
        return load_settings()
    if isinstance(target, str) and target in profile_names():
        return load_settings(target)
    return replace(load_settings(), url=os.fspath(target))


def resolve_url(target: str | os.PathLike[str] | None = None) -> str:
    """Return the URL or path that a target, the environment or the default profile names.

    Raises ConfigurationError if none does.
    """
    return settings_for(target).database


def profile_names() -> list[str]:
    """Return the names of the profiles in the settings file."""
    return list(_profiles(_read_file(config_path())))


def profile_urls() -> dict[str, tuple[str, str]]:
    """Return the databases that profiles name: as it is written there, and as it is meant.

    Those that need a variable which is not set are left out.
    """
    found = {}
    for name, profile in _profiles(_read_file(config_path())).items():
        with contextlib.suppress(ConfigurationError):
            if "url" in profile:
                found[name] = profile["url"], _filled(name, profile["url"])
    return found


def _read_file(path: Path) -> dict[str, Any]:
    """Return what the file holds, which fits `_File`."""
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if os.environ.get("VRTRACKER_CONFIG"):
            raise ConfigurationError(
                f"VRTRACKER_CONFIG names {path}, which is not there; correct or unset it."
            ) from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    import tomllib

    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    _checked(_File, file, f"{path} is wrong")
    for name, profile in _profiles(file).items():
        _refuse_password(path, name, profile.get("url"))
    return file


def _profiles(file: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    found: Mapping[str, dict[str, Any]] = file.get("profiles", {})
    return found


def _checked(kind: type[_Kind], values: Mapping[str, Any], problem: str) -> _Kind:
    """Return what the values of a file make, or raise ConfigurationError."""
    from pydantic import ValidationError

    try:
        found: _Kind = _adapter(kind).validate_python(values)  # type: ignore[arg-type]
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        is_unknown = first["type"] == "unexpected_keyword_argument"
        what = "is not known here" if is_unknown else first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(": ".join(filter(None, (problem, where, what)))) from error
    return found


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _refuse_password(path: Path, name: str, url: str | None) -> None:
    rest = (url or "").partition("://")[2]
    user, at, _ = rest.rpartition("@")
    # After three slashes comes a path, which may hold both signs.
    has_password = at and ":" in user and not rest.startswith("/")
    named = _VARIABLE.fullmatch(user.partition(":")[2])
    is_named = bool(named and not named[2])
    if (has_password and not is_named) or re.search(r"[?&](ssl)?password=", rest):
        raise ConfigurationError(
            f"The profile {name!r} in {path} holds a password. Take it out, and set PGPASSWORD, "
            "~/.pgpass or VRTRACKER_URL instead."
        )


def _environment() -> dict[str, Any]:
    """Return what the variables say; an empty one counts as none."""
    given = {name: os.environ.get(f"VRTRACKER_{name.upper()}") for name in VARIABLES}
    return {name: VARIABLES[name](text) for name, text in given.items() if text}


def _profile(file: Mapping[str, Any], name: str) -> dict[str, Any]:
    profiles = _profiles(file)
    if name not in profiles:
        raise UnknownNameError("profile", name, profiles or ["(no profiles)"])
    found = profiles[name]
    named = {"url", "root", "backups"} & found.keys()
    return found | {each: _filled(name, found[each]) for each in named}


def _filled(name: str, text: str) -> str:
    """Return a text with ``${NAME}`` replaced by the environment's values; a password is quoted.

    What stands behind ``:-`` holds where the variable is not set, or empty, as in a shell.
    """

    def value(found: re.Match[str]) -> str:
        if found[2] is not None and not os.environ.get(found[1]):
            return found[2]
        if found[1] not in os.environ:
            raise ConfigurationError(
                f"The profile {name!r} needs the variable {found[1]}, which is not set; set it."
            )
        is_password = "://" in found.string and found.string[found.end() :].startswith("@")
        return quote(os.environ[found[1]], safe="") if is_password else os.environ[found[1]]

    if "${" in _VARIABLE.sub("", text):
        raise ConfigurationError(
            f"The profile {name!r} holds {text!r}, which cannot be read: write ${{NAME}}, or "
            "${NAME:-what holds where it is not set}."
        )
    return _VARIABLE.sub(value, text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
