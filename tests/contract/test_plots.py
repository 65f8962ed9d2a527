"""Plots show what is there, and say so where nothing is."""

from __future__ import annotations

import pytest
from matplotlib import pyplot as plt

from support.command_line import good, refused
from support.registrars import good as works
from support.registrars import raises
from support.roicat import write_run
from vrtracker.errors import UnknownNameError
from vrtracker.plots import NAMES
from vrtracker.plots.stages import arrows

only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
FIRST, SECOND, THIRD = "M1.2023-01-20.1", "M1.2023-01-21.1", "M2.2023-01-19.1"


@pytest.fixture
def filled(lab):
    """Three sessions: one done and judged by two people, one that failed, one with nothing."""
    lab.add(FIRST, imaging=True, suite2p=True)
    lab.add(SECOND)
    lab.add(THIRD, imaging=True)
    workflow = lab.tracker.workflow
    workflow.run("registration", FIRST, registrar=works)
    workflow.run("registration", SECOND, registrar=raises(ValueError("no")))
    workflow.set_qc(FIRST, "suite2p", "PASS")
    lab.another(actor="bob").workflow.set_qc(FIRST, "suite2p", "WARNING")
    yield lab
    plt.close("all")


def labels(ax) -> list[str]:
    return ax.get_legend_handles_labels()[1]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_events_on_stages_are_those_of_the_sessions_that_pass(filled):
    rows = filled.tracker.workflow.stage_events.records(mouseName="M1", sessionID=1)

    assert [(row["subject_key"], row["stage"], row["to_state"]) for row in rows] == [
        (FIRST, "registration", "running"),
        (FIRST, "registration", "done"),
        (SECOND, "registration", "running"),
        (SECOND, "registration", "failed"),
        (FIRST, "suite2p_qc", "done"),
        (FIRST, "suite2p_qc", "done"),
    ]
    assert filled.tracker.workflow.stage_events.records("mouse.KO") == []


@only_sqlite
def test_the_pipeline_has_each_session_at_the_stage_that_it_reached(filled):
    ax = filled.tracker.plot.pipeline()

    counts = {each.get_label(): len(each.get_offsets()) for each in ax.collections}
    assert counts == {"nothing yet": 2, "registration": 1, "failed": 1}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["M2", "M1"]


@only_sqlite
def test_progress_ends_with_what_is_done_now_and_begins_with_what_was_done_before(filled):
    ax = filled.tracker.plot.progress()

    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines["suite2p"]) == [1]
    assert (lines["registration"][0], lines["registration"][-1]) == (0, 1)


@only_sqlite
def test_work_is_counted_by_stage_outcome_and_error(filled):
    plot = filled.tracker.plot

    assert [bar.get_height() for bar in plot.throughput().patches] == [1]
    assert labels(plot.durations()) == ["succeeded", "failed"]
    failures = plot.failures()
    assert [label.get_text() for label in failures.get_yticklabels()] == [
        "registration: ValueError"
    ]
    assert [bar.get_height() > 0 for bar in plot.sizes().patches] == [True]


@only_sqlite
def test_quality_shows_levels_reviewers_and_their_agreement(filled):
    plot = filled.tracker.plot

    assert labels(plot.quality()) == ["WARNING"]
    assert labels(plot.quality(by="reviewer")) == ["PASS", "WARNING"]
    assert texts(plot.quality(by="agreement"))[1] == "0%\n(of 1)"
    with pytest.raises(UnknownNameError, match="reviewer"):
        plot.quality(by="reviewers")


@only_sqlite
def test_a_timeline_has_treatments_states_events_decisions_and_tracking(filled):
    filled.tracker.sessions.update({"experimentType": "lesion"}, key=FIRST)
    names = [f"M1_{key.split('.')[1]}_1" for key in (FIRST, SECOND)]
    write_run(filled.root / "M1" / "ROICaT2025", names, planes=1)
    filled.tracker.reconcile().apply()

    ax = filled.tracker.plot.timeline("M1")

    counts = {each.get_label(): len(each.get_offsets()) for each in ax.collections}
    assert (counts["lesion"], counts["stale now"]) == (1, 2)
    assert counts["became done"] == 3
    assert (counts["PASS"], counts["WARNING"]) == (1, 1)
    assert [len(line.get_xdata()) for line in ax.lines] == [2]
    filled.tracker.sessions.update({"numPlanes": 0}, key=FIRST)
    ax = filled.tracker.plot.timeline("M1", treatment="numPlanes")
    assert "0" in [each.get_label() for each in ax.collections]
    with pytest.raises(UnknownNameError, match="experimentType"):
        filled.tracker.plot.timeline("M1", treatment="experimentTyp")


@only_sqlite
@pytest.mark.parametrize("name", [name for name in NAMES if name != "stages"])
def test_where_nothing_is_to_be_shown_it_says_so(lab, name):
    ax = lab.tracker.plot(name, *(["M1"] if name == "timeline" else []))

    assert texts(ax)[0].startswith("No ")
    plt.close("all")


@only_sqlite
def test_a_plot_is_drawn_into_the_axes_that_are_given(filled):
    _, ax = plt.subplots()

    assert filled.tracker.plot("stages", ax=ax) is ax
    assert "running" in texts(ax)
    with pytest.raises(UnknownNameError, match="pipeline"):
        filled.tracker.plot("pipelin")


def test_the_diagram_has_the_arrows_of_the_table():
    drawn = {(start.value, end.value): names for (start, end), names in arrows().items()}

    assert drawn["ready", "running"] == ["start", "rerun"]
    assert drawn["running", "done"] == ["succeed"]
    assert ("scratched", "ready") not in drawn


@only_sqlite
@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.pdf"])
def test_the_shell_draws_into_a_file(filled, tmp_path, name):
    path = tmp_path / name

    good("--url", filled.url, "plot", "pipeline", "--out", path)

    assert path.stat().st_size > 1000


def test_the_shell_refuses_what_is_no_picture_before_it_opens_anything(tmp_path):
    for words in (["--out", "plot.gif"], ["--out", tmp_path / "nowhere" / "plot.png"]):
        refused("--url", "nothing.db", "plot", "pipeline", *words, code=2)
    refused("--url", "nothing.db", "plot", "timeline", "--out", tmp_path / "plot.png", code=2)
