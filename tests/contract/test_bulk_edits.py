"""A file edits many sessions: every change shown first, all made or none, nobody's work lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.sample_lab import KEY, session_rows, table_counts
from vrtracker.errors import EditConflictError, ImportFileError

HEADER = "mouseName,sessionDate,sessionID"
FIRST, SECOND = "ATL012.2023-01-20.701", "ATL012.2023-01-20.702"


@pytest.fixture
def tracker(labs) -> Any:
    made = labs.new()
    made.sessions.add_many(session_rows(3, numPlanes=5, sessionNotes="it's 50% good"))
    return made


def write(folder: Path, *lines: str, name: str = "edit.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def exported(tracker: Any, folder: Path, name: str = "edit.csv") -> Path:
    frame = tracker.sessions.frame()
    path = folder / name
    frame.to_csv(path, index=False)
    return path


def rows_of(folder: Path, column: str, *values: object) -> Path:
    lines = (f"ATL012,2023-01-20,{701 + n},{value}" for n, value in enumerate(values))
    return write(folder, f"{HEADER},{column}", *lines)


def test_changes_are_shown_old_and_new_and_nothing_is_written(tracker, tmp_path):
    before = table_counts(tracker.url)

    plan = tracker.edit_csv(rows_of(tmp_path, "numPlanes", 5, 6, ""))

    assert plan.changes == {
        SECOND: {"numPlanes": [5, 6]},
        "ATL012.2023-01-20.703": {"numPlanes": [5, None]},
    }
    assert plan.frame()["new"].tolist() == [6, None]
    assert (plan.matched, plan.problems) == (3, ())
    assert table_counts(tracker.url) == before
    assert tracker.sessions.get(SECOND).numPlanes == 5


def test_row_without_a_key_is_a_problem_of_its_line(tracker, tmp_path):
    path = write(tmp_path, f"{HEADER},numPlanes", "ATL012,,701,6", "ATL012,2023-01-20,x,6")

    problems = tracker.edit_csv(path).problems

    assert [(one.line, one.column) for one in problems] == [(2, "sessionDate"), (3, "sessionID")]


def test_applied_changes_have_their_events(tracker, tmp_path):
    done = tracker.edit_csv(rows_of(tmp_path, "numPlanes", 5, 6, 6)).apply(reason="recounted")

    assert (done.matched, done.rows) == (3, 2)
    assert [row.numPlanes for row in tracker.sessions.iter()] == [5, 6, 6]
    last = tracker.history(SECOND).iloc[-1]
    assert (last["verb"], last["changes"], last["reason"]) == (
        "edited",
        {"numPlanes": [5, 6]},
        "recounted",
    )
    assert list(tracker.history(FIRST)["verb"]) == ["added"]


def test_file_that_a_frame_wrote_changes_nothing(sample, tmp_path):
    frame = sample.sessions.frame(include_scratched=True)
    path = tmp_path / "all.csv"
    frame.to_csv(path, index=False)

    plan = sample.edit_csv(path)

    assert (plan.matched, plan.changes, plan.problems) == (len(frame), {}, ())


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([f"{HEADER},numPlanes", "ATL012,2023-01-20,799,5"], "line 2.*no session.*799"),
        ([f"{HEADER},numPlanes", *["ATL012,2023-01-20,701,5"] * 2], "line 3.*twice"),
        ([f"{HEADER},numPlanes", "ATL012,2023-01-20,701,many"], "line 2, column numPlanes"),
        ([f"{HEADER},imaging", "ATL012,2023-01-20,701,"], "imaging cannot be empty"),
        ([f"{HEADER},nope", "ATL012,2023-01-20,701,1"], "line 1, column nope"),
        ([f"uSessionID,{HEADER}", "77,ATL012,2023-01-20,701"], "number of .* is 1, not 77"),
        ([f"{HEADER},sessionQC", "ATL012,2023-01-20,701,no"], "belong together|justification"),
        (["numPlanes", "5"], "column mouseName"),
    ],
)
def test_problem_is_told_with_its_line_and_stops_everything(tracker, tmp_path, lines, message):
    before = table_counts(tracker.url)
    plan = tracker.edit_csv(write(tmp_path, *lines))

    with pytest.raises(ImportFileError, match=message):
        plan.apply()

    assert table_counts(tracker.url) == before


def test_row_that_somebody_else_changed_is_a_conflict_of_both_versions(tracker, tmp_path):
    plan = tracker.edit_csv(rows_of(tmp_path, "numPlanes", 6, 7))
    tracker.sessions.update({"numPlanes": 4}, SECOND)
    before = table_counts(tracker.url)

    with pytest.raises(EditConflictError, match="was 5, is 4 now, was to be 7") as caught:
        plan.apply()

    assert caught.value.conflicts == {SECOND: {"numPlanes": (5, 4, 7)}}
    assert tracker.sessions.get(FIRST).numPlanes == 5
    assert table_counts(tracker.url) == before


def test_row_that_somebody_else_deleted_is_a_conflict(tracker, tmp_path):
    plan = tracker.edit_csv(rows_of(tmp_path, "numPlanes", 6, 7))
    tracker.sessions.delete(SECOND)

    with pytest.raises(EditConflictError, match=SECOND):
        plan.apply()


def test_base_leaves_alone_what_was_not_edited(tracker, tmp_path):
    base = exported(tracker, tmp_path, "base.csv")
    text = base.read_text(encoding="utf-8").replace("701,", "701,Gratings VR", 1)
    edited = write(tmp_path, text.rstrip("\n"))
    tracker.sessions.update({"numPlanes": 4}, KEY)

    plan = tracker.edit_csv(edited, base=base)

    assert plan.changes == {KEY: {"experimentType": [None, "Gratings VR"]}}


def test_base_tells_of_both_versions_of_what_somebody_else_edited(tracker, tmp_path):
    base = rows_of(tmp_path, "numPlanes", 5, 5).rename(tmp_path / "base.csv")
    tracker.sessions.update({"numPlanes": 4}, KEY)

    plan = tracker.edit_csv(rows_of(tmp_path, "numPlanes", 6, 5), base=base)

    (problem,) = plan.problems
    assert (problem.line, problem.column) == (2, "numPlanes")
    assert "it was 5, is 4 now, and the file says 6" in problem.message


def test_scratching_from_a_file_takes_both_columns(tracker, tmp_path):
    header = f"{HEADER},sessionQC,scratchJustification"
    path = write(tmp_path, header, "ATL012,2023-01-20,701,no,laser off")

    tracker.edit_csv(path).apply()

    assert tracker.sessions.count() == 2


def test_new_word_is_told(tracker, tmp_path):
    tracker.sessions.update({"experimentType": "Blender VR"}, SECOND)

    (warning,) = tracker.edit_csv(rows_of(tmp_path, "experimentType", "Blendr VR")).warnings

    assert "Did you mean 'Blender VR'" in warning
