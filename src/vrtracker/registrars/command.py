"""Register a session by running a program of the lab."""

from __future__ import annotations

import shlex
import shutil
import string
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vrtracker import processes
from vrtracker.domain.registrars import Job, RegistrarResult
from vrtracker.errors import ConfigurationError, RegistrarError, UnknownNameError
from vrtracker.files.trees import is_empty

PLACEHOLDERS = ("key", "mouse", "date", "number", "session_path", "staging", "output")
"""What may stand in braces in a command."""

_TAIL = 4000
"""Characters of the program's output that go into the error."""


@dataclass(frozen=True, slots=True)
class CommandRegistrar:
    """Runs a command, without a shell, once for each session.

    The command runs in the session's folder and writes its output into ``{staging}``; a non-zero
    exit code means that it failed. So it has if it names that folder, and leaves it empty.

    `command`: the command line, such as ``python /lab/preprocess.py {session_path} --out
    {staging}``. `timeout_s`: seconds after which it is stopped and has failed.
    """

    command: str
    timeout_s: float | None = None
    name: str = field(default="command", init=False)
    # Only the program knows; what is said of it, its command line, is among the options.
    version: ClassVar[None] = None

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
            used = _placeholders(self.command)
        except ValueError as error:
            raise ConfigurationError(f"The command {self.command!r} is broken: {error}.") from error
        if not words:
            raise ConfigurationError("The command is empty; give a program to run.")
        for name in used:
            if name not in PLACEHOLDERS:
                raise UnknownNameError("placeholder", name, PLACEHOLDERS)
        try:
            for word in words:
                word.format_map(dict.fromkeys(PLACEHOLDERS, ""))
        except (ValueError, LookupError) as error:
            raise ConfigurationError(
                f"The command {self.command!r} is broken: {error}; write a placeholder as {{key}}, "
                "and a brace that stands for itself twice."
            ) from error

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options."""
        return {"command": self.command, "timeout_s": self.timeout_s}

    def check(self) -> None:
        """Look for the program, unless each session may have its own, such as ``./run.sh``.

        Raises ConfigurationError if there is no such program, it may not be run, or it is meant to
        be that of the folder that the caller is in, which is not where the command runs.
        """
        program, *others = shlex.split(self.command)
        is_on_path = Path(program).name == program
        for word in others if is_on_path else [program, *others]:
            _refuse_file_here(word)
        path = Path(program)
        is_fixed = is_on_path or path.is_absolute() or program.startswith("~")
        if "{" in program or not is_fixed or shutil.which(program) is not None:
            return
        if path.is_file():
            raise ConfigurationError(
                f"The program {program!r} may not be run: make it executable (chmod +x), or name "
                "its interpreter before it, as in: command: python /lab/preprocess.py {key}."
            )
        raise ConfigurationError(
            f"There is no program {program!r}; give its whole path, or put its folder on PATH."
        )

    def estimate(self, job: Job) -> int | None:
        """Return None: only the program knows."""
        del job
        return None

    def register(self, job: Job) -> RegistrarResult:
        """Run the command.

        Raises RegistrarError if the program is not there, fails or takes too long; the end of what
        it printed is in the message.
        """
        words = [word.format_map(_values(job)) for word in shlex.split(self.command)]
        try:
            done = _run(words, job.session_path, self.timeout_s)
        except OSError as error:
            raise RegistrarError(
                f"{words[0]!r} cannot be run in {job.session_path} ({error.strerror}); check the "
                "path and permissions."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RegistrarError(
                f"{words[0]!r} was stopped after {self.timeout_s} s; raise the time limit."
            ) from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-_TAIL:] or "it printed nothing"
            raise RegistrarError(f"{words[0]!r} ended with exit code {done.returncode}: {said}")
        if "staging" in _placeholders(self.command) and is_empty(job.staging):
            raise RegistrarError(
                f"{words[0]!r} ended well, but wrote nothing into {job.staging}, which its command "
                "line names. Mend what it does; if it is to write elsewhere, leave {staging} out."
            )
        return RegistrarResult()


def _placeholders(command: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(command) if name is not None]


def _refuse_file_here(word: str) -> None:
    """Refuse a relative path that leads to a file from here: the command runs elsewhere."""
    if "{" in word or Path(word).is_absolute() or not Path(word).is_file():
        return
    raise ConfigurationError(
        f"The command runs in each session's folder, and would look for {word!r} there. Give the "
        f"whole path, {Path(word).resolve()}, or {{session_path}}/{word} if each session has its "
        "own."
    )


def _run(
    words: list[str], folder: Path, timeout_s: float | None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; if it is not waited for, stop it and all that it started."""
    with (
        processes.ending_with_us() as tell,
        subprocess.Popen(  # noqa: S603
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        try:
            tell(process.pid)
            printed = process.communicate(timeout=timeout_s)
        except BaseException:
            if process.poll() is None:
                processes.end_tree(process.pid)
            raise
    return subprocess.CompletedProcess(words, process.returncode, *printed)


def _values(job: Job) -> dict[str, str]:
    return {
        "key": str(job.key),
        "mouse": job.key.mouse,
        "date": job.key.date.isoformat(),
        "number": job.session_path.name,
        "session_path": str(job.session_path),
        "staging": str(job.staging),
        "output": job.output,
    }
