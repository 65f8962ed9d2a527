"""The lab's rows: list, look up, add, edit, delete; enter the day's sessions; files of rows."""

from vrtracker.services.entries.bulk_edits import BulkEditService, EditPlan
from vrtracker.services.entries.editing import Update
from vrtracker.services.entries.entering import EntryPlan, EntryService
from vrtracker.services.entries.imports import ImportPlan, plan_import
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.recordings import RecordingService
from vrtracker.services.entries.rows import RowService
from vrtracker.services.entries.session_files import OpenSession, Session
from vrtracker.services.entries.sessions import SessionService

__all__ = [
    "BulkEditService",
    "EditPlan",
    "EntryPlan",
    "EntryService",
    "ImportPlan",
    "MouseService",
    "OpenSession",
    "RecordingService",
    "RowService",
    "Session",
    "SessionService",
    "Update",
    "plan_import",
]
