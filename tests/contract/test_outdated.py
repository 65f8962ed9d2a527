"""What another registrar, other options or other code made: found, marked, made again."""

from __future__ import annotations

import datetime as dt

import pytest

from support.registrars import Counting, good, raises
from support.workflow_lab import WorkflowLab
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.errors import ConcurrentUpdateError, InvalidValueError, UnknownNameError

ONE, TWO, THREE = "M1.2023-01-20.1", "M1.2023-01-20.2", "M2.2023-01-20.3"
COLUMNS = ["key", "what", "old", "new"]


class Coded(Counting):
    """A registrar that says what code it is."""

    def __init__(self, size: int = 3, version: str | None = "1.0") -> None:
        super().__init__(size)
        self.version = version


def new_lab(backend, folder) -> WorkflowLab:
    declared = [
        Stage(name="significant", title="significant transients", requires=("registration",)),
        Stage(name="significant_qc", title="their QC", kind=StageKind.REVIEW),
    ]
    return WorkflowLab.on(backend, folder / "root", declared=declared)


def with_runs(lab: WorkflowLab) -> WorkflowLab:
    for key in (ONE, TWO):
        lab.add(key)
    lab.tracker.workflow.run(registrar=Coded())
    return lab


@pytest.fixture
def lab(backend, tmp_path):
    with new_lab(backend, tmp_path) as made:
        yield made


@pytest.fixture
def made(lab):
    """Two sessions that were registered with size 3 by version 1.0."""
    return with_runs(lab)


@pytest.fixture
def shown(backend, shared_labs, tmp_path_factory):
    """The lab of `made`, for reading alone."""

    def build(keeper):
        return with_runs(new_lab(keeper, tmp_path_factory.mktemp("outdated")))

    return shared_labs.get(backend, "outdated", build)


def differences(lab, registrar, *args, **more) -> list[tuple]:
    plan = lab.tracker.workflow.outdated("registration", *args, registrar=registrar, **more)
    return [tuple(row[name] for name in COLUMNS) for row in plan.rows()]


def reasons(lab, key, stage="registration") -> list[str]:
    return [reason.message for reason in lab.tracker.workflow.why_not(key, stage)]


def queue(lab, **options) -> list[int]:
    return list(lab.tracker.workflow.needs("registration", **options)["uSessionID"])


# -- what is found ------------------------------------------------------------------------------


def test_what_would_be_done_alike_is_not_outdated(shown):
    plan = shown.tracker.workflow.outdated(registrar=Coded())
    assert (plan.sessions, plan.rows(), plan.compared) == ((), [], 2)
    assert (plan.registrar, plan.version) == ("counting", "1.0")
    frame = plan.frame()
    assert (list(frame.columns), len(frame)) == (COLUMNS, 0)
    assert plan.apply() == []


def test_another_option_is_named_with_both_values(shown):
    plan = shown.tracker.workflow.outdated(registrar=Coded(5))
    assert plan.frame().to_dict("records") == plan.rows()
    assert differences(shown, Coded(5)) == [
        (ONE, "option size", 3, 5),
        (TWO, "option size", 3, 5),
    ]


def test_another_version_is_named(shown):
    assert differences(shown, Coded(version="1.1"), ONE) == [(ONE, "version", "1.0", "1.1")]


def test_each_difference_has_a_row(shown):
    assert differences(shown, Coded(5, "1.1"), ONE) == [
        (ONE, "option size", 3, 5),
        (ONE, "version", "1.0", "1.1"),
    ]


def test_another_registrar_is_all_that_is_said(shown):
    (row,) = differences(shown, good, ONE)
    assert row == (ONE, "registrar", "counting", "support.registrars:good")


def test_without_registrar_the_profiles_is_meant(shown):
    tracker = shown.another(registrars={"registration": "support.registrars:Counting"})
    assert tracker.workflow.outdated().rows() == []
    (row, _) = shown.tracker.workflow.outdated().rows()
    assert (row["what"], row["new"]) == ("registrar", "alf")


@pytest.mark.parametrize(("then", "now"), [(None, "1.0"), ("1.0", None)])
def test_an_unknown_version_says_nothing(lab, then, now):
    lab.add(ONE)
    lab.tracker.workflow.run(registrar=Coded(version=then))
    assert differences(lab, Coded(version=now)) == []


