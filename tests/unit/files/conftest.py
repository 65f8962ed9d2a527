"""Fixtures for what only a real disk can show."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def put() -> Callable[..., Path]:
    """Write a file, and the folders that it needs."""

    def put_file(path: Path, content: bytes | str = b"x") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put_file


@pytest.fixture
def plain_user_folder() -> Iterator[Path]:
    """Give a folder, and let the test run as somebody to whom permissions apply."""
    if os.name == "nt":
        pytest.skip("permissions are not those of POSIX")
    folder = Path(tempfile.mkdtemp(prefix="vrt-plain-"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        for here, _, _ in os.walk(folder):
            Path(here).chmod(0o700)
        shutil.rmtree(folder)
