"""Rows written into files, and read again as they were."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from support.command_line import refused, told
from support.sample_lab import open_lab
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import ImportFileError, InvalidValueError

NUMBERS = {"uMouseID", "uSessionID"}


@pytest.mark.own_rule
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".feather"])
def test_rows_that_were_written_are_read_as_they_were(sample, tmp_path, ending, put_sqlite):
    with open_lab(str(put_sqlite(tmp_path / "new.db"))) as new:
        for what in ("mice", "sessions"):
            file = tmp_path / f"{what}{ending}"
            scratched = {"include_scratched": True}
            written, read = getattr(sample, what), getattr(new, what)
            count = written.query(**scratched).write(file, show_blinded=True)
            read.read_table(file).apply()

            before, after = (
                [
                    {name: value for name, value in row.items() if name not in NUMBERS}
                    for row in rows.records(show_blinded=True, **scratched)
                ]
                for rows in (written, read)
            )
            assert len(after) == count > 1
            assert after == before


@pytest.mark.own_rule
def test_list_of_sessions_is_that_of_the_lab(sample, tmp_path):
    query = sample.query("imaging").order_by("-sessionDate")

    query.write(tmp_path / "jobs.json")

    assert json.loads((tmp_path / "jobs.json").read_text()) == [
        {"mouse_name": row.key.mouse, "date": str(row.key.date), "session_id": row.key.number}
        for row in query
    ]
    first = json.loads((tmp_path / "jobs.json").read_text())[0] | {"date": "2031-01-01"}
    (tmp_path / "new.json").write_text(json.dumps([first]))
    (row,) = sample.sessions.read_table(tmp_path / "new.json").rows
    assert str(SessionKey.parse(row)) == "{mouse_name}.{date}.{session_id}".format(**first)
    for wrong in ('[["M1", 1]]', '[{"mouse_name": ["M1"]}]'):
        (tmp_path / "jobs.json").write_text(wrong)
        with pytest.raises(ImportFileError, match="no list of sessions"):
            sample.sessions.read_table(tmp_path / "jobs.json")


@pytest.mark.own_rule
def test_file_that_cannot_be_written_is_one_error_and_what_was_there_stays(sample, tmp_path):
    (tmp_path / "here.csv").mkdir()
    for name, message in (
        ("a.doc", ".parquet"),
        ("none/a.csv", "another"),
        ("here.csv", "another"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            sample.query().write(tmp_path / name)
    with pytest.raises(InvalidValueError, match="of sessions"):
        sample.mice.query().write(tmp_path / "mice.json")
    assert [path.name for path in tmp_path.iterdir()] == ["here.csv"]
    assert sample.query("sessionID = 99999").write(tmp_path / "none.csv") == 0
    assert (tmp_path / "none.csv").read_text().startswith("uSessionID,mouseName,")


def test_shell_writes_what_is_asked_for(tmp_path):
    here = ("--url", tmp_path / "new.db")
    told(*here, "init")
    told(*here, "mice", "add", "M1")
    told(*here, "sessions", "add", "M1.2024-01-01.1")
    file = tmp_path / "out.parquet"

    made = told(*here, "export", "table", "sessions", file, "--columns", "key,imaging")

    assert made == {"rows": 1, "file": str(file)}
    names = ["mouseName", "sessionDate", "sessionID", "imaging"]
    assert pq.read_table(file).column_names == names
    assert "has no ending" in refused(*here, "export", "table", "mice", tmp_path / "a.doc", code=2)
