"""A surrounding that is the same at every desk and in CI."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

_KEPT_PREFIX = "VRTRACKER_TEST_"
_ENOUGH_MEMORY = 4 * 2**30
# Each makes programs colour or widen what they print, whether or not a terminal is there.
_TERMINAL = ("FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS")


def keep_temporary_files_in_memory() -> None:
    """Put temporary folders into memory where there is room for it, as on Linux.

    Every commit waits for the disk; with two cores and a slow disk that is most of the suite's
    time, and no test asks whether a disk keeps its promise through a power cut.
    """
    memory = Path("/dev/shm")
    if (
        memory.is_dir()
        and os.access(memory, os.W_OK)
        and shutil.disk_usage(memory).free >= _ENOUGH_MEMORY
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = str(memory)


def heed_interrupts() -> None:
    """Let what the tests start be interrupted, also where a shell runs them in its background.

    There a shell starts programs with interrupts ignored, and their children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _access_libraries() -> str | None:
    """Return a folder that holds the Java libraries already, so that no run fetches them twice."""
    from vrtracker.backends.access import jars

    folder = Path(os.environ.get(jars.FOLDER_VARIABLE) or jars.cache_folder())
    there = all((folder / jar.filename).is_file() for jar in jars.JARS)
    return str(folder) if there else None


def isolate(home: Path) -> None:
    """Hide the settings and profiles of whoever runs the tests, and fix the terminal."""
    libraries = _access_libraries()
    for name in list(os.environ):
        if name.startswith("VRTRACKER_") and not name.startswith(_KEPT_PREFIX):
            del os.environ[name]
    for name in _TERMINAL:
        os.environ.pop(name, None)
    for name in ("HOME", "APPDATA", "LOCALAPPDATA"):
        os.environ[name] = str(home)
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    if libraries is not None:
        os.environ["VRTRACKER_ACCESS_JARS"] = libraries
    # Each of the many processes would compile the whole package for itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["VRTRACKER_JAVA_BRIEF"] = "1"
    # Java would begin with little memory, and tidy it up after every third file that is opened.
    os.environ["VRTRACKER_JAVA_OPTIONS"] = "-Xms256m -Xmn192m"
    os.environ.update(NO_COLOR="1", TERM="dumb", COLUMNS="120")
