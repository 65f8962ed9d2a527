"""Passwords of servers in the system's keyring, under the address that has none in it."""

from __future__ import annotations

import os

from sqlalchemy import URL

from vrtracker.errors import ConfigurationError, MissingDependencyError

_SERVICE = "vrtracker"


def with_password(url: URL) -> URL:
    """Return the URL with the password that the keyring has for it.

    It is not asked where there is one already, in the URL or libpq's environment, or where the
    package is not installed; a keyring that does not answer has none.
    """
    named = url.password or "password" in url.query or os.environ.get("PGPASSWORD")
    if named:
        return url
    try:
        import keyring
    except ImportError:
        return url
    try:
        found = keyring.get_password(_SERVICE, _name(url))
    except keyring.errors.KeyringError:
        return url
    return url.set(password=found) if found else url


def remember(url: URL, password: str | None) -> None:
    """Keep the password of a URL, or forget it with None."""
    try:
        import keyring
    except ImportError as error:
        raise MissingDependencyError("the system's keyring", "keyring") from error
    try:
        if password is not None:
            keyring.set_password(_SERVICE, _name(url), password)
        elif keyring.get_password(_SERVICE, _name(url)) is not None:
            keyring.delete_password(_SERVICE, _name(url))
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(
            f"The system's keyring did not take it ({error}). Set one up, or use ~/.pgpass."
        ) from error


def _name(url: URL) -> str:
    """Return user, server and database; what else stands in a URL changes none of them."""
    host = url.host or url.query.get("host") or url.query.get("service") or ""
    port = f":{url.port}" if url.port else ""
    return f"{url.username or ''}@{host}{port}/{url.database or ''}"
