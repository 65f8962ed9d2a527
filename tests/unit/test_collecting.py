"""The garbage collector looks seldom while the shell starts, and as ever afterwards."""

from __future__ import annotations

import gc

import pytest

from vrtracker.cli import collecting


@pytest.fixture(autouse=True)
def usual():
    frozen = gc.get_freeze_count()
    yield gc.get_threshold()
    if gc.get_freeze_count() > frozen:
        gc.unfreeze()


def test_collector_works_as_ever_once_the_shell_has_started(usual):
    collecting.begin()
    while_starting = gc.get_threshold()
    collecting.started()

    assert while_starting[0] > usual[0]
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > 0


def test_program_that_was_not_started_as_the_shell_keeps_its_collector(usual):
    before = gc.get_freeze_count()

    collecting.started()

    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() == before
