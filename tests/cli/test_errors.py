"""What goes wrong ends in one line, the right exit code, and nothing written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.command_line import refused, run, told
from support.permissions import bound_by_permissions
from vrtracker.cli.exits import say_error

FIRST = "DEMO001.2023-01-18.701"


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["sessions"],
        ["sessions", "nope"],
        ["status", "--nope"],
        ["sessions", "show"],
        ["sessions", "show", "a", "b"],
        ["sessions", "list", "--limit", "none"],
        ["sessions", "list", "--limit", "-1"],
        ["sessions", "list", "--where"],
    ],
    ids=" ".join,
)
def test_wrong_usage_points_to_the_help(words: list[str]):
    assert refused(*words, code=2).endswith("--help")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sessions", "list", "--where", "imagin=true"], "Did you mean 'imaging'"),
        (["sessions", "list", "--where", "mouse__K=1"], "mouse__KO"),
        (["sessions", "list", "--columns", "key,imagin"], "Did you mean 'imaging'"),
        (["sessions", "list", "--order-by", "-imagin"], "Did you mean 'imaging'"),
        (["sessions", "list", "--where", "sessionID>=many"], "not a"),
        (["sessions", "list", "--date", "someday"], "is not a date"),
        (["sessions", "show", "DEMO001"], "does not name a session"),
        (["sessions", "show", "DEMO001.2023-01-18.711"], "Did you mean"),
        (["mice", "show", "DEMO01"], "Did you mean 'DEMO001'"),
        (["why-not", FIRST, "red_cell"], "Did you mean 'red_cell_qc'"),
        (["mice", "add", "A/B"], "is not a mouse name"),
        (["mice", "add", "A1", "--set", "sex=X"], "sex"),
        (["sessions", "add", "NOBODY.2023-01-18.701"], " mice add NOBODY"),
        (
            ["sessions", "add", "DEMO001.2023-01-25.1", "--set", "sessionQC=0"],
            "scratchJustification",
        ),
        (
            ["sessions", "add", "DEMO001.2023-01-25.1", "--set", f"experimentType={'x' * 256}"],
            "256",
        ),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_bad_input_says_what_would_be_right(sample, words: list[str], says: str):
    before = sample.told("status")

    assert says in refused(*sample.options, *words, code=2)
    assert sample.told("status") == before


def test_duplicate_is_a_conflict(sample):
    assert "already" in refused(*sample.options, "sessions", "add", FIRST, code=5)
    assert "already" in refused(*sample.options, "mice", "add", "DEMO001", code=5)


@pytest.mark.parametrize(
    "words", [["status"], ["sessions", "list"], ["db", "current"], ["db", "check"]]
)
def test_missing_database_is_not_made(tmp_path: Path, words: list[str]):
    url = tmp_path / "missing.db"

    assert str(url) in refused("--url", url, *words, code=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["status"], ["init"], ["db", "upgrade"]])
def test_folder_is_no_database(tmp_path: Path, words: list[str]):
    assert "is a folder" in refused("--url", tmp_path, *words, code=4)


def test_text_file_is_no_database(tmp_path: Path):
    file = tmp_path / "notes.db"
    file.write_text("notes about mice and sessions", encoding="utf-8")

    for words in (["status"], ["init"]):
        assert "not a SQLite database" in refused("--url", file, *words, code=4)
    assert file.read_text(encoding="utf-8") == "notes about mice and sessions"


def test_init_in_a_missing_folder_makes_nothing(tmp_path: Path):
    refused("--url", tmp_path / "no" / "lab.db", "init", code=4)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["status"], ["init"], ["db", "upgrade"]])
def test_no_database_at_all_asks_for_one(words: list[str]):
    assert "VRTRACKER_URL" in refused(*words, code=2)


def test_unknown_kind_of_database_is_refused():
    assert "mysql" in refused("--url", "mysql://somewhere/lab", "status", code=2)


def test_password_is_not_printed():
    words = ("--url", "postgresql://ada:s3cret@127.0.0.1:1/lab", "status")

    result = run(*words)

    assert result.exit_code == 4
    assert "s3cret" not in result.output


def test_unknown_profile_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VRTRACKER_PROFILE", "nope")

    assert "nope" in refused("status", code=2)


@pytest.mark.parametrize(("no_color", "begins"), [("", "\x1b[31m"), ("1", "error: it")])
def test_error_on_a_terminal_is_coloured_unless_that_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str, begins: str
):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    say_error("it")

    assert capsys.readouterr().err.startswith(begins)


def test_error_in_a_condition_points_at_its_place(sample):
    result = run(*sample.options, "sessions", "list", "--where", "imaging and sesionID > 3")

    assert result.exit_code == 2
    said, text, caret = result.stderr.splitlines()
    assert said.startswith("error: ")
    assert "Did you mean 'sessionID'" in said
    assert text[caret.index("^") :] == "sesionID > 3"


def test_command_that_an_error_names_means_the_same_lab(sample):
    said = refused(*sample.options, "sessions", "restore", "DEMO001.2023-01-18.701", code=2)

    lab = f"vrtracker --url {sample.url} --root {sample.root}"
    assert f"{lab} sessions delete DEMO001.2023-01-18.701" in said


def test_error_keeps_standard_output_empty(sample):
    result = run(*sample.options, "sessions", "list", "--where", "imagin=1", "--json")

    assert result.stdout == ""


def test_debug_shows_the_traceback(sample):
    result = run(*sample.options, "--debug", "sessions", "show", "DEMO001.2023-01-18.799")

    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert "NotFoundError" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.skipif(os.name != "posix", reason="permissions of Windows are not those of chmod")
def test_file_that_may_not_be_read_is_refused(empty: str):
    Path(empty).chmod(0)

    with bound_by_permissions():
        refused("--url", empty, "status", code=4)


@pytest.mark.skipif(os.name != "posix", reason="permissions of Windows are not those of chmod")
@pytest.mark.parametrize("name", ["lab.db", pytest.param("lab.accdb", marks=pytest.mark.access)])
@pytest.mark.parametrize("words", [["status"], ["db", "adopt"], ["init"]])
def test_folder_that_may_not_be_looked_into_is_named(tmp_path: Path, name: str, words: list[str]):
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / name).touch()
    closed.chmod(0o600)

    with bound_by_permissions():
        said = refused("--url", closed / name, *words, code=4)

    closed.chmod(0o700)
    assert f"no permission to look into {closed}" in said


@pytest.mark.parametrize("suffix", [".db", pytest.param(".accdb", marks=pytest.mark.access)])
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, suffix: str):
    assert "cannot be a file" in refused("--url", tmp_path / f"{'x' * 300}{suffix}", "init", code=4)


def test_listing_works_on_a_read_only_file(demo):
    Path(demo.url).chmod(0o444)

    assert len(told(*demo.options, "sessions", "list")) == 12
