"""Roles that a database keeps itself, by its own users."""

from __future__ import annotations

import abc
import re
import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING

from vrtracker.domain.roles import Role, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection


def ask_to_grant(where: str, name: str, role: str) -> str:
    """Return what to ask an admin for, who connects to an address as another user."""
    url = shlex.quote(re.sub("//[^/@]*@", "//", where))
    return f"Ask an admin to run: vrtracker --url {url} admin grant {shlex.quote(name)} {role}"


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
