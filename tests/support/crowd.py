"""Several processes that drain one queue, and what must hold however they end.

Every process runs `drain`: its registrar appends the session's key to a ledger, one line in one
write, works a millisecond and writes one file.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from support.processes import quick_processes
from support.registrars import good
from support.workflow_lab import WorkflowLab
from vrtracker.domain.registrars import Job

SESSIONS = int(os.environ.get("VRTRACKER_TEST_CROWD", "60"))
"""How many sessions a crowd works on; .ci/run asks for 2000. Access has a tenth of them."""

WORK_S = 0.001
PATIENCE_S = 100 + SESSIONS / 5
_RENEWING = threading.Lock()


def drain(url: str, root: str, ledger: str, lease_s: float, suspends: int = 0) -> None:
    """Work until the queue is empty, then append to the ledger's neighbour how it went.

    Parameters
    ----------
    suspends
        Send the process SIGSTOP in the middle of the first work on every session whose number
        this divides; 0 for none.
    """
    from vrtracker.database import Database
    from vrtracker.domain.stages import StageGraph
    from vrtracker.services.context import LabContext
    from vrtracker.services.workflow.heartbeat import Heartbeat
    from vrtracker.tracker import Tracker

    lab = LabContext(
        database=Database(url),
        stages=StageGraph(),
        actor="worker",
        root=Path(root),
        lease=dt.timedelta(seconds=lease_s),
    )
    # One that is stopped in the middle of a transaction keeps all others from a file, for ever.
    renew = Heartbeat._renew

    def renew_alone(heartbeat: Heartbeat, attempt_id: str) -> None:
        with _RENEWING:
            renew(heartbeat, attempt_id)

    Heartbeat._renew = renew_alone  # type: ignore[method-assign]
    work: Any = functools.partial(register, ledger=Path(ledger), suspends=suspends)
    # Else it is looked for among all that is installed, which takes longer than many live.
    work.version = "1"
    with Tracker(lab) as tracker:
        tracker.sessions.count()
        append(Path(ledger).with_suffix(".open"), str(os.getpid()))
        report = tracker.workflow.run(registrar=work)
    for result in report.results:
        append(told(Path(ledger)), result.outcome)


def register(job: Job, *, ledger: Path, suspends: int) -> None:
    """Note the session in the ledger, and write one file."""
    append(ledger, str(job.key))
    time.sleep(WORK_S)
    mark = job.session_path / "was-suspended"
    if suspends and job.record.uSessionID % suspends == 0 and not mark.exists():
        mark.touch()
        suspended_at(ledger, os.getpid()).write_text(str(job.key))
        with _RENEWING:
            os.kill(os.getpid(), signal.SIGSTOP)
    good(job)


def told(ledger: Path) -> Path:
    """Return the file that holds a word for each session that a process got to the end of."""
    return ledger.with_suffix(".told")


def suspended_at(ledger: Path, process_id: int) -> Path:
    """Return the file that holds the session in which a process stops itself."""
    return ledger.with_suffix(f".{process_id}")


def append(path: Path, line: str) -> None:
    """Add a line to a file in one write, whoever else does."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, f"{line}\n".encode())
    os.close(file)


class Crowd:
    """Processes at one queue.

    Parameters
    ----------
    lab
        Its tracker's clock must be the real one where it takes part.
    count
        How many processes.
    """

    def __init__(
        self, lab: WorkflowLab, count: int, *, lease_s: float = 60, suspends: int = 0
    ) -> None:
        self.ledger = lab.root / "ledger.txt"
        self._work = functools.partial(
            drain, lab.url, str(lab.root), str(self.ledger), lease_s, suspends
        )
        self._context = quick_processes()
        self._begun = time.monotonic()
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> Any:
        process = self._context.Process(target=self._work)
        process.start()
        return process

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            process.kill()
            process.join()

    def kill(self, index: int) -> bool:
        """Kill a process without warning and start another; return whether it still lived."""
        process = self.processes[index]
        process.kill()
        process.join()
        if process.exitcode == 0:
            return False
        self.processes[index] = self._start()
        return True

    def is_done(self) -> bool:
        """Return whether all processes have ended; an error in one is an error here."""
        codes = [process.exitcode for process in self.processes]
        assert not any(codes), f"a worker failed: {codes}"
        return None not in codes

    def wait(self, meanwhile: Callable[[], object], pause_s: float = 0.05) -> None:
        """Wait until all have ended, and do something again and again in the meantime."""
        end = time.monotonic() + PATIENCE_S
        while not self.is_done():
            meanwhile()
            assert time.monotonic() < end, "the crowd does not come to an end"
            time.sleep(pause_s)

    @property
    def seconds(self) -> float:
        """How long ago the first was started."""
        return time.monotonic() - self._begun

    def suspended(self) -> Iterator[tuple[psutil.Process, str]]:
        """Yield the processes that have stopped themselves, each with its session."""
        for process in self.processes:
            if process.exitcode is None and _is_stopped(process.pid):
                found = psutil.Process(process.pid)
                yield found, suspended_at(self.ledger, found.pid).read_text()

    @property
    def is_open(self) -> bool:
        """Whether all processes have opened the database."""
        opened = self.ledger.with_suffix(".open")
        return opened.exists() and len(opened.read_text().split()) >= len(self.processes)

    def lines(self) -> Counter[str]:
        """Return how often each session was begun."""
        return Counter(self.ledger.read_text().splitlines())

    def outcomes(self) -> Counter[str]:
        """Return how many sessions came to which end in the processes that lived to tell."""
        return Counter(told(self.ledger).read_text().splitlines())


def _is_stopped(pid: int | None) -> bool:
    # It may end by itself while it is looked at.
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def fill(lab: WorkflowLab, count: int) -> list[str]:
    """Add sessions with their folders, and return their keys."""
    day = dt.date(2023, 1, 1)
    rows = [
        {"mouseName": "M1", "sessionDate": day + dt.timedelta(days=at // 10), "sessionID": at % 10}
        for at in range(count)
    ]
    lab.tracker.sessions.add_many(rows)
    keys = [f"M1.{row['sessionDate']}.{row['sessionID']}" for row in rows]
    for key in keys:
        lab.folder(key).mkdir(parents=True)
    return keys


def verbs(lab: WorkflowLab) -> Counter[tuple[str, str]]:
    """Return how often each session has each event of a run."""
    database = lab.tracker.database
    table = database.tables.events
    statement = (
        select(table.c.subject_key, table.c.verb, func.count())
        .where(table.c.stage == "registration")
        .group_by(table.c.subject_key, table.c.verb)
    )
    with database.read_engine.connect() as connection:
        return Counter({(key, verb): n for key, verb, n in connection.execute(statement)})


def attempts(lab: WorkflowLab) -> Counter[str]:
    """Return how many attempts came to which end."""
    database = lab.tracker.database
    table = database.tables.attempts
    statement = select(table.c.outcome, func.count()).group_by(table.c.outcome)
    with database.read_engine.connect() as connection:
        return Counter(dict(map(tuple, connection.execute(statement))))
