from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vrtracker
from support.command_line import good, told
from vrtracker.demo import run_demo


class DemoShell:
    """A demo lab of the test's own, and the shell on it."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "lab.db")
        self.root = folder / "lab"
        self.options = ("--url", self.url, "--root", str(self.root))

    def told(self, *words: object) -> Any:
        """Return the JSON document of a command."""
        return told(*self.options, *words)

    def good(self, *words: object) -> str:
        """Return what a command wrote."""
        return good(*self.options, *words)

    def open(self) -> vrtracker.Tracker:
        """Open the library on it."""
        return vrtracker.open(self.url, root=self.root)


@pytest.fixture(scope="session")
def demo_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "template"
    run_demo(folder).tracker.close()
    return folder


@pytest.fixture(scope="session")
def sample(demo_template: Path) -> DemoShell:
    """Return a demo lab that all tests share, and none may write to."""
    return DemoShell(demo_template)


@pytest.fixture
def demo(demo_template: Path, tmp_path: Path) -> DemoShell:
    """Return a demo lab of the test's own."""
    folder = tmp_path / "demo"
    shutil.copytree(demo_template, folder)
    return DemoShell(folder)


@pytest.fixture
def empty(tmp_path: Path, put_sqlite: Callable[[Path], Path]) -> str:
    """Return the path of a database of the test's own, without rows."""
    return str(put_sqlite(tmp_path / "empty.db"))
