"""The published dialect is there for the tests that need it, and for no others."""

from __future__ import annotations

import sys

import sqlalchemy as sa

from support.windows import windows_dialect
from vrtracker.backends.access.dialect import UcanaccessDialect, register

THEIRS = {"sqlalchemy_access", "pyodbc", "win32com"}


def roots() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def test_what_the_windows_dialect_needed_is_gone_afterwards(published_dialect):
    register()
    before = list(sys.path)
    with windows_dialect(published_dialect) as dialect:
        assert roots() >= THEIRS
        assert type(sa.create_engine("access+pyodbc:///a.accdb").dialect) is dialect
    assert roots().isdisjoint(THEIRS)
    assert "vrtracker.backends.access.odbc" not in sys.modules
    assert sys.path == before
    for url in ("access:///a.accdb", "access+ucanaccess:///a.accdb"):
        assert type(sa.create_engine(url).dialect) is UcanaccessDialect
