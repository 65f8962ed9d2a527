"""ALF files of a session: names, discovery, hashes, headers, contents.

Names follow the ALF specification as ONE implements it (``one/alf/spec.py`` of
int-brain-lab/ONE): ``_namespace_object.attribute_timescale.extra.extension``.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import math
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.layout import LATE, SUITE2P, SUPERSEDED
from vrtracker.files.trees import is_hidden, reason_of, walk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NAME = re.compile(
    # As ONE splits names: one that begins with _ and holds no other has a namespace too.
    r"(?:_(?P<namespace>[a-zA-Z0-9]+)?)?_?"
    r"(?P<object>\w+)"
    # The specification lets exactly these two suffixes be part of the attribute.
    r"\.(?P<attribute>(?:_[a-z]+_)?[a-zA-Z0-9]+(?:_(?:times|intervals)(?=[_.]))?)"
    r"(?:_(?P<timescale>\w+))?"
    r"(?:\.(?P<extra>[\w.-]+))?"
    r"\.(?P<extension>\w+)"
)
_REVISION = re.compile(r"#(?P<revision>[\w.-]+)#")
_CURATED = re.compile(
    r"mpciROIs\.(?:redCellIdx|redCellManualAssignments)\.npy|parametersRed\w*\.minMaxCutoff\.npy"
)
_NOT_ALF_FOLDERS = {SUITE2P, "roicat"}
_MAGIC = b"\x93NUMPY"
_HEADER_FORMATS = {1: (2, "latin1"), 2: (4, "latin1"), 3: (4, "utf-8")}
_LONGEST_HEADER = 1024 * 1024
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AlfName:
    """The parts of an ALF file name; those that it lacks are None."""

    namespace: str | None
    """Whose convention the data follow, such as ``ibl``."""
    object: str
    """What the files of one table share, such as ``trials``."""
    attribute: str
    """Column of that table, such as ``startTimes``."""
    timescale: str | None
    """Clock of the times when it is not the universal one."""
    extra: str | None
    """Further parts, joined by points."""
    extension: str
    """Without the point."""

    @property
    def column(self) -> str:
        """The attribute with its clock and its further parts, as ONE names it in an object."""
        with_clock = "_".join(filter(None, (self.attribute, self.timescale)))
        return ".".join(filter(None, (with_clock, self.extra)))


class AlfFile(NamedTuple):
    """One ALF file of a session."""

    rel_path: str
    """Posix path relative to the session folder."""
    size_bytes: int
    """Size of the file."""
    modified: float
    """Time of the last change, s since 1970-01-01 UTC."""
    revision: str | None
    """Label of the ``#revision#`` folder that it is in."""


def parse_alf_name(name: str) -> AlfName | None:
    """Split a file name (no folders) into its ALF parts; None if it is not an ALF name."""
    match = _NAME.fullmatch(name)
    return AlfName(**match.groupdict()) if match else None


def find_alf_files(
    folder: Path,
    *,
    within: Path | None = None,
    known: Collection[str] = (),
    astray: dict[str, str] | None = None,
) -> list[AlfFile]:
    """List the ALF files of a session, in collections and revisions of any depth.

    Left out are ``suite2p`` and ``roicat`` folders, hidden ones, the copies of superseded
    curation that `vrtracker.files.staging` keeps in ``curated``, what is reached through a
    symbolic link to a folder, and what is no regular file, such as a pipe, which would be waited
    for without end.

    `within`: refuse links to files that are not below this folder, a path without links itself.
    `known`: paths that count whatever their name is.
    `astray`: takes what is wrong with a link to nothing, or out, by its path; else that is an
    error. Returns sorted by path. Raises NotFoundError
    if there is no such folder; InvalidValueError if a folder or an ALF file in it cannot be read,
    such as a link to nothing, or leads out.
    """
    try:
        found = [
            _alf_file(rel_path, entry, within, astray)
            for rel_path, entry in walk(folder, enter=may_hold_alf)
            if rel_path in known or parse_alf_name(entry.name)
        ]
        return sorted((file for file in found if file), key=lambda file: file.rel_path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.is_dir():
            raise NotFoundError("session folder", str(folder)) from error
        raise InvalidValueError(_unreadable(error, folder)) from error
    except OSError as error:
        raise InvalidValueError(_unreadable(error, folder)) from error


@functools.lru_cache(4096)
def may_hold_alf(rel_path: str) -> bool:
    """Tell whether ALF files of a session may be in a folder of this path; see `find_alf_files`."""
    name = rel_path.rpartition("/")[2]
    if is_hidden(name) or name in _NOT_ALF_FOLDERS:
        return False
    return rel_path != SUPERSEDED and not rel_path.startswith(LATE)


def _alf_file(
    rel_path: str, entry: os.DirEntry[str], within: Path | None, astray: dict[str, str] | None
) -> AlfFile | None:
    try:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if within is not None and entry.is_symlink():
            refuse_outside(Path(entry.path), within)
    except (OSError, InvalidValueError) as error:
        if astray is None:
            raise
        path = Path(entry.path)
        astray[rel_path] = _unreadable(error, path) if isinstance(error, OSError) else str(error)
        return None
    return AlfFile(rel_path, status.st_size, status.st_mtime, revision_of(rel_path))


def refuse_outside(path: Path, within: Path) -> None:
    """Raise InvalidValueError if a file, its links followed, is not below a folder."""
    if not path.resolve().is_relative_to(within):
        raise InvalidValueError(
            f"{str(path)!r} is a link that leads out of {str(within)!r}; put the file itself there."
        )


def revision_of(rel_path: str) -> str | None:
    """Return the label of the innermost ``#revision#`` folder of a path, or None."""
    if "#" not in rel_path:
        return None
    revisions = [_REVISION.fullmatch(part) for part in rel_path.split("/")[:-1]]
    labels = [match["revision"] for match in revisions if match]
    return labels[-1] if labels else None


def _unreadable(error: OSError, path: Path) -> str:
    where = error.filename or path
    return f"{str(where)!r} cannot be read ({reason_of(error)}). Mend or remove it, then try again."


def hash_file(path: Path) -> str:
    """Return the MD5 of a file as 32 hexadecimal digits.

    MD5, since that is the hash that ONE keeps for a dataset, and its caches must be able to
    compare ours with theirs. It guards against accidents, not against forgery.

    Raises NotFoundError if there is no such file, InvalidValueError if it cannot be read.
    """
    return _hashed(path, hashlib.md5(usedforsecurity=False))[0]


def hash_twice(path: Path) -> tuple[str, str]:
    """Return MD5 and SHA-256 of a file, read once; see `hash_file`.

    The first is for ONE, the second tells files apart that somebody made to be alike.
    """
    md5, sha256 = _hashed(path, hashlib.md5(usedforsecurity=False), hashlib.sha256())
    return md5, sha256


def _hashed(path: Path, *digests: hashlib._Hash) -> list[str]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_BLOCK):
                for digest in digests:
                    digest.update(chunk)
    except OSError as error:
        raise _file_error(error, path) from error
    return [digest.hexdigest() for digest in digests]


