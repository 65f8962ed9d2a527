"""The methods of the old ``vrAnalysis.database``, on every database of the tracker.

>>> from vrtracker.interop.vranalysis import get_database
>>> sessiondb = get_database("vrSessions")  # doctest: +SKIP
>>> sessiondb.get_table(imaging=True, sessionID=(702, ">="))  # doctest: +SKIP

Names, parameters and results are those of the old module, but for what was wrong with it:
``docs/vranalysis.md`` lists each difference.
"""

from __future__ import annotations

from vrtracker.interop.vranalysis.base import BaseDatabase
from vrtracker.interop.vranalysis.databases import get_database, get_database_metadata
from vrtracker.interop.vranalysis.session_database import SessionDatabase

__all__ = ["BaseDatabase", "SessionDatabase", "get_database", "get_database_metadata"]
