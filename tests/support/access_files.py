"""Access files as programs of their own use them, and as an independent program reads them."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

from vrtracker.database.migration import upgrade
from vrtracker.services.adoption import adopt


def upgrade_when_told(path: str, ready: str) -> None:
    """Start Java, say so by making the file `ready`, and upgrade; this is what gets killed."""
    from vrtracker.backends.access import jvm

    jvm.start()
    Path(ready).touch()
    upgrade(path)


def adopt_when_told(path: str, ready: str) -> None:
    """Start Java, say so by making the file `ready`, and adopt; this is what gets killed."""
    from vrtracker.backends.access import jvm

    jvm.start()
    Path(ready).touch()
    adopt(path)


def mdb_rows(path: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of a table as MDB Tools reads them."""
    made = subprocess.run(
        ["mdb-export", str(path), table], check=True, capture_output=True, text=True
    )
    return list(csv.DictReader(io.StringIO(made.stdout)))
