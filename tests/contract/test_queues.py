"""The work queues: on the lab's own rows, with filters, and what keeps a session out of one."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable

import pandas as pd
import pytest

from support.workflow_lab import WorkflowLab
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, NotFoundError, UnknownNameError

STAGES = ("suite2p", "suite2p_qc", "registration", "red_cell_qc")
Row = dict[str, str]


def is_set(row: Row, column: str) -> bool:
    return row[column] == "1"


# What "needs work" means in the lab's old code; every queue leaves scratched sessions out.
DEFINITIONS: dict[str, Callable[[Row], bool]] = {
    "suite2p": lambda row: is_set(row, "imaging") and not is_set(row, "suite2p"),
    "suite2p_qc": lambda row: (
        is_set(row, "imaging") and is_set(row, "suite2p") and not is_set(row, "suite2pQC")
    ),
    "registration": lambda row: not is_set(row, "vrRegistration"),
    "red_cell_qc": lambda row: (
        is_set(row, "imaging")
        and is_set(row, "suite2p")
        and is_set(row, "vrRegistration")
        and not is_set(row, "redCellQC")
    ),
}


def key_of(row: Row) -> SessionKey:
    return SessionKey.parse((row["mouseName"], row["sessionDate"], row["sessionID"]))


@pytest.fixture(scope="module")
def rows(shared_file) -> list[Row]:
    with shared_file("legacy/sessiondb.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def expected(rows) -> dict[str, list[int]]:
    return {
        stage: [
            int(row["uSessionID"]) for row in rows if is_set(row, "sessionQC") and needs_work(row)
        ]
        for stage, needs_work in DEFINITIONS.items()
    }


# -- the lab's own rows -----------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_the_queue_holds_what_the_old_definition_lists(legacy, expected, stage):
    queue = legacy.workflow.needs(stage, include_blocked=True)
    assert list(queue["uSessionID"]) == sorted(expected[stage])
    assert 10 < len(queue) < 244


def test_registration_before_suite2p_is_left_out_and_explained(legacy, expected, rows):
    queue = set(legacy.workflow.needs("registration")["uSessionID"])
    left_out = set(expected["registration"]) - queue
    waiting = [row for row in rows if int(row["uSessionID"]) in left_out]
    assert len(waiting) == 39
    for row in waiting:
        assert is_set(row, "imaging")
        assert not is_set(row, "suite2p")
        reasons = legacy.workflow.why_not(key_of(row), "registration")
        assert [(reason.code, reason.stage) for reason in reasons] == [("unmet", "suite2p")]


def test_what_is_queued_needs_no_explanation(legacy, rows):
    queue = set(legacy.workflow.needs("registration")["uSessionID"])
    queued = [row for row in rows if int(row["uSessionID"]) in queue]
    assert all(legacy.workflow.why_not(key_of(row), "registration") == () for row in queued)


@pytest.mark.parametrize("stage", STAGES)
def test_scratched_sessions_are_in_no_queue(legacy, rows, stage):
    scratched = {int(row["uSessionID"]) for row in rows if not is_set(row, "sessionQC")}
    assert len(scratched) == 22
    queue = legacy.workflow.needs(stage, include_blocked=True, include_stale=True)
    assert not scratched & set(queue["uSessionID"])
    row = next(row for row in rows if not is_set(row, "sessionQC"))
    reasons = legacy.workflow.why_not(key_of(row), stage)
    assert [reason.code for reason in reasons] == ["scratched"]
    assert row["scratchJustification"] in str(reasons[0])


def test_the_queue_tells_failed_from_ready(legacy, rows):
    queue = legacy.workflow.needs("registration", include_blocked=True)
    flagged = {int(row["uSessionID"]) for row in rows if is_set(row, "vrRegistrationError")}
    unimaged = queue[~queue["imaging"] | queue["suite2p"]]
    failed = set(unimaged["uSessionID"][unimaged["state"] == "failed"])
    assert failed == flagged & set(unimaged["uSessionID"])
    assert failed


def test_status_counts_every_session_once_a_stage(legacy, rows):
    counts = legacy.workflow.status()
    assert list(counts.index) == list(STAGES)
    assert (counts.sum(axis="columns") == len(rows)).all()
    assert (counts["scratched"] == 22).all()
    assert (counts.dtypes == "int64").all()


def test_status_takes_filters(legacy, rows):
    mouse = rows[0]["mouseName"]
    counts = legacy.workflow.status(mouseName=mouse)
    number = sum(row["mouseName"] == mouse for row in rows)
    assert (counts.sum(axis="columns") == number).all()


# -- filters, limits, dtypes ------------------------------------------------------------------


@pytest.fixture
def four(lab):
    """Four sessions to register: two of M1, two of M2, a knock-out, in two states."""
    lab.add("M1.2023-01-20.1")
    lab.add("M2.2023-01-20.1")
    lab.add("M1.2023-02-01.2", vrRegistrationError=True)
    lab.add("M2.2023-02-01.2")
    return lab


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"mouseName": "M2"}, [2, 4]),
        ({"mouse__KO": True}, [2, 4]),
        ({"mouse__KO": False}, [1, 3]),
        ({"sessionDate": ("2023-01-31", ">")}, [3, 4]),
        ({"sessionDate": dt.date(2023, 1, 20), "mouse__KO": False}, [1]),
        ({"sessionID": [2]}, [3, 4]),
        ({"vrRegistrationError": True}, [3]),
        ({"mouseName": "nobody"}, []),
    ],
)
def test_the_queue_takes_filters(four, filters, expected):
    assert list(four.tracker.workflow.needs("registration", **filters)["uSessionID"]) == expected


def test_the_queue_takes_a_key_or_a_mapping(four):
    needs = four.tracker.workflow.needs
    assert list(needs("registration", "M2.2023-02-01.2")["uSessionID"]) == [4]
    assert list(needs("registration", {"mouse__KO": True})["uSessionID"]) == [2, 4]


def test_the_queue_ends_at_the_limit(four):
    assert list(four.tracker.workflow.needs("registration", limit=3)["uSessionID"]) == [1, 2, 3]
    with pytest.raises(InvalidValueError):
        four.tracker.workflow.needs("registration", limit=-1)


def test_an_unknown_filter_is_named_with_the_nearest(four):
    with pytest.raises(UnknownNameError) as caught:
        four.tracker.workflow.needs("registration", mouseNam="M1")
    assert "mouseName" in caught.value.nearest


def test_filtering_for_scratched_sessions_finds_no_work(four):
    four.tracker.workflow.scratch("M1.2023-01-20.1", "light leak")
    assert len(four.tracker.workflow.needs("registration", sessionQC=False)) == 0


def test_stale_sessions_are_added_on_request(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True, suite2p=True, vrRegistration=True)
    lab.tracker.workflow.complete(key, "suite2p")
    assert len(lab.tracker.workflow.needs("registration")) == 0
    queue = lab.tracker.workflow.needs("registration", include_stale=True)
    assert list(queue["state"]) == ["stale"]
    assert [r.code for r in lab.tracker.workflow.why_not(key, "registration")] == ["stale"]


def test_blocked_reviews_are_never_listed(lab):
    lab.add("M1.2023-01-20.1", imaging=True)
    assert len(lab.tracker.workflow.needs("red_cell_qc", include_blocked=True)) == 0


def test_an_empty_queue_has_the_same_columns_and_dtypes(four):
    needs = four.tracker.workflow.needs
    full, empty = needs("registration"), needs("registration", mouseName="nobody")
    assert len(empty) == 0
    assert list(full.columns) == [*four.tracker.sessions.columns, "state"]
    assert dict(empty.dtypes) == dict(full.dtypes)
    assert dict(full.dtypes.drop("state")) == dict(four.tracker.sessions.frame().dtypes)
    assert isinstance(full["state"].dtype, pd.StringDtype)
    assert full.index.equals(pd.RangeIndex(4))


def test_an_empty_table_has_the_same_columns_and_dtypes(four):
    full, empty = four.tracker.workflow.table(), four.tracker.workflow.table(mouseName="nobody")
    assert (len(full), len(empty)) == (4, 0)
    assert dict(empty.dtypes) == dict(full.dtypes)


def test_status_of_no_session_is_zero(lab):
    counts = lab.tracker.workflow.status()
    assert counts.to_numpy().sum() == 0
    assert (counts.dtypes == "int64").all()


# -- why not ----------------------------------------------------------------------------------


def codes(lab: WorkflowLab, key: SessionKey, stage: str) -> list[tuple[str, str]]:
    return [(why.code, why.stage) for why in lab.tracker.workflow.why_not(key, stage)]


def test_all_unmet_conditions_are_given(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    expected = [("unmet", "suite2p"), ("unmet", "registration")]
    assert codes(lab, key, "red_cell_qc") == expected


def test_a_session_without_imaging_waits_for_no_suite2p(lab):
    key = lab.add("M1.2023-01-20.1", imaging=False)
    assert codes(lab, key, "registration") == []
    assert codes(lab, key, "red_cell_qc") == [("not_applicable", "red_cell_qc")]
    why = lab.tracker.workflow.why_not(key, "red_cell_qc")
    assert "no imaging" in str(why[0])


def test_done_is_explained_with_its_date(lab):
    key = lab.add("M1.2023-01-20.1", imaging=True)
    lab.tracker.workflow.complete(key, "suite2p", date="2023-01-22")
    why = lab.tracker.workflow.why_not(key, "suite2p")
    assert codes(lab, key, "suite2p") == [("done", "suite2p")]
    assert "2023-01-22" in str(why[0])


def test_a_running_session_is_explained(lab):
    key = lab.add("M1.2023-01-20.1")
    seen = []

    def look(job):
        seen.extend(codes(lab, key, "registration"))

    lab.tracker.workflow.run(registrar=look)
    assert seen == [("running", "registration")]


def test_why_not_of_a_missing_session_is_an_error(lab):
    with pytest.raises(NotFoundError):
        lab.tracker.workflow.why_not("M1.2023-01-20.1", "registration")
