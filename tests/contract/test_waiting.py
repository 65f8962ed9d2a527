"""A worker that stays: it waits for work, is woken, and survives that the database goes away."""

from __future__ import annotations

import datetime as dt

import pytest

from support.registrars import bad, good, noted
from vrtracker.errors import RootUnavailableError
from vrtracker.services.workflow import waiting


@pytest.fixture
def waits_short(monkeypatch):
    """Look for work at once, where nobody can wake a worker; where somebody can, never."""
    monkeypatch.setattr(waiting, "_LOOK_S", 0.1)
    monkeypatch.setattr(waiting, "_LOOK_WHEN_WOKEN_S", 3600.0)


def ends_after(number: int, done: list) -> object:
    return lambda: "enough" if len(done) >= number else None


def test_a_worker_waits_for_sessions_that_others_add(lab, workflow, tmp_path, waits_short):
    lab.add("M1.2023-01-20.1")
    done, said, file = [], [], tmp_path / "done"
    other = lab.another(actor="ben")

    def say(text):
        said.append(text)
        key = f"M1.2023-01-21.{len(said)}"
        lab.folder(key).mkdir(parents=True)
        other.sessions.add(key)

    report = workflow.serve(
        registrar=noted,
        options={"file": str(file)},
        say=say,
        stop=ends_after(3, done),
        progress=lambda *step: done.append(step) if step[-1] else None,
    )

    assert (report.succeeded, report.stopped) == (3, "enough")
    expected = ["M1.2023-01-20.1", "M1.2023-01-21.1", "M1.2023-01-21.2"]
    assert file.read_text().split() == expected
    assert said == ["Nothing is left to do; waiting for more."] * 2
    starts = lab.tracker.events(100).query("verb == 'start'")
    assert starts["operation_id"].nunique() == 3


@pytest.mark.own_rule
def test_a_worker_tries_once_what_fails(lab, workflow, waits_short):
    lab.add("M1.2023-01-20.1")
    said = []

    def stop():
        return "enough" if len(said) > 1 else None

    def say(text):
        said.append(text)
        if len(said) == 1:
            lab.add("M1.2023-01-20.2")

    report = workflow.serve(registrar=bad, say=say, stop=stop)

    assert [str(result.key) for result in report.results] == [
        "M1.2023-01-20.1",
        "M1.2023-01-20.2",
    ]


@pytest.mark.own_rule
def test_limits_of_a_worker_hold_for_all_that_it_does(lab, workflow, waits_short):
    for number in range(1, 5):
        lab.add(f"M1.2023-01-20.{number}")

    assert workflow.serve(registrar=good, until_empty=True, budget_minutes=0).results == ()
    report = workflow.serve(registrar=good, until_empty=True, max_sessions=3)
    assert (report.succeeded, report.stopped, report.left) == (
        3,
        "the limit of 3 sessions is reached",
        1,
    )
    assert workflow.serve(registrar=good, until_empty=True, max_sessions=3).stopped is None


@pytest.mark.own_rule
def test_a_worker_that_ends_while_its_root_is_away_names_its_stage(
    lab, workflow, tmp_path, waits_short, monkeypatch
):
    monkeypatch.setattr(waiting, "_LOOK_WHEN_WOKEN_S", 0.1)
    away, told = tmp_path / "away", []

    def stop() -> str | None:
        if told and not away.exists():
            lab.root.rename(away)
        return "told to end" if len(told) > 1 else None

    report = workflow.serve("registration", stop=stop, say=told.append)

    away.rename(lab.root)
    assert (report.stage, report.stopped) == ("registration", "told to end")


def test_a_root_that_is_missing_from_the_start_is_not_waited_for(lab):
    for root in (None, lab.root / "nowhere"):
        with pytest.raises(RootUnavailableError):
            lab.another(root=root).workflow.serve(registrar=good, until_empty=True)


def test_a_worker_outlives_a_server_that_goes_away(postgres_server, tmp_path, monkeypatch):
    import uuid

    from sqlalchemy import create_engine, text

    from support.workflow_lab import WorkflowLab
    from vrtracker.database.migration import upgrade

    monkeypatch.setattr(waiting, "_LOOK_WHEN_WOKEN_S", 0.5)
    name = f"away_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name)
    upgrade(postgres_server.url(name))
    server = create_engine(postgres_server.url("postgres"), isolation_level="AUTOCOMMIT")
    said, done = [], []

    def allow(*, connections: bool) -> None:
        with server.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {connections}'))
            if not connections:
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                connection.execute(text(end), {"name": name})

    def say(message):
        said.append(message)
        if len(said) == 1:
            allow(connections=False)
        elif len(said) == 2:
            allow(connections=True)
            lab.tracker.close()
            lab.add("M1.2023-01-20.1")

    try:
        with WorkflowLab(postgres_server.url(name), tmp_path / "root") as lab:
            report = lab.another(patience=dt.timedelta(seconds=1)).workflow.serve(
                registrar=good,
                say=say,
                stop=ends_after(1, done),
                progress=lambda *step: done.append(step) if step[-1] else None,
            )
    finally:
        server.dispose()
        postgres_server.drop_database(name)
    assert report.succeeded == 1
    assert said[0].startswith("Nothing is left")
    assert said[1].endswith("Trying again, for 15 minutes.")
    assert len(said) == 2
