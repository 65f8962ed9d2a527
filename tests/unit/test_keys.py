from __future__ import annotations

import datetime as dt
import pickle
import uuid
from pathlib import PurePosixPath
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrtracker.domain.keys import SessionKey, parse_mouse_name, parse_number
from vrtracker.errors import InvalidKeyError, InvalidValueError

DAY = dt.date(2023, 1, 20)
KEY = SessionKey("ATL012", DAY, 702)

KEYS = st.builds(
    SessionKey,
    mouse=st.from_regex(r"[A-Za-z0-9_.-]*[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True),
    date=st.dates(),
    number=st.integers(0, 2**31 - 1),
)


@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        "ATL012.2023-01-20.702",
        "  ATL012.2023-01-20.702\n",
        "ATL012.2023-1-20.702",
        "ATL012/2023-01-20/702",
        "ATL012\\2023-01-20\\702",
        "/mnt/data/Subjects/ATL012/2023-01-20/702",
        "D:\\Subjects\\ATL012\\2023-01-20\\702\\",
        "2023-01-20_702_ATL012",
        ("ATL012", "2023-01-20", 702),
        ("ATL012", "2023-01-20", "702"),
        ("ATL012", DAY, 702),
        ("ATL012", dt.datetime(2023, 1, 20, 23, 59), 702),
        ("ATL012", pd.Timestamp("2023-01-20"), np.int32(702)),
        ("ATL012", np.datetime64("2023-01-20"), 702.0),
        (np.str_("ATL012"), "20230120", np.float64(702)),
        ["ATL012", "2023/01/20", "0702"],
        {"mouseName": "ATL012", "sessionDate": DAY, "sessionID": 702, "imaging": True},
        {"mouse": "ATL012", "date": "2023-01-20", "number": 702},
        {"subject": "ATL012", "date": "2023-01-20", "number": "702"},
        {"mouse_name": "ATL012", "session_date": "2023-01-20", "session_id": 702},
        pd.Series({"mouseName": "ATL012", "sessionDate": pd.Timestamp(DAY), "sessionID": 702}),
        SimpleNamespace(mouseName="ATL012", sessionDate=DAY, sessionID=702),
        SimpleNamespace(mouse_name="ATL012", date="2023-01-20", session_id="702"),
        SimpleNamespace(key=KEY),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_every_usual_spelling_is_read(spelling):
    assert SessionKey.parse(spelling) == KEY


@pytest.mark.parametrize("folder", ["001", "1", "0001"])
def test_padded_folder_is_the_number(folder):
    assert SessionKey.parse(("ATL012", DAY, folder)).number == 1
    assert SessionKey.parse(f"ATL012/2023-01-20/{folder}").number == 1


def test_mouse_name_may_hold_dots_dashes_and_underscores():
    for mouse in ("CR_Hippocannula7", "a.b", "M-1", "2023", "a.2023-01-01.5"):
        key = SessionKey(mouse, DAY, 702)
        assert SessionKey.parse(str(key)) == key
        assert SessionKey.parse(f"x/{mouse}/2023-01-20/702") == key


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "ATL012",
        "ATL012.2023-01-20",
        "ATL012.20-01-2023.702",
        "ATL012.2023-02-30.702",
        "ATL012.2023-01-20.70x",
        "ATL012.2023-01-20.-1",
        "ATL012.2023-01-20.2147483648",
        "ATL 012.2023-01-20.702",
        "..2023-01-20.702.2023-01-20.x",
        "..2023-01-20.702",
        "ATL012.2023-01-20.702.npy",
        "ATL012.2023-01-20.\u0667x",
        "'; DROP TABLE sessiondb; --",
        ("ATL012", "2023-01-20"),
        ("ATL012", "2023-01-20", 702, 1),
        (None, "2023-01-20", 702),
        ("ATL012", None, 702),
        ("ATL012", "2023-01-20", None),
        ("ATL012", "2023-01-20", True),
        ("ATL012", "2023-01-20", 70.5),
        ("ATL012", 20230120, 702),
        ("..", "2023-01-20", 702),
        ("a/b", "2023-01-20", 702),
        {"mouse": "ATL012"},
        {},
        [],
        pytest.param(object(), id="an object"),
        None,
        702,
        b"ATL012.2023-01-20.702",
    ],
    ids=lambda value: repr(value)[:50],
)
def test_nonsense_is_refused_and_shown(nonsense):
    with pytest.raises(InvalidKeyError, match=r"ATL012\.2023-01-20\.702"):
        SessionKey.parse(nonsense)


