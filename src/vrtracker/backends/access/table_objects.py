"""One Java object for each table of an open Jackcess database.

Jackcess caches its tables by weak references. What the collector has taken is struck from the
cache when the next table is read, by the table's place in the file alone: an object that was
made for the same table in between is struck with it, and whoever asks next gets a second one
(``DatabaseImpl.TableCache.purgeOldRefs``, Jackcess 5.1.2). Each then has its own idea of which
page is free and of what the indexes hold, and they write over one another. While every table
is held here, none is collected, and none is struck.
"""

from __future__ import annotations

from typing import Any

from vrtracker.backends.access import jvm
from vrtracker.backends.access.inspection import own_tables

# Those of Access itself that schema changes write to, and that Jackcess does not hold.
_SYSTEM_TABLES = ("MSysACEs", "MSysRelationships")

_held: dict[Any, list[Any]] = {}


def hold_tables(database: Any) -> None:
    """Hold the object of each table until `release_tables`; call it again for new tables."""
    cache = jvm.private_field(database, "mtableCache")
    # What was collected until now waits in the queue, or is still on its way there.
    jvm.set_private_field(cache, "_queue", jvm.java("java.lang.ref.ReferenceQueue")())
    own = [database.getTable(name) for name in own_tables(database)]
    system = [database.getSystemTable(name) for name in _SYSTEM_TABLES]
    _held[database] = [*own, *system]


def release_tables(database: Any) -> None:
    """Let go of the tables of a database that is being closed."""
    _held.pop(database, None)