def test_options_of_one_run_count_unless_they_are_given_again(lab):
    lab.add(ONE)
    lab.tracker.workflow.run(registrar=good, options={"fs": 6, "planes": [1, 2]})
    assert differences(lab, good) == [
        (ONE, "option fs", 6, None),
        (ONE, "option planes", [1, 2], None),
    ]
    assert differences(lab, good, options={"fs": 6.0, "planes": (1, 2), "notes": None}) == []


def test_nothing_is_known_without_an_attempt(lab):
    lab.add(ONE, vrRegistration=True)
    lab.add(TWO)
    lab.tracker.workflow.run(registrar=Coded())
    lab.tracker.workflow.reset(TWO, "registration")
    lab.tracker.workflow.complete(TWO, "registration")
    plan = lab.tracker.workflow.outdated(registrar=Coded(5))
    assert (plan.compared, plan.sessions) == (0, ())


def test_what_is_not_done_is_not_outdated(made):
    made.add(THREE)
    made.tracker.workflow.scratch(ONE, "laser off")
    made.tracker.workflow.reset(TWO, "registration")
    assert differences(made, Coded(5)) == []


def test_the_latest_success_counts_not_a_failure_after_it(made):
    made.clock.advance(minutes=1)
    made.tracker.workflow.run("registration", ONE, registrar=Coded(5), force=True)
    made.clock.advance(minutes=1)
    failing = raises(ValueError("no flips"))
    made.tracker.workflow.run("registration", ONE, registrar=failing, force=True)
    assert differences(made, Coded(5)) == [(TWO, "option size", 3, 5)]


def test_the_later_of_two_runs_in_one_second_counts(made):
    for size in range(4, 9):
        made.tracker.workflow.run("registration", ONE, registrar=Coded(size), force=True)
    assert differences(made, Coded(9), ONE) == [(ONE, "option size", 8, 9)]


def test_filters_choose(made):
    made.add(THREE)
    made.tracker.workflow.run(registrar=Coded())
    assert [row[0] for row in differences(made, Coded(5), mouse__KO=True)] == [THREE]
    assert [row[0] for row in differences(made, Coded(5), {"sessionID": [1, 3]})] == [ONE, THREE]
    with pytest.raises(UnknownNameError):
        differences(made, Coded(5), nope=1)


def test_a_stage_of_people_is_refused(lab):
    with pytest.raises(InvalidValueError, match="set_qc"):
        lab.tracker.workflow.outdated("red_cell_qc", registrar=good)


def test_statements_do_not_grow_with_the_sessions(lab, statement_counter):
    counts = []
    for size, numbers in ((3, [1]), (4, range(2, 9))):
        for number in numbers:
            lab.add(f"M1.2023-01-20.{number}")
        lab.tracker.workflow.run(registrar=Coded(size))
        with statement_counter() as seen:
            plan = lab.tracker.workflow.outdated(registrar=Coded(5))
            plan.apply()
        counts.append((len(plan.sessions), seen.count))
    assert [sessions for sessions, _ in counts] == [1, 7]
    assert counts[0][1] == counts[1][1] <= 8


# -- what applying writes -----------------------------------------------------------------------


def test_a_plan_writes_nothing(shown):
    before = shown.dump()
    shown.tracker.workflow.outdated(registrar=Coded(5))
    assert shown.dump() == before


def test_applied_it_is_stale_and_says_why(made):
    marked = made.tracker.workflow.outdated("registration", ONE, registrar=Coded(5, "1.1")).apply()
    assert list(map(str, marked)) == [ONE]
    assert (made.state(ONE, "registration"), made.state(TWO, "registration")) == ("stale", "done")
    assert queue(made) == []
    assert queue(made, include_stale=True) == [made.number(ONE)]
    assert made.tracker.workflow.status().loc["registration", "stale"] == 1
    (message,) = reasons(made, ONE)
    assert "option size: 3 -> 5; version: 1.0 -> 1.1" in message
    assert made.events(ONE)[-1] == ("invalidated", "registration", "done", "stale")
    event = made.tracker.history(ONE).iloc[-1]
    assert (event["actor"], event["reason"]) == ("ann", "option size: 3 -> 5; version: 1.0 -> 1.1")
    assert made.row(ONE).vrRegistration