@given(KEYS)
def test_printed_key_is_read_back(key):
    assert SessionKey.parse(str(key)) == key


@given(KEYS)
def test_path_and_reference_are_read_back(key):
    assert SessionKey.parse(str(key.path)) == key
    assert SessionKey.parse(f"/root of all/{key.path}/") == key
    if "_" not in key.mouse:
        assert SessionKey.parse(key.reference) == key


@given(KEYS)
def test_parts_are_read_back(key):
    assert SessionKey.parse((key.mouse, key.date, key.number)) == key
    assert SessionKey.parse(key.columns) == key
    assert SessionKey.parse((key.mouse, key.date.isoformat(), str(key.number))) == key


@given(st.text() | st.lists(st.text(), max_size=4) | st.integers() | st.none())
def test_whatever_comes_is_a_key_or_our_error(value):
    try:
        key = SessionKey.parse(value)
    except InvalidKeyError:
        return
    assert SessionKey.parse(str(key)) == key


def test_forms_of_a_key():
    assert str(KEY) == "ATL012.2023-01-20.702"
    assert KEY.path == PurePosixPath("ATL012/2023-01-20/702")
    assert KEY.reference == "2023-01-20_702_ATL012"
    assert SessionKey("ATL012", DAY, 1).reference == "2023-01-20_001_ATL012"
    assert SessionKey("ATL012", DAY, 1).path == PurePosixPath("ATL012/2023-01-20/1")
    assert KEY.columns == {"mouseName": "ATL012", "sessionDate": DAY, "sessionID": 702}


def test_id_is_the_same_everywhere_and_another_for_another_key():
    assert KEY.uuid == uuid.UUID(str(KEY.uuid))
    assert KEY.uuid.version == 3
    assert KEY.uuid == SessionKey.parse(str(KEY)).uuid
    others = [SessionKey("ATL013", DAY, 702), SessionKey("ATL012", DAY, 703)]
    assert len({KEY.uuid, *(other.uuid for other in others)}) == 3


def test_keys_are_values():
    assert hash(KEY) == hash(SessionKey("ATL012", DAY, 702))
    assert pickle.loads(pickle.dumps(KEY)) == KEY
    assert sorted([SessionKey("B", DAY, 1), SessionKey("A", DAY, 10), SessionKey("A", DAY, 9)]) == [
        SessionKey("A", DAY, 9),
        SessionKey("A", DAY, 10),
        SessionKey("B", DAY, 1),
    ]
    with pytest.raises(AttributeError):
        KEY.number = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["ATL012", " ATL012 ", np.str_("ATL012")])
def test_mouse_name_is_read(name):
    assert parse_mouse_name(name) == "ATL012"
    assert type(parse_mouse_name(name)) is str


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a b", "a/b", "a\\b", "a\x00", "a'b", 12, None]
)
def test_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(InvalidValueError) as refused:
        parse_mouse_name(name)

    assert refused.value.column == "mouseName"


@pytest.mark.parametrize("number", [702, "702", " 0702 ", 702.0, np.int8(7) * 0 + np.int64(702)])
def test_session_number_is_read(number):
    assert parse_number(number) == 702
    assert type(parse_number(number)) is int


@pytest.mark.parametrize(
    "number",
    [-1, 2**31, 1.5, "7a", "", "1.0", "-1", "\u0667", True, None, float("nan"), float("inf")],
)
def test_no_session_number_is_refused(number):
    with pytest.raises(InvalidValueError) as refused:
        parse_number(number)

    assert refused.value.column == "sessionID"
