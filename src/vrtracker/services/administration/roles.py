"""Who may do what: list the roles, give and take them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vrtracker.database import Database
from vrtracker.database.tables import TRACKED
from vrtracker.domain.roles import Role
from vrtracker.errors import ConfigurationError, UnknownNameError
from vrtracker.found import Found, framed
from vrtracker.services.context import LabService
from vrtracker.settings import config_path

if TYPE_CHECKING:
    from vrtracker.backends.roles import Roles


class RoleService(LabService):
    """The roles of a lab: on PostgreSQL those of the server's users, elsewhere the profile's.

    Examples
    --------
    >>> tracker.role
    <Role.ADMIN: 'admin'>
    """

    @framed
    def roles(self) -> Found:
        """Return who has a role.

        Returns
        -------
        pandas.DataFrame
            name, role, is_you. A profile's role of all others has no name.

        Examples
        --------
        >>> tracker.roles()["role"].tolist()
        ['admin']
        """
        you = self._lab.standing().name.casefold()
        rows = [
            {
                "name": name,
                "role": role.value,
                "is_you": name is not None and name.casefold() == you,
            }
            for name, role in self._listed()
        ]
        return Found(rows, {"name": "str", "role": "str", "is_you": "bool"})

    def _listed(self) -> list[tuple[str | None, Role]]:
        database, profile = self._lab.database, self._lab.roles
        if database.backend.roles is None:
            return [*profile.by_name.items(), (None, profile.default)]
        with database.connect(readonly=True) as connection:
            return list(database.backend.roles.listed(connection, TRACKED).items())

    def grant(self, name: str, role: str) -> None:
        """Give a user of the server a role, in place of the one that it has.

        Readers get SELECT on all tables, editors INSERT, UPDATE and DELETE on the tracker's and
        the lab's two; tables that come later are covered. Admins become members of the role that
        owns the tables.

        Parameters
        ----------
        role
            ``reader``, ``editor`` or ``admin``.

        Raises
        ------
        RoleError
            If you are no admin; or if the user may do more, whatever is granted.
        UnknownUserError
            If the server has no such user.
        ConfigurationError
            If the database keeps no users: then the roles are in the profile.
        UnknownNameError
            If there is no such role.

        Examples
        --------
        >>> tracker.grant("grace", "editor")  # on PostgreSQL it does
        Traceback (most recent call last):
            ...
        vrtracker.errors.ConfigurationError: ...lab.db keeps no users; its roles are those of ...
        """
        if role not in list(Role):
            raise UnknownNameError("role", role, list(Role))
        self._give(name, Role(role))

    def revoke(self, name: str) -> None:
        """Take the role of a user of the server away; errors as `grant`.

        Examples
        --------
        >>> tracker.revoke("grace")  # on PostgreSQL it does
        Traceback (most recent call last):
            ...
        vrtracker.errors.ConfigurationError: ...lab.db keeps no users; its roles are those of ...
        """
        self._give(name, None)

    def _give(self, name: str, role: Role | None) -> None:
        roles = self._kept()
        self._lab.require(Role.ADMIN)
        with self._lab.database.altering() as connection:
            roles.give(connection, TRACKED, name, role)

    def _kept(self) -> Roles:
        roles = self._lab.database.backend.roles
        if roles is None:
            raise ConfigurationError(
                f"{self._lab.database} keeps no users; its roles are those of the profile, in "
                f'{config_path()}: [profiles.NAME.roles] with lines such as anna = "editor", and '
                "default_role for all others."
            )
        return roles


@contextlib.contextmanager
def keeping_roles(database: Database) -> Iterator[None]:
    """Give who has a role the same again after the block, which makes the tables anew."""
    roles = database.backend.roles
    if roles is None:
        yield
        return
    with database.connect(readonly=True) as connection:
        had = roles.listed(connection, TRACKED)
    yield
    with database.altering() as connection:
        there = roles.listed(connection, TRACKED)
        for name, role in had.items():
            if there.get(name) != role:
                roles.give(connection, TRACKED, name, role)
