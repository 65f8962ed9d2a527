from __future__ import annotations

import inspect
import pickle

import pytest

from vrtracker import errors
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    ConditionError,
    DependentRowsError,
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    LostClaimError,
    MissingDependencyError,
    MissingParentError,
    NotFoundError,
    NotUndoableError,
    SchemaOutOfDateError,
    SchemaTooNewError,
    UnknownMouseError,
    UnknownNameError,
    VrtrackerError,
    nearest,
)

KEY = SessionKey.parse("ATL012.2023-01-20.701")
MADE = [
    InvalidValueError("wrong", column="imaging", value=3, row=2),
    UnknownNameError("column", "imagin", ["imaging", "sessionID"]),
    ConditionError("It ends too soon.", "imaging and", 11, ("a name",), ("imaging",)),
    NotFoundError("session", KEY, ["ATL012.2023-01-20.702"]),
    UnknownMouseError("ATL021", ["ATL012"]),
    MissingParentError("ATL021", can_return=True),
    DuplicateError("session", KEY, "scratched: no laser"),
    NotUndoableError(["A run cannot be undone.", "Nor can this."]),
    DependentRowsError("session", KEY, {"attempts": 2}),
    InvalidTransitionError(
        KEY, "registration", "start", current="running", allowed=["cancel", "scratch"], why="So."
    ),
    LostClaimError(KEY, "registration"),
    SchemaOutOfDateError("0001", "0002", "vrtracker db upgrade"),
    SchemaTooNewError("0009", "0002", "0.1.0"),
    MissingDependencyError("PostgreSQL", "postgresql"),
]


def test_every_exception_of_the_module_is_listed_and_one_of_ours():
    found = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }

    assert found == set(errors.__all__)
    for name in found:
        assert issubclass(getattr(errors, name), VrtrackerError)
        assert getattr(errors, name).__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidKeyError, ValueError),
        (errors.InvalidValueError, ValueError),
        (errors.UnknownNameError, ValueError),
        (errors.NotFoundError, LookupError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_error_can_be_caught_as_pythons_own(error, builtin):
    assert issubclass(error, builtin)


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_message_is_one_sentence_or_more(error):
    assert str(error)
    assert str(error) == str(error).strip()
    assert "None" not in str(error)


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_error_comes_whole_from_another_process(error):
    """Workers send their errors home; concurrent.futures pickles them."""
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_message_carries_values_and_remedy():
    texts = {type(error): str(error) for error in MADE}

    assert "'imaging'" in texts[UnknownNameError]
    assert "ATL012.2023-01-20.702" in texts[NotFoundError]
    assert "vrtracker mice add ATL021" in texts[UnknownMouseError]
    assert "vrtracker mice restore ATL021" in texts[MissingParentError]
    assert "no laser" in texts[DuplicateError]
    assert "2 attempts" in texts[DependentRowsError]
    assert "force=True" in texts[DependentRowsError]
    # A claim is given back by who holds it.
    assert texts[InvalidTransitionError].endswith("Allowed now: scratch.")
    assert "vrtracker db upgrade" in texts[SchemaOutOfDateError]
    assert "pip install" in texts[SchemaTooNewError]
    assert "vrtracker[postgresql]" in texts[MissingDependencyError]


def test_unknown_name_among_many_lists_the_first_of_them():
    many = [f"column{number}" for number in range(60)]

    error = UnknownNameError("column", "??", many)

    assert str(error).endswith(f"Known: {', '.join(many[:12])} and 48 more.")
    assert error.known == tuple(many)


def test_unknown_name_without_a_like_one_lists_the_known():
    error = UnknownNameError("operator", "%%", ["==", "in"])

    assert error.nearest == ()
    assert "==, in" in str(error)


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("imagin", ["imaging", "sessionID"], "imaging"),
        ("SESSIONID", ["imaging", "sessionID"], "sessionID"),
        ("sesionId", ["imaging", "sessionID"], "sessionID"),
        ("ATL021", ["ATL012", "CR_Hippocannula6"], "ATL012"),
    ],
)
def test_nearest_is_found_whatever_the_case(name, known, found):
    assert nearest(name, known)[0] == found


def test_nearest_are_three_at_most_and_none_when_nothing_is_like_it():
    assert len(nearest("ATL01", [f"ATL01{n}" for n in range(9)])) == 3
    assert nearest("zzz", ["imaging"]) == ()
    assert nearest("x", []) == ()
