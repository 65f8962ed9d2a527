"""What follows a failure, by the policy of a stage."""

from __future__ import annotations

import datetime as dt

import pytest

from vrtracker.domain.retrying import NextTry, RunPolicy, names_of_class
from vrtracker.errors import MissingDependencyError

NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def after(policy: RunPolicy, failures: int, error: Exception | None = None) -> NextTry:
    error = error or ValueError("odd")
    return policy.after_failure(error, str(error), failures=failures, at=NOON)


def test_without_a_policy_the_next_run_tries_again_however_often_it_failed():
    assert after(RunPolicy(), 1000) == NextTry(1000)


def test_each_wait_is_longer_up_to_the_longest():
    policy = RunPolicy(first_wait=MINUTE, wait_factor=3, longest_wait=10 * MINUTE)
    waits = [after(policy, failures).retry_after for failures in (1, 2, 3, 4, 100_000)]
    assert waits == [NOON + minutes * MINUTE for minutes in (1, 3, 9, 10, 10)]


def test_attempts_without_a_wait_are_due_at_once():
    assert after(RunPolicy(attempts=2), 1).retry_after == NOON


def test_last_attempt_sets_aside_and_says_why():
    following = after(RunPolicy(attempts=2, first_wait=MINUTE), 2)
    assert following.retry_after is None
    assert following.set_aside == "2 failures, with attempts = 2. The last error: odd"


@pytest.mark.parametrize(
    "name",
    [
        "ImportError",
        "builtins.ImportError",
        "MissingDependencyError",
        "VrtrackerError",
        "vrtracker.errors.MissingDependencyError",
    ],
)
def test_permanent_errors_are_named_with_or_without_module_or_by_a_base(name):
    error = MissingDependencyError("Access", "access")
    following = after(RunPolicy(permanent=[name]), 1, error)
    assert following.set_aside.startswith(f"{name} is permanent. The error: Access needs")


@pytest.mark.parametrize("name", ["ValueErro", "errors.ValueError", "KeyError"])
def test_other_errors_are_not_permanent(name):
    assert after(RunPolicy(permanent=[name]), 1).set_aside is None


def test_names_of_a_class_within_another_are_its_own_and_its_whole_one():
    class InnerError(ValueError):
        pass

    names = names_of_class(InnerError)
    whole = InnerError.__qualname__
    assert {"InnerError", whole, f"{__name__}.{whole}"} <= names
