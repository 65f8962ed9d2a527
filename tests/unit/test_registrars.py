"""Registrars: the ALF indexer, commands, functions, and how each is named."""

from __future__ import annotations

import hashlib
import shlex
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import vrtracker
from support import registrars
from support.registrars import Counting, good
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Job, RegistrarResult
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    RegistrarError,
    UnknownNameError,
)
from vrtracker.registrars import registrar_from, version_of
from vrtracker.registrars.alf_indexer import AlfIndexer
from vrtracker.registrars.command import PLACEHOLDERS, CommandRegistrar
from vrtracker.registrars.function import FunctionRegistrar

PYTHON = shlex.quote(sys.executable)


@pytest.fixture
def job(tmp_path) -> Job:
    session = tmp_path / "root folder" / "M1" / "2023-01-20" / "001"
    staging = session / ".staging"
    staging.mkdir(parents=True)
    key = SessionKey.parse("M1.2023-01-20.1")
    record = SimpleNamespace(mouseName="M1")
    return Job(key, record, session, staging, "oneData", {"fs": 6})


def script(text: str) -> str:
    """Return a command that runs some Python; its braces are the placeholders'."""
    return f"command: {PYTHON} -c {shlex.quote(text)}"


# -- ALF --------------------------------------------------------------------------------------


@pytest.fixture
def alf(job) -> Job:
    folder = job.session_path / "oneData"
    (folder / "#2024-01-01#").mkdir(parents=True)
    np.save(folder / "trials.startTimes.npy", np.arange(3.0))
    np.save(folder / "#2024-01-01#" / "licks.times.npy", np.arange(2.0))
    (folder / "notes.about.txt").write_text("text is not read")
    (folder / "README").write_text("not an ALF name")
    return job


def test_the_indexer_finds_and_hashes(alf):
    result = AlfIndexer().register(alf)
    found = {file.rel_path: file for file in result.datasets}
    assert sorted(found) == [
        "oneData/#2024-01-01#/licks.times.npy",
        "oneData/notes.about.txt",
        "oneData/trials.startTimes.npy",
    ]
    content = (alf.session_path / "oneData/trials.startTimes.npy").read_bytes()
    trials = found["oneData/trials.startTimes.npy"]
    assert trials.md5 == hashlib.md5(content).hexdigest()
    assert trials.size_bytes == len(content)
    assert found["oneData/#2024-01-01#/licks.times.npy"].revision == "2024-01-01"
    assert result.bytes is None
    assert list(alf.staging.iterdir()) == []


def test_the_indexer_knows_the_size_beforehand(alf):
    files = (alf.session_path / "oneData").rglob("*.*.*")
    assert AlfIndexer().estimate(alf) == sum(path.stat().st_size for path in files)


def test_hashes_are_an_option(alf):
    registrar = registrar_from("alf", {"hashes": False})
    assert registrar.options == {"hashes": False}
    assert {file.md5 for file in registrar.register(alf).datasets} == {None}


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_the_indexer_refuses_a_broken_array(alf, content):
    (alf.session_path / "oneData" / "mpci.times.npy").write_bytes(content)
    with pytest.raises(InvalidValueError, match=r"mpci\.times\.npy"):
        AlfIndexer().register(alf)


def test_the_indexer_refuses_a_truncated_array(alf):
    path = alf.session_path / "oneData" / "trials.startTimes.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InvalidValueError, match=r"trials\.startTimes\.npy"):
        AlfIndexer().register(alf)


def test_the_indexer_refuses_a_session_without_files(job):
    with pytest.raises(RegistrarError, match="no ALF-named file"):
        AlfIndexer().register(job)


# -- commands ---------------------------------------------------------------------------------


def test_a_command_gets_what_its_placeholders_name(job):
    show = (
        "import sys; print(*sys.argv[1:], sep='|', file=open(sys.argv[6] + '/seen', 'w'), end='')"
    )
    words = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    registrar_from(f"{script(show)} {words}").register(job)
    assert (job.staging / "seen").read_text().split("|") == [
        "M1.2023-01-20.1",
        "M1",
        "2023-01-20",
        "001",
        str(job.session_path),
        str(job.staging),
        "oneData",
    ]


