"""People with passwords or tokens: a file that holds their roles and hashes alone."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vrtracker.domain.roles import Role
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.web.kept import KeptFile
from vrtracker.web.views import Views

_SHORTEST = 10
_LONGEST = 100


class Users:
    """The people whom the server lets in, each with a role.

    `path`: of the file; ``web-users.json`` beside the settings when not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = KeptFile("web-users.json", "users", path)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._file.path

    def roles(self) -> dict[str, Role]:
        """Return everybody's role, as the file has it now."""
        return {name: Role(known["role"]) for name, known in self._read().items()}

    def add(self, name: str, role: str, password: str | None) -> None:
        """Add somebody, or give a new role and password; a token that there was is none now.

        `password`: None for who comes by a proxy alone. Raises InvalidValueError if the name is
        none, or the password is too short; UnknownNameError if there is no such role.
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
        self._file.write({**self._read(), name: {"role": role, "password": kept}})

    def remove(self, name: str) -> None:
        """Let somebody in no longer; visits that have begun, the token and the views end too.

        Raises UnknownNameError if there is nobody of that name.
        """
        known = self._having(name)
        del known[name]
        self._file.write(known)
        Views.forget(name)

    def new_token(self, name: str) -> str:
        """Return a token with which somebody's programs come in; one that there was is none now.

        Raises UnknownNameError if there is nobody of that name.
        """
        token = secrets.token_urlsafe(32)
        self._keep_token(name, _hashed(token))
        return token

    def revoke_token(self, name: str) -> None:
        """Let somebody's programs in no longer.

        Raises UnknownNameError if there is nobody of that name.
        """
        self._keep_token(name, None)

    def holder(self, token: str) -> str | None:
        """Return whose token it is, None where it is nobody's."""
        shown, found = _hashed(token), None
        for name, known in self._read().items():
            if hmac.compare_digest(known.get("token") or "", shown):
                found = name
        return found

    def holders(self) -> set[str]:
        """Return the names of those who have a token."""
        return {name for name, known in self._read().items() if known.get("token")}

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

    def _keep_token(self, name: str, hashed: str | None) -> None:
        known = self._having(name)
        known[name]["token"] = hashed
        self._file.write(known)

    def _having(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what is known of everybody, among whom somebody has to be."""
        known = self._read()
        if name not in known:
            raise UnknownNameError("user", name, known or ["(nobody)"])
        return known

    def _read(self) -> dict[str, dict[str, Any]]:
        found = self._file.read()
        try:
            return {name: {"role": Role(each["role"]), **each} for name, each in found.items()}
        except (ValueError, LookupError, TypeError) as error:
            raise self._file.damaged(error) from error


def _hashed(token: str) -> str:
    """Return what is kept of a token, which is too long to be guessed from it."""
    return hashlib.sha256(token.encode()).hexdigest()
