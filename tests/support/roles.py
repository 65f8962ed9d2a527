"""People with roles in a test's lab: users of the server, or names that the profile knows."""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Self

from support.backends import Backend
from support.workflow_lab import WorkflowLab
from vrtracker.database import Database
from vrtracker.domain.roles import ProfileRoles, Role
from vrtracker.tracker import Tracker


class People:
    """Makes them, and removes the server's users when the test ends."""

    def __init__(self, lab: WorkflowLab, backend: Backend) -> None:
        self.lab = lab
        self.server: Any = getattr(backend.source, "server", None)
        self._users: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.server is None:
            return
        groups = self.asked("SELECT rolname FROM pg_roles WHERE rolname LIKE 'vrtracker_admins%'")
        for name in [*self._users, *(name for (name,) in groups)]:
            self.server.drop_role(name, database=self.database)

    @property
    def database(self) -> str:
        """The name of the lab's database on its server."""
        return self.lab.tracker.database.url.database

    def user(self, stem: str = "user", *, may: str = "") -> str:
        """Make a user of the server who has no role yet, and return the name."""
        name = f"{stem}_{uuid.uuid4().hex[:8]}"
        self.server.create_role(name, may=may)
        self._users.append(name)
        return name

    def url(self, name: str, *, driver: str = "postgresql+psycopg") -> str:
        """Return the lab's address for a user of the server."""
        return self.server.password_url(self.database, role=name, driver=driver)

    def named(self, name: str) -> Tracker:
        """Return the lab as a user of the server opens it."""
        return self.lab.another(database=Database(self.url(name)))

    def having(self, role: str) -> Tracker:
        """Return the lab as somebody opens it who has a role."""
        if self.server is None:
            return self.lab.another(actor=role, roles=ProfileRoles({role.upper(): Role(role)}))
        name = self.user(role)
        self.lab.tracker.grant(name, role)
        return self.named(name)

    def asked(self, statement: str, name: str | None = None) -> list[Any]:
        """Run SQL in the lab's database past the tracker, as a user or as superuser."""
        import psycopg

        driver = "postgresql"
        url = (
            self.url(name, driver=driver) if name else self.server.url(self.database, driver=driver)
        )
        with psycopg.connect(url) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
