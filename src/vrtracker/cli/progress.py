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
def counting(what: str) -> Iterator[_Count | None]:
    """Show a number that grows; yields what takes it, or None without a terminal."""
    if not is_terminal("stderr"):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda count: bar.update(task, completed=count)


@contextlib.contextmanager
def copying() -> Iterator[_Copied | None]:
    """Show a bar over the rows of one table after the other, how fast they go, and how long still.

    Yields None without a terminal.
    """
    if not is_terminal("stderr"):
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
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
    if not is_terminal("stderr"):
        yield None, None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.fields[of]}"),
        TextColumn("{task.fields[key]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, key="", of="?", total=None)

        def count(found: int) -> None:
            bar.update(task, completed=found, key="found on disk")

        def advance(position: int, total: int, key: Any, _result: Any) -> None:
            bar.update(task, completed=position, total=total, of=total, key=str(key))

        yield count, advance
