"""What the reference shows of a name works, and it shows each."""

from __future__ import annotations

import inspect
import shutil

import pytest

import vrtracker
from support.reference import STAND_INS, faults, has_example, public
from vrtracker.errors import VrtrackerError

PARTS = 4
"""Tests that share the examples, so that several processes run them."""


@pytest.fixture
def template(demo_template, tmp_path, monkeypatch):
    """Work in an empty folder, beside a demo of the test's own."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    return shutil.copytree(demo_template, tmp_path / "demo")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_example_of_the_reference_is_true(template, part):
    # A method of two classes is one.
    shown = {id(found): (name, found) for name, found in public() if has_example(found)}
    shown[id(vrtracker)] = ("vrtracker", vrtracker)

    told = [faults(name, found, template) for name, found in [*shown.values()][part::PARTS]]

    assert not any(told), "".join(told)


def test_an_example_that_is_not_true_is_noticed(template):
    def wrong():
        """Show it.

        >>> tracker.sessions.count()
        13
        """

    assert "Got:\n    12\n" in faults("wrong", wrong, template)


def test_every_name_of_the_reference_has_an_example():
    """Errors are left out: nobody calls them, and those who raise them are told of."""
    without = {
        name
        for name, found in public()
        if not name.startswith(STAND_INS)
        and not inspect.ismodule(found)
        and not (inspect.isclass(found) and issubclass(found, VrtrackerError))
        and not has_example(found)
    }

    assert not without
