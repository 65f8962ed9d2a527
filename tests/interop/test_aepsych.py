"""AEPsych: real files are read, its own tables read ours, and nothing in a file is ever run."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from sqlalchemy import event

import vrtracker
from support.command_line import good, refused, told
from support.coverage import coverage_paused
from vrtracker.errors import ImportFileError
from vrtracker.files.aepsych.pickles import plain_value
from vrtracker.files.aepsych.reading import read_experiments
from vrtracker.interop.aepsych import Database
from vrtracker.services.experiments import recording

REAL = {
    "single_stimuli": {"trials": 7, "parameters": 14, "outcomes": 7, "messages": 15, "blobs": 2},
    "extra_info": {"trials": 60, "parameters": 120, "outcomes": 60, "messages": 121, "blobs": 2},
}
NOTHING = dict.fromkeys(("experiments", *REAL["extra_info"], "assigned"), 0)
TELL = {
    "type": "tell",
    "message": {"config": {"x": [0.5], "y": [4]}, "outcome": 1},
    "extra_info": {"e": 1},
}


@pytest.fixture
def url(tmp_path, put_sqlite):
    path = put_sqlite(tmp_path / "lab.db")
    with vrtracker.open(path) as tracker:
        tracker.mice.add("M1")
    return path


@pytest.fixture(params=REAL)
def real(request, shared_file):
    return shared_file(f"aepsych/{request.param}.db"), REAL[request.param]


class Program:
    """What a pickle would run when Python opened it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def old_file(path: Path, *, message: bytes | None = None, **tables: str) -> Path:
    """Write a database as an old AEPsych did: one setup, one tell; further tables if given."""
    with contextlib.closing(sqlite3.connect(path)) as made, made:
        columns = tables.pop("master", "experiment_name, experiment_description, experiment_id")
        made.execute(f"CREATE TABLE master (unique_id INTEGER PRIMARY KEY, {columns})")
        made.execute("INSERT INTO master (unique_id, experiment_id) VALUES (1, 'old')")
        names = tables.pop("replay", "timestamp, message_type, message_contents, master_table_id")
        made.execute(f"CREATE TABLE replay_data (unique_id INTEGER PRIMARY KEY, {names})")
        setup = {"type": "setup", "message": {"config_str": "[common]\n"}}
        for verb, content in (
            ("setup", pickle.dumps(setup)),
            ("tell", message or pickle.dumps(TELL)),
        ):
            made.execute(
                "INSERT INTO replay_data (timestamp, message_type, message_contents, "
                "master_table_id) VALUES ('2020-01-01 10:00:00', ?, ?, 1)",
                (verb, content),
            )
        for name, text in tables.items():
            made.execute(f"CREATE TABLE {name} (unique_id INTEGER PRIMARY KEY, {text})")
    return path


AGES = {
    "as it began": {},
    "with what is sent along": {
        "replay": "timestamp, message_type, message_contents, extra_info, master_table_id"
    },
    "with participants": {
        "master": "experiment_name, experiment_description, experiment_id, participant_id, "
        "extra_metadata"
    },
    "with empty tables of trials": {
        "raw_data": "timestamp, model_data, master_table_id",
        "param_data": "param_name, param_value, iteration_id",
        "outcome_data": "outcome_name, outcome_value, iteration_id",
    },
}


def test_real_files_come_in_whole_are_only_read_and_come_in_once(url, real):
    path, counts = real
    before = hashlib.sha256(path.read_bytes()).digest()
    words = ("--url", url, "import", "aepsych", path, "--mouse", "M1")

    new = NOTHING | {"experiments": 1, **counts}
    assert told(*words, "--dry-run") == told(*words, "--yes") == new
    assert told(*words, "--yes") == NOTHING
    assert hashlib.sha256(path.read_bytes()).digest() == before
    with vrtracker.open(url) as tracker:
        listed = tracker.experiments.list()
        messages = tracker.experiments.messages(listed["experiment_id"][0])
        blobs = messages[messages["category"] != "message"]
    assert listed["mouse"].tolist() == ["M1"]
    assert messages["content"].iloc[0]["type"] == "setup"
    for content, digest in zip(blobs["content"], blobs["sha256"], strict=True):
        assert hashlib.sha256(content).hexdigest() == digest


