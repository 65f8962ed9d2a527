"""Engines, statements, schema version and migration of one database."""

from vrtracker.database.clock import DatabaseClock
from vrtracker.database.engines import Database
from vrtracker.database.executor import Executor
from vrtracker.database.handles import dispose_all
from vrtracker.database.prepared import Prepared
from vrtracker.database.tables import Tables

__all__ = ["Database", "DatabaseClock", "Executor", "Prepared", "Tables", "dispose_all"]
