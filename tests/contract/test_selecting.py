"""Conditions as people write them select what plain Python and pandas say; so do names beyond
columns, and every call takes every form of a selection.
"""

from __future__ import annotations

import datetime as dt
import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.registrars import good
from support.sample_lab import SAMPLE_MICE, SAMPLE_SESSIONS, numbers, passes
from support.statements import counted_statements
from support.workflow_lab import WorkflowLab
from vrtracker.domain.conditions import All, Comparison, Condition, Not, parse_condition
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.errors import (
    ConditionError,
    InvalidKeyError,
    InvalidValueError,
    NotFoundError,
    UnknownNameError,
    VrtrackerError,
)
from vrtracker.models import Base, Dataset, Mouse, Session
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.values import coercer_of

# -- the grammar against pandas ----------------------------------------------------------------

FLAGS = ("imaging", "vrRegistration", "mouse.KO", "mouse.tracked")
KINDS = {
    "sessionID": "Int64",
    "experimentID": "Int64",
    "vrEnvironments": "Int64",
    "mouse.experimentID": "Int64",
    "headPlateRotation": "Float64",
    "pockelsPercentage": "Float64",
    "sessionDate": "datetime64[s]",
    "suite2pDate": "datetime64[s]",
    "mouse.dateOfBirth": "datetime64[s]",
    "experimentType": "string",
    "sessionNotes": "string",
    "mouse.notes": "string",
    "mouseName": "string",
    "mouse.sex": "string",
}


def _table() -> pd.DataFrame:
    """Return the sample's sessions with their mice, in pandas' own types with missing values."""
    mice = pd.DataFrame(SAMPLE_MICE).rename(columns=lambda name: f"mouse.{name}")
    sessions = pd.DataFrame(SAMPLE_SESSIONS)
    table = sessions.merge(mice, left_on="mouseName", right_on="mouse.mouseName")
    table = table.set_index("sessionID", drop=False).loc[sessions["sessionID"]]
    for name in FLAGS:
        table[name] = table[name].astype("boolean").fillna(value=False)
    return table.astype(KINDS)


TABLE = _table()
LABS = {"": Base.metadata.tables["sessiondb"], "mouse": Base.metadata.tables["mousedb"]}


def in_pandas(condition: Condition) -> Any:
    """Return the mask of a condition, worked out by pandas."""
    if isinstance(condition, Not):
        return ~in_pandas(condition.part)
    if isinstance(condition, Comparison):
        return _compared(condition).fillna(value=False).astype(bool)
    first, *rest = map(in_pandas, condition.parts)
    for mask in rest:
        first = first & mask if isinstance(condition, All) else first | mask
    return first


def _compared(asked: Comparison) -> Any:
    room, _, bare = asked.name.replace("__", ".").rpartition(".")
    column = TABLE[asked.name.replace("__", ".")]
    operator, texts = asked.operator, list(asked.values)
    if operator == "is_true":
        return column
    if operator in {"like", "contains"}:
        like = column.map(lambda text: passes(text, operator, texts[0]), na_action="ignore")
        return like.astype("boolean")
    values = [coercer_of(LABS[room]).value(bare, value) for value in texts]
    if operator in {"==", "in"}:
        return _is_any_of(column, values)
    if operator in {"!=", "not_in"}:
        return ~_is_any_of(column, values)
    values = [pd.Timestamp(v) if isinstance(v, dt.date) else v for v in values]
    if operator == "between":
        return column.between(*values)
    compare: dict[str, Callable[[Any, Any], Any]] = {
        "<": lambda one, other: one < other,
        "<=": lambda one, other: one <= other,
        ">": lambda one, other: one > other,
        ">=": lambda one, other: one >= other,
    }
    return compare[operator](column, values[0])


def _is_any_of(column: Any, values: list[Any]) -> Any:
    found = pd.Series(data=False, index=column.index)
    for value in values:
        wanted = pd.Timestamp(value) if isinstance(value, dt.date) else value
        found |= column.isna() if value is None else (column == wanted).fillna(value=False)
    return found


def _case(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from((word, word.upper(), word.capitalize()))


def _shown(value: Any) -> st.SearchStrategy[str]:
    """Draw a way to write a value."""
    text = f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, dt.datetime) else str(value)
    ways = [f"'{text.replace(chr(39), chr(39) * 2)}'", '"' + text.replace('"', '""') + '"']
    if re.fullmatch(r"[\w:.-]+( [\w:.-]+)*", text) and not re.search(
        r"\b(and|or|today)\b", text, re.IGNORECASE
    ):
        ways.append(text)
    return st.sampled_from(ways)