def is_curated(rel_path: str) -> bool:
    """Tell whether a file holds choices that a person made in the red-cell GUI.

    Such files cannot be computed again. Their names are those that vrAnalysis' red_cell_gui
    saves: the selection, the manual assignments and the cut-offs.
    """
    return _CURATED.fullmatch(rel_path.rpartition("/")[2]) is not None


def load(path: Path) -> npt.NDArray[Any] | dict[str, npt.NDArray[Any]]:
    """Read a .npy or .npz file; never unpickles, since a pickle can run any code.

    Returns the array of a .npy file, the arrays by name of a .npz file. Raises NotFoundError if
    there is no such file; InvalidValueError if it is of another kind, damaged, or holds Python
    objects.
    """
    import numpy as np

    suffix = path.suffix.lower()
    if suffix not in {".npy", ".npz"}:
        raise InvalidValueError(f"{str(path)!r} is not a .npy or .npz file; only these are read.")
    try:
        if suffix == ".npy":
            with path.open("rb") as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        # Not np.load, which takes what is no archive for a pickle.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise _file_error(error, path) from error
    except (MemoryError, OverflowError) as error:
        if suffix == ".npy":
            read_npy_header(path)
        raise InvalidValueError(
            f"{str(path)!r} is damaged, or larger than the memory ({error}). Write it again; a "
            ".npy is read in parts with mmap=True."
        ) from error
    except (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidValueError(
            f"{str(path)!r} cannot be read as arrays: it is damaged, or holds objects ({error}). "
            "Write it again, without objects."
        ) from error


def read_npy_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Check a .npy file by its header and its size, without reading the data.

    The size of an array of Python objects (a pickle, as vrAnalysis' loading recipes are) cannot
    be foretold; of such a file only the header is checked, and that something follows it.

    Returns shape and dtype. Raises NotFoundError if there is no such file; InvalidValueError if it
    is not a .npy file, is truncated, or is longer than its header says.

    Format: numpy.lib.format, "NEP 1: a simple file format for NumPy arrays", versions 1 to 3.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            shape, dtype = _shape_and_dtype(header, path)
            data_bytes = os.fstat(file.fileno()).st_size - file.tell()
    except OSError as error:
        raise _file_error(error, path) from error
    if dtype.hasobject:
        if data_bytes <= 0:
            raise _broken(path, "truncated: nothing follows its header")
        return shape, dtype
    expected = math.prod(shape) * dtype.itemsize
    if data_bytes != expected:
        kind = "truncated" if data_bytes < expected else "damaged"
        raise _broken(path, f"{kind}: it has {data_bytes} of {expected} bytes of data")
    return shape, dtype


def _header(file: BinaryIO, path: Path) -> str:
    start = file.read(len(_MAGIC) + 2)
    if not start:
        raise _broken(path, "empty (0 bytes)")
    if not _MAGIC.startswith(start[: len(_MAGIC)]):
        raise _broken(path, "not a .npy file: it does not begin as one")
    if len(start) < len(_MAGIC) + 2:
        raise _broken(path, "truncated inside its header")
    if start[-2] not in _HEADER_FORMATS:
        raise _broken(path, f"damaged: its format version {start[-2]} does not exist")
    width, encoding = _HEADER_FORMATS[start[-2]]
    length_bytes = file.read(width)
    length = int.from_bytes(length_bytes, "little")
    if length > _LONGEST_HEADER:
        raise _broken(path, f"damaged: its header claims to be {length} bytes long")
    header = file.read(length)
    if len(length_bytes) < width or len(header) < length:
        raise _broken(path, "truncated inside its header")
    return header.decode(encoding, errors="replace")


def _shape_and_dtype(header: str, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    import numpy as np

    try:
        fields = ast.literal_eval(header.strip())
        shape = tuple(fields["shape"])
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise _broken(path, "damaged: its header cannot be understood") from error
    if not all(type(length) is int and length >= 0 for length in shape):
        raise _broken(path, f"damaged: its header says shape {shape}")
    return shape, dtype


def _broken(path: Path, problem: str) -> InvalidValueError:
    return InvalidValueError(f"{path.name} is {problem}. Write it again: {str(path)!r}")


def _file_error(error: OSError, path: Path) -> NotFoundError | InvalidValueError:
    if isinstance(error, FileNotFoundError):
        return NotFoundError("file", str(path))
    return InvalidValueError(_unreadable(error, path))
