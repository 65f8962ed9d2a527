"""Queries: nothing is asked before it is wanted; every form of a result says the same."""

from __future__ import annotations

import datetime as dt
import itertools
import pickle
import re
import shutil
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.registrars import good, raises
from support.sample_lab import DAY, SAMPLE_MICE, SAMPLE_SESSIONS, session_rows
from vrtracker.domain.qc import NOT_APPLICABLE, QC, level_of, session_level
from vrtracker.domain.states import State
from vrtracker.errors import (
    BackendError,
    InvalidValueError,
    MissingDependencyError,
    UnknownNameError,
)

EVERYTHING = (
    "mouseName",
    "mouse.sex",
    "state.registration",
    "qc.red_cell",
    "attempts.registration.outcome",
    "datasets.count",
)
ENDS: dict[str, Any] = {
    "frame": lambda query: query.frame(),
    "arrow": lambda query: query.arrow(),
    "polars": lambda query: query.polars(),
    "recarray": lambda query: query.recarray(),
    "records": lambda query: query.records(),
    "keys": lambda query: query.keys(),
    "count": lambda query: query.count(),
    "exists": lambda query: query.exists(),
    "iter_frames": lambda query: list(query.iter_frames(1000)),
    "iteration": list,
    "preloaded": lambda query: list(query.preload("mouse", "datasets", "qc", "attempts")),
}


def session_numbers(query: Any) -> list[int]:
    return [key.number for key in query.keys()]  # noqa: SIM118