def test_a_command_that_names_the_staging_folder_and_leaves_it_empty_has_failed(job):
    with pytest.raises(RegistrarError, match="wrote nothing into"):
        registrar_from(f"{script('pass')} {{staging}}").register(job)
    registrar_from(script("pass")).register(job)


def test_a_command_writes_into_staging(job):
    write = "import sys; open(sys.argv[1] + '/a.b.txt', 'w').write('x')"
    result = registrar_from(f"{script(write)} {{staging}}").register(job)
    assert result == RegistrarResult()
    assert (job.staging / "a.b.txt").read_text() == "x"


def test_a_command_is_done_when_all_is_that_may_print_for_it(job):
    later = "import pathlib, sys, time; time.sleep(0.5); pathlib.Path(sys.argv[1]).touch()"
    leaves = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, '-c', {later!r}, sys.argv[1] + '/late.txt'])"
    )
    registrar_from(f"{script(leaves)} {{staging}}").register(job)
    assert (job.staging / "late.txt").exists()


def test_no_shell_reads_the_command(job):
    show = "import sys; print(sys.argv[1:], file=open('seen', 'w'))"
    registrar_from(f"{script(show)} '$HOME' '*' ';' '&&' {{key}}").register(job)
    shown = (job.session_path / "seen").read_text()
    assert shown == "['$HOME', '*', ';', '&&', 'M1.2023-01-20.1']\n"


def test_doubled_braces_stand_for_themselves(job):
    show = "import sys; print(sys.argv[1], file=open('seen', 'w'))"
    registrar_from(f"{script(show)} '{{{{key}}}}'").register(job)
    assert (job.session_path / "seen").read_text() == "{key}\n"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('no such plane')", "exit code 1: no such plane"),
        ("import sys; print('printed'); sys.exit(3)", "exit code 3: printed"),
        ("import sys; sys.exit(4)", "exit code 4: it printed nothing"),
    ],
)
def test_an_exit_code_is_a_failure_with_what_was_printed(job, code, says):
    with pytest.raises(RegistrarError, match=says):
        registrar_from(script(code)).register(job)


def test_long_output_is_cut_from_its_end(job):
    code = "import sys; sys.stderr.write('x' * 100_000 + ' the reason'); sys.exit(1)"
    with pytest.raises(RegistrarError, match="the reason") as caught:
        registrar_from(script(code)).register(job)
    assert len(str(caught.value)) < 5000


def test_output_that_is_no_text_is_shown_all_the_same(job):
    code = r"import sys; sys.stderr.buffer.write(b'\xff broken'); sys.exit(1)"
    with pytest.raises(RegistrarError, match="broken"):
        registrar_from(script(code)).register(job)


def test_a_missing_program_says_so(job):
    with pytest.raises(RegistrarError, match="'no-such-program' cannot be run"):
        registrar_from("command: no-such-program {key}").register(job)


def test_a_command_is_stopped_after_its_time(job):
    registrar = registrar_from(script("import time; time.sleep(60)"), {"timeout_s": 0.5})
    started = time.monotonic()
    with pytest.raises(RegistrarError, match=r"stopped after 0\.5 s"):
        registrar.register(job)
    assert time.monotonic() - started < 20
    assert registrar.options["timeout_s"] == 0.5


WAITS = """
import os, time
open("begun", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
open("late", "w").close()
"""


def test_what_a_stopped_command_has_started_is_stopped_too(job):
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"
    with pytest.raises(RegistrarError, match="stopped after"):
        registrar_from(script(code), {"timeout_s": 4}).register(job)

    assert (job.session_path / "begun").exists()
    (job.session_path / "go").touch()
    time.sleep(0.5)
    assert not (job.session_path / "late").exists()


def test_a_command_does_not_wait_for_input(job):
    code = "import sys; open('seen', 'w').write(repr(sys.stdin.read()))"
    registrar_from(script(code)).register(job)
    assert (job.session_path / "seen").read_text() == "''"


@pytest.mark.parametrize("word", ["{keys}", "{key.mouse}", "{0}", "{}", "{key[0]}"])
def test_an_unknown_placeholder_is_refused_at_once(word):
    with pytest.raises(UnknownNameError, match="placeholder"):
        CommandRegistrar(f"program {word}")