@st.composite
def _comparison(draw: Any) -> str:  # noqa: PLR0911
    """Draw the text of a comparison, in every spelling."""
    name = draw(st.sampled_from([*FLAGS, *KINDS]))
    column = TABLE[name]
    spelled = draw(st.sampled_from((name, name.replace(".", "__"), f"`{name}`")))
    if name in FLAGS and draw(st.booleans()):
        return spelled
    known = sorted(column.dropna().unique().tolist(), key=str)
    if KINDS.get(name, "").startswith("datetime"):
        known = [pd.Timestamp(value).to_pydatetime() for value in known]
    value = st.sampled_from(known).flatmap(_shown)
    blank = draw(st.sampled_from(("", " ", "\n ")))
    ways = ["equal", "missing", "in"] + ["ordered", "between"] * (name not in FLAGS)
    if KINDS.get(name) == "string":
        ways += ["like", "contains"]
    way = draw(st.sampled_from(ways))
    negation = draw(st.sampled_from(("", draw(_case("not")) + " ")))
    if way == "equal":
        sign = draw(st.sampled_from(("=", "==", "!=", "<>")))
        several = ", ".join(draw(st.lists(value, max_size=3)))
        return f"{spelled}{blank}{sign}{blank}{several}"
    if way == "missing":
        word = draw(st.sampled_from(("missing", "null", "None", "MISSING")))
        return f"{spelled} {draw(_case('is'))} {negation}{word}"
    if way == "in":
        several = ", ".join(draw(st.lists(value, min_size=1, max_size=4)))
        return f"{spelled} {negation}{draw(_case('in'))}{blank}({several})"
    if way == "ordered":
        sign = draw(st.sampled_from(("<", "<=", ">", ">=")))
        return f"{spelled}{blank}{sign}{blank}{draw(value)}"
    if way == "between":
        word = f"{negation}{draw(_case('between'))}"
        return f"{spelled} {word} {draw(value)} {draw(_case('and'))} {draw(value)}"
    pattern = draw(st.text(alphabet="aABbVvRrGg%_\\'ü 1:", min_size=1, max_size=6).flatmap(_shown))
    return f"{spelled} {negation}{draw(_case(way))} {pattern}"


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(parts, min_size=2, max_size=4)
    words = st.sampled_from(("and", "or", "AND", "Or"))
    return st.one_of(
        st.tuples(several, words).map(lambda drawn: f" {drawn[1]} ".join(drawn[0])),
        parts.map(lambda part: f"not {part}"),
        parts.map(lambda part: f"( {part})"),
        parts.map(lambda part: f"not({part} )"),
    )


WRITTEN = st.recursive(_comparison(), _joined, max_leaves=6)


@st.composite
def _damaged(draw: Any) -> str:
    """Draw a condition in which some letters are gone, doubled or out of place."""
    text = draw(WRITTEN)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 5)))
        put = draw(st.sampled_from(("", "(", ")", "'", '"', ",", "=", " and ", " not ", "!", "é")))
        text = text[:at] + put + text[until:]
    return text


TEXTS = st.integers(0, 4).flatmap(lambda drawn: WRITTEN if drawn else _damaged())


_VALUES = re.compile(r"'(?:[^']|'')*'|(?<![\w\"])\d[\d.]*")
_OF_OURS = {"0", "1", "'~'"}
"""What SQLite is sent in the text of a statement: truth values, and what escapes in LIKE."""


ELSEWHERE = ("mouse.sex", "datasets.count", "datasets.bytes", "qc.dataset", "qc.red_cell")
ELSEWHERE += ("qc.session", "state.suite2p", "attempts.registration.outcome")
"""Columns that are no session's own."""
SHOWN_ALONE = st.lists(st.sampled_from(ELSEWHERE), min_size=1, max_size=2, unique=True)


def check_conditions(sample: Any, backend: Any, many: int) -> None:
    """Hold so many conditions to what pandas says, or to an error that points at its place."""
    rows = sample.query(include_scratched=True).select("sessionID", *ELSEWHERE).records()
    whole = {row["sessionID"]: row for row in rows}

    @settings(max_examples=many)
    @given(text=TEXTS, names=SHOWN_ALONE, alone=st.booleans())
    def agree(text: str, names: list[str], *, alone: bool) -> None:
        try:
            with counted_statements() as sent:
                found = numbers(sample.sessions.frame(text, columns=["sessionID"]))
                assert sample.sessions.count(text) == len(found)
        except ConditionError as error:
            assert not sent.count
            _, line, caret = str(error).split("\n")
            assert len(caret) <= len(line) + 1
            assert caret.strip() == "^"
        else:
            condition = parse_condition(text)
            in_order = TABLE[in_pandas(condition)]
            if not re.search("sessionQC", text):
                in_order = in_order[in_order["sessionQC"].astype(bool)]
            assert found == in_order["sessionID"].tolist()
            # No sample has a lab: that holds for all, and hangs on sessions that are not shown.
            asked = sample.query(include_scratched=True) if alone else sample.query(text)
            shown = asked.where("lab is missing").select(*names).records()
            expected = whole if alone else found
            assert shown == [{name: whole[number][name] for name in names} for number in expected]
            if backend.name == "sqlite":
                assert _OF_OURS.issuperset(_VALUES.findall("".join(sent.statements)))

    agree()


