"""Roles that a database keeps itself, by its own users."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import TYPE_CHECKING

from vrtracker.domain.roles import Role, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Roles(abc.ABC):
    """What the users of a database may do. `tables` are the names of the tracker's."""

    @abc.abstractmethod
    def of_user(self, connection: Connection, tables: Collection[str]) -> Standing:
        """Return who is connected, and that user's role; one statement."""

    @abc.abstractmethod
    def listed(self, connection: Connection, tables: Collection[str]) -> dict[str, Role]:
        """Return the role of each user that has one, by name; one statement."""

    @abc.abstractmethod
    def give(
        self, connection: Connection, tables: Collection[str], name: str, role: Role | None
    ) -> None:
        """Give a user a role in place of the one that it has; None takes it away.

        Raises UnknownUserError if the database has no such user. Raises RoleError if the user has
        another role afterwards, as one who owns the tables.
        """
