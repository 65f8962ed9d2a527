"""What the package has for notebooks, and the page that shows it, run as a notebook."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import jupytext
import pytest
from nbclient import NotebookClient

from support.command_line import environment
from support.pages import PROJECT
from vrtracker import SessionKey
from vrtracker.errors import InvalidValueError, MissingDependencyError
from vrtracker.notebook import bar, browser, completions, load_ipython_extension

FIRST, OTHER = "DEMO001.2023-01-18.701", "DEMO001.2023-01-20.702"


@pytest.fixture
def tracker(sample):
    with sample.open() as opened:
        yield opened


@pytest.mark.slow
def test_page_runs_as_a_notebook(demo, monkeypatch):
    page = jupytext.read(PROJECT / "docs" / "notebook.md", fmt="md:myst")
    for name, value in environment(VRTRACKER_URL=demo.url, VRTRACKER_ROOT=str(demo.root)).items():
        monkeypatch.setenv(name, value)

    done = NotebookClient(page, timeout=120, startup_timeout=120).execute()

    shown = [str(output) for cell in done.cells for output in cell.get("outputs", [])]
    assert any("application/vnd.jupyter.widget-view+json" in text for text in shown)
    assert any("2 succeeded" in text for text in shown)
    assert not any("Traceback" in text for text in shown)


def test_table_has_the_sessions_that_pass_and_gives_back_what_is_ticked(tracker):
    table = tracker.browse("imaging", columns=["mouse.sex", "qc.red_cell"], mouseName="DEMO001")

    assert table._columns == ["key", "mouse.sex", "qc.red_cell"]
    assert [row[0] for row in table._rows][:1] == [FIRST]
    assert table.selected == []
    table._ticked = [OTHER, FIRST, "M9.2020-01-01.1"]  # as the browser sends it
    assert table.selected == [SessionKey.parse(FIRST), SessionKey.parse(OTHER)]
    assert len(tracker.sessions.frame(key=table.selected)) == 2


def test_table_of_too_many_sessions_is_refused(tracker, monkeypatch):
    monkeypatch.setattr(browser, "_MOST", 3)

    with pytest.raises(InvalidValueError, match="More than 3 sessions pass"):
        tracker.browse()


@pytest.mark.parametrize("module", ["anywidget", "tqdm.auto"])
def test_without_the_extra_it_says_what_to_install(tracker, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "vrtracker.notebook.browser", raising=False)

    with pytest.raises(MissingDependencyError, match=r"vrtracker\[notebook\]"):
        tracker.browse() if module == "anywidget" else bar()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('t.sessions.frame("imaging and vrReg', "vrRegistration"),
        ("t.query().select('mouse.dateOf", "mouse.dateOfBirth"),
        ('t.workflow.needs("red_', "red_cell_qc"),
        ('t.sessions.frame("state.regi', "state.registration"),
        ('t.sessions.frame(mouseName="DEMO00', "DEMO001"),
        ("t.sessions.frame(vrReg", None),
        ('print("vrReg', None),
    ],
)
def test_names_are_completed_within_quotes(tracker, line, expected):
    found = completions(line, {"t": tracker})

    assert found[:1] == ([] if expected is None else [expected])


def test_ipython_is_given_a_completer_that_knows_its_variables(tracker):
    completer = SimpleNamespace(line_buffer='t.mice.frame("mouseN', custom_matchers=[])
    load_ipython_extension(SimpleNamespace(Completer=completer, user_ns={"t": tracker}))

    assert completer.custom_matchers[0]("mouseN") == ["mouseName"]


def test_bar_goes_as_far_as_the_run(tracker, capsys):
    advance = bar(disable=False)
    for number, result in ((1, None), (1, object()), (2, None), (2, object())):
        advance(number, 2, FIRST, result)

    assert "2/2" in capsys.readouterr().err
