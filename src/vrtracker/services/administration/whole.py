"""The database as a whole: its engines, its life, its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vrtracker import clock
from vrtracker.database.versions import HEAD, current_revision, require_current
from vrtracker.errors import (
    ConfigurationError,
    NotEmptyError,
    SchemaOutOfDateError,
)
from vrtracker.services.administration.backups import copy_before
from vrtracker.services.administration.roles import RoleService, keeping_roles
from vrtracker.services.administration.tables import DatabaseTables


class LabDatabase(DatabaseTables):
    """The database of a lab, for what concerns all of it, and for what goes past the services.

    It opens connections when they are needed, in a forked or spawned process its own, and can be
    sent to another process; a password in the URL stays behind. What drops anything takes an admin
    and the database's name, and keeps a copy first, as an upgrade does.

    Attributes
    ----------
    handle : Database
        What the services work with: prepared statements, transactions, errors.

    Examples
    --------
    >>> tracker.database.name, tracker.database.backend.name, tracker.database.readonly
    ('lab.db', 'sqlite', False)
    """

    def exists(self) -> bool:
        """Return whether it is there; of one on a server, the server is asked.

        Examples
        --------
        >>> vrtracker.database_of("new.db").exists()
        False
        """
        if self.backend.file(self.url) is not None:
            return self.backend.exists(self.url)
        return self.name in self.list_databases()

    def list_databases(self) -> list[str]:
        """Return the names of the databases beside it: in its folder, or on its server.

        Examples
        --------
        >>> tracker.database.list_databases()
        ['lab.db']
        """
        with self.handle.translating():
            return self.backend.care.databases(self.url)

    def create(self) -> str:
        """Make it, with its tables; return the revision.

        Raises
        ------
        NotEmptyError
            If it is there already.

        Examples
        --------
        >>> database = vrtracker.database_of("new.db")
        >>> revision = database.create()
        >>> database.exists(), database.is_update_required()
        (True, False)
        """
        from vrtracker.database.migration import upgrade

        if self.exists():
            raise NotEmptyError(self.handle, ["a database of this name"])
        with self.handle.translating():
            self.backend.care.create(self.url)
        return upgrade(self.url)

    def drop(self, name: str) -> Path | None:
        """Remove it with all that is in it; return the copy that was kept.

        Parameters
        ----------
        name
            Its name, so that it is not another one.

        Raises
        ------
        InvalidValueError
            If it has another name.
        RoleError
            If one is no admin.
        BackendError
            If somebody uses it, or no copy can be made.

        Examples
        --------
        >>> database = vrtracker.database_of("new.db")
        >>> revision = database.create()
        >>> copy = database.drop("new.db")
        >>> database.exists(), copy.exists()
        (False, True)
        """
        copy = self._before("drop", name)
        self.dispose()
        with self.handle.translating():
            self.backend.care.drop(self.url)
        return copy

    def reset(self, name: str) -> Path | None:
        """Drop all tables, the lab's own too, and make the tracker's anew; as `drop`.

        Examples
        --------
        >>> copy = tracker.database.reset("lab.db")
        >>> tracker.sessions.count()
        0
        """
        from vrtracker.database.remaking import remake

        copy = self._before("reset", name)
        with keeping_roles(self.handle):
            remake(self.handle)
        return copy

    def is_update_required(self) -> bool:
        """Return whether the schema is older than this version's; reads only.

        Raises
        ------
        SchemaTooNewError, ForeignSchemaError
            If no update would help; the message says what does.

        Examples
        --------
        >>> tracker.database.is_update_required()
        False
        """
        try:
            require_current(self.handle)
        except SchemaOutOfDateError:
            return True
        return False

    def perform_updates(self, *, backup: bool = True, sql: bool = False) -> list[str]:
        """Bring the schema to the newest revision; return what was kept, or would be run.

        Who comes while another one is at it waits, and finds it done.

        Parameters
        ----------
        backup
            Keep a copy first.
        sql
            Return the statements alone: they are run and undone.

        Returns
        -------
        list of str
            The statements, or the path of the copy, if there is one.

        Examples
        --------
        >>> copy = tracker.database.downgrade("0008", backup=False)
        >>> tracker.database.perform_updates(backup=False)
        []
        >>> tracker.database.is_update_required()
        False
        """
        from vrtracker.database import migration

        if sql:
            return migration.upgrade_sql(self._writable().url)
        return self._migrated(HEAD, migration.upgrade, backup=backup)

    def downgrade(self, revision: str, *, backup: bool = True) -> list[str]:
        """Take the schema back to an earlier revision; what later ones added is lost.

        With `backup` a copy is kept first, whose path is returned.

        Examples
        --------
        >>> tracker.database.downgrade("0008", backup=False)
        []
        >>> tracker.database.is_update_required()
        True
        """
        from vrtracker.database import migration

        return self._migrated(migration.target_of(revision), migration.downgrade, backup=backup)

    def _migrated(self, revision: str, verb: Any, *, backup: bool) -> list[str]:
        if current_revision(self._writable()) == revision:
            return []
        folder, kept = self._lab.backups, None
        if backup:
            kept = copy_before(self.handle, "migration", folder=folder, at=clock.now())
        self.dispose()
        verb(self.url, revision)
        return [] if kept is None else [str(kept)]

    def remember_password(self, password: str | None) -> None:
        """Keep the password for this user, server and database in the system's keyring.

        Parameters
        ----------
        password
            None to forget it.

        Raises
        ------
        MissingDependencyError
            If the extra ``keyring`` is not installed.
        ConfigurationError
            If the system has no keyring, or it is a file, which has no password.

        Examples
        --------
        >>> tracker.database.remember_password("secret")  # on PostgreSQL it does
        Traceback (most recent call last):
            ...
        vrtracker.errors.ConfigurationError: ...lab.db is a file; there is no password to keep.
        """
        from vrtracker.backends.secrets import remember

        if self.backend.file(self.url) is not None:
            raise ConfigurationError(f"{self} is a file; there is no password to keep.")
        remember(self.url, password)
        self.dispose()

    def readers(self) -> list[dict[str, Any]]:
        """Return who may read it: ``name, role, is_you``; see `Tracker.roles`.

        Of a file they are those of the profile; the system's permissions count besides.

        Examples
        --------
        >>> [row["role"] for row in tracker.database.readers()]
        ['admin']
        """
        return RoleService(self._lab).roles.records()
