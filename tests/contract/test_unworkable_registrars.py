"""A registrar that cannot work at all ends a run before it claims anything."""

from __future__ import annotations

import pytest

from support.registrars import Counting, good
from support.workflow_lab import WorkflowLab
from vrtracker.errors import ConfigurationError, UnknownNameError, VrtrackerError

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"


class Lacking(Counting):
    """A registrar of the lab whose library is not there."""

    def check(self) -> None:
        raise ModuleNotFoundError("No module named 'sklearn'")


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        for key in (ONE, TWO):
            made.add(key)
        yield made


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "preprocess.sh"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("registrar", "options", "cause"),
    [
        ("command: no-such-program {key}", None, "no program 'no-such-program'"),
        ("command: /no/such/program {key}", None, "no program '/no/such"),
        ("command: ~/bin/process {key}", None, "no program '~/bin"),
        ("command: SCRIPT {key}", None, "preprocess.sh' may not be run.*chmod"),
        ("command: true {ky}", None, "no placeholder 'ky'"),
        ("command: true {key:d}", None, "is broken"),
        ("command: true", {"timeout": 5}, "does not take that"),
        ("alf", {"hash": False}, "does not take that"),
        (Lacking(), None, "'counting' cannot work .*No module named 'sklearn'"),
    ],
)
def test_run_is_refused_whole_when_the_registrar_cannot_work(
    lab, script, registrar, options, cause
):
    before = lab.dump()
    if isinstance(registrar, str):
        registrar = registrar.replace("SCRIPT", str(script))

    with pytest.raises((ConfigurationError, UnknownNameError), match=cause):
        lab.tracker.workflow.run(registrar=registrar, options=options)

    assert lab.dump() == before
    assert (lab.litter(ONE), lab.litter(TWO)) == ([], [])


def test_run_of_one_session_is_refused_alike(lab):
    before = lab.dump()

    with pytest.raises(ConfigurationError, match="no program"):
        lab.tracker.workflow.run("registration", ONE, registrar="command: no-such-program")

    assert lab.dump() == before


@pytest.mark.own_rule
@pytest.mark.parametrize("command", ["python code/preprocess.py {key}", "./code/preprocess.py"])
def test_file_of_the_callers_folder_is_not_what_a_command_would_find(
    lab, tmp_path, monkeypatch, command
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "preprocess.py").write_text("print('done')")
    monkeypatch.chdir(tmp_path)
    before = lab.dump()

    with pytest.raises(ConfigurationError) as caught:
        lab.tracker.workflow.run(registrar=f"command: {command}")

    assert "runs in each session's folder" in str(caught.value)
    assert str(tmp_path / "code" / "preprocess.py") in str(caught.value)
    assert lab.dump() == before


def test_registrar_is_asked_once_for_all_sessions(lab):
    asked = []

    class Counted(Counting):
        def check(self) -> None:
            asked.append(lab.state(ONE, "registration"))

    assert lab.tracker.workflow.run(registrar=Counted()).succeeded == 2
    assert asked == ["ready"]


def test_check_of_a_function_is_its_own_attribute(lab):
    def work(job):
        good(job)

    def check():
        raise ValueError("the licence has run out")

    work.check = check

    with pytest.raises(ConfigurationError, match="the licence has run out"):
        lab.tracker.workflow.run(registrar=work)
    assert lab.tracker.workflow.attempts(ONE).empty


def test_our_own_error_of_a_check_is_raised_as_it_is(lab):
    class Refusing(Counting):
        def check(self) -> None:
            raise VrtrackerError("The licence server is down; try again later.")

    with pytest.raises(VrtrackerError, match=r"^The licence server is down; try again later\.$"):
        lab.tracker.workflow.run(registrar=Refusing())


@pytest.mark.parametrize("program", ["./run.sh", "{session_path}/run.sh"])
def test_program_of_the_sessions_own_is_looked_for_in_each_session(lab, program):
    program_of_one = lab.folder(ONE) / "run.sh"
    program_of_one.write_text("#!/bin/sh\nexit 0\n")
    program_of_one.chmod(0o755)

    report = lab.tracker.workflow.run(registrar=f"command: {program} {{key}}")

    assert [result.outcome for result in report.results] == ["succeeded", "failed"]
    assert "cannot be run" in report.results[1].error
