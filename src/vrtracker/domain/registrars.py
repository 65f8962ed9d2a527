"""What "register a session" means to the workflow: a job in, a result or an error out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file to be recorded as a dataset of the session.

    Attributes
    ----------
    rel_path : str
        Path below the session's folder, with ``/``.
    size_bytes : int
        Size, bytes.
    md5 : str or None
        MD5 of the content, hexadecimal, as ONE keeps it.
    revision : str or None
        ALF revision.

    Examples
    --------
    >>> vrtracker.DatasetFile("trials.startTimes.npy", size_bytes=8_000)
    DatasetFile(rel_path='trials.startTimes.npy', size_bytes=8000, md5=None, revision=None)
    """

    rel_path: str
    size_bytes: int
    md5: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One session to work on.

    Attributes
    ----------
    session_path : Path
        The session's folder, to read from.
    staging : Path
        An empty folder to write the output into. It takes the place of the earlier output when
        the registrar returns, and is thrown away when it raises.
    output : str
        Name that the output folder will have in the session's folder.
    options : mapping
        The options of this run; plain Python values.

    Examples
    --------
    >>> def count_planes(job: vrtracker.Job) -> None:
    ...     _ = (job.staging / "planes.txt").write_text(str(job.record.numPlanes))
    >>> report = tracker.workflow.run("suite2p", registrar=count_planes)
    >>> [str(result.key) for result in report.results]
    ['DEMO003.2023-03-15.701']
    """

    key: SessionKey
    record: SessionRecord
    session_path: Path
    staging: Path
    output: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegistrarResult:
    """What a registrar did.

    Attributes
    ----------
    datasets : sequence of DatasetFile or None
        The datasets of the session; None: the files that were written into `staging`.
    bytes : int or None
        Amount of data that counts against a budget; None: the size of the datasets.

    Examples
    --------
    >>> vrtracker.RegistrarResult(bytes=2_000_000)
    RegistrarResult(datasets=None, bytes=2000000)
    """

    datasets: Sequence[DatasetFile] | None = None
    bytes: int | None = None


class Registrar(Protocol):
    """Does the work of one stage for one session at a time.

    It may also have a `version`: a str that says what code it is, kept with each attempt, or None
    where it cannot tell. A registrar that has none is taken to be as its distribution. And it may
    have a `check`, called without arguments before a run claims its first session: it raises if
    the registrar could work on no session at all.
    """

    @property
    def name(self) -> str:
        """Short name, kept with each attempt."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options as plain Python values, kept with each attempt."""

    def estimate(self, job: Job) -> int | None:
        """Return the expected size of the output, bytes, or None where it cannot know."""

    def register(self, job: Job) -> RegistrarResult | None:
        """Do the work; any exception means that it failed. None: see what is in staging."""
