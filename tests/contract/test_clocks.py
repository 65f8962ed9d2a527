"""Computers with wrong clocks: the tracker goes by the database's clock, or its drive's."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import pickle

import pytest

from support.registrars import good
from vrtracker import clock
from vrtracker.database import Database, DatabaseClock
from vrtracker.errors import ClaimHeldError, InvalidTransitionError
from vrtracker.services.context import LabContext

ONE = "M1.2023-01-20.1"
HOUR = dt.timedelta(hours=1)


def wrong(by: dt.timedelta) -> dt.datetime:
    return clock.precise() + by


@pytest.fixture
def host(lab):
    """Return a tracker of another computer whose clock is wrong."""

    def of(name: str, by: dt.timedelta):
        database = Database(lab.url)
        now = DatabaseClock(database, host=functools.partial(wrong, by))
        return lab.another(database=database, now=now, host_name=name, actor=name)

    return of


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_living_claim_is_not_taken_over_by_a_computer_whose_clock_is_wrong(lab, host, ahead):
    lab.add(ONE)
    right, other = host("right", dt.timedelta()), host("wrong", ahead)
    seen = []

    def work(job):
        seen.append(other.workflow.run(registrar=good).results)
        with pytest.raises(InvalidTransitionError):
            other.workflow.run("registration", ONE, registrar=good)
        with pytest.raises(ClaimHeldError):
            other.workflow.release(ONE)
        good(job)

    assert right.workflow.run(registrar=work).succeeded == 1
    assert seen == [()]


def test_claim_of_a_computer_whose_clock_is_behind_holds_for_others(lab, host):
    lab.add(ONE)
    right, behind = host("right", dt.timedelta()), host("wrong", -HOUR)
    seen = []

    def work(job):
        seen.append(right.workflow.run(registrar=good).results)
        good(job)

    assert behind.workflow.run(registrar=work).succeeded == 1
    assert seen == [()]
    [started] = right.workflow.attempts(ONE)["started_at"]
    assert abs(started - clock.now()) < HOUR / 2


def test_wrong_clock_is_told_once_and_put_right(lab, caplog):
    ahead = [HOUR]
    now = DatabaseClock(lab.tracker.database.handle, host=lambda: clock.precise() + ahead[0])
    with caplog.at_level(logging.WARNING):
        assert abs(now() - clock.now()) < HOUR / 2
        assert abs(now.skew() - HOUR) < HOUR / 2
        now()
    [message] = caplog.messages
    assert "3600 s ahead" in message

    # Somebody sets the clock right in the middle of the work.
    ahead[0] = dt.timedelta()
    assert abs(now() - clock.now()) < HOUR / 2
    assert now.skew() == dt.timedelta()


@pytest.mark.own_rule
def test_clock_goes_by_the_database_unless_told_otherwise_and_travels(lab):
    context = LabContext(database=lab.tracker.database.handle, stages=lab.stages, actor="ann")
    assert isinstance(context.now, DatabaseClock)
    travelled = pickle.loads(pickle.dumps(context))
    assert abs(travelled.now() - context.now()) < HOUR / 2
    travelled.database.dispose()
    assert lab.tracker._lab.now() == lab.clock()


@pytest.mark.own_rule
def test_skew_is_zero_where_the_clocks_agree(lab):
    assert DatabaseClock(lab.tracker.database.handle).skew() == dt.timedelta()
    readonly = Database(lab.url, readonly=True)
    assert DatabaseClock(readonly).skew() == dt.timedelta()
    readonly.dispose()