def test_any_condition_agrees_with_plain_python_and_pandas(backend, sample):
    check_conditions(sample, backend, examples(100, backend.marker))


@pytest.mark.long
def test_ten_thousand_conditions_agree_with_plain_python_and_pandas(backend, sample):
    many = 10_000 if backend.marker != "access" else examples(10_000, "access")
    check_conditions(sample, backend, many)


@settings(max_examples=60)
@given(text=WRITTEN)
def test_a_condition_that_is_well_written_is_never_refused(text):
    parse_condition(text)


# -- names beyond columns ----------------------------------------------------------------------

A1, A2, A3, A4, A5 = (
    "M1.2022-12-01.1",
    "M1.2022-12-01.2",
    "M1.2022-12-04.1",
    "M1.2022-12-10.7",
    "M1.2022-12-24.1",
)
B1, B2 = "M2.2023-01-05.3", "M2.2023-01-06.1"
KEY = ["mouseName", "sessionDate", "sessionID"]
KEYS = (A1, A2, A3, A4, A5, B1, B2)
MADE = {"imaging": True, "suite2p": True, "vrRegistration": True}


def _lab_with_a_history(keeper: Any, root: Any) -> WorkflowLab:
    """Return a lab whose sessions are in all states, were judged, and have datasets."""
    lab = WorkflowLab(keeper.migrated_url(), root)
    tracker, workflow = lab.tracker, lab.tracker.workflow
    tracker.mice.update({"dateOfBirth": "2022-10-06"}, "M1")
    # Not in the order of the days: that is what counts.
    for key, columns in {A4: MADE, A1: MADE, A2: MADE, A5: {"imaging": True}, A3: MADE}.items():
        lab.add(key, folder=key == A1, **columns)
    lab.add(B1)
    lab.add(B2)
    workflow.scratch(A3, "laser off")
    workflow.set_qc(A1, "suite2p", "WARNING", reason="some drift")
    workflow.set_qc(A1, "red_cell", "PASS")
    workflow.set_qc(A2, "suite2p", "CRITICAL", reason="moved")
    workflow.set_qc(A4, "red_cell", "FAIL", reason="dim")
    workflow.set_qc(A4, "red_cell", "PASS")
    tracker.sessions.update({"redCellQC": False}, A4)
    workflow.run("registration", A1, registrar=good, force=True)
    workflow.run("registration", B1, registrar=good)
    path = tracker.datasets(A1)["rel_path"].iloc[0]
    workflow.set_dataset_qc(A1, path, "WARNING")
    revised = lab.folder(A1) / "raw" / "#2024-01-01#" / "_ibl_my_wheel.position.npy"
    revised.parent.mkdir(parents=True)
    revised.touch()
    tracker.datasets.scan(A1)
    workflow.exclude(B2, "registration", reason="no behaviour")
    lab.clock.advance(days=3)
    tracker.sessions.update({"sessionNotes": "seen again"}, B1)
    return lab


@pytest.fixture
def history(backend, shared_labs, tmp_path_factory) -> Any:
    """A lab with a history; for reading alone."""

    def build(keeper: Any) -> Any:
        lab = _lab_with_a_history(keeper, tmp_path_factory.mktemp("selecting") / "root")
        return lab.tracker

    return shared_labs.get(backend, "selecting", build)


def keys_of(frame: Any) -> list[str]:
    """Return the keys of a frame of sessions, in alphabetical order."""
    rows = frame[KEY].itertuples(index=False)
    return sorted(f"{mouse}.{day:%Y-%m-%d}.{number}" for mouse, day, number in rows)


def selected(tracker: Any, where: Any = None, **filters: Any) -> list[str]:
    """Return the keys of the sessions that are selected, scratched ones too."""
    return keys_of(tracker.sessions.frame(where, columns=KEY, include_scratched=True, **filters))


def test_keys_select_sessions_wherever_a_condition_may_stand(history):
    others = sorted(set(KEYS) - {A1, B1})

    assert selected(history, f"{A1} or key = {B1.replace('.', '/')}") == [A1, B1]
    assert selected(history, key=[A1, SessionKey.parse(B1)]) == [A1, B1]
    assert selected(history, f"key not in ({A1}, {B1})") == others
    assert selected(history, f"not ({A1} or {B1})") == others
    assert selected(history, f"{A1} and mouseName = M2") == []
    assert selected(history, key=[]) == []
    many = [f"M1.2022-12-01.{number}" for number in range(1_000, 3_000)]
    assert selected(history, key=[A4, *many, A3]) == sorted([A3, A4])


