"""Sessions as files of Neurodata Without Borders, and back; by pynwb, the extra ``nwb``.

`exporting` writes a session, `batch` those of a query; `importing` takes the arrays of a file over
as ALF files, and what hangs on the session as rows, after `preflight` has looked at all that can
be wrong with it.
"""

from vrtracker.interop.nwb.batch import export_many
from vrtracker.interop.nwb.exporting import NwbExport, export_nwb
from vrtracker.interop.nwb.importing import NwbImportPlan, import_nwb

__all__ = ["NwbExport", "NwbImportPlan", "export_many", "export_nwb", "import_nwb"]