def test_made_again_it_is_not_outdated_any_more(made):
    made.tracker.workflow.outdated(registrar=Coded(5)).apply()
    made.clock.advance(minutes=1)
    report = made.tracker.workflow.run(registrar=Coded(5), include_stale=True)
    assert report.succeeded == 2
    assert made.state(ONE, "registration") == "done"
    assert differences(made, Coded(5)) == []


def test_a_declared_stage_becomes_stale_too(made):
    made.tracker.workflow.run("significant", registrar=Coded())
    plan = made.tracker.workflow.outdated("significant", TWO, registrar=Coded(5))
    assert list(map(str, plan.apply())) == [TWO]
    assert made.state(ONE, "significant") == "done"
    assert made.state(TWO, "significant") == "stale"
    assert made.state(TWO, "registration") == "done"


@pytest.mark.own_rule
@pytest.mark.parametrize("change", ["run", "complete", "reset", "rekey", "claim"])
def test_what_changed_since_is_refused_and_nothing_written(made, change):
    plan = made.tracker.workflow.outdated(registrar=Coded(5))
    made.clock.advance(minutes=1)
    workflow = made.another(actor="bob").workflow
    if change == "run":
        workflow.run("registration", TWO, registrar=Coded(4), force=True)
    elif change == "claim":
        row = made.attempt_row(made.number(TWO), "registration", "f" * 32)
        made.insert("attempts", [row])
        table = made.tracker.database.tables.stage_states
        with made.tracker.database.write_engine.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.uSessionID == made.number(TWO))
                .values(attempt_id="f" * 32)
            )
    elif change == "rekey":
        made.tracker.sessions.update({"sessionID": 9}, TWO)
    else:
        getattr(workflow, change)(TWO, "registration")
    before = made.dump()
    with pytest.raises(ConcurrentUpdateError, match=r"M1\.2023-01-20\.2"):
        plan.apply()
    assert made.dump() == before


def test_a_plan_is_applied_once(made):
    plan = made.tracker.workflow.outdated(registrar=Coded(5))
    plan.apply()
    with pytest.raises(ConcurrentUpdateError):
        plan.apply()


def test_a_result_that_comes_after_its_claim_ran_out_does_not_hide_the_mark(made):
    plan_of = made.tracker.workflow.outdated

    def slow(job):
        made.clock.advance(hours=1)
        plan_of("registration", ONE, registrar=Coded(5)).apply()
        good(job)

    report = made.tracker.workflow.run("registration", ONE, registrar=slow, force=True)
    assert report.succeeded == 0
    assert made.state(ONE, "registration") == "stale"


# -- why a stage is stale -----------------------------------------------------------------------


def test_why_not_names_the_stage_that_was_made_again(lab):
    lab.add(ONE, imaging=True, suite2p=True)
    lab.tracker.workflow.run(registrar=good)
    lab.tracker.workflow.complete(ONE, "suite2p")
    (message,) = reasons(lab, ONE)
    assert "suite2p was made again" in message


def test_why_not_names_the_last_reason_also_under_another_key(made):
    made.tracker.workflow.outdated("registration", ONE, registrar=Coded(4)).apply()
    made.tracker.workflow.run("registration", ONE, registrar=Coded(4))
    made.tracker.workflow.outdated("registration", ONE, registrar=Coded(5)).apply()
    made.tracker.sessions.update({"sessionID": 9}, ONE)
    (message,) = reasons(made, "M1.2023-01-20.9")
    assert "option size: 4 -> 5" in message
    assert "3 -> 4" not in message


def test_why_not_names_what_the_disk_lost(lab):
    lab.add(ONE, imaging=True, suite2p=True, vrRegistration=True)
    lab.add(TWO)
    (lab.folder(ONE) / "oneData").mkdir()
    (lab.folder(ONE) / "oneData" / "a.b.npy").write_bytes(b"x")
    lab.tracker.reconcile(stages=["suite2p"]).apply(force=True)
    assert lab.state(ONE, "registration") == "stale"
    event = lab.tracker.history(ONE).iloc[-1]
    assert event["verb"] == "reconciled"
    (message,) = reasons(lab, ONE)
    assert event["reason"] in message


def test_a_mark_without_an_event_is_stale_all_the_same(lab):
    lab.add(ONE, vrRegistration=True, vrRegistrationDate=dt.datetime(2023, 2, 1))
    lab.mark(ONE, "registration", "stale")
    (message,) = reasons(lab, ONE)
    assert "made again or lost" in message