def test_export_holds_what_the_real_file_holds_and_comes_in_as_nothing_new(url, real, tmp_path):
    path, counts = real
    out = tmp_path / "out.db"
    with vrtracker.open(url) as tracker:
        tracker.experiments.read(path).apply()
        assert tracker.experiments.replay().differences == ()
        again = tracker.experiments.replay(tmp_path / "again.db")
    with vrtracker.open(tmp_path / "again.db") as rebuilt:
        assert len(rebuilt.experiments.frame()) == counts["trials"]
    assert again.counts.popitem()[1] == counts

    assert told("--url", url, "export", "aepsych", out) == {"experiments": 1, **counts}
    assert told("--url", url, "import", "aepsych", out, "--yes") == NOTHING
    mine, theirs = (read_experiments(each)[0] for each in (out, path))
    assert [one.sha256 for one in mine.messages] == [one.sha256 for one in theirs.messages]
    assert [one.same_as for one in mine.trials] == [one.same_as for one in theirs.trials]
    with contextlib.closing(sqlite3.connect(out)) as ours, ours:
        theirs = contextlib.closing(sqlite3.connect(path))
        with theirs as original:
            statement = "SELECT strat FROM strat_data"
            assert ours.execute(statement).fetchall() == original.execute(statement).fetchall()
    assert "already" in refused("--url", url, "export", "aepsych", out, code=2)