def test_a_scratched_session_is_shown_by_its_key_and_not_by_another_one(history):
    assert keys_of(history.sessions.frame(f"key in ({A1}, {A3})")) == [A1, A3]
    assert keys_of(history.sessions.frame(f"imaging and {A3}")) == [A3]
    assert keys_of(history.sessions.frame(key=A3)) == [A3]
    for wanted in (f"key != {A1}", f"not {A1}", f"imaging or {A1}"):
        assert A3 not in keys_of(history.sessions.frame(wanted))
    assert A3 not in keys_of(history.sessions.frame(key=([A1], "not_in")))


@pytest.mark.parametrize(
    "written",
    [
        "imaging or {0}",
        "sessionID > 999 or key in ({0}, {1})",
        "not not {0}",
        "not key != {0}",
        "not (key not in ({0}, {1}) and not imaging)",
        "mouseName = M1 and (imaging or {0})",
    ],
)
def test_a_scratched_session_is_shown_by_its_key_behind_or_and_not_but_no_other_one(
    history, written
):
    wanted, fine = written.format(A3, B1), keys_of(history.sessions.frame())
    shown = keys_of(history.sessions.frame(wanted))

    assert shown == [key for key in selected(history, wanted) if key in {A3, *fine}]
    assert A3 in shown
    assert keys_of(history.sessions.frame(history.query(wanted))) == shown
    assert A3 not in keys_of(history.sessions.frame(written.format(A4, B1)))


def test_a_word_that_names_a_column_and_no_mouse_is_told(history):
    for word, said in (("KO", "write: KO = true"), ("sEx", "write: sex = ")):
        with pytest.raises(NotFoundError, match=f"no mouse {word!r}.*{said}"):
            history.mice.frame(word)
    with pytest.raises(NotFoundError):
        history.mice.update({"notes": "x"}, "KO")
    assert list(history.mice.frame("M1")["mouseName"]) == ["M1"]
    assert history.mice.frame("M11").empty


def test_yesterday_is_the_day_before_today(history):
    for other in ("today - 1 day", "yesterday + 0 weeks"):
        assert selected(history, f"sessionDate < {other}") == selected(
            history, "sessionDate < yesterday"
        )
    assert selected(history, "sessionDate = yesterday") == []


def test_states_are_those_of_the_table(history):
    table = history.workflow.table(include_scratched=True)
    for stage in history.workflow.stages:
        states = table[f"state:{stage}"]
        for state in set(states) | {"running"}:
            wanted, others = keys_of(table[states == state]), keys_of(table[states != state])
            assert selected(history, state={stage: state}) == wanted
            assert selected(history, f"not state.{stage} = {state}") == others
        two = states.isin(["done", "ready"])
        assert selected(history, state={stage: ["done", "ready"]}) == keys_of(table[two])
        assert selected(history, f"state.{stage} not in (done, ready)") == keys_of(table[~two])
    assert set(table["state:registration"]) > {"done", "scratched", "not_applicable"}


COMPARED = (("==", QC.NOT_SET), ("==", QC.PASS), ("==", QC.FAIL), ("==", QC.CRITICAL))
COMPARED += (("<=", QC.WARNING), ("<", QC.WARNING), (">", QC.PASS), (">=", QC.FAIL))


def test_levels_are_those_of_the_table(history):
    table = history.workflow.qc_table(include_scratched=True)
    seen = set()
    for check in ("session", "suite2p_qc", "red_cell_qc", "dataset"):
        levels = [None if name == "NOT_APPLICABLE" else QC[name] for name in table[f"qc:{check}"]]
        seen |= set(levels)
        for operator, level in COMPARED:
            mask = [passes(each, operator, level) for each in levels]
            rest = [not each for each in mask]
            wanted = {f"qc.{check}": (level.name, operator)}
            assert selected(history, wanted) == keys_of(table[mask]), (check, operator, level)
            opposite = f"not qc.{check} {operator} {level.name}"
            assert selected(history, opposite) == keys_of(table[rest]), opposite
        mask = [each is None for each in levels]
        assert selected(history, f"qc.{check} is missing") == keys_of(table[mask])
        mask = [each in {QC.PASS, QC.WARNING} for each in levels]
        assert selected(history, f"qc.{check} between PASS and WARNING") == keys_of(table[mask])
    assert seen == {None, *QC}
    same = selected(history, "qc.red_cell_qc <= 30")
    assert selected(history, qc_lte={"red_cell": "WARNING"}) == same


def test_level_of_the_session_shows_scratched_ones_by_itself(history):
    assert keys_of(history.sessions.frame(qc={"session": "FAIL"})) == [A3]
    assert keys_of(history.sessions.frame("qc.session >= FAIL")) == [A3]


