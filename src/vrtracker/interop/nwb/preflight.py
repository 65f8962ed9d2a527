"""What is wrong with a file before pynwb reads it: every problem, in one look, nothing followed."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, MissingDependencyError, VrtrackerError

_REQUIRED = (
    *("acquisition", "analysis", "processing", "stimulus", "general", "identifier"),
    *("session_description", "session_start_time", "timestamps_reference_time"),
)
_MOST = 2_000_000
_DEEPEST = 30
"""Soft links one after the other."""
_LARGEST = 1 << 30
"""Bytes that a file may promise beyond fifty times its own size."""


def problems_of(path: Path) -> list[str]:
    """Return all that keeps a file from being read as NWB; empty if nothing does.

    Links that lead out of the file, links and object references to nothing, parts that are
    missing, data that are elsewhere, and what pynwb's own check finds.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("An NWB file", "nwb") from error
    try:
        with h5py.File(path, "r") as file:
            found = list(_Look(h5py, file, path).problems())
    except OSError as error:
        if not path.is_file():
            return [f"{path} cannot be read ({reason(error)})."]
        return [f"{path} is no HDF5, the form that NWB has, or is damaged; get a whole copy."]
    except (RuntimeError, KeyError, ValueError):
        return [f"{path} is damaged; get a whole copy."]
    return found or _checked(path)


def reason(error: OSError) -> str:
    """Return why a file cannot be opened; HDF5 puts words of its own in the system's place."""
    return os.strerror(error.errno) if error.errno else "HDF5 gives no reason; is the disk full?"


def _checked(path: Path) -> list[str]:
    import pynwb

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pynwb.validate(path=str(path))
        return [f"{each.location}: {each.reason}" for each in found]
    except Exception as error:  # noqa: BLE001 - what a foreign file makes of a validator is open
        return [not_read(path, error)]


def not_read(path: Path, error: Exception) -> str:
    """Return the problem of a file that pynwb gives up on."""
    return (
        f"pynwb does not read {path} ({type(error).__name__}): it is damaged, or of a version "
        "that is not known here; get a whole copy, or a newer pynwb."
    )


@contextlib.contextmanager
def in_our_words(key: SessionKey) -> Iterator[None]:
    """Tell which session NWB does not take; what its libraries raise then is open."""
    try:
        yield
    except VrtrackerError:
        raise
    except Exception as error:
        raise InvalidValueError(
            f"{key} cannot be written as NWB ({type(error).__name__}: {error}). Mend the value or "
            "file that this is about, and export the session again."
        ) from error


class _Look:
    """One look through the links of a file; none that leads out is followed."""

    def __init__(self, h5py: Any, file: Any, path: Path) -> None:
        self._h5py = h5py
        self._file = file
        self._size = path.stat().st_size
        self._seen: set[Any] = set()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong."""
        for name in _REQUIRED:
            if self._link(self._file, name)[0] == "none":
                yield f"/{name} is missing, which NWB requires."
        if "nwb_version" not in self._file.attrs:
            yield "The file does not say of which version of NWB it is (nwb_version)."
        yield from self._group(self._file, "")

    def _group(self, top: Any, prefix: str) -> Iterator[str]:
        waiting = [(top, prefix)]
        while waiting and len(self._seen) < _MOST:
            group, at = waiting.pop()
            yield from self._attributes(group, at or "/")
            for name in group:
                where = f"{at}/{name}"
                kind, target = self._link(group, name)
                if kind == "external":
                    yield f"{where} leads out of the file, to {target}."
                    continue
                if kind == "soft":
                    yield from self._soft(group, where, target)
                    continue
                found = group[name]
                key = self._h5py.h5o.get_info(found.id).addr
                if key in self._seen:
                    continue
                self._seen.add(key)
                if isinstance(found, self._h5py.Group):
                    waiting.append((found, where))
                elif isinstance(found, self._h5py.Dataset):
                    yield from self._attributes(found, where)
                    yield from self._dataset(found, where)

    def _link(self, group: Any, name: str) -> tuple[str, str]:
        """Return of which kind a link is, and where it leads; nothing there is opened."""
        links, called = group.id.links, name.encode("utf-8", "surrogateescape")
        if not links.exists(called):
            return "none", ""
        kind = links.get_info(called).type
        if kind == self._h5py.h5l.TYPE_HARD:
            return "hard", ""
        target = links.get_val(called)
        if kind == self._h5py.h5l.TYPE_SOFT:
            return "soft", target.decode("utf-8", "replace")
        return "external", ":".join(part.decode("utf-8", "replace") for part in target)

    def _soft(self, group: Any, where: str, target: str) -> Iterator[str]:
        """Say where a link leads to nothing, or on to one that leads out."""
        end = self._end(group, target, _DEEPEST)
        if end == "none":
            yield f"{where} is a link to {target}, and there is nothing."
        elif end == "external":
            yield f"{where} leads out of the file, by {target}."

    def _end(self, group: Any, target: str, left: int) -> str:
        """Return what kind of link the last one is on the way to a target."""
        at, kind = (self._file if target.startswith("/") else group), "hard"
        for name in target.split("/"):
            if name in {"", "."}:
                continue
            if not isinstance(at, self._h5py.Group) or not left:
                return "none"
            kind, further = self._link(at, name)
            if kind == "soft":
                kind = self._end(at, further, left - 1)
            if kind != "hard":
                return kind
            at = at[name]
        return kind

    def _dataset(self, data: Any, where: str) -> Iterator[str]:
        if data.external:
            yield f"The data of {where} are outside of the file, in {data.external[0][0]}."
        elif data.is_virtual:
            yield f"The data of {where} are put together of other files."
        elif data.nbytes > 50 * self._size + _LARGEST:
            yield f"{where} promises {data.nbytes} bytes, and the file has {self._size}."
        elif self._refers(data.dtype):
            values = data[()]
            for each in values.ravel() if hasattr(values, "ravel") else [values]:
                if not self._leads(each):
                    yield f"{where} refers to an object that is not there."
                    break

    def _attributes(self, owner: Any, where: str) -> Iterator[str]:
        for name in owner.attrs:
            try:
                value = owner.attrs[name]
            except (OSError, KeyError, RuntimeError, TypeError):
                yield f"The attribute {name} of {where} is damaged."
                continue
            if isinstance(value, self._h5py.Reference) and not self._leads(value):
                yield f"{name} of {where} refers to an object that is not there."

    def _refers(self, dtype: Any) -> bool:
        if dtype.fields:
            return any(self._refers(kind) for kind, *_ in dtype.fields.values())
        return self._h5py.check_ref_dtype(dtype) is not None

    def _leads(self, value: Any) -> bool:
        if getattr(value, "dtype", None) is not None and value.dtype.fields:
            names = value.dtype.fields
            return all(
                self._leads(value[each]) for each in names if self._refers(value.dtype[each])
            )
        try:
            return bool(value) and self._file[value] is not None
        except (ValueError, KeyError, OSError, RuntimeError):
            return False
