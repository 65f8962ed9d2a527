"""Let permissions bind whoever runs the tests, root too."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION_3 = 0x20080522
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, the powers of root over permissions.
_OVER_PERMISSIONS = 1 << 1 | 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Put away root's powers over permissions, for this thread and those that it starts."""
    if os.geteuid() != 0:
        yield
        return
    kernel = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _check(kernel.capget(ctypes.byref(header), sets))
    powers = sets[0].effective
    sets[0].effective = powers & ~_OVER_PERMISSIONS
    _check(kernel.capset(ctypes.byref(header), sets))
    try:
        yield
    finally:
        sets[0].effective = powers
        _check(kernel.capset(ctypes.byref(header), sets))


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder for as long as the block runs, root neither."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    try:
        with bound_by_permissions():
            yield
    finally:
        folder.chmod(mode)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