def test_age_is_counted_in_weeks_from_birth(history):
    born = dt.date(2022, 10, 6)
    ages = {key: (dt.date.fromisoformat(key[3:13]) - born).days / 7 for key in KEYS[:5]}
    assert ages[A1] == 8
    assert selected(history, age_weeks=(8, 9.3)) == [key for key in ages if ages[key] <= 9.3]
    assert selected(history, age_weeks=(None, 8)) == [A1, A2]
    assert selected(history, age_weeks=(8.2, None)) == [A3, A4, A5]
    assert selected(history, age_weeks=(9, ">")) == [A4, A5]
    assert selected(history, "not age_weeks > 8") == [A1, A2, B1, B2]
    assert selected(history, "age_weeks is missing or age_weeks = 8") == [A1, A2, B1, B2]
    assert selected(history, "age_weeks != 8") == [A3, A4, A5, B1, B2]


def test_days_are_counted_since_the_session_before_that_is_not_scratched(history):
    assert selected(history, days_since_last=(None, 3)) == [A2, B2]
    assert selected(history, days_since_last=0) == [A2]
    assert selected(history, "days_since_last = 9") == [A4]
    assert selected(history, "days_since_last >= 14") == [A5]
    assert selected(history, "days_since_last is missing") == [A1, A3, B1]
    assert selected(history, "not days_since_last < 9") == [A1, A3, A4, A5, B1]


def test_place_among_the_sessions_of_the_mouse_leaves_scratched_ones_out(history):
    assert selected(history, nth_session=1) == [A1, B1]
    assert selected(history, nth_session=2) == [A2, B2]
    assert selected(history, nth_session=(3, None)) == [A4, A5]
    assert selected(history, nth_session="last") == [A5, B2]
    assert selected(history, nth_session=[1, "last"]) == [A1, A5, B1, B2]
    assert selected(history, "nth_session = last and imaging") == [A5]
    assert selected(history, "nth_session != last") == [A1, A2, A3, A4, B1]
    assert selected(history, "nth_session is missing") == [A3]
    assert selected(history, "not nth_session < 3") == [A3, A4, A5]


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("age_weeks >= 8.1", [A3, A4, A5]),
        ("age_weeks < 8.1", [A1, A2]),
        ("age_weeks between 8.2 and 8.4", []),
        ("age_weeks < 1e308", [A1, A2, A3, A4, A5]),
        ("days_since_last < 0.5", [A2]),
        ("not days_since_last <= 8.5", [A1, A3, A4, A5, B1]),
        ("days_since_last = 0.5", []),
        ("days_since_last in (0.5, 9)", [A4]),
        ("days_since_last != 9.5", [A1, A2, A3, A4, A5, B1, B2]),
        ("nth_session = 1.5", []),
        ("nth_session > 2.5", [A4, A5]),
    ],
)
def test_a_fraction_is_compared_with_and_not_the_whole_number_below_it(history, condition, keys):
    assert selected(history, condition) == keys


def test_datasets_are_named_with_or_without_extension_and_folder(history):
    both = [A1, B1]
    for name in ("trials.startTimes", "trials.startTimes.npy", "Trials.startTimes"):
        assert selected(history, has_dataset=name) == both
    for pattern in ("trials.%", "trials.startTimes", "trials.st% <= WARNING"):
        assert selected(history, f"has_dataset like '{pattern}'") == both
    assert selected(history, has_dataset=["mpci.times", "trials.startTimes"]) == both
    # That of A1 has WARNING, that of B1 is not set.
    for level, found in (("NOT_SET", [B1]), ("pass", [B1]), ("WARNING", both)):
        assert selected(history, has_dataset=f"trials.startTimes <= {level}") == found
        assert selected(history, f"has_dataset = 'trials.startTimes <= {level}'") == found
    for name in ("trials", "startTimes", "trials.start", "trials_startTimes", "%"):
        assert selected(history, has_dataset=name) == ([] if name != "trials" else both)
    for name in ("my_wheel", "raw/my_wheel.position", "raw/#2024-01-01#/_ibl_my_wheel.position"):
        assert selected(history, has_dataset=name) == [A1]
        assert selected(history, has_dataset=f"b{name}") == []
    assert selected(history, has_dataset="wheel") == []
    rest = [key for key in KEYS if key not in both]
    assert selected(history, "not has_dataset = trials.startTimes") == rest
    assert selected(history, has_dataset=("trials.startTimes", "!=")) == rest


