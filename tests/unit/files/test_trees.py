"""Moving files to another file system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vrtracker.files import trees


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a file, where it goes, and a function that sets what happens once it is copied."""

    def refuse(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    source, target = tmp_path / "here" / "a.npy", tmp_path / "there" / "a.npy"
    source.parent.mkdir()
    source.write_bytes(b"first")
    monkeypatch.setattr(trees, "rename", refuse)

    def then(act):
        monkeypatch.setattr(trees, "_flush_one", lambda path: path.is_dir() and act(source))

    return source, target, then


def written_to(path: Path) -> None:
    path.write_bytes(b"other")
    os.utime(path, ns=(0, 1))


def test_file_that_somebody_else_moved_meanwhile_is_not_lost(elsewhere):
    source, target, then = elsewhere
    then(Path.unlink)

    trees.move(source, target)

    assert (source.exists(), target.read_bytes()) == (False, b"first")


def test_file_that_is_written_to_while_it_is_copied_stays_as_it_is(elsewhere):
    source, target, then = elsewhere
    then(written_to)

    with pytest.raises(OSError, match="meanwhile"):
        trees.move(source, target)

    assert source.read_bytes() == b"other"
    assert list(target.parent.iterdir()) == []