@pytest.mark.parametrize(
    "command",
    ["", "   ", "program 'unclosed", "program {key", "program {key:d}", "program {key:{staging}x}"],
)
def test_a_broken_command_is_refused_at_once(command):
    with pytest.raises(ConfigurationError):
        registrar_from(f"command: {command}")


# -- functions --------------------------------------------------------------------------------


def test_a_function_is_named_by_its_module():
    registrar = registrar_from("support.registrars:good", {"fs": 6})
    assert isinstance(registrar, FunctionRegistrar)
    assert registrar.name == "support.registrars:good"
    assert registrar.options == {"fs": 6}


def test_a_function_may_be_given_itself(job):
    registrar = registrar_from(good)
    assert registrar.name == "support.registrars:good"
    assert registrar.register(job) == RegistrarResult()
    assert (job.staging / "trials.startTimes.npy").read_bytes() == b"M1.2023-01-20.1"


def test_a_function_that_returns_something_else_has_failed(job):
    with pytest.raises(RegistrarError, match="returned int; return a RegistrarResult or None"):
        registrar_from(lambda _: 7).register(job)


def test_a_function_may_bring_its_estimate(job):
    def work(job):
        return None

    assert registrar_from(work).estimate(job) is None
    work.estimate = lambda job: len(job.key.mouse)
    assert registrar_from(work).estimate(job) == 2


@pytest.mark.parametrize("spec", ["support.registrars:Counting", Counting])
def test_a_class_is_made_with_the_options(job, spec):
    registrar = registrar_from(spec, {"size": 5})
    registrar.register(job)
    assert (job.staging / "job.count.bin").stat().st_size == 5
    assert (registrar.name, registrar.options) == ("counting", {"size": 5})


def test_a_registrar_is_taken_as_it_is():
    made = Counting(7)
    assert registrar_from(made) is made


def test_options_for_a_registrar_that_is_made_already_are_refused():
    with pytest.raises(ConfigurationError, match="options"):
        registrar_from(Counting(7), {"size": 5})


