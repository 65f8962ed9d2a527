"""Work with a time limit: done in a process of its own, which is ended with all that it started."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from vrtracker import processes
from vrtracker.domain.failures import message_of, traceback_of
from vrtracker.domain.registrars import Job, Registrar, RegistrarResult
from vrtracker.errors import (
    ConfigurationError,
    InvalidValueError,
    RegistrarError,
    SessionTimeoutError,
)
from vrtracker.registrars.checking import registered, require_working
from vrtracker.registrars.versions import version_of

_CHILD = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve({folder!r})"
_REQUEST, _ANSWER = "request", "answer"
_LEAST_S = 60
"""What a process may take to begin at all, seconds."""


def time_limited(registrar: Registrar, minutes: float | None) -> Registrar:
    """Return a registrar that may work so long on one session; itself without a limit.

    Raises ConfigurationError if it cannot be sent to another process, InvalidValueError if the
    limit is none.
    """
    if not minutes:
        return registrar
    if not 0 < minutes < math.inf:
        raise InvalidValueError(f"timeout_minutes takes a number above 0, not {minutes!r}.")
    if isinstance(registrar, TimeLimited):
        return replace(registrar, minutes=minutes)
    limited = TimeLimited(registrar, minutes)
    require_working(limited)
    return limited


@dataclass(frozen=True, slots=True)
class TimeLimited:
    """Has another registrar work on each session in a new process, and ends that in time.

    `minutes`: how long it may work on one session.
    """

    registrar: Registrar
    minutes: float

    @property
    def name(self) -> str:
        """The other one's."""
        return self.registrar.name

    @property
    def options(self) -> Mapping[str, Any]:
        """The other one's."""
        return self.registrar.options

    @property
    def version(self) -> str | None:
        """The other one's."""
        return version_of(self.registrar)

    def estimate(self, job: Job) -> int | None:
        """Return what the other one says."""
        return self.registrar.estimate(job)

    def check(self) -> None:
        """Send the other one to a process of its own, on trial.

        Raises ConfigurationError if it does not arrive there.
        """
        try:
            _in_process((self.registrar, None), timeout_s=max(_LEAST_S, self.minutes * 60))
        except Exception as error:
            raise ConfigurationError(
                f"With a time limit the registrar {self.name!r} works in a process of its own, and "
                f"cannot be sent there ({type(error).__name__}: {error}). Put it into a file that "
                "can be imported and name it as module:function, or take the limit away. No "
                "session was touched."
            ) from error

    def register(self, job: Job) -> RegistrarResult | None:
        """Have the other one work, and wait for it.

        Raises SessionTimeoutError if it takes too long. Raises RegistrarError if its process ended
        without an answer.
        """
        try:
            answer = _in_process((self.registrar, job), timeout_s=self.minutes * 60)
        except subprocess.TimeoutExpired:
            raise SessionTimeoutError(job.key, self.minutes) from None
        return answer  # type: ignore[no-any-return]


class _Raised(NamedTuple):
    """An exception as it is sent to another process."""

    pickled: bytes
    names: list[tuple[str, str]]
    message: str
    traceback: str


class _ThereError(Exception):
    """What was raised in the other process, with its traceback as text."""


def _in_process(request: Any, *, timeout_s: float) -> Any:
    """Return what a registrar does with a job in a new process; raise what it raises."""
    with TemporaryDirectory(prefix="vrtracker-") as folder:
        Path(folder, _REQUEST).write_bytes(pickle.dumps(request))
        code = _run(folder, timeout_s)
        answer = Path(folder, _ANSWER)
        if not answer.exists():
            raise RegistrarError(
                f"The process of the registrar ended with exit code {code} and without an answer; "
                "look at what it printed."
            )
        answered = pickle.loads(answer.read_bytes())  # noqa: S301
        if isinstance(answered, _Raised):
            raise _as_raised(answered)
        return pickle.loads(answered)  # noqa: S301


def _run(folder: str, timeout_s: float) -> int:
    """Run the other process to its end, or end it; return its exit code."""
    code = _CHILD.format(path=sys.path, module=__name__, folder=folder)
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            return process.wait(timeout_s)
        except BaseException:
            if process.poll() is None:
                processes.end_tree(process.pid)
            raise


def _as_raised(sent: _Raised) -> Exception:
    """Return the exception; one that arrives as another is stood in for by one of its names."""
    error: Any = None
    # Classes of the lab's own may refuse to be made again, or end the process.
    with contextlib.suppress(Exception, SystemExit):
        error = pickle.loads(sent.pickled)  # noqa: S301
    is_same = isinstance(error, Exception) and _names(type(error)) == sent.names
    if not is_same or message_of(error) != sent.message:
        kind: Any = Exception
        for module, name in reversed(sent.names):
            kind = type(name.rpartition(".")[2], (kind,), {"__module__": module})
            kind.__qualname__ = name
        error = kind(sent.message)
    error.__cause__ = _ThereError(f"\n{sent.traceback}")
    return error  # type: ignore[no-any-return]


def serve(folder: str) -> None:
    """Do what the folder's request says, and leave the answer there."""
    processes.adopt_orphans()
    _end_with_parent()
    try:
        registrar, job = pickle.loads(Path(folder, _REQUEST).read_bytes())  # noqa: S301
        answer: Any = pickle.dumps(None if job is None else registered(registrar, job))
    except Exception as error:  # noqa: BLE001 - whatever the lab's own code raises is sent back
        answer = _sent(error)
    unfinished = Path(folder, f"{_ANSWER}.part")
    unfinished.write_bytes(pickle.dumps(answer))
    unfinished.replace(Path(folder, _ANSWER))


def _end_with_parent() -> None:
    """End this process with all that it started when its parent does, however that ends.

    The parent holds the other end of standard input, and writes nothing.
    """
    held = os.fdopen(os.dup(0), "rb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        held.read()
        processes.end_tree(os.getpid())

    threading.Thread(target=watch, name="vrtracker parent", daemon=True).start()


def _sent(error: Exception) -> _Raised:
    try:
        pickled = pickle.dumps(error)
    except Exception:  # noqa: BLE001 - its class may be a local one
        pickled = b""
    return _Raised(pickled, _names(type(error)), message_of(error), traceback_of(error))


def _names(kind: type) -> list[tuple[str, str]]:
    """Return what a class and its bases are called, without those of every exception."""
    own = (base for base in kind.__mro__ if base not in Exception.__mro__)
    return [(base.__module__, base.__qualname__) for base in own]
