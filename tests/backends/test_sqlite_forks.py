"""SQLite in a forked child, whose notes of locks are the parent's and whose locks are not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import vrtracker
from support.processes import fork, in_child, wait
from vrtracker.errors import BackendError

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def lab(tmp_path) -> Iterator[Any]:
    with vrtracker.init(tmp_path / "lab.db", actor="tester") as tracker:
        yield tracker


def mice(lab: Any) -> set[str]:
    with vrtracker.open(lab.url) as tracker:
        return {mouse.mouseName for mouse in tracker.mice.iter()}


def test_child_of_a_fork_writes_whatever_the_parents_threads_are_writing(lab):
    is_over = threading.Event()

    def write(thread: int) -> None:
        number = 0
        while not is_over.is_set():
            lab.mice.add(f"P{thread}x{(number := number + 1)}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        codes = [in_child(lambda name=f"C{n}": lab.mice.add(name)) for n in range(4)]
    finally:
        is_over.set()
        for thread in threads:
            thread.join()

    assert codes == [0] * 4
    assert mice(lab) >= {f"C{number}" for number in range(4)}


def test_what_a_child_commits_is_kept_when_the_parent_closes_the_file_first(lab):
    written, closed = os.pipe(), os.pipe()

    def work() -> None:
        lab.mice.add("C1")
        os.write(written[1], b"x")
        os.read(closed[0], 1)
        lab.mice.add("C2")

    lab.mice.add("P1")
    child = fork(work)
    os.read(written[0], 1)
    assert lab.mice.count() == 2
    lab.close()
    os.write(closed[1], b"x")

    assert wait(child) == 0
    assert mice(lab) == {"P1", "C1", "C2"}


def test_child_of_a_fork_within_a_transaction_is_told_to_be_spawned(lab):
    def work() -> None:
        for use in (lab.mice.count, lambda: lab.mice.add("C1")):
            with pytest.raises(BackendError, match=r"forked while .*lab\.db.* spawn"):
                use()

    with lab.database.connect(readonly=False):
        assert in_child(work) == 0
    lab.mice.add("P1")

    assert mice(lab) == {"P1"}
    assert in_child(lambda: lab.mice.add("C1")) == 0
