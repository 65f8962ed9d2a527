"""Progress bars: on standard error, and only where it is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from vrtracker.cli.shell import is_terminal

_Count = Callable[[int], None]
_Copied = Callable[[str, int, int], None]
_Advance = Callable[[int, int, Any, Any], None]


@contextlib.contextmanager
def _bar(*columns: str) -> Iterator[Any]:
    """Show columns, texts or those that rich names; yields the bar, or None without a terminal."""
    if not is_terminal("stderr"):
        yield None
        return
    from rich import progress
    from rich.console import Console

    made = [getattr(progress, name)() if name.endswith("Column") else name for name in columns]
    with progress.Progress(*made, console=Console(stderr=True), transient=True) as bar:
        yield bar


@contextlib.contextmanager
def counting(what: str) -> Iterator[_Count | None]:
    """Show a number that grows; yields what takes it, or None without a terminal."""
    with _bar("SpinnerColumn", "{task.description} {task.completed:.0f}") as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task(what)
        yield lambda count: bar.update(task, completed=count)


@contextlib.contextmanager
def copying() -> Iterator[_Copied | None]:
    """Show a bar over the rows of one table after the other, how fast they go, and how long still.

    Yields None without a terminal.
    """
    rows = ("{task.description}", "BarColumn", "MofNCompleteColumn")
    with _bar(*rows, "{task.fields[rate]}", "TimeRemainingColumn") as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("", total=None, rate="")

        def show(table: str, done: int, total: int) -> None:
            if bar.tasks[task].description != table:
                bar.reset(task, total=total, description=table)
            seconds = bar.tasks[task].elapsed
            rate = f"{done / seconds:,.0f} rows/s" if seconds else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield show


@contextlib.contextmanager
def running(what: str) -> Iterator[_Advance | None]:
    """Show a bar over sessions; yields what a run calls for each, or None without a terminal."""
    with finding_and_running(what) as (_, advance):
        yield advance


@contextlib.contextmanager
def finding_and_running(what: str) -> Iterator[tuple[_Count | None, _Advance | None]]:
    """Show a bar over sessions that first counts those found on disk; yields what takes each."""
    numbers = "{task.completed:.0f}/{task.fields[of]}"
    with _bar("{task.description}", "BarColumn", numbers, "{task.fields[key]}") as bar:
        if bar is None:
            yield None, None
            return
        task = bar.add_task(what, key="", of="?", total=None)

        def count(found: int) -> None:
            bar.update(task, completed=found, key="found on disk")

        def advance(position: int, total: int, key: Any, _result: Any) -> None:
            bar.update(task, completed=position, total=total, of=total, key=str(key))

        yield count, advance
