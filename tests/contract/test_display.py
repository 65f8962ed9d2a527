"""Results read as sentences and tables, printed and in a notebook, and say the same in both."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import vrtracker
from support.postgres import put_programs_on_path
from support.workflow_lab import WorkflowLab
from vrtracker.database import Database
from vrtracker.domain.disk_rules import SUITE2P_FILES
from vrtracker.services.administration.adoption import inspect

ONE, TWO, MISSING = "M1.2023-01-20.1", "M1.2023-01-20.2", "M1.2023-01-20.9"
SCRIPT = "<script>alert('1')</script> & more"
CSV = f'mouseName,sessionDate,sessionID,sessionNotes\nM1,2023-01-20,{{}},"{SCRIPT}"\n'


class Read(HTMLParser):
    """The text of HTML; every tag that is opened must be closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def refuse(work) -> None:
    raise ValueError(SCRIPT)


@pytest.fixture
def lab(backend, tmp_path, monkeypatch):
    put_programs_on_path(backend.source, monkeypatch)
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        made.add(ONE, sessionNotes=SCRIPT, imaging=True, numPlanes=1)
        made.add(TWO, sessionNotes=SCRIPT)
        yield made


def results(lab, folder):
    """Return one of everything that a notebook shows, and words that it has to hold."""
    tracker, workflow = lab.tracker, lab.tracker.workflow
    tracker.mice.update({"notes": SCRIPT}, "M1")
    (lab.root / "M9" / "2023-01-20" / "1").mkdir(parents=True)
    (folder / "new.csv").write_text(CSV.format(9), "utf-8")
    (folder / "known.csv").write_text(CSV.format(1), "utf-8")
    (folder / "edit.csv").write_text(CSV.format(1).replace("more", "less"), "utf-8")
    for name in SUITE2P_FILES:
        file = lab.folder(ONE) / "suite2p" / "plane0" / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    run = workflow.run("registration", TWO, registrar=refuse)
    workflow.complete(TWO, "registration", reason="elsewhere")
    return {
        "session": (tracker.sessions.get(ONE), [ONE, SCRIPT, "numPlanes", "yes"]),
        "mouse": (tracker.mice.get("M1"), ["M1", SCRIPT]),
        "entry": (tracker.enter(MISSING, {"sessionNotes": SCRIPT}), ["1 session to enter", SCRIPT]),
        "import": (
            tracker.import_csv("sessions", folder / "new.csv"),
            ["1 row of sessions to add", SCRIPT],
        ),
        "refused": (
            tracker.import_csv("sessions", folder / "known.csv"),
            ["before 1 problem went", ONE],
        ),
        "edit": (tracker.edit_csv(folder / "edit.csv"), [ONE, "sessionNotes", SCRIPT, "less"]),
        "scan": (
            tracker.scan(),
            ["0 new sessions", "M9.2023-01-20.1 is held back", "add_mice=True"],
        ),
        "reconcile": (tracker.reconcile(), ["2 of 2", ONE, "suite2p", "no", "yes"]),
        "run": (run, ["0 succeeded, 1 failed", TWO, SCRIPT]),
        "result": (run.results[0], [f"{TWO}: failed", SCRIPT]),
        "outdated": (workflow.outdated(), ["registration: 0 of 0 sessions"]),
        "why not": (
            workflow.why_not(ONE, "registration"),
            ["not in the queue", f"vrtracker complete {ONE} suite2p"],
        ),
        "update": (
            tracker.sessions.update({"sessionNotes": None}, mouseName="M1", dry_run=True),
            ["2 of 2", ONE, TWO, SCRIPT],
        ),
        "backup": (tracker.back_up(folder / "safe"), ["verified", "safe"]),
        "clone": (
            vrtracker.clone(lab.url, str(folder / "clone.db")),
            ["clone.db", "sessiondb", "vrt_event"],
        ),
        "adoption": (inspect(lab.url), ["a tracker's database already"]),
        "tracker": (tracker, [tracker.url, "ann", "registration"]),
    }


def test_each_result_says_the_same_printed_and_in_a_notebook(lab, tmp_path):
    for name, (result, words) in results(lab, tmp_path).items():
        printed, html = result.facts().text(), Read(result._repr_html_())
        assert str(result) in {printed, result.facts().title}, name
        missing = [word for word in words if word not in printed]
        assert not missing, (name, missing, printed)
        assert "".join(html.text.split()) == "".join(printed.split()), name
        assert html.tags <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
        assert "(" not in printed.split(maxsplit=1)[0], f"{name} reads as a dataclass"


def test_why_not_is_a_tuple_of_reasons_that_reads_as_sentences(lab):
    reasons = lab.tracker.workflow.why_not(ONE, "registration")

    assert isinstance(reasons, tuple)
    assert reasons
    assert len(reasons) == 1
    assert reasons == (reasons[0],)
    assert [reason.code for reason in reasons] == ["unmet"]
    assert repr(reasons) == str(reasons) == f"It is not in the queue:\n{reasons[0]}"
    queued = lab.tracker.workflow.why_not(TWO, "registration")
    assert queued == ()
    assert not queued
    assert repr(queued) == "Nothing: it is in the queue."


def test_plan_of_many_rows_shows_the_first_and_says_how_many_more(lab):
    keys = [f"M1.2023-01-21.{number}" for number in range(1, 26)]
    plan = lab.tracker.enter(keys)

    for text in (str(plan), repr(plan), plan._repr_html_()):
        assert "25 sessions" in text
        assert "… and 15 more" in text
        assert text.count("2023-01-21") == 10


def test_genotype_of_a_blinded_mouse_is_not_shown(lab, tmp_path):
    tracker = lab.tracker
    tracker.mice.update({"Blinded": True, "genotype": "secret", "sex": "F"}, "M2")
    (tmp_path / "mice.csv").write_text("mouseName,Blinded,strain\nM3,1,secret\nM4,0,C57\n", "utf-8")

    mouse = tracker.mice.get("M2")
    changed = tracker.mice.update({"genotype": None}, "M2", dry_run=True)
    plan = tracker.import_csv("mice", tmp_path / "mice.csv")

    for result in (mouse, changed, plan):
        for text in (str(result), result.facts().text(), result._repr_html_()):
            assert "secret" not in text
            assert "KO" not in text
    assert "sex" in str(mouse)
    assert "hidden" in changed.facts().text()
    assert "C57" in str(plan)
    assert "KO" in str(tracker.mice.get("M1"))


def test_showing_a_tracker_does_not_ask_its_database(lab, statement_counter):
    tracker = vrtracker.open(lab.url, readonly=True)
    tracker.close()
    with statement_counter() as seen:
        text = tracker._repr_html_()
    assert seen.count == 0
    assert str(Database(lab.url)) in Read(text).text
