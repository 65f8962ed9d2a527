"""Settings: from the environment, then from one TOML file of profiles.

``VRTRACKER_URL``, ``VRTRACKER_ROOT``, ``VRTRACKER_PROFILE`` and the like come first; then the
profile that is asked for, or the file's default one. The file is named by ``VRTRACKER_CONFIG``,
else it is ``config.toml`` in the user's configuration folder.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vrtracker.errors import ConfigurationError, UnknownNameError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
RoleName = Literal["reader", "editor", "admin"]


class _Strict(BaseModel):
    # What checks them is made when they are used: most labs have no file.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class StageSettings(_Strict):
    """A stage that the lab declares."""

    title: str | None = None
    kind: str = Field(default="process", pattern="^(process|review)$")
    requires: list[str] = []
    applies_if: list[str] = []


_Number = Annotated[float, Field(allow_inf_nan=False)]


class PolicySettings(_Strict):
    """How runs of a stage treat failures; not given: as `RunPolicy` has it.

    Attributes
    ----------
    attempts : int or None
        After so many failures in a row a session is set aside.
    first_wait_minutes, wait_factor, longest_wait_minutes : float
        How long a session waits after its first failure, by how much longer after each further
        one, and at most.
    permanent : list of str
        Classes of exceptions after which it is set aside at once, base classes too.
    max_failures_in_a_row : int or None
        A run stops after so many sessions that failed one after the other.
    timeout_minutes : float or None
        How long the registrar may work on one session.
    """

    attempts: int | None = Field(default=None, ge=1)
    first_wait_minutes: _Number = Field(default=0, ge=0)
    wait_factor: _Number = Field(default=2, ge=1, le=100)
    longest_wait_minutes: _Number = Field(default=1440, ge=0, le=525_600)
    permanent: list[str] = []
    max_failures_in_a_row: int | None = Field(default=None, ge=1)
    timeout_minutes: _Number | None = Field(default=None, gt=0)

    @field_validator("permanent")
    @classmethod
    def _names_of_classes(cls, names: list[str]) -> list[str]:
        for name in names:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(
                    f"{name!r} is no name of a class; write FileNotFoundError, or lab.steps.NoFlips"
                )
        return names

    @model_validator(mode="after")
    def _waits_fit(self) -> Self:
        if self.first_wait_minutes > self.longest_wait_minutes:
            raise ValueError(
                f"the first wait, {self.first_wait_minutes:g} minutes, is over the longest, "
                f"{self.longest_wait_minutes:g}; raise longest_wait_minutes"
            )
        return self


class DatabaseSettings(_Strict):
    """What `vrtracker.interop.vranalysis.get_database` gives under one name.

    Attributes
    ----------
    table : str
        The lab's table that it shows.
    profile : str or None
        Profile of the database; the one that declares it when not given.
    unique_fields : list of str or None
        Columns that name one row; the table's key when not given.
    default_conditions : dict or None
        Filters of listings; unscratched sessions, or all mice, when not given.
    constructor : str or None
        Class of the object, ``module:Class``.
    """

    table: Literal["sessiondb", "mousedb"]
    profile: str | None = None
    unique_fields: list[str] | None = None
    default_conditions: dict[str, Any] | None = None
    constructor: str | None = None


class DiskSettings(_Strict):
    """What ``vrtracker reconcile`` expects on disk; not given: as `DiskRules` has it."""

    suite2p_files: tuple[str, ...] | None = Field(default=None, min_length=1)
    registration_files: tuple[str, ...] | None = None
    loss_limit: float | None = Field(default=None, ge=0, le=1)


class Profile(_Strict):
    """One lab, or one database of it."""

    url: str | None = None
    root: Path | None = None
    timezone: str | None = None
    lease_minutes: float = Field(default=15, ge=1)
    statement_timeout_seconds: float | None = Field(default=None, gt=0, le=2_000_000)
    output: str = "oneData"
    reconcile: DiskSettings = DiskSettings()
    registrars: dict[str, str] = {}
    stages: dict[str, StageSettings] = {}
    policies: dict[str, PolicySettings] = {}
    backups: Path | None = None
    safety_copies: bool = True
    raw_data: str | None = None
    session_backend: Literal["auto", "null", "folders", "vranalysis"] = "auto"
    databases: dict[str, DatabaseSettings] = {}
    default_role: RoleName = "admin"
    roles: dict[str, RoleName] = {}
    presets: dict[str, dict[str, Any]] = {}
    sizes: dict[str, dict[str, Any]] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                zoneinfo.ZoneInfo(name)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{name!r} is not a time zone; write Europe/London") from error
        return name

    @field_validator("roles")
    @classmethod
    def _each_name_once(cls, roles: dict[str, RoleName]) -> dict[str, RoleName]:
        seen: dict[str, str] = {}
        for name in roles:
            if name.casefold() in seen:
                raise ValueError(f"{seen[name.casefold()]!r} and {name!r} are one name; keep one")
            seen[name.casefold()] = name
        return roles


class _File(_Strict):
    default_profile: str | None = None
    profiles: dict[str, Profile] = {}


class _Environment(BaseModel):
    """The variables ``VRTRACKER_URL`` and the like; an empty one counts as none."""

    url: str | None = None
    root: Path | None = None
    backups: Path | None = None
    safety_copies: bool | None = None
    profile: str | None = None
    timezone: str | None = None
    actor: str | None = None


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
    try:
        environment = _environment()
        name = profile or environment.profile or file.default_profile
        values = _profile(file, name).model_dump(exclude_unset=True) if name else {}
        overrides = environment.model_dump(exclude_none=True, exclude={"profile"})
        if profile is None:
            values |= overrides
        else:
            values = overrides | {key: value for key, value in values.items() if value is not None}
        values.setdefault("actor", _user())
        return Settings(**values, profile=name)
    except ValidationError as error:
        raise ConfigurationError(f"The settings are wrong: {_first(error)}") from error


def settings_for(target: str | os.PathLike[str] | None = None) -> Settings:
    """Return the settings that hold for a database.

    `target`: path of the database, SQLAlchemy URL, or name of a profile. When not given:
    ``VRTRACKER_URL``, else the profile of ``VRTRACKER_PROFILE``, else the default profile.
    """
    if target is None:
        return load_settings()
    if isinstance(target, str) and target in profile_names():
        return load_settings(target)
    return load_settings().model_copy(update={"url": os.fspath(target)})


def resolve_url(target: str | os.PathLike[str] | None = None) -> str:
    """Return the URL or path that a target, the environment or the default profile names.

    Raises ConfigurationError if none does.
    """
    return settings_for(target).database


def profile_names() -> list[str]:
    """Return the names of the profiles in the settings file."""
    return list(_read_file(config_path()).profiles)


def profile_urls() -> dict[str, tuple[str, str]]:
    """Return the databases that profiles name: as it is written there, and as it is meant.

    Those that need a variable which is not set are left out.
    """
    found = {}
    for name, profile in _read_file(config_path()).profiles.items():
        with contextlib.suppress(ConfigurationError):
            if profile.url is not None:
                found[name] = profile.url, _filled(name, profile.url)
    return found


def _read_file(path: Path) -> _File:
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if os.environ.get("VRTRACKER_CONFIG"):
            raise ConfigurationError(
                f"VRTRACKER_CONFIG names {path}, which is not there; correct or unset it."
            ) from error
        return _File.model_construct()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path} is wrong: {_first(error)}") from error
    for name, profile in file.profiles.items():
        _refuse_password(path, name, profile.url)
    return file


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


def _environment() -> _Environment:
    given = {
        name: os.environ.get(f"VRTRACKER_{name.upper()}") for name in _Environment.model_fields
    }
    return _Environment.model_validate({name: text for name, text in given.items() if text})


def _profile(file: _File, name: str) -> Profile:
    if name not in file.profiles:
        raise UnknownNameError("profile", name, file.profiles or ["(no profiles)"])
    found = file.profiles[name]
    named = {each: getattr(found, each) for each in ("url", "root", "backups")}
    filled = {each: _filled(name, text) for each, text in named.items() if text is not None}
    return Profile.model_validate(found.model_dump(exclude_unset=True) | filled)


def _filled(name: str, text: str | Path) -> str:
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

    if "${" in _VARIABLE.sub("", str(text)):
        raise ConfigurationError(
            f"The profile {name!r} holds {str(text)!r}, which cannot be read: write ${{NAME}}, or "
            "${NAME:-what holds where it is not set}."
        )
    return _VARIABLE.sub(value, str(text))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _first(error: ValidationError) -> str:
    problem: Any = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}"
