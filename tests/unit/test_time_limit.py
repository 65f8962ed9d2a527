"""Work with a time limit: what is sent to its process and back, and what is ended with it."""

from __future__ import annotations

import multiprocessing
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import registrars
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.domain.registrars import Job, RegistrarResult
from vrtracker.domain.retrying import names_of_class
from vrtracker.errors import ConfigurationError, RegistrarError, SessionTimeoutError
from vrtracker.registrars import registrar_from, time_limited, version_of
from vrtracker.registrars.alf_indexer import AlfIndexer
from vrtracker.registrars.time_limit import TimeLimited

WRITERS = registrars.WRITERS if sys.platform == "linux" else registrars.WRITERS[:1]


@pytest.fixture
def job(tmp_path) -> Job:
    session = tmp_path / "M1" / "2023-01-20" / "001"
    staging = session / ".staging"
    staging.mkdir(parents=True)
    key = SessionKey.parse("M1.2023-01-20.1")
    record = SessionRecord(*[None] * len(SessionRecord.__slots__[:-1]), extra={})
    return Job(key, record, session, staging, "oneData", {"fs": 6})


def limited(spec: Any, minutes: float = 10) -> TimeLimited:
    return TimeLimited(registrar_from(spec), minutes)


def writers(folder: Path) -> list[psutil.Process]:
    """Return the processes that `leave_writers` has started, once they write."""
    paths = [folder / name for name in WRITERS]
    for _ in range(3000):
        if all(path.exists() and "\n" in path.read_text() for path in paths):
            break
        time.sleep(0.01)
    found = []
    for path in paths:
        try:
            found.append(psutil.Process(int(path.read_text().split()[0])))
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def test_what_it_does_and_returns_comes_back(job):
    assert limited(registrars.good).register(job) == RegistrarResult()
    assert (job.staging / "trials.startTimes.npy").read_bytes() == b"M1.2023-01-20.1"


def test_what_it_raises_comes_back_with_its_traceback(job):
    with pytest.raises(ValueError, match=r"not all down in M1\.2023-01-20\.1") as caught:
        limited(registrars.bad).register(job)
    assert "in bad" in str(caught.value.__cause__)


def test_error_of_a_class_that_cannot_be_sent_keeps_its_names_and_message(job):
    with pytest.raises(Exception, match=r"no flips in M1") as caught:
        limited(registrars.fail_locally).register(job)
    assert type(caught.value).__name__ == "LocalError"
    assert {"LookupError", "support.registrars.fail_locally.<locals>.LocalError"} <= names_of_class(
        type(caught.value)
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("RephrasedError", "no flips: code no flips"),
        ("MasqueradingError", "no flips"),
        ("FatalError", "no flips"),
    ],
)
def test_odd_exception_is_raised_with_its_name_and_text(job, kind, message):
    with pytest.raises(Exception, match=f"^{message}$") as caught:
        limited(registrars.fail_oddly).register(replace(job, options={"kind": kind}))
    assert type(caught.value).__name__ == kind


def test_process_that_its_registrar_ends_has_failed_with_the_reason(job):
    with pytest.raises(RegistrarError, match="ended with SystemExit: no flips"):
        limited(registrars.fail_oddly).register(replace(job, options={"kind": "SystemExit"}))


def test_process_that_ends_without_an_answer_has_failed(job):
    code = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    command = f"command: {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    with pytest.raises(RegistrarError, match="exit code -9"):
        limited(command).register(job)


def test_what_took_too_long_is_ended_with_all_that_it_started(job):
    with pytest.raises(SessionTimeoutError, match=r"longer than 0\.15 minutes"):
        limited(registrars.leave_writers, minutes=0.15).register(job)

    assert writers(job.session_path) == []
    before = [(job.session_path / name).stat().st_size for name in WRITERS]
    time.sleep(0.2)
    assert [(job.session_path / name).stat().st_size for name in WRITERS] == before


def test_command_that_took_too_long_is_ended_too(job):
    with pytest.raises(SessionTimeoutError):
        limited("command: sleep 600", minutes=0.0001).register(job)


def test_work_ends_with_the_process_that_waits_for_it(job):
    worker = multiprocessing.get_context("spawn").Process(
        target=limited(registrars.leave_writers).register, args=(job,)
    )
    worker.start()
    started = writers(job.session_path)
    worker.kill()
    worker.join()
    gone, alive = psutil.wait_procs(started, timeout=30)
    assert len(gone) == len(WRITERS)
    assert alive == []


def test_registrar_keeps_its_name_options_and_version():
    alf = AlfIndexer(hashes=False)
    with_limit = time_limited(alf, 5)
    assert (with_limit.name, with_limit.options) == (alf.name, alf.options)
    assert version_of(with_limit) == version_of(alf)
    assert time_limited(with_limit, 7) == TimeLimited(alf, 7)
    assert time_limited(alf, None) is time_limited(alf, 0) is alf


def test_registrar_that_cannot_be_sent_is_refused_with_the_remedy():
    with pytest.raises(ConfigurationError, match=r"cannot be sent there.*module:function"):
        time_limited(registrar_from(lambda _: None), 5)
