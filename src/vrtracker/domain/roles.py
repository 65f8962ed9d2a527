"""Roles: what somebody may do in a lab."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Role(enum.StrEnum):
    """What one may do; each includes those before it."""

    READER = "reader"
    """Look at everything."""
    EDITOR = "editor"
    """Work: entries, runs, decisions, undoing."""
    ADMIN = "admin"
    """Change the schema, purge, restore, adopt, give roles."""

    def includes(self, other: Role) -> bool:
        """Return whether this role may do all that the other may."""
        return self is other or other in _BELOW[self]


_BELOW = {
    Role.READER: frozenset[Role](),
    Role.EDITOR: frozenset({Role.READER}),
    Role.ADMIN: frozenset({Role.READER, Role.EDITOR}),
}


class Standing(NamedTuple):
    """Who one is to a database, and the role there; None for no role at all."""

    name: str
    role: Role | None

    def allows(self, needed: Role) -> bool:
        """Return whether the role is enough."""
        return self.role is not None and self.role.includes(needed)


@dataclass(frozen=True, slots=True)
class ProfileRoles:
    """The roles of a profile, for databases without any: by who signs, in any case of letters."""

    by_name: Mapping[str, Role] = field(default_factory=dict)
    default: Role = Role.ADMIN
    """The role of all others."""

    def of(self, name: str) -> Role:
        """Return the role of somebody."""
        if not self.by_name:
            return self.default
        folded = {known.casefold(): role for known, role in self.by_name.items()}
        return folded.get(name.casefold(), self.default)
