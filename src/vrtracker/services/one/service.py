"""What ``tracker.export_one`` and ``tracker.import_one`` are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrtracker.domain.one import OneExport
from vrtracker.errors import InvalidValueError
from vrtracker.services.context import LabContext
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.one.exporting import export_cache
from vrtracker.services.one.importing import CacheImport, OneImportPlan

__all__ = ["OneImportPlan", "OneService"]


class OneService:
    """Writes and reads caches of ONE.

    Examples
    --------
    >>> written = tracker.export_one("cache", "mouseName = DEMO001")
    >>> len(pd.read_parquet("cache/sessions.pqt"))
    4
    """

    def __init__(self, lab: LabContext, sessions: SessionService, mice: MouseService) -> None:
        self._lab = lab
        self._sessions = sessions
        self._mice = mice

    def export(
        self,
        folder: str | os.PathLike[str],
        where: Any = None,
        /,
        *,
        skip_unfit: bool = False,
        **filters: Any,
    ) -> OneExport:
        """Write sessions and their recorded datasets as a cache that ONE-api loads.

        Parameters
        ----------
        folder
            Where ``sessions.pqt`` and ``datasets.pqt`` go; made if it is not there.
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; all that are not scratched if not.
        skip_unfit
            Leave out sessions that ONE cannot hold.

        Raises
        ------
        InvalidValueError
            If there are such sessions: a number above 999, a name with blanks; its `value` says
            why, by their keys. If nothing is selected, or the folder has tables of somebody else,
            has no name or cannot be written to.

        Examples
        --------
        >>> tracker.export_one("cache", "mouseName = DEMO001").sessions
        4
        """
        if not os.fspath(folder):
            raise InvalidValueError("The name of the folder is empty; give one, such as cache.")
        chosen = self._lab.selection(where, filters)
        return export_cache(self._lab, Path(folder), chosen, skip_unfit=skip_unfit)

    def merge(
        self,
        tables: str | os.PathLike[str] | Mapping[str, Any],
        *,
        strict: bool = False,
        overwrite: bool = False,
    ) -> OneImportPlan:
        """Compare tables of ONE with the database; ``.apply()`` adds and updates, all or nothing.

        Parameters
        ----------
        tables
            A folder, or frames by name, ``sessions`` and mostly ``datasets``, as
            ``one.alf.cache.load_tables`` returns them.
        strict
            Refuse tables with other columns than ONE's; else those that mean nothing here are left
            out, which `notes` says, and those that are not there are empty.
        overwrite
            As in `read`.

        Raises
        ------
        ImportFileError
            As in `read`; with `strict`, if the columns are others.

        Examples
        --------
        >>> written = tracker.export_one("cache", "mouseName = DEMO001")
        >>> tables = {"sessions": pd.read_parquet("cache/sessions.pqt")}
        >>> tracker.merge(tables).conflicts
        ()
        """
        from vrtracker.files.one.reading import read_cache

        given = tables if isinstance(tables, Mapping) else Path(tables)
        cache = read_cache(given, strict=strict)
        comparing = CacheImport(self._lab, self._sessions, self._mice, cache, overwrite=overwrite)
        return comparing.plan("the tables given" if given is tables else str(given))

    def read(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> OneImportPlan:
        """Read a cache of ONE; ``.apply()`` takes it over, all or nothing.

        Parameters
        ----------
        folder
            Holds ``sessions.pqt``, and ``datasets.pqt`` if there are any: of any age, also as
            ``One.save_cache`` writes them.
        overwrite
            Where both say something else, take what the cache says; else that is a conflict.

        Raises
        ------
        ImportFileError
            If there is no such cache, or it is wrong in itself; it lists all that is.

        Examples
        --------
        >>> written = tracker.export_one("cache", "mouseName = DEMO001")
        >>> print(tracker.import_one("cache"))
        Cache of ONE, cache, 0 conflicts: .apply() does it
                    added  updated  unchanged  conflicts
          sessions  0      0        4          0
          datasets  0      0        65         0
        """
        return self.merge(folder, overwrite=overwrite)
