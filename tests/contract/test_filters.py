"""Filters mean the same on every backend, and what plain Python says that they mean."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.sample_lab import (
    DAY,
    SAMPLE_MICE,
    SAMPLE_SESSIONS,
    SAMPLE_TEXTS,
    SAMPLE_TIMES,
    numbers,
    passes,
    session_rows,
)
from vrtracker.errors import InvalidValueError, UnknownNameError, VrtrackerError

MICE_BY_NAME = {mouse["mouseName"]: mouse for mouse in SAMPLE_MICE}
ORDERINGS = ("<", "<=", ">", ">=")
VALUES: dict[str, list[Any]] = {
    "sessionID": [701, 720, 760, 5000],
    "experimentID": [0, 1, 2, 12, 99],
    "vrEnvironments": [1, 12, 123],
    "headPlateRotation": [328.0, 8.5, 3.5, 0.0],
    "pockelsPercentage": [4.0, 12.800000190734863, -0.1],
    "sessionDate": [dt.date(2022, 12, 30), dt.date(2023, 1, 1), dt.date(2023, 1, 5)],
    "suite2pDate": [time for time in SAMPLE_TIMES if time is not None],
    "experimentType": [text for text in SAMPLE_TEXTS if text is not None],
    "sessionNotes": [text for text in SAMPLE_TEXTS if text is not None],
    "mouseName": [mouse["mouseName"] for mouse in SAMPLE_MICE],
}
FLAGS = ("imaging", "behavior", "vrRegistration")
TEXTS = ("experimentType", "sessionNotes")
PATTERNS = ["%vr", "BLENDER%", "%", "", "100\\% good", "1__ good", "%ü%", "%Ü%", "%\\%", "%'%"]
PATTERNS += [
    "~%",
    "%~_",
    "under_score",
    "C:\\data%",
    "%小鼠",
    "two%lines",
    "%s and %(name)s%",
    "%:name%",
]


def expected(filters: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> list[int]:
    """Return the numbers of the sessions that pass, worked out in plain Python."""
    chosen = []
    for row in SAMPLE_SESSIONS if rows is None else rows:
        if "sessionQC" not in filters and not row["sessionQC"]:
            continue
        if all(_row_passes(row, name, wanted) for name, wanted in filters.items()):
            chosen.append(row["sessionID"])
    return chosen


def _row_passes(row: dict[str, Any], name: str, wanted: Any) -> bool:
    if name.startswith("mouse__"):
        row, name = MICE_BY_NAME[row["mouseName"]], name.removeprefix("mouse__")
        default = False if name in {"KO", "tracked"} else None
        value = row.get(name, default)
    else:
        value = row[name]
    if isinstance(wanted, tuple):
        return passes(value, wanted[1], wanted[0])
    return passes(value, "in" if isinstance(wanted, list) else "==", wanted)


def passing(tracker: Any, filters: dict[str, Any]) -> list[int]:
    """Return the numbers of the sessions that the tracker finds, without their other columns."""
    return numbers(tracker.sessions.frame(filters, columns=["sessionID"]))


def _cases() -> list[tuple[str, Any]]:
    cases: list[tuple[str, Any]] = []
    for name, values in VALUES.items():
        some = values[:2]
        cases += [(name, values[1]), (name, (values[0], "==")), (name, (values[1], "!="))]
        cases += [(name, (values[1], op)) for op in ORDERINGS]
        cases += [(name, some), (name, (some, "in")), (name, (some, "not_in")), (name, [])]
        cases += [(name, ([], "not_in")), (name, ((values[0], values[-1]), "between"))]
        if name not in {"sessionID", "sessionDate", "mouseName"}:
            cases += [(name, None), (name, [None]), (name, [None, *some])]
            cases += [(name, ([None, *some], "not_in")), (name, ([None], "not_in"))]
            cases += [(name, (None, "!=")), (name, (True, "is_null")), (name, (False, "is_null"))]
    for name in (*FLAGS, "mouse__KO"):
        cases += [(name, True), (name, False), (name, (True, "!=")), (name, [True, False])]
        cases += [(name, ([True], "not_in")), (name, ([False, True], "not_in"))]
        cases += [(name, (False, "is_null")), (name, (True, "is_null"))]
    cases += [
        (name, (text, how)) for how in ("like", "contains") for name in TEXTS for text in PATTERNS
    ]
    cases += [("mouseName", ("atl%", "like")), ("mouse__experimentID", None)]
    cases += [("mouse__experimentID", (1, "!=")), ("mouse__notes", ("50%", "like"))]
    cases += [("mouse__dateOfBirth", (dt.date(2022, 6, 1), "<")), ("mouse__sex", ["F", None])]
    return cases


def test_every_operator_on_every_kind_of_column_agrees_with_plain_python(sample):
    wrong = {}
    for name, wanted in _cases():
        got = passing(sample, {name: wanted})
        if got != expected({name: wanted}):
            wrong[name, repr(wanted)] = (got, expected({name: wanted}))

    assert wrong == {}


def test_count_and_iter_agree_with_the_frame(sample):
    # The values of a frame may stand in its text; theirs are sent.
    between = [case for case in _cases() if "between" in repr(case)]
    for name, wanted in [*_cases()[::5], *between]:
        in_frame = passing(sample, {name: wanted})

        assert sample.sessions.count({name: wanted}) == len(in_frame)
        assert [found.sessionID for found in sample.sessions.iter({name: wanted})] == in_frame


def _filter_of(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    """Draw a filter on a column."""
    if name in FLAGS:
        values = st.booleans()
        return st.tuples(st.just(name), values | st.tuples(values, st.sampled_from(("==", "!="))))
    known = st.sampled_from(VALUES[name])
    nullable = name not in {"sessionID", "sessionDate", "mouseName"}
    maybe = known | st.none() if nullable else known
    wanted = [
        maybe,
        st.lists(maybe, max_size=4),
        st.tuples(maybe, st.sampled_from(("==", "!="))),
        st.tuples(known, st.sampled_from(ORDERINGS)),
        st.tuples(st.lists(maybe, max_size=4), st.sampled_from(("in", "not_in"))),
        st.tuples(st.tuples(known, known), st.just("between")),
        st.tuples(st.booleans(), st.just("is_null")),
    ]
    if name in TEXTS:
        letters = st.text(alphabet="aABbVvRrGg%_\\'\"ü 1:", max_size=6)
        wanted.append(st.tuples(letters, st.sampled_from(("like", "contains"))))
    return st.tuples(st.just(name), st.one_of(wanted))


FILTERS = st.dictionaries(st.sampled_from([*VALUES, *FLAGS]), st.none(), max_size=4).flatmap(
    lambda names: st.tuples(*(_filter_of(name) for name in names)).map(dict)
)


def test_any_combination_of_filters_agrees_with_plain_python(backend, sample):
    @settings(max_examples=examples(120, backend.marker))
    @given(filters=FILTERS)
    def agree(filters):
        assert passing(sample, filters) == expected(filters)

    agree()


def test_filters_agree_with_plain_python_on_the_labs_own_rows(legacy):
    rows = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in legacy.sessions.frame(include_scratched=True).to_dict("records")
    ]
    filters: dict[str, Any] = {
        "imaging": True,
        "sessionID": (701, ">="),
        "vrRegistrationException": (None, "!="),
        "numPlanes": [5, None],
        "pockelsPercentage": ((4, 12.8), "between"),
    }
    for name, wanted in filters.items():
        got = list(legacy.sessions.frame({name: wanted})["uSessionID"])
        mine = [
            row["uSessionID"] for row in rows if row["sessionQC"] and _row_passes(row, name, wanted)
        ]
        assert got == mine
        assert got


# -- what a value may look like ----------------------------------------------------------------


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "spelling",
    [
        "2023-01-01",
        "2023/1/1",
        "20230101",
        "2023.01.01",
        "2023-01-01 00:00:00",
        "2023/1/1 00:00",
        dt.date(2023, 1, 1),
        dt.datetime(2023, 1, 1),
        dt.datetime(2023, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-11))),
        pd.Timestamp("2023-01-01"),
        pd.Timestamp("2023-01-01", tz="America/New_York"),
        np.datetime64("2023-01-01"),
        np.datetime64("2023-01-01T00:00:00.000000000"),
        np.str_("2023-01-01"),
    ],
    ids=repr,
)
def test_date_is_understood_in_every_usual_form(sample, spelling):
    wanted = expected({"sessionDate": dt.date(2023, 1, 1)})

    assert numbers(sample.sessions.frame(sessionDate=spelling)) == wanted
    assert wanted


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("sessionID", np.int64(720), 720),
        ("sessionID", np.int16(720), 720),
        ("sessionID", "720", 720),
        ("sessionID", 720.0, 720),
        ("sessionID", np.array(720), 720),
        ("sessionID", np.array([720, 721]), [720, 721]),
        ("sessionID", pd.Series([720, 721], index=[5, 9]), [720, 721]),
        ("sessionID", pd.Index([720, 721]), [720, 721]),
        ("sessionID", {720, 721}, [720, 721]),
        ("sessionID", range(720, 730), list(range(720, 730))),
        ("sessionID", (pd.Series([720, 721]), "not_in"), ([720, 721], "not_in")),
        ("sessionID", (np.array([720, 730]), "between"), ((720, 730), "between")),
        ("numPlanes", pd.NA, None),
        ("numPlanes", np.nan, None),
        ("numPlanes", pd.array([5, None], dtype="Int64"), [5, None]),
        ("suite2pDate", pd.NaT, None),
        ("suite2pDate", np.datetime64("NaT", "us"), None),
        ("suite2pDate", pd.Timestamp("2023-01-20 14:30"), dt.datetime(2023, 1, 20, 14, 30)),
        ("suite2pDate", ("2023-01-20", ">="), (dt.datetime(2023, 1, 20), ">=")),
        ("imaging", np.True_, True),
        ("imaging", 1, True),
        ("imaging", "false", False),
        ("headPlateRotation", np.float32(8.5), 8.5),
        ("headPlateRotation", "8.5", 8.5),
        ("experimentType", np.str_("Blender VR"), "Blender VR"),
        ("experimentType", pd.Series(["Blender VR", None]), ["Blender VR", None]),
        ("experimentType", (True, "IS NULL"), (True, "is_null")),
        ("experimentType", (np.True_, "is_null"), (True, "is_null")),
        ("experimentType", (["Blender VR"], "not in"), (["Blender VR"], "not_in")),
        ("sessionID", (720, "<>"), (720, "!=")),
        ("sessionID", (720, "="), 720),
    ],
    ids=repr,
)
def test_value_of_numpy_or_pandas_filters_as_the_plain_one(sample, name, value, plain):
    assert numbers(sample.sessions.frame({name: value})) == expected({name: plain})


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "spelling",
    [
        "2023-01-01T15:30:00",
        "2023/1/1 15:30",
        dt.datetime(2023, 1, 1, 23, 59),
        dt.datetime(2023, 1, 1, 23, 59, tzinfo=dt.timezone(dt.timedelta(hours=-11))),
        pd.Timestamp("2023-01-01 12:00"),
        np.datetime64("2023-01-01T23:59:59.123456789"),
    ],
    ids=repr,
)
def test_a_time_is_not_compared_with_days_as_if_it_were_one(sample, spelling):
    for wanted in (spelling, (spelling, ">="), [dt.date(2023, 1, 1), spelling]):
        with pytest.raises(InvalidValueError, match=r"sessionDate: .* write 2023-01-01\."):
            sample.sessions.frame(sessionDate=wanted)


def test_patterns_of_many_parts_and_both_zeros_are_compared_as_everywhere(tracker):
    tracker.sessions.add_many(
        {
            "mouseName": "ATL012",
            "sessionDate": DAY,
            "sessionID": number,
            "sessionNotes": "ab" * 200,
            "headPlateRotation": zero,
        }
        for number, zero in enumerate((0.0, -0.0))
    )

    # Some databases try every place for every part.
    assert tracker.sessions.count(sessionNotes=("%a" * 20 + "%c", "like")) == 0
    assert tracker.sessions.count(sessionNotes=("%a" * 20 + "%_B", "like")) == 2
    for zero in (0, -0.0):
        assert tracker.sessions.count(headPlateRotation=zero) == 2
        assert tracker.sessions.count(headPlateRotation=(zero, "<")) == 0


def test_filter_on_a_mouse_by_several_columns(sample):
    filters = {"mouse__KO": True, "mouse__sex": (None, "!="), "imaging": False}

    assert numbers(sample.sessions.frame(filters)) == expected(filters)
    assert expected(filters)


@pytest.mark.parametrize("name", TEXTS)
def test_long_list_of_values_is_compared_exactly(sample, name):
    padding = [f"text {number} it's 100% \\ :x ?" for number in range(5_000)]
    wanted = [*padding, *VALUES[name]]

    assert passing(sample, {name: wanted}) == expected({name: wanted})
    assert passing(sample, {name: (wanted, "not_in")}) == expected({name: (wanted, "not_in")})
    assert sample.sessions.count({name: wanted}) == len(expected({name: wanted}))


def test_long_list_of_numbers_dates_and_times(sample):
    days = [dt.date(2000, 1, 1) + dt.timedelta(days=n) for n in range(5_000)]
    times = [dt.datetime(2000, 1, 1, 14, 30) + dt.timedelta(days=n) for n in range(9_000)]
    wide = {
        "sessionID": list(range(710, 5_710)),
        "sessionDate": [*days, dt.date(2023, 1, 3)],
        "suite2pDate": times,
        "headPlateRotation": [8.5, *(n / 7 for n in range(5_000))],
    }

    for name, wanted in wide.items():
        assert passing(sample, {name: wanted}) == expected({name: wanted})


def test_missing_value_is_unequal_to_every_value_as_in_pandas(sample):
    everything = sample.sessions.frame()

    filtered = sample.sessions.frame(numPlanes=(5, "!="))

    in_pandas = everything[~(everything["numPlanes"] == 5).fillna(value=False)]
    assert numbers(filtered) == numbers(in_pandas)


# -- scratched sessions ------------------------------------------------------------------------


def test_listing_leaves_scratched_sessions_out(sample):
    assert numbers(sample.sessions.frame()) == expected({})
    assert sample.sessions.frame()["sessionQC"].all()
    assert sample.sessions.count() == len(expected({}))
    assert len(list(sample.sessions.iter())) == len(expected({}))


def test_listing_includes_scratched_sessions_when_asked(sample):
    everything = [row["sessionID"] for row in SAMPLE_SESSIONS]

    assert numbers(sample.sessions.frame(include_scratched=True)) == everything
    assert sample.sessions.count(include_scratched=True) == len(everything)
    assert [found.sessionID for found in sample.sessions.iter(include_scratched=True)] == everything


@pytest.mark.parametrize("wanted", [False, True, [True, False], (True, "!=")], ids=repr)
def test_filter_on_session_qc_takes_the_place_of_the_default(sample, wanted):
    filters = {"sessionQC": wanted}

    assert numbers(sample.sessions.frame(filters)) == expected(filters)


def test_filter_on_a_column_of_the_mouse_keeps_the_default(sample):
    filters = {"mouse__KO": True}

    assert numbers(sample.sessions.frame(filters)) == expected(filters)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("name", "near"),
    [("imagin", "imaging"), ("sessionid", "sessionID"), ("mouse__K0", "mouse__KO")],
)
def test_unknown_column_is_refused_with_the_nearest(sample, name, near):
    with pytest.raises(UnknownNameError, match=near) as refused:
        sample.sessions.frame({name: 1})

    assert near in refused.value.nearest
    assert refused.value.name == name


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "operator",
    ["==sessionQC or ", "=>", "is", "", "or 1=1", "== ", "; DROP TABLE sessiondb", "LIKE "],
)
def test_operator_is_looked_up_and_never_executed(sample, operator):
    if operator.strip().lower() in {"==", "like"}:
        sample.sessions.frame(experimentType=("x", operator))
        return
    with pytest.raises(UnknownNameError) as refused:
        sample.sessions.frame(imaging=(True, operator))

    assert refused.value.name == operator
    assert "==" in refused.value.known


def test_unknown_operator_names_the_nearest(sample):
    with pytest.raises(UnknownNameError) as refused:
        sample.sessions.frame(imaging=(True, "betwen"))

    assert refused.value.nearest[0] == "between"


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "name", ["imaging; --", 'imaging" OR 1=1 --', "", "uSessionID)", "mouse__"]
)
def test_column_is_looked_up_and_never_executed(sample, name):
    with pytest.raises(UnknownNameError):
        sample.sessions.frame({name: True})


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sessionID", (1, 2, 3)),
        ("sessionID", (1,)),
        ("sessionID", ()),
        ("sessionID", (1, 2)),
        ("sessionID", (700, None)),
        ("sessionID", "seven"),
        ("sessionID", 2**31),
        ("sessionID", 7.5),
        ("sessionID", True),
        ("sessionID", (None, "<")),
        ("sessionID", ([701, 702], ">")),
        ("sessionID", (np.array([701, 702]), "==")),
        ("sessionID", (pd.Series([701, 702]), "<")),
        ("sessionID", (701, "in")),
        ("sessionID", ("701", "in")),
        ("sessionID", (701, "between")),
        ("sessionID", ((701, 702, 703), "between")),
        ("sessionID", ((701, None), "between")),
        ("sessionID", ((None, 701), "between")),
        ("sessionID", ("70%", "like")),
        ("numPlanes", 2**31),
        ("numPlanes", -(2**31) - 1),
        ("numPlanes", 10**400),
        ("numPlanes", [5, "five"]),
        ("headPlateRotation", "steep"),
        ("headPlateRotation", float("inf")),
        ("headPlateRotation", 10**400),
        ("imaging", (False, ">")),
        ("imaging", ((False, True), "between")),
        ("imaging", "maybe"),
        ("imaging", 2),
        ("sessionDate", "tomorrow"),
        ("sessionDate", "2023-02-30"),
        ("sessionDate", 20230120),
        ("sessionDate", ("2023%", "like")),
        ("suite2pDate", pd.Timestamp("2023-01-20", tz="UTC")),
        ("experimentType", (5, "like")),
        ("experimentType", (5, "contains")),
        ("experimentType", (None, "like")),
        ("experimentType", (["a%"], "like")),
        ("experimentType", ("nul\x00", "like")),
        ("experimentType", "nul\x00"),
        ("experimentType", "half a pair \ud800"),
        ("experimentType", ("half a pair \ud800%", "like")),
        ("experimentType", b"Blender VR"),
        ("experimentType", {"a": 1}),
        ("experimentType", ("yes", "is_null")),
        ("experimentType", (None, "is_null")),
        pytest.param("experimentType", object(), id="an object"),
        ("mouseName", "no such name'"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_value_that_does_not_fit_is_refused(sample, name, wanted):
    with pytest.raises(InvalidValueError) as refused:
        sample.sessions.frame({name: wanted})

    assert str(refused.value)


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1},
        {"limit": 2.5},
        {"limit": True},
        {"limit": "5"},
        {"columns": "imaging"},
        {"columns": []},
        {"columns": ["imaging", "imagin"]},
        {"order_by": "imagin"},
        {"order_by": "--imaging"},
        {"order_by": "imaging; --"},
        {"order_by": ["imaging DESC"]},
    ],
    ids=repr,
)
def test_wrong_option_of_a_listing_is_refused(sample, options):
    with pytest.raises(VrtrackerError):
        sample.sessions.frame(**options)


def test_hostile_text_is_stored_and_found_as_it_is(tracker):
    texts = [text for text in SAMPLE_TEXTS if text is not None]
    rows = session_rows(len(texts))
    for row, text in zip(rows, texts, strict=True):
        row["sessionNotes"] = text
    tracker.sessions.add_many(rows)

    for number, text in enumerate(texts, start=701):
        assert numbers(tracker.sessions.frame(sessionNotes=text)) == [number]
        assert tracker.sessions.get(f"ATL012.{DAY}.{number}").sessionNotes == text


# -- mice --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"KO": True}, ["ATL012", "atl-ü.3"]),
        ({"experimentID": None}, ["ATL028", "atl-ü.3"]),
        ({"experimentID": (1, ">=")}, ["ATL012", "CR_Hippocannula6"]),
        ({"mouseName": ("atl%", "like")}, ["ATL012", "ATL028", "atl-ü.3"]),
        ({"dateOfBirth": "2022-05-01"}, ["atl-ü.3"]),
        ({"sex": ["F", "M"], "KO": False}, ["ATL028"]),
    ],
    ids=repr,
)
def test_mice_are_filtered_by_their_columns(sample, filters, names):
    assert list(sample.mice.frame(filters)["mouseName"]) == names
    assert sample.mice.count(filters) == len(names)
    assert [mouse.mouseName for mouse in sample.mice.iter(filters)] == names


def test_mice_have_no_columns_of_sessions(sample):
    with pytest.raises(UnknownNameError):
        sample.mice.frame(imaging=True)
    with pytest.raises(UnknownNameError):
        sample.mice.frame(mouse__KO=True)
