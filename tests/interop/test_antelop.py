"""Trials are cut as Antelop cuts them, and what it pairs wrongly is refused."""

from __future__ import annotations

import ast
import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest

from vrtracker.errors import InvalidValueError
from vrtracker.interop.antelop import split_trials

TIMES = np.arange(10) / 2
VALUES = np.arange(10.0)


def by_definition(data, mask):
    """Return the samples from each beginning to its end, both included."""
    (values, times), (marks, edges) = data, mask
    pairs = zip(edges[marks == 1], edges[marks == -1], strict=True)
    within = [(times >= start) & (times <= stop) for start, stop in pairs]
    return [(values[each], times[each]) for each in within]


def antelops_own():
    """Return Antelop's function, without the database that its package asks for."""
    spec = importlib.util.find_spec("antelop")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("Antelop is not installed: pip install --no-deps antelop")
    path = Path(spec.submodule_search_locations[0]) / "utils" / "analysis_utils.py"
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if getattr(node, "name", "") == "split_trials"]
    scope = {"np": np}
    exec(compile(tree, str(path), "exec"), scope)
    return scope["split_trials"]


@pytest.mark.parametrize(
    "reference", [lambda: by_definition, antelops_own], ids=["rule", "antelop"]
)
def test_a_thousand_random_masks_cut_the_same_trials(reference):
    expected_of, draw = reference(), np.random.default_rng(20260301)
    for number in range(1000):
        size, trials = draw.integers(0, 60), draw.integers(0, 8)
        times = np.sort(draw.integers(0, 30, size) / 2)
        values = draw.random((size, 3) if number % 2 else (size,))
        edges = np.sort(draw.integers(0, 30, 2 * trials) / 2)
        mask = np.tile([1, -1], trials), edges

        expected, found = expected_of((values, times), mask), split_trials((values, times), mask)

        assert len(found) == len(expected)
        for (mine, at), (theirs, when) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
            np.testing.assert_array_equal(at, when)
            assert mine.size == 0 or np.shares_memory(mine, values)


def test_an_end_that_is_the_next_beginning_belongs_to_both_or_to_the_later():
    mask = [1, -1, 1, -1], [0.5, 1.5, 1.5, 2.5]

    both = split_trials((VALUES, TIMES), mask)
    left = split_trials((VALUES, TIMES), mask, closed="left")

    assert [values.tolist() for values, _ in both] == [[1, 2, 3], [3, 4, 5]]
    assert [values.tolist() for values, _ in left] == [[1, 2], [3, 4]]
    assert both[-1][1].tolist() == [1.5, 2, 2.5]
    assert len(both[:1]) == 1


@pytest.mark.parametrize(
    ("marks", "edges", "row"),
    [
        ([-1, 1], [0, 1], 0),
        ([1, -1, 1], [0, 1, 2], 2),
        ([1, 1, -1, -1], [0, 1, 2, 3], 1),
        ([1, -1, -1], [0, 1, 2], 2),
        ([1, -1, 0, -1], [0, 1, 2, 3], 2),
        ([1, -1], [2, 1], 1),
        ([1, -1, 1, -1], [0, 2, 1, 3], 2),
        ([1, -1], [0, np.nan], 1),
    ],
)
def test_masks_that_do_not_pair_are_refused_with_the_index(marks, edges, row):
    with pytest.raises(InvalidValueError) as refused:
        split_trials((VALUES, TIMES), (marks, edges))

    assert refused.value.row == row


@pytest.mark.parametrize(
    ("data", "mask", "words"),
    [
        ((VALUES, TIMES[1:]), ([1, -1], [0, 1]), "one time for each"),
        ((VALUES, TIMES), ([1, -1], [0]), "one time for each"),
        (VALUES, ([1, -1], [0, 1]), "data is not a pair"),
        ((VALUES, TIMES), ([[1], [-1]], [0, 1]), "marks have 2 dimensions"),
        ((VALUES, TIMES), ([1, -1], [0, np.nan]), "At index 1 the mask has no time"),
        ((np.zeros((10, 2, 2)), TIMES), ([1, -1], [0, 1]), "3 dimensions"),
        ((VALUES, TIMES[::-1]), ([1, -1], [0.5, 4]), "do not ascend; sort"),
        (
            (VALUES, np.where(TIMES == 2, np.nan, TIMES)),
            ([1, -1], [2, 4]),
            "At index 4 the data has no time",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(data, mask, words):
    with pytest.raises(InvalidValueError, match=words):
        split_trials(data, mask)


def test_an_unknown_way_to_close_a_trial_is_refused():
    with pytest.raises(InvalidValueError, match="'both' or 'left', not 'foo'"):
        split_trials((VALUES, TIMES), ([1, -1], [0, 1]), closed="foo")


def test_two_million_samples_are_split_in_little_more_than_the_search_takes():
    size = 2_000_000
    times, values = np.arange(size) / 1000, np.zeros((size, 2))
    edges = np.sort(np.random.default_rng(0).random(1000) * size / 1000)
    mask = np.tile([1, -1], 500), edges

    def spent(act):
        began = time.perf_counter()
        act()
        return time.perf_counter() - began

    def bare():
        return np.searchsorted(times, edges[0::2]), np.searchsorted(times, edges[1::2])

    # In turn, so that a busy machine has its part in both.
    both = [(spent(bare), spent(lambda: split_trials((values, times), mask))) for _ in range(100)]
    least, ours = (min(each) for each in zip(*both, strict=True))
    assert ours < 3 * least
