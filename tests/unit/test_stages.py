"""Stages as data: their order, what rests on what, what a lab may declare."""

from __future__ import annotations

import sqlite3

import pytest

from support.backends import SqliteSource
from support.workflow_lab import WorkflowLab
from vrtracker.domain.stages import BUILT_IN, Stage, StageGraph, StageKind
from vrtracker.errors import ConfigurationError, UnknownNameError
from vrtracker.models.lab import Session


def stage(name: str, *requires: str, **more) -> Stage:
    return Stage(name=name, title=name, requires=requires, **more)


def names(stages) -> list[str]:
    return [one.name for one in stages]


def test_built_in_stages_come_in_working_order():
    assert list(StageGraph()) == ["suite2p", "suite2p_qc", "registration", "red_cell_qc"]


def test_built_in_stages_name_columns_that_exist():
    columns = Session.__table__.c
    for one in BUILT_IN:
        named = [one.done_column, one.date_column, one.error_column, one.message_column]
        assert all(column in columns for column in [*named, *one.applies_if] if column)


def test_people_review_and_programs_process():
    kinds = {one.name: one.kind for one in BUILT_IN}
    assert kinds["suite2p"] is kinds["registration"] is StageKind.PROCESS
    assert kinds["suite2p_qc"] is kinds["red_cell_qc"] is StageKind.REVIEW


def test_declared_stages_come_after_what_they_require():
    declared = [stage("last", "middle"), stage("middle", "registration"), stage("free")]
    order = list(StageGraph(declared))
    assert order.index("registration") < order.index("middle") < order.index("last")
    assert set(order) == {*names(BUILT_IN), "last", "middle", "free"}


def test_dependents_are_direct_and_indirect():
    declared = [stage("last", "middle"), stage("middle", "registration"), stage("free")]
    graph = StageGraph(declared)
    assert names(graph.dependents("registration")) == ["red_cell_qc", "middle", "last"]
    assert set(names(graph.dependents("suite2p"))) == set(graph) - {"suite2p", "free"}
    assert graph.dependents("free") == ()


@pytest.mark.parametrize("asked", ["red_cell", "red_cell_qc"])
def test_a_review_is_found_by_its_check(asked):
    assert StageGraph().review(asked).name == "red_cell_qc"


def test_a_declared_review_is_found_by_its_check():
    graph = StageGraph([stage("tracking_qc", "registration", kind=StageKind.REVIEW)])
    assert graph.review("tracking").name == "tracking_qc"


@pytest.mark.parametrize("asked", ["registration", "session", "red", "qc", ""])
def test_what_is_no_review_is_refused(asked):
    with pytest.raises(UnknownNameError) as caught:
        StageGraph().review(asked)
    assert caught.value.known == ("session", "suite2p_qc", "red_cell_qc")


def test_an_unknown_stage_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        StageGraph()["regstration"]
    assert caught.value.nearest == ("registration",)
    assert "regstration" not in StageGraph()


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ([stage("registration")], "declared twice"),
        ([stage("mine"), stage("mine")], "declared twice"),
        ([stage("Mine")], "no name for a stage"),
        ([stage("1st")], "no name for a stage"),
        ([stage("")], "no name for a stage"),
        ([stage("with space")], "no name for a stage"),
        ([stage("a" * 32)], "no name for a stage"),
        ([stage("mine", "nothing")], "requires 'nothing', which does not exist"),
        ([stage("mine", "mine")], "circle"),
        ([stage("a", "b"), stage("b", "c"), stage("c", "a")], "a, b, c"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declared, says):
    with pytest.raises(ConfigurationError, match=says):
        StageGraph(declared)


def test_a_name_may_be_as_long_as_its_column():
    graph = StageGraph([stage("a" * 31)])
    assert "a" * 31 in graph


def test_a_stage_may_apply_by_a_tick_box_that_the_lab_has_added(tmp_path):
    """An empty box counts as not ticked, in SQL and in Python."""
    source = SqliteSource(tmp_path)
    url = source.migrated(tmp_path, "lab")
    with sqlite3.connect(tmp_path / "lab.db") as connection:
        connection.execute("ALTER TABLE sessiondb ADD COLUMN opto BOOLEAN")
    connection.close()
    declared = [stage("light", "registration", applies_if=("opto",))]
    with WorkflowLab(url, tmp_path / "root", declared=declared) as lab:
        for number, ticked in enumerate([True, False, None]):
            lab.add(f"M1.2023-01-20.{number}", opto=ticked)
        expected = ["blocked", "not_applicable", "not_applicable"]
        assert [lab.state(f"M1.2023-01-20.{n}", "light") for n in range(3)] == expected
        assert list(lab.tracker.workflow.table()["state:light"]) == expected
        why = lab.tracker.workflow.why_not("M1.2023-01-20.2", "light")
        assert "no opto" in str(why[0])