def test_lab_and_projects_that_a_cache_told_are_compared(history):
    with history._lab.unit() as unit:
        told = {A1: ("cortexlab", "brainwide,pilot"), B1: ("mainenlab", None)}
        for key, (lab, projects) in told.items():
            names = {"one_id": None, "lab": lab, "projects": projects}
            number = unit.sessions.get(SessionKey.parse(key)).uSessionID
            unit.one.add([{"uSessionID": number, **names}])
        unit.commit()
    assert selected(history, lab="cortexlab") == [A1]
    assert selected(history, "lab in (cortexlab, mainenlab)") == [A1, B1]
    assert selected(history, "lab != cortexlab and projects is missing and lab is not missing") == [
        B1
    ]
    assert selected(history, projects=("%pilot%", "like")) == [A1]
    assert selected(history, "not projects like '%pilot%'") == [key for key in KEYS if key != A1]


def test_datasets_of_which_nobody_has_judged_any_are_not_set(history):
    rest = [key for key in KEYS if key not in {A1, B1}]
    for level, keys in (("NOT_SET", [B1]), ("WARNING", [A1]), ("NOT_APPLICABLE", rest)):
        assert selected(history, f"qc.dataset = {level}") == keys
        frame = history.sessions.frame(columns=[*KEY, "qc__dataset"], include_scratched=True)
        assert keys_of(frame[frame["qc__dataset"] == level]) == keys
    assert selected(history, "qc.dataset <= PASS") == [B1]


def test_changes_since_a_time_are_those_of_the_session_itself(history):
    changed = history.history(B1)["occurred_at"].iloc[-1].to_pydatetime()
    assert selected(history, changed_since=changed) == [B1]
    assert selected(history, changed_since=changed + dt.timedelta(seconds=1)) == []
    assert selected(history, "changed_since = today") == [B1]
    assert selected(history, changed_since="Today") == [B1]
    assert selected(history, sessionDate=("today - 1 day", "<")) == sorted(KEYS)
    assert selected(history, sessionDate=(["yesterday", "today"], "between")) == []
    assert selected(history, sessionNotes="today") == []
    assert selected(history, "changed_since = today - 3 days") == sorted(KEYS)
    assert selected(history, "changed_since = 2020-01-01 and not changed_since = today") == sorted(
        set(KEYS) - {B1}
    )
    assert list(history.mice.frame(changed_since="2020-01-01")["mouseName"]) == ["M1", "M2"]
    assert history.mice.count("changed_since = today + 1 day") == 0


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"state": {"registraton": "done"}}, "Did you mean 'registration'"),
        ({"state": {"registration": "dun"}}, "Did you mean 'done'"),
        ({"state": "done"}, 'state={"registration": "done"}'),
        ({"state": {"registration": ("done", "<")}}, "does not apply"),
        ({"qc": {"sesion": "PASS"}}, "Did you mean 'session'"),
        ({"qc_lte": {"session": "WARN"}}, "Did you mean 'WARNING'"),
        ({"qc_lte": "WARNING"}, 'qc_lte={"session": "WARNING"}'),
        ({"qc": {"session": ("P%", "like")}}, "does not apply"),
        ({"age_weeks": (None, None)}, "one end at least"),
        ({"age_weeks": "old"}, "not a number"),
        ({"age_weeks": ("8%", "like")}, "not text"),
        ({"qc": {"session": ("P", "contains")}}, "does not apply"),
        ({"days_since_last": (1, 2, 3)}, "neither a value nor"),
        ({"nth_session": "first"}, "not a number"),
        ({"nth_session": ("last", "<")}, "'last' takes"),
        ({"has_dataset": 3}, "mpci.times"),
        ({"has_dataset": None}, "takes a value"),
        ("has_dataset is missing", "or a list and in; for the opposite write: not has_dataset = "),
        ("has_dataset = ''", "not an empty one"),
        ({"has_dataset": " <= PASS"}, "not an empty one"),
        ({"has_dataset": ("a", "<")}, "== or like"),
        ({"has_dataset": "mpci.times <= GOOD"}, "QC level"),
        ("has_dataset = 'mpci.times > WARNING'", "<= and a level"),
        ("not has_dataset in ('mpci.times = FAIL', a)", "<= and a level"),
        ({"has_dataset": "a" * 1001}, "1000 letters at most"),
        (f"sessionNotes like '{'%a' * 25_000}'", "1000 letters at most"),
        ({"changed_since": "soon"}, "not a time"),
        ("qc = PASS", "in a condition qc.session = PASS"),
        ("qc.registration = PASS", "compare its state: state.registration = done"),
        ("imaging and state", "in a condition state.registration = done"),
        ("attempts.registration = failed", "compare the state of a stage: state.registration"),
        ("datasets.bytes > 3", "has_dataset = mpci.times"),
        ("key = M1", "does not name a session"),
        ({"key": (B1, "<")}, "'==' or 'in'"),
        ({"key": [B1, None]}, "does not name a session"),
        ("sessionDate >= today - 99999999 days", "years 1 to 9999"),
        (f"sessionDate < today + {'9' * 40} weeks", "years 1 to 9999"),
        ("changed_since = today - 800000 days", "years 1 to 9999"),
        ({"nth_sesion": 1}, "Did you mean 'nth_session'"),
    ],
    ids=repr,
)
def test_a_wrong_value_beyond_columns_gets_one_clear_error(history, filters, said):
    with pytest.raises((InvalidValueError, UnknownNameError)) as refused:
        history.sessions.frame(filters)
    assert said in str(refused.value)