def test_another_experiment_of_the_same_id_is_a_conflict_and_nothing_is_written(
    url, real, tmp_path
):
    path, _ = real
    words = ("--url", url, "import", "aepsych")
    assert "Nothing was written" in good(*words, path, "--dry-run")
    assert "Imported" in good(*words, path)
    with vrtracker.open(url) as tracker:
        before = tracker.experiments.whole()
        tracker.experiments.export(tmp_path / "other.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as made, made:
        made.execute("UPDATE outcome_data SET outcome_value = 9 WHERE unique_id = 3")

    line = refused(*words, tmp_path / "other.db", path, code=5)

    assert "trial 3 is another one" in line
    with vrtracker.open(url) as tracker:
        assert tracker.experiments.whole() == before
        row = tracker.experiments.list().iloc[0]
        assert len(tracker.experiments.frame(row)) == len(before[0].trials)
    assert "Imported" in good(*words, path, "--mouse", "M1")


def test_frame_is_what_the_tables_of_the_real_file_hold(url, shared_file):
    path = shared_file("aepsych/extra_info.db")
    statement = (
        "SELECT r.timestamp, f.param_value, a.param_value, o.outcome_value FROM raw_data r "
        "JOIN param_data f ON f.iteration_id = r.unique_id AND f.param_name = 'freq' "
        "JOIN param_data a ON a.iteration_id = r.unique_id AND a.param_name = 'amp' "
        "JOIN outcome_data o ON o.iteration_id = r.unique_id ORDER BY r.unique_id"
    )
    with contextlib.closing(sqlite3.connect(path)) as original:
        rows = original.execute(statement).fetchall()
    with vrtracker.open(url) as tracker:
        tracker.experiments.read(path).apply()
        frame = tracker.experiments.frame()
        tracker.experiments.to_csv(url.with_suffix(".csv"))

    assert [str(each) for each in frame["timestamp"]] == [row[0] for row in rows]
    for place, name in enumerate(("freq", "amp", "outcome"), 1):
        assert frame[name].tolist() == [float(row[place]) for row in rows]
    assert len(url.with_suffix(".csv").read_text().splitlines()) == 61


def test_aepsychs_own_tables_read_what_is_exported(url, real, tmp_path):
    spec = importlib.util.find_spec("aepsych")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("AEPsych is not installed: pip install --no-deps aepsych")
    source = Path(spec.submodule_search_locations[0]) / "database" / "tables.py"
    loaded = importlib.util.spec_from_file_location("aepsych_tables", source)
    tables = importlib.util.module_from_spec(loaded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded.loader.exec_module(tables)
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    path, counts = real
    with vrtracker.open(url) as tracker:
        tracker.experiments.read(path).apply()
        tracker.experiments.export(tmp_path / "out.db")
        mine = tracker.experiments.frame()
    engine = create_engine(f"sqlite:///{tmp_path / 'out.db'}")
    with Session(engine) as session:
        (master,) = session.query(tables.DBMasterTable).all()
        raws = master.children_raw
        frame = [
            {
                **{one.param_name: float(one.param_value) for one in raw.children_param},
                **{one.outcome_name: one.outcome_value for one in raw.children_outcome},
            }
            for raw in raws
        ]
        assert len(master.children_replay) == counts["messages"]
        assert master.children_replay[0].message_contents["type"] == "setup"
        assert [raw.timestamp for raw in raws] == mine["timestamp"].tolist()
    engine.dispose()
    assert frame == mine.iloc[:, 5:].to_dict("records")


@pytest.mark.parametrize("age", AGES)
def test_files_of_every_age_give_their_trials(url, tmp_path, age):
    path = old_file(tmp_path / "old.db", **AGES[age])

    (found,) = read_experiments(path)

    assert found.uid == "old"
    assert list(found.counts.values()) == [1, 2, 1, 2, 0]
    assert found.trials[0].parameters == (("x", 0.5), ("y", 4))
    assert found.trials[0].extra == {"e": 1}
    assert found.configs == ["[common]\n"]


def orphan(path, kind):
    """Write a file with a value whose trial is not there."""
    old_file(path, **AGES["with empty tables of trials"])
    with contextlib.closing(sqlite3.connect(path)) as made, made:
        made.execute(f"INSERT INTO {kind}_data VALUES (1, 'x', '0.5', 7)")
    return path


def bad_files(tmp_path, shared_file):
    deep = b"\x80\x04" + b"]" * 10_000 + b"a" * 9_999 + b"."
    program = pickle.dumps({"type": "tell", "message": Program(tmp_path / "ran")})
    cut = tmp_path / "cut.db"
    cut.write_bytes(shared_file("aepsych/extra_info.db").read_bytes()[:100_000])
    notes = tmp_path / "notes.db"
    notes.write_text("no database at all")
    yield old_file(tmp_path / "program.db", message=program), "is a program"
    yield old_file(tmp_path / "deep.db", message=deep), "nested deeper"
    yield old_file(tmp_path / "bad.db", message=b"\x80\x04X"), "is damaged"
    yield old_file(tmp_path / "mute.db", message=pickle.dumps({"a": 1})), "without an outcome"
    strange = old_file(tmp_path / "strange.db")
    strange.write_bytes(strange.read_bytes().replace(b"10:00:00", b"10:00:\xff0"))
    yield strange, "cannot be read as a SQLite database"
    clock = old_file(tmp_path / "clock.db")
    clock.write_bytes(clock.read_bytes().replace(b"10:00:00", b"whenever"))
    yield clock, "replay_data, unique_id 1, cannot be read"
    yield cut, "cannot be read as a SQLite database"
    yield notes, "cannot be read as a SQLite database"
    yield orphan(tmp_path / "param.db", "param"), "param_data, unique_id 1, belongs to no trial"
    yield orphan(tmp_path / "outcome.db", "outcome"), "outcome_data, unique_id 1, belongs to no"
    yield tmp_path / "none.db", "There is no file"
    yield tmp_path, "is a folder; give"
    yield Path(os.devnull), "is no regular file; give"
    yield tmp_path / "lab.db", "is no database of AEPsych"


def test_bad_files_are_one_error_each_and_nothing_is_written_or_run(url, tmp_path, shared_file):
    for path, message in bad_files(tmp_path, shared_file):
        line = refused("--url", url, "import", "aepsych", path, "--yes", code=2)
        assert message in line, line
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "none.db").exists()
    with vrtracker.open(url) as tracker:
        assert tracker.experiments.list().empty
        with pytest.raises(ImportFileError):
            tracker.experiments.read(tmp_path / "program.db")


def test_programs_in_versions_of_a_strategy_are_kept_unopened(url, tmp_path):
    path = old_file(tmp_path / "s.db", strat_data="timestamp, strat, master_table_id")
    program = pickle.dumps(Program(tmp_path / "ran"))
    with contextlib.closing(sqlite3.connect(path)) as made, made:
        made.execute("INSERT INTO strat_data VALUES (1, NULL, ?, 1)", (program,))

    assert told("--url", url, "import", "aepsych", path, "--yes")["blobs"] == 1
    with vrtracker.open(url) as tracker:
        assert Database(tracker).get_strat_for("old") == program
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol_are_read(protocol):
    value = {"a": [1, -5, 2**70, 1.5, None, True, "ü"], "b": {"c": []}, "d": [[], {}]}

    assert plain_value(pickle.dumps(value, protocol)) == value
    assert plain_value(pickle.dumps((1, (2, 3), ()), protocol)) == [1, [2, 3], []]


@pytest.mark.parametrize(
    "data", [b"", b".", b"(((((.", b"K\x01K\x02.", b"]}}s.", b"]\x94h\x00a.", pickle.dumps({1: 2})]
)
def test_what_is_no_plain_value_is_refused(data):
    with pytest.raises(ValueError, match=r"damaged|nested|key|item"):
        plain_value(data)


def test_a_value_that_stands_for_endlessly_many_is_refused():
    bomb = [1]
    for _ in range(40):
        bomb = [bomb, bomb]

    with pytest.raises(ValueError, match="more than"), coverage_paused():
        plain_value(pickle.dumps(bomb))


def test_the_calls_of_aepsychs_database_record_the_same_here(url, tmp_path):
    with vrtracker.open(url) as tracker:
        db = Database(tracker, mouse="M1")
        request = {"type": "setup", "message": {"config_str": "[common]\n"}, "extra_info": {"s": 1}}
        master = db.record_setup("about", "name", '{"a": 1}', request=request, par_id=7)
        raw = db.record_raw(master, model_data=False, block=2)
        db.record_param(raw, "x", "0.5")
        db.record_param(raw, "label", "left")
        db.record_outcome(raw, "outcome", 1)
        db.record_message(master, "tell", TELL)
        db.record_trial(master, {"x": 1.5}, 0.0)
        db.record_config(master, {"common": {"a": 1}})
        with (tmp_path / "strat").open("w+b") as file:
            file.write(b"\x80weights")
            file.seek(0)
            db.record_strat(master, file)

        uid = master.unique_id
        assert db.get_master_records() == [db.get_master_record(uid)] == [master]
        assert (master.participant_id, master.extra_metadata) == ("7", '{"a": 1}')
        assert db.get_master_record("none") is None
        assert [one.message_type for one in db.get_replay_for(uid)] == ["setup", "tell", "tell"]
        assert db.get_replay_for(uid)[0].extra_info == {"s": 1}
        first, second = db.get_raw_for(uid)
        assert (first.model_data, first.extra_data, second.unique_id) == (
            False,
            {"block": 2},
            first.unique_id + 1,
        )
        params = [
            [(one.param_name, one.param_value) for one in row] for row in db.get_params_for(uid)
        ]
        assert params == [[("x", 0.5), ("label", "left")], [("x", 1.5)]]
        outcomes = [[one.outcome_value for one in row] for row in db.get_outcomes_for(uid)]
        assert outcomes == [[1], [0.0]]
        assert db.get_config_for(uid) == {"common": {"a": 1}}
        assert (db.get_strat_for(uid), db.get_strats_for(uid)) == (b"\x80weights", [b"\x80weights"])
        assert db.get_strat_for(uid, 5) is None
        assert db.get_data_frame(include_extra_data=True)["block"].tolist()[0] == 2
        assert db.summarize_experiments()["parameter_names"].tolist() == ["x, label"]
        db.to_csv(tmp_path / "trials.csv")
        db.cleanup()
        json.dumps(tracker.history("M1")["changes"].tolist())
        good("--url", url, "export", "aepsych", tmp_path / "o.db", "--experiment", uid)


def test_a_thousand_trials_a_second_are_recorded_in_batches(url):
    trials = [
        {"parameters": {"x": n, "y": 0.5}, "outcomes": {"hit": 1, "rt": 0.2}} for n in range(250)
    ]
    with vrtracker.open(url) as tracker:
        uid = tracker.experiments.setup(mouse="M1")
        tracker.experiments.record(uid, trials)
        began = time.process_time()
        for _ in range(20):
            tracker.experiments.record(uid, trials)
        spent = time.process_time() - began
        with coverage_paused():
            spent_on_fifty = [spent_one_by_one(tracker, uid, trials[:50]) for _ in range(5)]

    # CPU, so that a busy machine does not decide; nor the disk, which is waited for once a second.
    assert spent < 5
    assert 50 / min(spent_on_fifty) > 1000


def spent_one_by_one(tracker, uid, trials) -> float:
    began = time.thread_time()
    for trial in trials:
        tracker.experiments.record(uid, [trial])
    return time.thread_time() - began


def test_recordings_wait_for_the_disk_once_a_second_and_all_else_does_always(url, monkeypatch):
    # A busy machine may take seconds for these lines.
    monkeypatch.setattr(recording, "_UNCONFIRMED_S", 1e6)
    full, normal, seen = 2, 1, []
    with vrtracker.open(url) as tracker:
        uid = tracker.experiments.setup(mouse="M1")

        def look(connection):
            driver = connection.connection.driver_connection
            seen.append(driver.execute("PRAGMA synchronous").fetchone()[0])

        event.listen(tracker.database.write_engine, "begin", look)
        tracker.experiments._confirmed = -1e6
        for _ in range(3):
            tracker.experiments.record_message(uid, "ask", {})
        tracker.mice.add("M2")
        tracker.experiments.record_message(uid, "ask", {})
        tracker.experiments._confirmed -= 1e6
        tracker.experiments.record_message(uid, "ask", {})
        tracker.database.handle.dispose()

    assert seen == [full, normal, normal, full, normal, full]


def test_a_killed_process_leaves_every_trial_that_it_was_told_is_recorded(url):
    """A commit that does not wait for the disk is in the log, which the system keeps."""
    program = f"""
import vrtracker
with vrtracker.open({str(url)!r}) as tracker:
    uid = tracker.experiments.setup(mouse="M1")
    for n in range(10_000):
        tracker.experiments.record(uid, [{{"parameters": {{"n": n}}}}])
        print(n, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        told = [int(process.stdout.readline()) for _ in range(200)][-1]
        process.kill()
        told = int((process.stdout.read().split() or [told])[-1])

    with vrtracker.open(url) as tracker:
        assert len(tracker.experiments.frame()) in {told + 1, told + 2}
