from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from vrtracker.backends import backend_for, parse_url, without_password
from vrtracker.database import Database
from vrtracker.errors import ConfigurationError


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/data/lab.db", "sqlite:////data/lab.db"),
        (Path("/data/lab.db"), "sqlite:////data/lab.db"),
        ("sqlite:////data/lab.db", "sqlite:////data/lab.db"),
        ("/data/with space.sqlite", "sqlite:////data/with space.sqlite"),
        ("postgresql://rig@db.lab/paper", "postgresql+psycopg://rig@db.lab/paper"),
        ("postgresql+psycopg2://rig@db.lab/paper", "postgresql+psycopg://rig@db.lab/paper"),
        ("postgresql+psycopg://rig@db.lab/paper", "postgresql+psycopg://rig@db.lab/paper"),
        (sa.make_url("postgresql://rig@db.lab/paper"), "postgresql+psycopg://rig@db.lab/paper"),
    ],
    ids=repr,
)
def test_path_or_url_becomes_a_url_with_our_driver(target, shown):
    assert parse_url(target).render_as_string(hide_password=False) == shown


def test_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    for target in ("lab.db", "~/lab.db", "sqlite:///lab.db", Path("lab.db")):
        assert parse_url(target).database == str(tmp_path / "lab.db")
    assert parse_url("access:///lab.accdb").database == str(tmp_path / "lab.accdb")


@pytest.mark.parametrize("name", ["~x.db", "~lab.accdb"])
def test_name_of_a_file_may_begin_with_a_tilde(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    for target in (name, f"./{name}", Path(name)):
        assert parse_url(target).database == str(tmp_path / name)


def test_name_that_is_almost_one_of_access_makes_no_file_of_sqlite(tmp_path):
    with pytest.raises(ConfigurationError, match=r"x\.accdb"):
        parse_url(tmp_path / "x.accb")
    (tmp_path / "x.accb").touch()

    assert parse_url(tmp_path / "x.accb").get_backend_name() == "sqlite"


def test_home_directory_of_nobody_is_refused():
    with pytest.raises(ConfigurationError, match=r"No user.*\./~no-such-user/lab\.db"):
        parse_url("~no-such-user/lab.db")


@pytest.mark.parametrize("target", ["", "  ", "sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_address_of_no_file_is_refused(target):
    with pytest.raises(ConfigurationError):
        parse_url(target)


@pytest.mark.parametrize("target", ["/data/lab.accdb", "/data/LAB.MDB", Path("/data/x.accdb")])
def test_access_file_gets_the_driver_of_this_system(target):
    url = parse_url(target)

    driver = "pyodbc" if sys.platform == "win32" else "ucanaccess"
    assert (url.drivername, url.database) == (f"access+{driver}", str(target))


@pytest.mark.skipif(sys.platform == "win32", reason="a URL of a Windows path is another")
@pytest.mark.parametrize("scheme", ["access", "access+ucanaccess"])
def test_access_url_names_one_file_whatever_its_spelling(tmp_path, monkeypatch, scheme):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path / "data"))
    spellings = ("lab.accdb", "~/lab.accdb", f"{tmp_path}/link/lab.accdb", "../data/lab.accdb")

    found = {parse_url(f"{scheme}:///{spelling}").database for spelling in spellings}

    assert found == {str((tmp_path / "data" / "lab.accdb").resolve())}
    assert {parse_url(spelling).database for spelling in spellings} == found


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a path")
def test_windows_path_stays_as_it_is_elsewhere():
    assert parse_url("access+pyodbc:///C:/lab.accdb").database == "C:/lab.accdb"


def test_access_path_that_no_file_can_have_is_refused():
    with pytest.raises(ConfigurationError, match="is not the path of a file"):
        parse_url("la\0b.accdb")


@pytest.mark.parametrize(
    "target", ["mysql://x@y/z", "oracle://x@y/z", "mssql+pyodbc://x@y/z", "nonsense://x"]
)
def test_other_database_is_refused_with_those_that_work(target):
    with pytest.raises(ConfigurationError, match="postgresql"):
        parse_url(target)


@pytest.mark.parametrize(
    "target",
    [
        "postgresql://rig:s3cret@db.lab:port/paper",
        "postgresql://rig:s3cret@[::1/paper",
        "mysql://rig:s3cret@db.lab/paper",
        "postgresql://rig:s3@cret@db.lab:port/paper",
    ],
)
def test_password_of_a_wrong_url_is_not_shown(target):
    with pytest.raises(ConfigurationError) as refused:
        parse_url(target)

    shown = f"{refused.value} {refused.value!r}"
    assert "s3cret" not in shown
    assert "s3" not in shown
    assert "cret" not in shown


@pytest.mark.parametrize(
    "target",
    [
        "postgresql://rig:s3cret@db.lab:5433/paper",
        "postgresql://db.lab:5433/paper?user=rig&password=s3cret",
    ],
)
def test_address_is_shown_without_its_password(target):
    database = Database(target)

    for shown in (str(database), repr(database), str(without_password(parse_url(target)))):
        assert "s3cret" not in shown
        assert "db.lab:5433/paper" in shown


def test_file_is_shown_as_its_path():
    assert str(Database("/data/lab.db")) == "/data/lab.db"


def test_making_a_database_object_touches_nothing(tmp_path):
    Database(tmp_path / "lab.db")
    Database("postgresql://rig@nowhere.invalid/paper")

    assert list(tmp_path.iterdir()) == []


def test_backend_goes_by_the_url():
    assert backend_for(parse_url("lab.db")).name == "sqlite"
    assert backend_for(parse_url("postgresql://x@y/z")).supports_for_update
