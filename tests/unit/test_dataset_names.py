"""Names of datasets mean the same to the database and to what loads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from support.examples import examples
from vrtracker.domain.datasets import is_called, patterns_of

PATH = "alf/#2024-01-01#/_ibl_trials.choice.v1.npy"
PARTS = ("alf", "a_b", "#x#", "_ibl_trials.choice.npy", "trials.choice.npy", "_a_trials.choice")
PARTS += ("my_trials.choice.npy", "_a_my_trials.choice", "trials.choices.npy", "choice.npy")
NAMES = ("trials", "trials.choice", "_ibl_trials", "choice.npy", "my_trials", "trials.choice.npy")


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("trials", True),
        ("trials.choice", True),
        ("Trials.choice.v1.npy", True),
        ("_ibl_trials.choice", True),
        ("alf/trials", True),
        ("alf/#2024-01-01#/trials.choice", True),
        ("trials.cho", False),
        ("ibl_trials", False),
        ("choice", False),
        ("trials.choice.npy", False),
        ("lf/trials", False),
    ],
)
def test_name_is_what_the_file_begins_with_behind_its_namespace(name, is_it):
    assert is_called(PATH, name) is is_it


@settings(max_examples=examples(300))
@example(path="#x#/alf/trials.choice.npy", folder="alf/", name="trials")
@given(
    path=st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join),
    folder=st.sampled_from(["", "alf/", "a_b/", "alf/#x#/"]),
    name=st.sampled_from(NAMES),
)
def test_database_is_asked_for_the_same_datasets(path, folder, name):
    # No collection is called like a file.
    assume("." not in path.rpartition("/")[0])
    means, behind, longer = patterns_of(folder + name, "%", "~_")

    def matches(patterns):
        texts = [re.escape(each).replace("%", ".*").replace("~_", "_") for each in patterns]
        return any(re.fullmatch(text, path) for text in texts)

    found = matches(means) or (matches(behind) and not matches(longer))
    assert found == is_called(path, folder + name)
