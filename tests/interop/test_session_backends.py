"""What opens and registers sessions, and how it is chosen; vrAnalysis is not installed here."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from support.command_line import refused
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    MissingDependencyError,
    RootUnavailableError,
)
from vrtracker.interop.vranalysis.b2 import VrAnalysisRegistrar
from vrtracker.interop.vranalysis.front import LazySession
from vrtracker.interop.vranalysis.session_backends import (
    FolderBackend,
    NullBackend,
    VrAnalysisBackend,
    backend_named,
)

KEY = SessionKey.parse("ATL012.2023-01-20.701")
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / KEY.path / "oneData").mkdir(parents=True)
    return folder


def test_nothing_is_chosen_without_root_and_vranalysis():
    assert isinstance(backend_named("auto", None), NullBackend)


def test_folders_are_chosen_where_the_root_is_known(root):
    assert isinstance(backend_named("auto", root), FolderBackend)


def test_vranalysis_is_chosen_where_it_is_installed_and_not_imported_by_that(root, fake_vranalysis):
    assert isinstance(backend_named("auto", root), VrAnalysisBackend)
    assert isinstance(backend_named("folders", root), FolderBackend)
    assert isinstance(backend_named("null", root), NullBackend)
    assert "vrAnalysis.sessions" not in sys.modules


def test_vranalysis_that_is_missing_is_told_when_it_is_used(root):
    backend = backend_named("vranalysis", root)
    session = LazySession(KEY, backend)

    assert session.one_path == root / KEY.path / "oneData"
    with pytest.raises(MissingDependencyError, match="vrAnalysis"):
        _ = session.opened
    with pytest.raises(MissingDependencyError, match="pip install"):
        backend.registration(KEY, {})


def test_vranalysis_that_cannot_be_imported_is_told_with_its_reason(root, fake_vranalysis):
    (fake_vranalysis / "vrAnalysis" / "sessions" / "__init__.py").write_text("import no_such_numba")

    with pytest.raises(ConfigurationError, match="no_such_numba"):
        backend_named("vranalysis", root).open(KEY, {})


def test_null_knows_no_folder_and_the_options_of_the_row():
    class Record:
        imaging, faceCamera, vrBehaviorVersion = True, False, 2

    backend = NullBackend()

    assert backend.options(Record(), {"imaging": False}) == {
        "imaging": False,
        "facecam": False,
        "vrBehaviorVersion": 2,
    }
    with pytest.raises(RootUnavailableError):
        backend.open(KEY, {})


def test_folders_open_the_files(root):
    (root / KEY.path / "oneData" / "trials.startTimes.npy").write_bytes(b"x")

    session = LazySession(KEY, FolderBackend(root=root))

    assert [file.rel_path for file in session.files()] == ["oneData/trials.startTimes.npy"]
    assert session.s2p_path == root / KEY.path / "suite2p"
    with pytest.raises(AttributeError):
        _ = session.nothing_of_the_kind
    with pytest.raises(MissingDependencyError):
        FolderBackend(root=root).registration(KEY, {})


def test_folders_say_that_a_session_has_none(root):
    other = SessionKey.parse("ATL012.2023-01-20.999")

    with pytest.raises(RootUnavailableError, match="has no folder"):
        FolderBackend(root=root).open(other, {})


def test_session_is_compared_hashed_printed_and_pickled_by_its_key(root):
    session = LazySession(KEY, FolderBackend(root=root), {"spks_type": "oasis"})
    again = pickle.loads(pickle.dumps(session))

    assert again == session
    assert len({session, again}) == 1
    assert repr(session) == "LazySession('ATL012.2023-01-20.701')"
    assert session.session_uid == "ATL012.2023-01-20.701"
    assert session.session_print(joinby="_") == "ATL012_2023-01-20_701"
    assert again != "ATL012.2023-01-20.701"


@pytest.mark.parametrize("number", ["701", "001"])
def test_session_is_found_among_those_of_vranalysis_and_they_among_ours(
    root, fake_vranalysis, number
):
    for name in (number, "799"):
        folder = root / "ATL012" / "2023-01-20" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vrExperimentOptions.json").write_text("{}")
    ours = [
        LazySession(
            SessionKey.parse(("ATL012", "2023-01-20", int(name))), backend_named("auto", root)
        )
        for name in (number, "799")
    ]
    assert not isinstance(ours[0], int)
    assert "vrAnalysis.sessions" not in sys.modules
    b2session = importlib.import_module("vrAnalysis.sessions").B2Session
    theirs = [b2session.create("ATL012", "2023-01-20", name) for name in ("799", number)]

    assert isinstance(ours[0], b2session)
    assert isinstance(ours[0], LazySession)
    assert [session in theirs[1:] for session in ours] == [True, False]
    assert [session in ours[:1] for session in theirs] == [False, True]
    assert [theirs.index(session) for session in ours] == [1, 0]
    assert set(ours) == set(theirs)
    assert pickle.loads(pickle.dumps(ours[0])) == theirs[1]
    assert all(session._opened is None for session in ours)


def test_opened_session_is_vranalysis_own(root, fake_vranalysis):
    (root / KEY.path / "vrExperimentOptions.json").write_text("{}")

    session = LazySession(KEY, backend_named("auto", root), {"spks_type": "oasis"})

    assert type(session.opened).__module__ == "vrAnalysis.sessions.b2session"
    assert session.params == {"spks_type": "oasis"}
    assert session.opened is session.opened


def test_unknown_option_is_refused_with_the_known_ones(root, fake_vranalysis):
    class Record:
        imaging, faceCamera, vrBehaviorVersion = True, False, None

    backend = backend_named("auto", root)

    assert backend.options(Record(), {}).vrBehaviorVersion == 1
    with pytest.raises(InvalidValueError, match="neuropilCoefficient"):
        backend.options(Record(), {"oassis": False})


@ON_SQLITE
def test_registration_object_is_vranalysis_own(desk, fake_vranalysis):
    desk.add()
    record = desk.sessions.get_record("ATL012", "2023-01-20", 701)
    options = desk.sessions.backend.options(record, {})

    registration = desk.sessions.make_b2registration(record, options)

    assert type(registration).__name__ == "B2Registration"
    assert registration.opts is options


@ON_SQLITE
def test_root_of_vranalysis_serves_where_none_is_set(desk, fake_vranalysis, monkeypatch):
    key = desk.add()
    monkeypatch.delenv("VRTRACKER_ROOT")
    database = desk.database("vrSessions")
    assert database.tracker.root is None

    assert database.register_single_session("ATL012", "2023-01-20", 701) is True

    assert (desk.folder(key) / "oneData" / "trials.startTimes.npy").is_file()


@ON_SQLITE
def test_two_roots_that_differ_are_refused_before_anything_is_read(
    desk, fake_vranalysis, monkeypatch, tmp_path
):
    key = desk.add()
    (tmp_path / "other" / key.path).mkdir(parents=True)
    monkeypatch.setenv("FAKE_VRANALYSIS_ROOT", str(tmp_path / "other"))

    assert desk.sessions.register_single_session("ATL012", "2023-01-20", 701) is False
    assert "same root" in desk.row(key).vrRegistrationException


@ON_SQLITE
def test_registrar_of_vranalysis_serves_the_trackers_own_runs(desk, fake_vranalysis):
    key = desk.add()

    report = desk.tracker.workflow.run(registrar=VrAnalysisRegistrar({"oasis": False}))

    assert report.succeeded == 1
    assert '"oasis": false' in (desk.folder(key) / "vrExperimentOptions.json").read_text()


# -- what cannot work at all ----------------------------------------------------------------------


def broken(fake_vranalysis) -> None:
    (fake_vranalysis / "vrAnalysis" / "registration" / "__init__.py").write_text(
        "import no_such_sklearn"
    )


@pytest.mark.parametrize("imaging", [None, True, False])
def test_vranalysis_that_cannot_be_imported_ends_the_run_before_the_first_claim(
    desk, fake_vranalysis, imaging
):
    key = desk.add(imaging=True, suite2p=True)
    desk.tracker.workflow.exclude(key, "red_cell_qc", "registered without imaging")
    before = desk.tracker.history(key)["verb"].tolist()
    broken(fake_vranalysis)

    with pytest.raises(ConfigurationError, match="No module named 'no_such_sklearn'"):
        desk.sessions.register_sessions(imaging=imaging)
    with pytest.raises(ConfigurationError, match="No module named 'no_such_sklearn'"):
        desk.sessions.register_single_session("ATL012", "2023-01-20", 701, imaging=imaging)

    assert desk.tracker.history(key)["verb"].tolist() == before
    assert desk.tracker.workflow.attempts(key).empty
    assert not desk.row(key).vrRegistrationError


@ON_SQLITE
def test_vranalysis_that_is_not_there_ends_the_run_before_the_first_claim(desk):
    key = desk.add()

    with pytest.raises(MissingDependencyError, match="pip install"):
        desk.tracker.workflow.run(registrar=VrAnalysisRegistrar())

    assert desk.tracker.history(key)["verb"].tolist() == ["added"]


@ON_SQLITE
def test_option_that_vranalysis_does_not_know_ends_the_run_before_the_first_claim(
    desk, fake_vranalysis
):
    key = desk.add()

    with pytest.raises(InvalidValueError, match="no option 'oassis'"):
        desk.tracker.workflow.run(registrar=VrAnalysisRegistrar({"oassis": False}))

    assert desk.tracker.history(key)["verb"].tolist() == ["added"]


@ON_SQLITE
def test_vranalysis_that_cannot_be_imported_is_one_error_in_the_shell(desk, fake_vranalysis):
    desk.add()
    broken(fake_vranalysis)
    by_class = "vrtracker.interop.vranalysis.b2:VrAnalysisRegistrar"
    words = ("--url", desk.url, "--root", desk.root, "register", "--registrar", by_class)

    assert "No module named 'no_such_sklearn'" in refused(*words, code=2)
    assert "No module named 'no_such_sklearn'" in refused(*words, "--dry-run", code=2)


@ON_SQLITE
def test_folders_are_registered_by_what_the_profile_names(desk):
    key = desk.add()
    np.save(desk.one(key) / "trials.startTimes.npy", np.zeros(3))

    assert desk.sessions.register_single_session("ATL012", "2023-01-20", 701) is True
    assert desk.tracker.datasets(key)["rel_path"].tolist() == ["oneData/trials.startTimes.npy"]


@ON_SQLITE
def test_registration_with_imaging_takes_back_that_there_was_none(desk, fake_vranalysis):
    key = desk.add(imaging=True)
    desk.sessions.register_single_session("ATL012", "2023-01-20", 701, imaging=False)
    desk.suite2p(key)
    desk.sessions.check_s2p(with_database_update=True)

    assert desk.sessions.register_single_session("ATL012", "2023-01-20", 701, imaging=True) is True

    states = desk.tracker.workflow.states(key)
    assert (states["suite2p"], states["red_cell_qc"]) == ("done", "ready")


@ON_SQLITE
def test_run_without_imaging_takes_those_that_wait_for_suite2p(desk, fake_vranalysis):
    desk.add(701, imaging=True)
    desk.add(702)

    report = desk.sessions.register_sessions(imaging=False)

    assert report.succeeded == 2
    assert desk.sessions.needs_red_cell_qc().empty


def test_import_of_the_stand_in_module_imports_nothing_of_vranalysis():
    code = (
        "import sys, vrtracker.interop.vranalysis; "
        "print([name for name in sys.modules if name.startswith('vrAnalysis')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@ON_SQLITE
def test_registrar_of_the_profile_comes_before_that_of_the_backend(
    desk, fake_vranalysis, monkeypatch, tmp_path
):
    key = desk.add()
    config = tmp_path / "config.toml"
    config.write_text(
        f'default_profile = "lab"\n[profiles.lab]\nurl = "{desk.url}"\n'
        '[profiles.lab.registrars]\nregistration = "support.registrars:good"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    database = desk.database("vrSessions")

    assert database.register_single_session("ATL012", "2023-01-20", 701) is True

    assert (desk.folder(key) / "oneData" / "trials.startTimes.npy").read_bytes() == (
        str(key).encode()
    )


def test_showing_a_session_opens_nothing(root):
    session = LazySession(KEY, NullBackend())

    assert not hasattr(session, "_repr_html_")
    assert not hasattr(session, "__array__")
    with pytest.raises(RootUnavailableError):
        _ = session.spks


def test_what_is_set_is_set_on_the_opened_session(root, fake_vranalysis):
    (root / KEY.path / "vrExperimentOptions.json").write_text("{}")
    session = LazySession(KEY, backend_named("auto", root))

    session.params = {"spks_type": "other"}

    assert session.opened.params == {"spks_type": "other"}


@ON_SQLITE
def test_run_without_imaging_asks_for_no_red_cells_where_suite2p_is_done(desk, fake_vranalysis):
    desk.add(imaging=True, suite2p=True)

    assert desk.sessions.register_sessions(imaging=False).succeeded == 1

    assert desk.sessions.needs_red_cell_qc().empty