def test_as_much_as_is_allowed_is_taken_and_more_refused_also_piece_by_piece(history):
    query = history.query(sessionNotes=("%a" * 500, "like"))
    for _ in range(199):
        query = query.where("not numPlanes between 1 and 5")
    assert query.count() == 0
    with pytest.raises(InvalidValueError, match="more than 200 comparisons"):
        query.where("imaging").count()


def test_mice_have_no_filters_of_sessions(history):
    for filters in ({"nth_session": 1}, {"state": {"registration": "done"}}, {"age_weeks": 8}):
        with pytest.raises(VrtrackerError):
            history.mice.frame(filters)


# -- every form, everywhere --------------------------------------------------------------------

IMAGED = (Session.imaging == sa.true()) & (sa.false() == Mouse.KO)
FORMS: dict[str, Any] = {
    "a mapping": {"imaging": True, "mouse__KO": False},
    "a mapping with a point": {"imaging": True, "mouse.KO": False},
    "a condition": "imaging and not mouse.KO",
    "an expression": IMAGED,
    "a subquery": Session.imaging.is_(True)
    & sa.exists().where(Mouse.mouseName == Session.mouseName, Mouse.KO.is_(False)),
    "a selection": Selection.written("imaging") & Selection.of({"mouse__KO": False}),
}