def known(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with None for what is missing, and days as times, as a frame has them."""
    return [
        {
            name: None
            if value is None or pd.isna(value)
            else dt.datetime(value.year, value.month, value.day)
            if isinstance(value, dt.date) and not isinstance(value, dt.datetime)
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


# -- what it asks ------------------------------------------------------------------------------


def test_nothing_is_asked_before_a_result_is_wanted(sample, labs, statement_counter):
    other = labs.open(sample.url)

    with statement_counter() as seen:
        query = other.query(imaging=True).select(*EVERYTHING).order_by("-mouse.sex").limit(3)
        repr(query.preload("mouse"))
    assert seen.count == 0
    with statement_counter() as seen:
        query.frame()
    assert seen.count > 0


@pytest.fixture(scope="module")
def of_two_sizes(shared_labs):
    """Trackers on labs with 10 and with 100 sessions."""

    def get(backend) -> list[Any]:
        return [
            shared_labs.get(backend, f"{count} sessions", lambda keeper, n=count: _sized(keeper, n))
            for count in (10, 100)
        ]

    return get


def _sized(keeper: Any, count: int) -> Any:
    from support.sample_lab import new_lab

    return new_lab(keeper, sessions=count)


@pytest.mark.parametrize("end", list(ENDS))
def test_statements_do_not_depend_on_the_number_of_rows(
    backend, of_two_sizes, statement_counter, end
):
    sent = []
    for tracker, count in zip(of_two_sizes(backend), (10, 100), strict=True):
        query = tracker.query().select(*EVERYTHING)
        assert query.count() == count
        with statement_counter() as seen:
            ENDS[end](query)
        sent.append(seen.count)
    assert sent[0] == sent[1] == (5 if end == "preloaded" else 1)


def test_steps_leave_the_query_as_it_was(sample):
    query = sample.query(imaging=True)
    before = (repr(query), query.count())

    query.where(numPlanes=5).select("mouseName").order_by("sessionID").limit(1).preload("mouse")

    assert (repr(query), query.count()) == before
    assert repr(query) == "Query(sessions, where=['imaging=True'])"
    with pytest.raises(AttributeError):
        query.listing = None


def test_query_can_be_sent_to_another_process(sample):
    query = (
        sample.query(imaging=True).where(mouse__KO=True).select(*EVERYTHING).order_by("numPlanes")
    )

    again = pickle.loads(pickle.dumps(query))

    try:
        pd.testing.assert_frame_equal(again.frame(), query.frame())
    finally:
        again.rules.lab.database.dispose()


# -- forms of a result -------------------------------------------------------------------------


def test_every_form_holds_the_same_values(sample):
    query = sample.query(include_scratched=True).select("*", "mouse.*", "state.registration")

    frame = query.frame()
    rows = query.records()
    assert len(rows) == len(SAMPLE_SESSIONS)
    assert list(rows[0]) == list(frame) == query.arrow().column_names == query.polars().columns
    wanted = known(rows)
    assert known(frame.to_dict("records")) == wanted
    assert known(query.arrow().to_pylist()) == wanted
    assert known(query.polars().to_dicts()) == wanted
    names = list(frame)
    arrays = [dict(zip(names, row, strict=True)) for row in query.recarray().tolist()]
    assert known(arrays) == wanted
    assert known(pd.concat(query.iter_frames(7)).to_dict("records")) == wanted
    assert [key.columns for key in query.keys()] == [  # noqa: SIM118
        {name: row[name] for name in ("mouseName", "sessionDate", "sessionID")} for row in rows
    ]
    assert [session.record.uSessionID for session in query] == [row["uSessionID"] for row in rows]


def test_forms_have_the_same_types_without_rows(sample):
    query = sample.query(include_scratched=True).select("*", "mouse.dateOfBirth", "datasets.count")
    none = query.where(sessionID=0)

    assert none.arrow().schema == query.arrow().schema
    assert none.polars().schema == query.polars().schema
    assert none.frame().dtypes.equals(query.frame().dtypes)
    assert none.recarray().dtype == query.recarray().dtype
    assert (none.records(), none.keys(), none.count(), none.exists(), list(none)) == (
        [], [], 0, False, [],
    )  # fmt: skip
    (page,) = none.iter_frames(5)
    assert page.dtypes.equals(query.frame().dtypes)


def test_frames_can_have_categories_and_arrows_dtypes(sample):
    query = sample.query().select("mouseName", "state.registration", "sessionNotes", "mouse.KO")

    few = query.frame(categories=True)
    assert few.dtypes.astype(str).tolist() == ["category", "category", "str", "bool"]
    arrows = query.frame(dtype_backend="pyarrow")
    assert {type(dtype) for dtype in arrows.dtypes} == {pd.ArrowDtype}
    for frame in (few, arrows):
        assert known(frame.to_dict("records")) == known(query.frame().to_dict("records"))


def test_record_array_has_numpys_own_types(sample):
    array = sample.query().select("sessionID", "numPlanes", "imaging", "suite2pDate").recarray()

    assert array.dtype == np.dtype(
        [("sessionID", "i8"), ("numPlanes", "f8"), ("imaging", "?"), ("suite2pDate", "M8[us]")]
    )
    assert (
        np.isnan(array.numPlanes).tolist() == sample.sessions.frame()["numPlanes"].isna().tolist()
    )


def test_instants_know_their_zone(lab):
    lab.add("M1.2023-01-20.1")
    lab.tracker.workflow.run(registrar=good)
    query = lab.tracker.query().select("attempts.registration.started_at")

    (row,) = query.records()
    assert row == {"attempts.registration.started_at": lab.clock()}
    assert query.arrow().to_pylist() == [row]
    assert query.polars().to_dicts() == [row]
    assert query.frame().iloc[0, 0] == lab.clock()
    assert query.recarray()[0][0] == lab.clock().replace(tzinfo=None)


def test_polars_is_an_extra_that_the_error_names(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(MissingDependencyError, match=r"vrtracker\[polars\]"):
        sample.query().polars()


# -- columns -----------------------------------------------------------------------------------


def test_columns_are_named_as_they_are_asked_for_or_by_their_table(sample):
    query = sample.query().select(
        "session.sessionID", "mouse.sex", "mouse__KO", "mouse.KO", "imaging"
    )

    assert list(query.frame()) == ["session.sessionID", "mouse.sex", "mouse__KO", "imaging"]
    qualified = ["session.sessionID", "mouse.sex", "mouse.KO", "session.imaging"]
    assert list(query.frame(qualified=True)) == qualified
    assert query.arrow(qualified=True).column_names == qualified
    assert list(sample.mice.query().select("KO").frame(qualified=True)) == ["mouse.KO"]


def test_columns_say_what_the_other_calls_say(lab):
    one, two, three = (lab.add(f"M1.2023-01-20.{number}", imaging=False) for number in (1, 2, 3))
    tracker, workflow = lab.tracker, lab.tracker.workflow
    workflow.run("registration", one, registrar=good)
    workflow.set_dataset_qc(one, "oneData/trials.startTimes.npy", "FAIL")
    workflow.run("registration", two, registrar=raises(ValueError("no flips")))
    lab.clock.advance(minutes=1)
    workflow.run("registration", two, registrar=raises(ValueError("still no flips")))
    workflow.set_qc(three, "session", "WARNING", reason="noisy")

    checks = ("session", "suite2p_qc", "red_cell_qc", "dataset")
    names = (*(f"state.{stage}" for stage in lab.stages), *(f"qc.{check}" for check in checks))
    shown = tracker.query().select(*names).frame()
    table, levels = workflow.table(), workflow.qc_table()
    for stage in lab.stages:
        assert shown[f"state.{stage}"].tolist() == table[f"state:{stage}"].tolist()
    for check in checks:
        assert shown[f"qc.{check}"].tolist() == levels[f"qc:{check}"].tolist()

    columns = ("outcome", "started_at", "finished_at", "duration_s", "error_type", "error_message")
    rows = tracker.query().select(*(f"attempts.registration.{name}" for name in columns)).records()
    for key, row in zip((one, two), rows, strict=False):
        last = workflow.attempts(key).iloc[-1]
        assert known([dict(last[list(columns)])]) == known(
            [{name.rpartition(".")[2]: value for name, value in row.items()}]
        )
    assert set(rows[2].values()) == {None}

    files = tracker.query().select("datasets.count", "datasets.bytes").frame()
    assert files.dtypes.astype(str).tolist() == ["int64", "int64"]
    assert files.to_numpy().tolist() == [
        [1, tracker.datasets(one)["size_bytes"].sum()],
        [0, 0],
        [0, 0],
    ]


def test_levels_in_sql_are_those_of_the_rule(lab):
    done = {"imaging": True, "suite2p": True, "vrRegistration": True}
    made = {
        State.SCRATCHED: {"sessionQC": False, "scratchJustification": "laser"},
        State.NOT_APPLICABLE: {},
        State.READY: done,
        State.BLOCKED: {"imaging": True},
        State.DONE: {**done, "redCellQC": True},
    }
    decisions = (None, *QC)
    rows, told = [], []
    for number, (state, decided) in enumerate(itertools.product(made, decisions), start=1):
        row = {"mouseName": "M1", "sessionDate": DAY, "sessionID": number, **made[state]}
        rows.append(row)
        told += [(number, check, decided) for check in ("red_cell_qc", "session")]
    lab.tracker.sessions.add_many(rows)
    query = lab.tracker.query(include_scratched=True).order_by("sessionID")
    ids = {session.sessionID: session.uSessionID for session in query}
    with lab.tracker._lab.unit() as unit:
        given = {"actor": "ann", "criteria": None, "evidence": None, "reason": None}
        for number, check, decided in told:
            # An earlier one, and one on another session, count for nothing.
            for level in () if decided is None else (QC.CRITICAL, decided):
                unit.qc_decisions.append(
                    ids[number], check=check, level=level, decided_at=lab.clock(), **given
                )
        unit.commit()

    names = ("state.red_cell_qc", "qc.red_cell", "qc.session")
    shown = query.select(*names).records()
    for name in names[1:]:
        told = [row[name] for row in shown if row[name] != NOT_APPLICABLE]
        for sign in ("", "-"):
            ranked = sorted(told, key=QC.__getitem__, reverse=bool(sign))
            ordered = [row[name] for row in query.select(name).order_by(sign + name).records()]
            assert ordered == ranked + [NOT_APPLICABLE] * (len(shown) - len(told))
    for row, (state, decided) in zip(shown, itertools.product(made, decisions), strict=True):
        of_session = session_level(scratched=state is State.SCRATCHED, decided=decided)
        levels = (level_of(state, decided), of_session)
        names = (NOT_APPLICABLE if level is None else level.name for level in levels)
        assert list(row.values()) == [state, *names]


def test_order_goes_by_any_column_with_missing_values_last(lab):
    for number, mouse in ((1, "M1"), (2, "M2"), (3, "M1")):
        lab.add(f"{mouse}.2023-01-20.{number}", imaging=False)
    lab.tracker.workflow.run("registration", "M2.2023-01-20.2", registrar=good)
    query = lab.tracker.query()

    assert session_numbers(query.order_by("-mouse.KO", "-sessionID")) == [2, 3, 1]
    assert session_numbers(query.order_by("attempts.registration.outcome")) == [2, 1, 3]
    assert session_numbers(query.order_by("-attempts.registration.started_at")) == [2, 1, 3]
    assert session_numbers(query.order_by("-key")) == [2, 3, 1]
    assert session_numbers(query.order_by("-datasets.count", "-session.sessionID")) == [2, 3, 1]
    assert session_numbers(query.order_by("state.registration", "-sessionID")) == [2, 3, 1]
    assert [session.sessionID for session in query.order_by("-state.registration")] == [1, 3, 2]


@pytest.mark.parametrize("name", ["state.registration", "datasets.count"])
def test_what_is_shown_can_be_the_order_too_in_every_form(sample, name):
    query = sample.query("sessionID > 780").select("sessionID", name).order_by(f"-{name}")

    shown = [tuple(row.values()) for row in query.records()]
    assert shown == sorted(shown, key=lambda row: row[1], reverse=True)
    assert list(query.frame().itertuples(index=False, name=None)) == shown
    assert [tuple(row.values()) for row in query.arrow().to_pylist()] == shown


def test_limit_counts_for_every_form(sample):
    query = sample.query().select("sessionID").order_by("-sessionID").limit(5)

    wanted = query.frame()["sessionID"].tolist()
    assert len(wanted) == 5
    assert session_numbers(query) == wanted
    assert [session.sessionID for session in query] == wanted
    assert query.count() == 5
    assert query.exists()

    none = query.limit(0)
    frames = [query.limit(1).frame(), none.frame(), *none.order_by().iter_frames(2)]
    assert [len(frame) for frame in frames] == [1, 0, 0]
    assert frames[0].dtypes.equals(frames[1].dtypes)
    assert (none.count(), none.keys(), list(none), none.exists()) == (0, [], [], False)
    assert sample.query().limit(10_000).count() == sample.query().count()
    assert [len(page) for page in query.order_by().iter_frames(3)] == [3, 2]
    for wrong in (-1, 1.5, "many", True, 2**31, 10**5000):
        with pytest.raises(InvalidValueError, match="limit"):
            query.limit(wrong).count()
        with pytest.raises(InvalidValueError, match="rows"):
            query.order_by().iter_frames(wrong)


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("sesionID", "sessionID"),
        ("mouse.sx", "mouse__sex"),
        ("state.registraton", "registration"),
        ("qc.red_cel", "red_cell_qc"),
        ("attempts.registration.eror_type", "attempts__registration__error_type"),
        ("attempts.registration", "attempts__registration__actor"),
        ("attempts.registrtion", "registration"),
        ("datasets.counts", "datasets__count"),
        ("datasets", "datasets__count"),
        ("stat.registration", "state__registration"),
    ],
)
def test_wrong_name_is_refused_with_the_nearest_ones(sample, name, near):
    for query in (sample.query().select("mouseName", name), sample.query().order_by(f"-{name}")):
        with pytest.raises(UnknownNameError) as caught:
            query.frame()
        assert near in caught.value.nearest


def test_mice_have_no_stages(sample):
    with pytest.raises(UnknownNameError):
        sample.mice.query().select("state.registration").frame()
    with pytest.raises(UnknownNameError, match="preload"):
        sample.mice.query().preload("datasets")
    assert sample.mice.query(KO=True).keys() == [
        mouse["mouseName"] for mouse in SAMPLE_MICE if mouse["KO"]
    ]


# -- blinding ----------------------------------------------------------------------------------


@pytest.fixture
def blinded(labs):
    made = labs.new(mice=0)
    made.mice.add_many(
        [
            {"mouseName": "ATL012", "KO": True, "genotype": "fl/fl", "Blinded": True},
            {"mouseName": "ATL013", "KO": True, "genotype": "fl/+"},
        ]
    )
    keys = (("ATL012", DAY, 1), ("ATL013", DAY, 1))
    made.sessions.add_many(dict(zip(made.sessions.key_columns, key, strict=True)) for key in keys)
    return made


def test_genotype_of_blinded_mice_is_in_no_form_of_a_result(blinded):
    forms: dict[str, Any] = {
        "frame": lambda query, **options: query.frame(**options).to_dict("records"),
        "arrow": lambda query, **options: query.arrow(**options).to_pylist(),
        "polars": lambda query, **options: query.polars(**options).to_dicts(),
        "records": lambda query, **options: query.records(**options),
        "recarray": lambda query, **options: _dicts(query.recarray(**options)),
        "pages": lambda query, **options: [
            row for page in query.iter_frames(1, **options) for row in page.to_dict("records")
        ],
        "cross": lambda query, **options: (
            blinded.cross_query({"all": {}}, query=query, **options)
            .drop(columns="group")
            .to_dict("records")
        ),
    }
    of_sessions = blinded.query(mouse__KO=True).select("mouse.KO", "sessionID", "mouse.genotype")
    of_mice = blinded.mice.query(KO=True).select("KO", "mouseName", "genotype")
    for name, form in forms.items():
        for query in (of_sessions, of_mice):
            if name == "cross" and query is of_mice:
                continue
            first, second = (list(row.values()) for row in known(form(query)))
            assert (first[0], first[2]) == (None, None), name
            assert (bool(second[0]), second[2]) == (True, "fl/+"), name
            first, _ = (list(row.values()) for row in known(form(query, show_blinded=True)))
            assert (bool(first[0]), first[2]) == (True, "fl/fl"), name
    assert "fl/fl" not in repr(next(iter(of_mice)))


def _dicts(array: Any) -> list[dict[str, Any]]:
    return [dict(zip(array.dtype.names, row, strict=True)) for row in array.tolist()]


# -- sessions in the hand ----------------------------------------------------------------------


def test_preloaded_parts_are_those_that_belong_to_the_session(lab):
    keys = ("M1.2023-01-20.1", "M2.2023-01-20.1", "M1.2023-01-21.1")
    one, two, three = (lab.add(key, imaging=False) for key in keys)
    tracker, workflow = lab.tracker, lab.tracker.workflow
    workflow.run("registration", one, registrar=raises(ValueError("no flips")))
    lab.clock.advance(minutes=1)
    workflow.run("registration", one, registrar=good)
    workflow.set_qc(two, "session", "PASS")
    query = tracker.query().order_by("-mouse.KO", "-uSessionID").preload("mouse").limit(2)

    found = list(query.preload("attempts", "datasets", "qc"))

    assert [session.key for session in found] == [two, three]
    assert [session.mouse.KO for session in found] == [True, False]
    assert [[row["qc_level"] for row in session.qc] for session in found] == [[QC.PASS], []]
    assert [session.datasets for session in found] == [[], []]
    (first,) = tracker.query(one).preload("attempts", "datasets")
    assert [row["outcome"] for row in first.attempts] == ["failed", "succeeded"]
    assert first.attempts[0]["error_message"] == "no flips"
    assert [row["rel_path"] for row in first.datasets] == tracker.datasets(one)["rel_path"].tolist()
    assert pickle.loads(pickle.dumps(first)).datasets == first.datasets
    assert first == tracker.sessions.get(one)
    with pytest.raises(AttributeError, match="preload"):
        _ = first.mouse
    with pytest.raises(UnknownNameError) as caught:
        query.preload("dataset")
    assert "datasets" in caught.value.nearest


# -- pages -------------------------------------------------------------------------------------


def test_pages_neither_repeat_nor_leave_out_a_row_while_others_write(labs):
    tracker = labs.new(sessions=10)
    other = labs.open(tracker.url)
    pages = tracker.query().select("sessionID").iter_frames(4)

    first = next(pages)["sessionID"].tolist()
    other.sessions.delete(("ATL012", DAY, 702), reason="read already")
    other.sessions.delete(("ATL012", DAY, 706), reason="still to be read")
    other.sessions.add_many(session_rows(1, start=720))
    rest = [number for page in pages for number in page["sessionID"]]

    assert first == [701, 702, 703, 704]
    assert rest == [705, 707, 708, 709, 710, 720]


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("careless", "said"),
    [
        (lambda tracker: tracker.query().select(["mouseName", "mouse.sex"]), "select('mouseName')"),
        (lambda tracker: tracker.query().select(None), "None is not a name"),
        (lambda tracker: tracker.query().order_by(None), "order_by('mouseName')"),
        (lambda tracker: tracker.query().preload(["mouse"]), "preload('mouse')"),
        (lambda tracker: tracker.sessions.frame(order_by=5), "order_by=['mouseName']"),
        (lambda tracker: tracker.sessions.frame(columns=5), "5 is not a name"),
        (lambda tracker: tracker.mice.frame(columns=[None]), "columns=['mouseName']"),
    ],
)
def test_what_is_no_name_is_told_what_to_give(sample, careless, said):
    with pytest.raises(InvalidValueError, match=re.escape(said)):
        careless(sample)


def test_pages_go_by_number_alone(sample):
    with pytest.raises(InvalidValueError, match="order"):
        sample.query().order_by("sessionDate").iter_frames(10)
    with pytest.raises(TypeError, match="colour"):
        sample.query().iter_frames(10, colour="red")


# -- groups ------------------------------------------------------------------------------------


def test_groups_come_labelled_in_one_frame(sample):
    query = sample.query().select("sessionID", "mouse.KO")
    groups = {"KO": {"mouse__KO": True}, "control": {"mouse__KO": False}, "none": {"sessionID": 0}}

    frame = sample.cross_query(groups, query=query)

    assert list(frame) == ["group", "sessionID", "mouse.KO"]
    assert frame["group"].cat.categories.tolist() == ["KO", "control", "none"]
    assert (frame["group"] == "KO").tolist() == frame["mouse.KO"].tolist()
    assert len(frame) == sample.query().count()
    assert str(frame["sessionID"].dtype) == "int64"


def test_groups_are_crossed(sample, statement_counter):
    planes = {"5": {"numPlanes": 5}, "unknown": {"numPlanes": None}}
    sexes = {"F": {"mouse__sex": "F"}, "M": {"mouse__sex": "M"}}
    query = sample.query().select("numPlanes", "mouse.sex")

    with statement_counter() as seen:
        frame = sample.cross_query(query=query, planes=planes, sex=sexes)

    assert seen.count == 4
    assert list(frame) == ["planes", "sex", "numPlanes", "mouse.sex"]
    assert (frame["sex"].astype(str) == frame["mouse.sex"]).all()
    assert ((frame["planes"] == "5") == frame["numPlanes"].eq(5).fillna(value=False)).all()
    known_sex = [mouse["mouseName"] for mouse in SAMPLE_MICE if mouse.get("sex")]
    assert len(frame) == sample.query(mouseName=known_sex).count()
    with pytest.raises(InvalidValueError, match="numPlanes"):
        sample.cross_query(query=query, numPlanes=planes)
    for wrong in ({}, ["imaging"], {None: "imaging"}, {"KO": True, float("nan"): False}):
        with pytest.raises(InvalidValueError, match="label"):
            sample.cross_query(wrong)


# -- as a filter -------------------------------------------------------------------------------


def test_queries_are_narrowed_by_conditions_expressions_and_queries(sample):
    sessions = sample.database.tables.sessions
    of_ko = sample.query("imaging and mouse.KO")
    wanted = sample.sessions.frame(imaging=True, mouse__KO=True, sessionID=(740, ">="))

    for query in (
        of_ko.where(sessionID=(740, ">=")),
        of_ko.where("sessionID >= 740"),
        of_ko.where(sessions.c.sessionID >= 740),
        sample.query(sessionID=(740, ">=")).where(of_ko),
        sample.query(of_ko, sessionID=(740, ">=")),
    ):
        assert session_numbers(query) == wanted["sessionID"].tolist()
    assert of_ko.where(sessionID=701).where(sessionID=702).count() == 0
    assert repr(of_ko) == "Query(sessions, where=['imaging and mouse.KO'])"


def test_what_takes_filters_takes_a_query(lab):
    one, two, three = (lab.add(f"M1.2023-01-20.{n}", behavior=n < 3) for n in (1, 2, 3))
    tracker, workflow = lab.tracker, lab.tracker.workflow
    workflow.scratch(two, "laser off")
    query = tracker.query(behavior=True)

    assert tracker.sessions.count(query) == 1
    assert workflow.needs("registration", query)["sessionID"].tolist() == [1]
    assert len(workflow.qc_table(query)) == len(workflow.table(query)) == 1
    assert workflow.status(query).loc["registration"].sum() == 1
    assert tracker.sessions.update({"sessionNotes": "fine"}, query).matched == 1
    with_scratched = tracker.query(behavior=True, include_scratched=True)
    assert tracker.sessions.update({"sessionNotes": "both"}, with_scratched).matched == 2
    assert tracker.sessions.update({"sessionNotes": "it"}, tracker.query(two)).matched == 1
    assert workflow.run("registration", query, registrar=good).succeeded == 1
    assert lab.state(three, "registration") == "ready"
    shutil.rmtree(lab.folder(one) / "oneData")
    lab.edit(three, vrRegistration=True)
    assert set(tracker.reconcile(query).frame()["key"]) == {str(one)}
    assert tracker.mice.update({"sex": "F"}, tracker.mice.query(KO=True)).matched == 1


def test_query_that_cannot_be_a_filter_is_refused_before_anything_is_written(lab):
    lab.add("M1.2023-01-20.1", imaging=True)
    tracker, before = lab.tracker, lab.dump()
    change = {"sessionNotes": "no"}

    for wrong, said in (
        (tracker.query(imaging=True).limit(1), "limit"),
        (tracker.mice.query(KO=True), "query of mice"),
        (tracker.query(), "every row"),
    ):
        with pytest.raises(InvalidValueError, match=said):
            tracker.sessions.update(change, wrong)
    with pytest.raises(InvalidValueError, match="query of mice"):
        tracker.workflow.run("registration", tracker.mice.query(KO=True), registrar=good)
    with pytest.raises(InvalidValueError, match="query of sessions"):
        tracker.mice.update({"sex": "F"}, tracker.query(imaging=True))
    assert lab.dump() == before


def test_states_are_those_of_the_moment_of_asking(lab):
    lab.add("M1.2023-01-20.1", imaging=False)
    number = lab.number("M1.2023-01-20.1")
    lab.insert("attempts", [lab.attempt_row(number, "registration", "a" * 32)])
    lab.mark("M1.2023-01-20.1", "registration", None, "a" * 32)
    running = lab.tracker.query("state.registration = running").select("state.registration")

    assert running.records() == [{"state.registration": "running"}]
    lab.clock.advance(minutes=16)
    assert not running.exists()


# -- what it would do --------------------------------------------------------------------------


def test_statement_is_shown_with_its_values(sample):
    notes = "100% %s it's"
    query = sample.query(sessionNotes=notes, sessionDate=("2023-01-02", ">="), numPlanes=[4, 5])

    text = query.select("mouseName").sql()

    assert "100% %s it''s" in text
    assert "2023" in text
    assert "4, 5" in text


def test_plan_is_the_databases_own(sample, backend):
    query = sample.query(mouseName="ATL012", sessionNotes="it's 100%").select("*", "qc.red_cell")

    if backend.marker == "access":
        with pytest.raises(BackendError, match="no plan"):
            query.explain()
    else:
        assert "sessiondb" in query.explain()
        assert len(query.explain().splitlines()) > 1


def test_past_is_queried_alike(labs):
    tracker = labs.new(sessions=2)

    with tracker.as_of(tracker._lab.now()) as past:
        query = past.query().select("sessionID", "state.registration", "mouse.mouseName")
        assert (
            query.records()
            == tracker.query()
            .select("sessionID", "state.registration", "mouse.mouseName")
            .records()
        )
