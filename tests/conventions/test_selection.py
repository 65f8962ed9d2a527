"""Examples of the contract suite that are left out have been shown elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.selection import AT_RANDOM, ON_THE_OLDEST_SERVER, left_out, repeated

TESTS = Path(__file__).resolve().parents[1]
BACKENDS = ("sqlite", "postgresql16", "postgresql18", "access")


def collected(module: str, *, own_rule: bool, examples: tuple[str, ...] = ("a", "b")) -> list[Any]:
    """Return a test of some examples on each backend, as pytest collects it."""
    return [
        SimpleNamespace(
            nodeid=f"{module}.py::test_it[{backend}-{example}]",
            path=TESTS / "contract" / f"{module}.py",
            callspec=SimpleNamespace(params={"backend": backend}),
            get_closest_marker=lambda name: own_rule and name == "own_rule",
        )
        for backend in BACKENDS
        for example in examples
    ]


def kept(items: list[Any]) -> list[str]:
    out = left_out(items)
    return [item.nodeid.partition("[")[2][:-1] for item in items if item not in out]


def test_all_runs_everywhere_where_databases_differ():
    items = collected("test_frames", own_rule=False)

    assert kept(items) == [f"{backend}-{one}" for backend in BACKENDS for one in "ab"]


def test_the_oldest_server_runs_what_touches_it_alone():
    items = collected("test_reviews", own_rule=False)

    assert not any(name.startswith("postgresql16") for name in kept(items))
    assert len(kept(items)) == 6


def test_rule_of_our_own_runs_in_full_on_sqlite_and_once_elsewhere():
    items = collected("test_reviews", own_rule=True)

    assert kept(items) == ["sqlite-a", "sqlite-b", "postgresql18-a", "access-a"]


def test_test_without_a_backend_is_never_left_out():
    assert left_out([SimpleNamespace(nodeid="test_it", path=TESTS / "unit" / "test_it.py")]) == []


def test_what_runs_on_sqlite_as_well_and_further_examples_are_repetitions():
    everywhere = collected("test_frames", own_rule=False)
    servers = [
        item for item in collected("test_copy_archive", own_rule=False) if "sql1" in item.nodeid
    ]

    assert len(servers) == 4
    assert repeated([*everywhere, *servers]) == [*everywhere[1:], servers[1], servers[3]]


def test_first_example_of_a_test_without_a_backend_is_none():
    items = [
        SimpleNamespace(nodeid=f"test_it.py::test_it[{one}]", path=TESTS / "unit" / "test_it.py")
        for one in "ab"
    ]

    assert repeated(items) == items[1:]


def test_drawn_examples_and_what_is_killed_are_repetitions():
    drawn = SimpleNamespace(
        nodeid="test_it.py::test_it",
        path=TESTS / "unit" / "test_it.py",
        obj=SimpleNamespace(is_hypothesis_test=True),
    )
    named = SimpleNamespace(
        nodeid="test_it.py::test_any_it_agrees_with_plain_python",
        path=TESTS / "unit" / "test_it.py",
    )
    killed = SimpleNamespace(nodeid="test_it.py::test_it", path=TESTS / "faults" / "test_it.py")

    assert [repeated([item]) for item in (drawn, named, killed)] == [[drawn], [named], [killed]]


@pytest.mark.parametrize("module", sorted(AT_RANDOM))
def test_steps_that_are_taken_at_random_are_a_repetition(module: str):
    items = collected(module, own_rule=False)

    assert repeated(items) == items


@pytest.mark.parametrize("module", sorted(ON_THE_OLDEST_SERVER | AT_RANDOM))
def test_module_that_is_named_exists(module: str):
    assert list(TESTS.rglob(f"{module}.py"))