class Query:
    """What holds a selection, as a query does."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_selects_the_same_in_every_call(history, form):
    workflow, sessions = history.workflow, history.sessions
    wanted = [A1, A2, A4, A5]
    query = Query(history.sessions.rules.lab.selection(form))
    for given_form in (form, query, pickle.loads(pickle.dumps(query.selection))):
        assert keys_of(sessions.frame(given_form)) == wanted
    assert sessions.count(form) == 4
    assert sorted(str(one.key) for one in sessions.iter(form)) == wanted
    assert sessions.update({"numPlanes": 5}, form, dry_run=True).matched == 5
    assert keys_of(workflow.table(form)) == wanted
    assert keys_of(workflow.qc_table(form)) == wanted
    assert workflow.status(form).loc["registration"].sum() == 5
    assert keys_of(workflow.needs("red_cell_qc", form)) == [A2, A4]
    assert len(workflow.held_back(None, form)) == 0
    assert len(workflow.activity(form).mice["mouseName"].unique()) == 1
    assert workflow.outdated("registration", form, registrar=good).compared == 1
    assert history.reconcile(form, only_present=True).found is not None


def test_selections_are_narrowed_by_keywords_and_by_each_other(history):
    imaged = history.sessions.rules.lab.selection("imaging")
    assert keys_of(history.sessions.frame(imaged, sessionID=(1, "!="))) == [A2, A4]
    assert keys_of(history.sessions.frame(imaged & Selection.of({"sessionID": 7}))) == [A4]
    assert keys_of(history.sessions.frame({"imaging": True}, imaging=False)) == []


def test_a_key_is_a_key_and_finds_a_scratched_session_too(history):
    for key in (A3, A3.replace(".", "/"), tuple(A3.split(".")), history.sessions.get(A3)):
        assert keys_of(history.sessions.frame(key)) == [A3]
    assert history.mice.count("M2") == 1
    assert history.mice.count("KO = true") == 1


def test_a_list_of_keys_selects_them_in_every_call(history):
    sessions, workflow = history.sessions, history.workflow
    several = [B1, SessionKey.parse(A3), tuple(A1.split(".")), A1]
    found = sessions.frame(several, columns=["sessionID", "sessionDate", "mouseName"])

    assert found.equals(sessions.frame(key=[A1, A3, B1], columns=list(found.columns)))
    assert keys_of(found) == [A1, A3, B1]
    assert list(map(str, history.query({A1, A4}).order_by("sessionID").keys())) == [A1, A4]
    assert list(map(str, history.query({A1, A4}).keys())) == [A4, A1]
    assert keys_of(history.query().where([A1, A2]).frame()) == [A1, A2]
    assert keys_of(workflow.needs("red_cell_qc", [A1, A2])) == [A2]
    assert sessions.update({"numPlanes": 5}, [A1, B2], dry_run=True).matched == 2
    assert history.mice.count(["M1", "M2"]) == 2


def test_a_list_with_a_key_that_is_none_or_of_no_session_is_told(history):
    needs = partial(history.workflow.needs, "registration")
    for call in (history.sessions.frame, history.query, needs):
        with pytest.raises(NotFoundError, match=r"M1\.2022-12-01\.9.*M1\.2022-12-01\.1"):
            call([A1, "M1.2022-12-01.9"])
        with pytest.raises(InvalidKeyError, match="'M1' does not name a session"):
            call([A1, "M1"])
        with pytest.raises(InvalidKeyError, match=r"^A DataFrame of 2 rows .* list of keys"):
            call(history.sessions.frame([A1, A2]))
    with pytest.raises(NotFoundError, match="M3"):
        history.mice.frame(["M1", "M3"])
    with pytest.raises(InvalidKeyError, match="does not name a session"):
        history.sessions.frame(["M1", "2022-12-99", 1])


def test_a_run_takes_a_list_of_keys_in_the_order_of_their_rows(lab, workflow):
    keys = [f"M1.2023-01-20.{number}" for number in (1, 2, 3)]
    for key in keys:
        lab.add(key)

    with pytest.raises(NotFoundError, match=r"M1\.2023-01-20\.4"):
        workflow.run("registration", [keys[0], "M1.2023-01-20.4"], registrar=good)
    report = workflow.run("registration", [keys[2], keys[0]], registrar=good)

    assert [str(result.key) for result in report.results] == [keys[0], keys[2]]


def test_a_condition_of_several_lines_is_told_in_two(history):
    with pytest.raises(ConditionError, match=r"^[^\n]+\n  mouseNa  M1\n  \^$"):
        history.sessions.frame("mouseNa\n M1")


def test_a_text_that_is_neither_key_nor_condition_is_told_both(history):
    with pytest.raises(ConditionError, match=r"Nor is it a key.* mouseName = M1\.2022-12-01"):
        history.sessions.frame("M1.2022-12-01")
    with pytest.raises(ConditionError, match=r"Known: mouse\.KO"):
        history.sessions.frame("KO and imaging")


def test_an_expression_on_another_table_or_without_a_truth_is_refused(history):
    for clause in (Dataset.stage == "registration", Session.sessionID):
        with pytest.raises(InvalidValueError):
            history.sessions.frame(clause)
    with pytest.raises(InvalidValueError):
        history.mice.frame(Session.imaging == sa.true())


def test_a_condition_holds_at_the_moment_of_each_claim(lab, workflow):
    for number in (1, 2, 3):
        lab.add(f"M1.2023-01-20.{number}", sessionNotes="wanted")
    seen: list[int] = []

    def work(job: Any) -> None:
        seen.append(job.key.number)
        if job.key.number == 1:
            lab.tracker.sessions.update({"sessionNotes": "not now"}, "M1.2023-01-20.2")

    workflow.run(
        "registration", "sessionNotes = wanted and state.registration = ready", registrar=work
    )
    assert seen == [1, 3]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_condition_goes_to_workers(lab, workflow):
    for number in (1, 2, 3):
        lab.add(f"M1.2023-01-20.{number}")
    lab.tracker.sessions.update({"sessionNotes": "wanted"}, sessionID=[1, 3])

    report = workflow.run(
        "registration", Session.sessionNotes == "wanted", registrar=good, workers=2
    )

    assert sorted(result.key.number for result in report.results) == [1, 3]
    assert report.succeeded == 2


# -- the page ----------------------------------------------------------------------------------

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "selecting.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SHOWN = [line for kind, text in BLOCKS if kind == "condition" for line in text.splitlines()]
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \|", PAGE, re.MULTILINE)


@pytest.mark.own_rule
@pytest.mark.parametrize("condition", SHOWN)
def test_conditions_of_the_page_are_read(history, condition):
    assert history.sessions.count(condition) + history.sessions.count(f"not ({condition})") == 6


@pytest.mark.parametrize(("condition", "keyword"), ROWS)
def test_conditions_and_keywords_of_the_page_say_the_same(history, condition, keyword):
    filters = eval(f"dict({keyword})")
    assert selected(history, filters) == selected(history, condition)


def test_calls_of_the_page_select_the_same(history):
    (calls,) = (text for kind, text in BLOCKS if kind == "python")
    names = {"tracker": history, "Session": Session}
    found = [eval(line.partition("  #")[0], names) for line in calls.splitlines()]
    assert [len(frame) for frame in found] == [4, 4, 4, 1, 2, 2, 0, 0]


def test_the_error_of_the_page_is_the_one_that_is_said(history):
    (text,) = (text for kind, text in BLOCKS if kind == "text")
    with pytest.raises(ConditionError) as refused:
        history.sessions.count("mouse.KO and imagin")
    assert f"error: {refused.value}\n" == text
