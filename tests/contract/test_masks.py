"""Masks are made anew when their function or the session's files changed, and nothing else runs."""

from __future__ import annotations

import sys
import types
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from support.sample_lab import run_sql
from support.workflow_lab import WorkflowLab
from vrtracker.errors import NotFoundError, UnknownNameError, VrtrackerError
from vrtracker.interop.antelop import recompute_masks

ONE, TWO, THREE = (f"M1.2026-02-01.{number}" for number in (701, 702, 703))
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
SOURCE = """
import numpy as np
from vrtracker.interop.antelop import mask_function

@mask_function
def licks(session, *, threshold=0.5):
    if session.sessionID == 703:
        raise ValueError("no licks")
    if session.sessionID == 704:
        leave()
    return np.array([1, -1], dtype="int8"), np.array([threshold, 2.0])

@mask_function
def given(session, *, made):
    return made

def unmarked(session):
    raise AssertionError
"""
_numbers = count()


class Lab:
    """A lab, and a module with functions that can be edited."""

    def __init__(self, lab: WorkflowLab, folder: Path) -> None:
        self.lab = lab
        self.tracker = lab.tracker
        self.masks = lab.tracker.masks
        self.name = f"lab_masks_{next(_numbers)}"
        self._folder = folder
        self.edit(SOURCE)

    def edit(self, source: str) -> None:
        # Under another name each time: Python looks a file's lines up once.
        path = self._folder / f"{self.name}_{next(_numbers)}.py"
        path.write_text(source)
        self.module = types.ModuleType(self.name)
        sys.modules[self.name] = self.module
        exec(compile(source, str(path), "exec"), vars(self.module))


@pytest.fixture
def masks(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as lab:
        for key in (ONE, TWO, THREE):
            lab.add(key)
        made = Lab(lab, tmp_path)
        made.masks.make(ONE, "licks", made.module.licks, threshold=0.25)
        yield made
    del sys.modules[made.name]


def whys(outcomes):
    return [(each.key.number, each.why, each.error) for each in outcomes]


def test_masks_are_made_where_they_are_missing_or_stale_and_a_failure_stops_no_other(masks):
    marks, times = masks.masks.get(ONE, "licks")
    assert (marks.dtype, marks.tolist(), times.tolist()) == (np.int8, [1, -1], [0.25, 2])
    assert masks.masks.recompute() == []

    wanted = [(702, "missing", None), (703, "missing", None)]
    assert whys(masks.masks.recompute(only="missing", dry_run=True)) == wanted
    failed = [wanted[0], (703, "missing", "ValueError: no licks")]
    assert whys(recompute_masks(masks.tracker, only="missing")) == failed
    assert masks.masks.get(TWO, "licks")[1][0] == 0.25
    assert masks.masks.list()["key"].tolist() == [ONE, TWO]

    (masks.lab.folder(TWO) / "alf").mkdir()
    (masks.lab.folder(TWO) / "alf" / "licks.times.npy").write_bytes(b"x")
    masks.tracker.datasets.scan(TWO)
    assert whys(masks.masks.recompute(only="stale")) == [(702, "data", None)]
    masks.edit(SOURCE.replace("2.0", "3.0"))
    assert whys(masks.masks.recompute(ONE, only="stale")) == [(701, "code", None)]
    assert masks.masks.get(ONE, "licks")[1][1] == 3
    assert whys(masks.masks.recompute(ONE)) == []
    assert whys(masks.masks.recompute(ONE, only="all")) == [(701, "asked", None)]
    assert masks.tracker.history(ONE)["verb"].tolist()[-3:] == ["masked"] * 3

    masks.tracker.sessions.delete(ONE, reason="test")
    masks.tracker.sessions.restore(ONE)
    assert masks.masks.get(ONE, "licks")[1][1] == 3


def test_a_mask_that_cannot_be_written_leaves_the_others_written(masks):
    """The session in the middle is deleted while its mask is made, so that its row is refused."""
    gone, last = "M1.2026-02-01.704", "M1.2026-02-01.705"
    for key in (gone, last):
        masks.lab.add(key)
    masks.module.leave = lambda: masks.lab.another().sessions.delete(gone, reason="a double")

    told = whys(masks.masks.recompute(only="missing"))

    assert [(number, bool(error)) for number, _, error in told] == [
        *((702, False), (703, True), (704, True), (705, False))
    ]
    assert "was deleted while its mask was made" in told[2][2]
    assert masks.masks.list()["key"].tolist() == [ONE, TWO, last]
    events = masks.tracker.events(20)
    made = events[events["verb"] == "masked"].iloc[:2]
    assert (set(made["subject_key"]), made["operation_id"].nunique()) == ({TWO, last}, 1)


@SQLITE
def test_nothing_that_a_database_names_is_imported_or_run(masks, tmp_path):
    for name, reason in (
        ("os:system", "no function that is marked"),
        (f"{masks.name}:unmarked", "no function that is marked"),
        (f"{masks.name}:gone", "no function that is marked"),
        ("this_is_never:imported", "was not imported"),
    ):
        run_sql(
            masks.tracker.url,
            "UPDATE vrt_mask SET function_name = :name, options = :options",
            name=name,
            options=f'{{"command": "mkdir {tmp_path / "ran"}"}}',
        )
        (outcome,) = masks.masks.recompute(ONE, only="stale")
        assert reason in outcome.error
    assert not (tmp_path / "ran").exists()
    assert "this_is_never" not in sys.modules


@SQLITE
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda m: m.masks.make(ONE, "x", m.module.unmarked), "put @mask_function"),
        (lambda m: m.masks.make(ONE, "x", lambda _: 1), "<lambda> is no function"),
        (lambda m: m.masks.make(ONE, "x", None), "^None is no function"),
        (lambda m: m.masks.make(ONE, "x", "licks"), "^'licks' is no function"),
        (lambda m: m.masks.make(ONE, "x", m.module.given, made=5), "not a pair of arrays"),
        (lambda m: m.masks.make(ONE, "x", m.module.given, made=[1, 1]), "one time for each"),
        (lambda m: m.masks.make(ONE, "x", m.module.given, made=[[1, 1], [0, 1]]), "must end"),
        (lambda m: m.masks.make(ONE, "x", m.module.given, made=[[1], [None]]), "give numbers"),
        *(
            (lambda m, name=name: m.masks.make(ONE, name, m.module.licks), "has 1 to 255 letters")
            for name in ("", 5, None)
        ),
        (lambda m: m.masks.get(ONE, 5), "has 1 to 255 letters"),
        (lambda m: m.masks.get(ONE, "zz"), rf"no mask 'zz' in {ONE}\."),
        (lambda m: m.masks.make("M1.2026-02-01.9", "x", m.module.licks), NotFoundError),
        (lambda m: m.masks.recompute(only="some"), UnknownNameError),
    ],
)
def test_wrong_masks_are_refused(masks, act, error):
    kind, words = (VrtrackerError, error) if isinstance(error, str) else (error, None)
    with pytest.raises(kind, match=words):
        act(masks)

    assert len(masks.masks.list()) == 1
