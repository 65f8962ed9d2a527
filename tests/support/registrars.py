"""Registrars that do what a test needs, and a worker process that runs one.

``python -m support.registrars URL ROOT STAGE FUNCTION LEASE`` runs a stage with one of the
functions below, or what else names a registrar; tests start it in order to kill it.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vrtracker.domain.registrars import Job, RegistrarResult

HANGS = "hangs-here"
"""A file of this name in the session's folder says that `hang` has begun to write."""


def writes(
    files: Mapping[str, bytes], result: RegistrarResult | None = None
) -> Callable[[Job], RegistrarResult | None]:
    """Return a registrar that writes these files."""

    def write(job: Job) -> RegistrarResult | None:
        for name, content in files.items():
            path = job.staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return result

    return write


def raises(error: BaseException, after: Mapping[str, bytes] | None = None) -> Callable[[Job], None]:
    """Return a registrar that writes some files and then raises."""
    begin = writes(after or {})

    def fail(job: Job) -> None:
        begin(job)
        raise error

    return fail


def good(job: Job) -> None:
    """Write one file that names the session."""
    (job.staging / "trials.startTimes.npy").write_bytes(str(job.key).encode())


def ends_at_once(job: Job) -> None:
    """Take the process down, as a fault in a library does."""
    del job
    os._exit(3)


def interrupts(job: Job) -> None:
    """Interrupt the run, as whoever tells its worker to end."""
    raise KeyboardInterrupt


def forks(job: Job) -> None:
    """Fork, and return twice."""
    os.fork()
    good(job)


def bad(job: Job) -> None:
    """Fail, and say of which session."""
    raise ValueError(f"first flips in trial are not all down in {job.key}")


def hang(job: Job) -> None:
    """Write half of an output, say so, and wait to be killed."""
    (job.staging / "trials.startTimes.npy").write_bytes(b"half")
    (job.session_path / HANGS).touch()
    time.sleep(600)


WRITES = """
import os, sys, time
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()}\\n")
    for _ in range(6000):
        file.write(".")
        file.flush()
        time.sleep(0.01)
"""
LEAVES = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
WRITERS = ("child", "orphan")
"""Files in the session's folder that `leave_writers` has other processes write to for a minute."""


def command_that_writes() -> str:
    """Return the registrar whose program writes to the file `HANGS`."""
    code = WRITES.replace("{", "{{").replace("}", "}}")
    return f"command: {shlex.join([sys.executable, '-c', code, HANGS])}"


def leave_writers(job: Job) -> None:
    """Start a process, and one in a session of its own whose parent ends; both write."""
    child, orphan = (
        [sys.executable, "-c", WRITES, str(job.session_path / name)] for name in WRITERS
    )
    subprocess.Popen(child)
    subprocess.run([sys.executable, "-c", LEAVES, *orphan], check=True)
    hang(job)


def fail_locally(job: Job) -> None:
    """Raise an exception of a class that no other process can find."""

    class LocalError(LookupError):
        pass

    raise LocalError(f"no flips in {job.key}")


class RephrasedError(LookupError):
    """One that is made of something else than its text."""

    def __init__(self, code: Any) -> None:
        super().__init__(f"no flips: code {code}")


class MasqueradingError(LookupError):
    """One that is unpickled as something else."""

    def __reduce__(self) -> Any:
        return str, ("no flips",)


class FatalError(LookupError):
    """One that ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def fail_oddly(job: Job) -> None:
    """Raise the exception that the options name, of a class that pickle does not do justice."""
    kinds: dict[str, type[BaseException]] = {
        kind.__name__: kind for kind in (RephrasedError, MasqueradingError, FatalError, SystemExit)
    }
    raise kinds[job.options["kind"]]("no flips")


def slow(job: Job) -> None:
    """Take as many seconds as the options say."""
    time.sleep(job.options["seconds"])
    good(job)


def noted(job: Job) -> None:
    """Append the session to the file that the options name, and write an output."""
    with Path(job.options["file"]).open("a", encoding="utf-8") as file:
        file.write(f"{job.key}\n")
    good(job)


def kills_once(job: Job) -> None:
    """Do as `noted`; over the session that the options name, the first time, signal the process.

    The options name the signal; not given, SIGKILL.
    """
    begun = job.session_path / HANGS
    if str(job.key) == job.options["deadly"] and not begun.exists():
        begun.touch()
        (job.staging / "trials.startTimes.npy").write_bytes(b"half")
        os.kill(os.getpid(), job.options.get("signal", signal.SIGKILL))
    noted(job)


def options_of(job: Job) -> None:
    """Write the options as text."""
    (job.staging / "job.options.txt").write_text(repr(sorted(job.options.items())))


NOT_CALLABLE = 3


class Counting:
    """A registrar as a class, with an option."""

    def __init__(self, size: int = 3) -> None:
        self.size = size

    @property
    def name(self) -> str:
        """Its name."""
        return "counting"

    @property
    def options(self) -> dict[str, Any]:
        """Its options."""
        return {"size": self.size}

    def estimate(self, job: Job) -> int | None:
        """Know the size beforehand."""
        return self.size

    def register(self, job: Job) -> RegistrarResult:
        """Write so many bytes."""
        (job.staging / "job.count.bin").write_bytes(bytes(self.size))
        return RegistrarResult()


def main(url: str, root: str, stage: str, function: str, lease_s: str) -> None:
    """Run a stage over everything that needs it."""
    from vrtracker.database import Database
    from vrtracker.domain.stages import StageGraph
    from vrtracker.services.context import LabContext
    from vrtracker.tracker import Tracker

    lab = LabContext(
        database=Database(url),
        stages=StageGraph(),
        actor="worker",
        root=Path(root),
        lease=dt.timedelta(seconds=float(lease_s)),
    )
    with Tracker(lab) as tracker:
        tracker.workflow.run(stage, registrar=globals().get(function, function))


if __name__ == "__main__":
    main(*sys.argv[1:])
