"""A lab's file cannot be adopted through Microsoft's driver; the refusal says how it is done."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlalchemy as sa

from support.legacy import everything, make_table, mouse, session
from support.windows import windows_engine
from vrtracker.backends.access import jars
from vrtracker.backends.access.backend import AccessBackend
from vrtracker.errors import BackendError, MissingDependencyError
from vrtracker.services.administration.adoption import adopt, inspect


@pytest.fixture
def lab(new_file):
    make_table(str(new_file), "mousedb", [mouse(1, "ATL012")])
    make_table(str(new_file), "sessiondb", [session(1, "atl012", dt.datetime(2023, 1, 20), 701)])
    return new_file


@pytest.fixture
def odbc(windows, lab, monkeypatch):
    """The file through the dialect for Windows, whose SQL UCanAccess runs."""
    monkeypatch.setattr(
        AccessBackend, "create_engine", lambda _self, url, **_: windows_engine(url.database)
    )
    return f"access+pyodbc:///{lab}?synced_folder=allow"


def test_refusal_names_the_command_that_adopts_the_file(odbc, lab, monkeypatch):
    assert not inspect(odbc).blocking
    before, names = everything(odbc), sorted(lab.parent.iterdir())

    with pytest.raises(BackendError, match="nothing was written") as refused:
        adopt(odbc)

    assert everything(odbc) == before
    assert sorted(lab.parent.iterdir()) == names
    assert 'pip install "vrtracker[java]"' in str(refused.value)
    [url] = re.findall(r'vrtracker db adopt "(.*)" --apply', str(refused.value))
    monkeypatch.undo()
    assert adopt(url).applied
    assert inspect(str(lab)).revision is not None


def test_file_that_was_adopted_is_left_alone_through_any_driver(lab, request):
    adopt(str(lab))
    assert not adopt(request.getfixturevalue("odbc")).applied


def test_refusal_has_the_path_of_windows_and_no_password():
    url = sa.make_url("access+pyodbc://admin:secret@/C:/lab data/vr.accdb")

    with pytest.raises(BackendError) as refused:
        AccessBackend().check_adoptable(url)

    assert '"access+ucanaccess:///C:/lab data/vr.accdb" --apply' in str(refused.value)
    assert "secret" not in str(refused.value)


def test_java_that_is_missing_on_windows_has_its_own_extra(monkeypatch):
    monkeypatch.setattr(jars, "EXTRA", "java")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(MissingDependencyError, match=r"vrtracker\[java\]"):
        AccessBackend().check_target(sa.make_url("access+ucanaccess:///C:/lab.accdb"))
