"""Which examples of the contract suite are left out, since they would show nothing more.

Everything runs on SQLite, on the newest PostgreSQL and on Access. Two rules leave the rest out:

- The oldest PostgreSQL runs what touches it in its own way: statements that only some databases
  have, locks, COPY, migrations, reading into frames. These modules are named here.
- A test marked ``own_rule`` is about a rule of the tracker's own, which no database has a part
  in. All its examples run on SQLite, and the first one shows on each other database that the
  rule holds there too.

A server that the environment names runs all.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["left_out", "repeated"]

FAULTS = "faults"
OLDEST_SERVER = "postgresql16"
ON_THE_OLDEST_SERVER = {
    "test_backups",
    "test_clone",
    "test_concurrency",
    "test_copy_archive",
    "test_events",
    "test_filters",
    "test_fixtures",
    "test_frames",
    "test_kills",
    "test_postgresql",
    "test_queues",
    "test_readonly",
    "test_restore",
    "test_rows_mice",
    "test_rows_sessions",
    "test_schema",
    "test_scripts",
    "test_up_and_down",
}
AT_RANDOM = {"test_history_machine", "test_workflow_machine"}
DRAWN = re.compile("test_any_.*_agrees_with_plain_python")
"""In the names of tests that draw examples by hypothesis themselves."""


def left_out(items: list[Any]) -> list[Any]:
    """Return the tests that need not run, of those that were collected."""
    shown: set[tuple[str, str]] = set()
    out = []
    for item in items:
        backend = _backend(item)
        if backend is None:
            continue
        is_old = backend == OLDEST_SERVER
        if is_old and item.path.stem not in ON_THE_OLDEST_SERVER:
            out.append(item)
        elif backend != "sqlite" and item.get_closest_marker("own_rule"):
            place = (_function(item), backend)
            if place in shown:
                out.append(item)
            shown.add(place)
    return out


def repeated(items: list[Any]) -> list[Any]:
    """Return the tests that reach little of our code that others do not.

    Those run on SQLite as well, and what is a server's or Access's own has tests of its own; or
    they are further examples of a test, also those that hypothesis draws; or they take at random
    the steps that others take one by one; or what they kill works in another process, which is
    not measured.
    """
    on_sqlite = {_function(item) for item in items if _backend(item) == "sqlite"}
    shown: set[tuple[str, str | None]] = set()
    found = []
    for item in items:
        function, backend = place = _function(item), _backend(item)
        runs_on_sqlite = backend not in {None, "sqlite"} and function in on_sqlite
        draws = item.path.stem in AT_RANDOM or _is_drawn(item)
        if place in shown or runs_on_sqlite or draws or item.path.parent.name == FAULTS:
            found.append(item)
        shown.add(place)
    return found


def _is_drawn(item: Any) -> bool:
    test = getattr(item, "obj", None)
    return getattr(test, "is_hypothesis_test", False) or bool(DRAWN.search(_function(item)))


def _function(item: Any) -> str:
    return str(item.nodeid.partition("[")[0])


def _backend(item: Any) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("backend")
