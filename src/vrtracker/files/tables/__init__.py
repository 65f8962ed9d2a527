"""Files of rows as people have them: read into cells, and cells into what columns mean by them.

`content` tells what a file is, `text`, `workbooks` and `parquet` read it, `headers` finds the
columns that its headers name, `meaning` and its neighbours read the cells. No database here.
"""

from vrtracker.files.tables.columns import Kind, Target, Unread
from vrtracker.files.tables.content import read_table
from vrtracker.files.tables.headers import find_header_below, match_headers
from vrtracker.files.tables.meaning import Meaning, understand
from vrtracker.files.tables.table import PLAIN_CSV, Table, TableOptions

__all__ = [
    "PLAIN_CSV",
    "Kind",
    "Meaning",
    "Table",
    "TableOptions",
    "Target",
    "Unread",
    "find_header_below",
    "match_headers",
    "read_table",
    "understand",
]
