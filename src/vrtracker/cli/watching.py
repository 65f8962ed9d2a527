"""``vrtracker status --watch``: what is going on, drawn again and again until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker import clock
from vrtracker.as_json import records
from vrtracker.cli.output import say, table_of, write_table
from vrtracker.cli.shell import is_terminal
from vrtracker.errors import BackendError

if TYPE_CHECKING:
    from vrtracker.repositories.selecting import Selection
    from vrtracker.services.workflow.activity import Activity
    from vrtracker.tracker import Tracker

_STATES = ("ready", "running", "failed", "blocked", "stale", "done")
_OPEN = ("ready", "running", "failed")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO = 1000

_Table = tuple[str, list[dict[str, Any]]]
_Write = Callable[[dict[str, Any]], None]


def watch(tracker: Tracker, filters: Selection, *, interval: float, json_lines: bool) -> None:
    """Show frame after frame; a database that goes away is told, and asked again."""
    with contextlib.suppress(KeyboardInterrupt), _writer(json_lines=json_lines) as write:
        for frame in _frames(tracker, filters):
            write(frame)
            time.sleep(interval)


def _frames(tracker: Tracker, filters: Selection) -> Iterator[dict[str, Any]]:
    """Yield what is going on, or why nobody knows: then `error`, and the last that was known."""
    last: dict[str, Any] = {}
    while True:
        try:
            last = _document(tracker.workflow.activity(filters))
            yield {**last, "error": None}
        except BackendError as error:
            # The next look opens new connections.
            tracker.close()
            yield {**last, "at": clock.now().isoformat(), "error": str(error)}


def _document(activity: Activity) -> dict[str, Any]:
    tables = {name: records(found.records()) for name, found in activity.rows.items()}
    return {"at": activity.at.isoformat(), **tables}


@contextlib.contextmanager
def _writer(*, json_lines: bool) -> Iterator[_Write]:
    """Give what writes a frame: in the place of the last one on a terminal, else below it."""
    if json_lines:
        yield _write_line
    elif is_terminal("stdout"):
        with _in_place() as write:
            yield write
    else:
        yield _write_block


def _write_line(frame: Mapping[str, Any]) -> None:
    say(json.dumps(frame, allow_nan=False))
    sys.stdout.flush()


def _write_block(frame: Mapping[str, Any]) -> None:
    for title, rows in _tables(frame):
        say(title)
        write_table(rows)
    say()
    sys.stdout.flush()


@contextlib.contextmanager
def _in_place() -> Iterator[_Write]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def write(frame: Mapping[str, Any]) -> None:
            parts: list[Any] = []
            for title, rows in _tables(frame):
                parts += [Text(title), *([table_of(rows)] if rows else [])]
            live.update(Group(*parts), refresh=True)

        yield write


def _tables(frame: Mapping[str, Any]) -> list[_Table]:
    """Return a frame as titles with tables, what matters most first."""
    head: list[_Table] = [(f"{frame['at']}  (Ctrl-C ends)", [])]
    if frame["error"]:
        head.append((f"The database does not answer; trying again. {frame['error']}", []))
    if "stages" not in frame:
        return head
    return [
        *head,
        ("", [_stage(row) for row in frame["stages"]]),
        *_titled("Running", [_claim(row) for row in frame["claims"]]),
        *_titled("Newest errors", [_error(row) for row in frame["errors"]]),
        *_titled("Mice with open work", _mice(frame["mice"])),
    ]


def _titled(title: str, rows: list[dict[str, Any]]) -> list[_Table]:
    return [("", []), (title, rows)] if rows else []


def _stage(row: Mapping[str, Any]) -> dict[str, Any]:
    an_hour = row["an_hour"]
    return {
        "stage": row["stage"],
        **{state: row[state] for state in _STATES},
        "an hour": None if an_hour is None else round(an_hour, 1),
        "time left": _duration(row["left_s"]),
        "bytes an hour": _size(row["bytes_an_hour"]),
        "bytes left": _size(row["bytes_left"]),
    }


def _claim(row: Mapping[str, Any]) -> dict[str, Any]:
    state = {True: "runs", False: "gone", None: "not known"}[row["alive"]]
    shown = {name: row[name] for name in ("key", "stage", "host", "pid", "actor")}
    return {**shown, "for": _duration(row["age_s"]), "process": state}


def _error(row: Mapping[str, Any]) -> dict[str, Any]:
    message = " ".join((row["error_message"] or "").split())
    return {**{name: row[name] for name in ("failed_at", "key", "stage")}, "error": message[:200]}


def _mice(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each mouse that has open work: what is done, what is ready and so on."""
    lines: dict[str, dict[str, Any]] = {}
    busy = {row["mouseName"] for row in rows if any(row[state] for state in _OPEN)}
    for row in rows:
        if row["mouseName"] in busy:
            line = lines.setdefault(row["mouseName"], {"mouseName": row["mouseName"]})
            parts = [f"{row[state]} {state}" for state in _STATES if row[state]]
            line[row["stage"]] = ", ".join(parts)
    return list(lines.values())


def _duration(seconds: float | None) -> str | None:
    """Return a duration in its two largest units."""
    if seconds is None:
        return None
    whole = round(seconds)
    days, hours, minutes = whole // _DAY, whole % _DAY // _HOUR, whole % _HOUR // _MINUTE
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % _MINUTE} s" if minutes else f"{whole} s"


def _size(count: float | None) -> str | None:
    """Return a number of bytes in a unit that leaves few digits."""
    if count is None:
        return None
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.3g} {unit}"
        count /= _KILO
    return f"{count:.3g} TB"
