"""The file of a backup by COPY: a zip of a manifest, and each table's rows as text.

It needs no driver and no server: what reads it first can refuse it before anything is changed.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from vrtracker.errors import BackendError, ForeignSchemaError

SUFFIX = ".copy.zip"
_FORMAT = 1
_MANIFEST = "manifest.json"
_BYTES = 1 << 20  # of a member in memory at a time
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    # A damaged header may name a compression, an encryption or a size that nobody wrote.
    NotImplementedError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
)

_Block = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    name: str
    columns: dict[str, str]
    """Types as the server names them, by column, in order."""
    rows: int


@dataclass(frozen=True, slots=True)
class Counter:
    """One sequence: the column that it numbers, if it is one's own, and where it stands."""

    name: str
    table: str | None
    column: str | None
    last: int
    called: bool

    @property
    def place(self) -> tuple[str, str | None]:
        """What it is found by: the same column's counter may have another name elsewhere."""
        return (self.table, self.column) if self.table else (self.name, None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds; the data of the table at position n are in the member ``n.copy``."""

    revision: str | None
    tables: tuple[Table, ...]
    counters: tuple[Counter, ...]


def verified(path: Path) -> Manifest:
    """Read a whole archive and return what it holds.

    Raises BackendError if it is damaged, or of a format that this version does not know.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(archive, path)
            for number, table in enumerate(manifest.tables):
                rows = sum(block.count(b"\n") for block in read_rows(archive, number))
                if rows != table.rows:
                    raise BackendError(
                        f"{path} is damaged: it has {rows} rows of {table.name} and should have "
                        f"{table.rows}; take another backup."
                    )
    except _DAMAGE as error:
        raise BackendError(f"{path} is damaged ({error}); take another backup.") from error
    return manifest


def restorable(path: Path) -> tuple[Manifest, str]:
    """Read a whole archive and return what it holds, and the revision of its schema.

    Raises ForeignSchemaError if it is the backup of something else. Raises BackendError if it is
    damaged, or of a format that this version does not know.
    """
    manifest = verified(path)
    if manifest.revision is None:
        raise ForeignSchemaError(f"{path} is no backup of a database of vrtracker.")
    return manifest, manifest.revision


def write_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Write what the archive is to hold."""
    described = {"format": _FORMAT, **asdict(manifest)}
    text = json.dumps(described, ensure_ascii=False, indent=1)
    archive.writestr(_member(_MANIFEST), text)


def write_rows(archive: zipfile.ZipFile, number: int, blocks: Iterable[_Block]) -> None:
    """Write the rows of the table at a position, each of them a line."""
    with archive.open(_member(f"{number}.copy"), "w", force_zip64=True) as data:
        for block in blocks:
            data.write(block)


def read_rows(archive: zipfile.ZipFile, number: int) -> Iterator[bytes]:
    """Read the rows of the table at a position; zipfile compares the checksum at the end."""
    with archive.open(f"{number}.copy") as data:
        while block := data.read(_BYTES):
            yield block


def _member(name: str) -> zipfile.ZipInfo:
    """Return a member without a time: there is one in the archive's name."""
    made = zipfile.ZipInfo(name)
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    read = json.loads(archive.read(_MANIFEST))
    if read["format"] != _FORMAT:
        raise BackendError(
            f"{path} is of format {read['format']}, this vrtracker reads {_FORMAT}. Upgrade the "
            "package: pip install --upgrade vrtracker"
        )
    return Manifest(
        read["revision"],
        tuple(Table(**table) for table in read["tables"]),
        tuple(Counter(**counter) for counter in read["counters"]),
    )
