"""Coverage, where it is measured at all."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["coverage_paused", "import_measured"]


@contextmanager
def coverage_paused() -> Iterator[None]:
    """Measure nothing in the block; tracing takes a third of the time of a test."""
    measuring = _measuring()
    if measuring is not None:
        measuring.stop()
    try:
        yield
    finally:
        if measuring is not None:
            measuring.start()


def import_measured(package: str) -> None:
    """Import the modules of a package where coverage is measured: what is run then counts."""
    if _measuring() is None:
        return
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            # What belongs to another system has its libraries there.
            with suppress(ImportError):
                importlib.import_module(module.name)


def _measuring() -> Any:
    coverage = sys.modules.get("coverage")
    return coverage.Coverage.current() if coverage else None