def test_a_module_beside_the_command_is_found(job, tmp_path, monkeypatch):
    (tmp_path / "our_own_registrar.py").write_text("def work(job):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    registrar = registrar_from("our_own_registrar:work")
    assert registrar.register(job) == RegistrarResult()


@pytest.mark.parametrize(
    "spec",
    [
        "no_such_module:work",
        "support.registrars:no_such_function",
        "support.registrars:NOT_CALLABLE",
        "support.registrars:",
        ":work",
        "broken_module:work",
        7,
        None,
    ],
)
def test_what_cannot_be_loaded_is_refused(spec, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("def work(job:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ConfigurationError):
        registrar_from(spec)


@pytest.mark.parametrize("spec", ["alff", "", "suite2p"])
def test_an_unknown_name_is_refused(spec):
    with pytest.raises(UnknownNameError, match="registrar") as caught:
        registrar_from(spec)
    assert "alf" in caught.value.known


@pytest.mark.parametrize(
    "spec", ["alf", "command: true", "support.registrars:Counting"], ids=["alf", "command", "class"]
)
def test_options_that_are_not_taken_are_refused(spec):
    with pytest.raises(ConfigurationError, match="no_such_option"):
        registrar_from(spec, {"no_such_option": 1})


@pytest.mark.parametrize(
    "value", [{1, 2}, Path("x"), pytest.param(object(), id="an object"), np.arange(3)]
)
def test_options_must_be_plain(value):
    with pytest.raises(InvalidValueError, match="plain values"):
        registrar_from(good, {"planes": value})


class Point:
    """An entry point of an installed package."""

    def __init__(self, name, target):
        self.name = name
        self._target = target

    def load(self):
        if isinstance(self._target, Exception):
            raise self._target
        return self._target


def offer(monkeypatch, *points):
    def entry_points(*, group):
        return points if group == "vrtracker.registrars" else ()

    monkeypatch.setattr("vrtracker.registrars.loading.entry_points", entry_points)


def test_an_entry_point_is_found_by_its_name(job, monkeypatch):
    offer(monkeypatch, Point("vranalysis", registrars.good), Point("counting", Counting))
    assert registrar_from("vranalysis").name == "vranalysis"
    assert registrar_from("counting", {"size": 2}).estimate(job) == 2
    with pytest.raises(UnknownNameError) as caught:
        registrar_from("vranalysi")
    assert caught.value.nearest == ("vranalysis",)


def test_an_entry_point_that_does_not_load_is_refused(monkeypatch):
    offer(monkeypatch, Point("vranalysis", ImportError("no numba")))
    with pytest.raises(ConfigurationError, match="no numba"):
        registrar_from("vranalysis")


# -- what code it is ----------------------------------------------------------------------------


def test_a_function_of_an_installed_package_says_its_distribution():
    assert version_of(registrar_from(np.save)) == f"numpy {np.__version__}"


def test_a_class_of_an_installed_package_says_its_distribution():
    assert version_of(SimpleNamespace()) is None
    assert version_of(np.arange(3)) == f"numpy {np.__version__}"


def test_a_file_that_is_not_installed_says_nothing():
    assert version_of(registrar_from(good)) is None
    assert version_of(Counting()) is None


def test_what_a_registrar_says_itself_comes_first():
    def work(job):
        del job

    work.version = 2
    assert version_of(registrar_from(work)) == "2"
    assert version_of(SimpleNamespace(version="git 3f9a02b")) == "git 3f9a02b"
    assert version_of(SimpleNamespace(version=None)) is None


def test_the_trackers_own_version_is_not_that_of_its_registrars():
    assert version_of(registrar_from("command: true")) is None
    assert version_of(registrar_from("alf")) == "1"


# -- from the settings ------------------------------------------------------------------------


@pytest.fixture
def source(database_sources):
    return database_sources.get("sqlite")


def test_a_lab_declares_stages_with_their_registrars(source, tmp_path, monkeypatch):
    url = source.migrated(tmp_path, "lab")
    root = tmp_path / "root"
    (root / "M1" / "2023-01-20" / "1").mkdir(parents=True)
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        default_profile = "lab"
        [profiles.lab]
        url = '{url}'
        root = '{root}'
        [profiles.lab.registrars]
        registration = "support.registrars:good"
        significant = "support.registrars:options_of"
        [profiles.lab.stages.significant]
        title = "significant transients"
        requires = ["registration"]
        [profiles.lab.stages.significant_qc]
        kind = "review"
        requires = ["significant"]
        """
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    with vrtracker.open() as tracker:
        tracker.mice.add("M1")
        key = tracker.sessions.add("M1.2023-01-20.1").key
        assert list(tracker.workflow.stages)[-2:] == ["significant", "significant_qc"]
        assert tracker.workflow.run("significant").results == ()
        assert tracker.workflow.run().succeeded == 1
        assert tracker.workflow.run("significant", options={"fs": 6}).succeeded == 1
        tracker.workflow.set_qc(key, "significant", "PASS")
        states = tracker.workflow.states(key)
        assert states["significant"] == states["significant_qc"] == "done"
        assert list(tracker.workflow.attempts(key)["registrar"]) != []
    names = {path.name for path in (root / "M1/2023-01-20/1/oneData").iterdir()}
    assert names == {"trials.startTimes.npy", "job.options.txt"}


def test_a_declared_stage_needs_columns_that_exist(source, tmp_path, monkeypatch):
    config = tmp_path / "config.toml"
    config.write_text(
        """
        default_profile = "lab"
        [profiles.lab.stages.video]
        applies_if = ["faceCam"]
        """
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    with pytest.raises((ConfigurationError, UnknownNameError), match="faceCamera"):
        vrtracker.open(source.migrated(tmp_path, "lab"))


@pytest.mark.parametrize("column", ["sessionNotes", "numPlanes"])
def test_a_declared_stage_applies_by_tick_boxes_alone(source, tmp_path, monkeypatch, column):
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        default_profile = "lab"
        [profiles.lab.stages.video]
        applies_if = ["{column}"]
        """
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    with pytest.raises((ConfigurationError, UnknownNameError), match=column):
        vrtracker.open(source.migrated(tmp_path, "lab"))
