"""People with passwords: a file beside the settings, which holds their roles and hashes alone."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vrtracker.domain.roles import Role
from vrtracker.errors import ConfigurationError, InvalidValueError, UnknownNameError
from vrtracker.settings import config_path

_SHORTEST = 10
_LONGEST = 100


class Users:
    """The people whom the server lets in, each with a role.

    Parameters
    ----------
    path
        Of the file; ``web-users.json`` beside the settings when not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_path().with_name("web-users.json")

    def roles(self) -> dict[str, Role]:
        """Return everybody's role, as the file has it now."""
        return {name: Role(known["role"]) for name, known in self._read().items()}

    def add(self, name: str, role: str, password: str | None) -> None:
        """Add somebody, or give a new role and password.

        Parameters
        ----------
        password
            None for who comes by a proxy alone.

        Raises
        ------
        InvalidValueError
            If the name is none, or the password is too short.
        UnknownNameError
            If there is no such role.
        """
        if (
            not name.strip()
            or name != name.strip()
            or len(name) > _LONGEST
            or not name.isprintable()
        ):
            raise InvalidValueError(
                f"{name!r} is no name of a user: up to {_LONGEST} letters, no spaces around them."
            )
        if role not in list(Role):
            raise UnknownNameError("role", role, [each.value for each in Role])
        if password is not None and len(password) < _SHORTEST:
            raise InvalidValueError(f"A password has {_SHORTEST} characters or more.")
        kept = None if password is None else self._hasher.hash(password)
        self._write({**self._read(), name: {"role": role, "password": kept}})

    def remove(self, name: str) -> None:
        """Let somebody in no longer; visits that have begun end too.

        Raises
        ------
        UnknownNameError
            If there is nobody of that name.
        """
        known = self._read()
        if name not in known:
            raise UnknownNameError("user", name, known or ["(nobody)"])
        del known[name]
        self._write(known)

    def is_password(self, name: str, password: str) -> bool:
        """Return whether this is somebody's password; it takes as long for a name that is none."""
        kept = self._read().get(name, {}).get("password")
        with contextlib.suppress(VerificationError, InvalidHashError):
            self._hasher.verify(kept or self._nobody, password)
            return kept is not None
        return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        return PasswordHasher()

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
            return {str(name): {"role": Role(each["role"]), **each} for name, each in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{str(self.path)!r}, which holds the users of vrtracker web, cannot be read "
                f"({error}). Mend or remove it."
            ) from error

    def _write(self, known: dict[str, dict[str, Any]]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Only who runs the server may read it: mkstemp's files are of one's own.
            number, part = tempfile.mkstemp(dir=self.path.parent, prefix=".web-users-")
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(known, file, indent=1, sort_keys=True)
            Path(part).replace(self.path)
        except OSError as error:
            raise ConfigurationError(
                f"{str(self.path)!r} cannot be written ({error.strerror or error})."
            ) from error
