"""Work on the disk, struck before any single thing that it does there.

A forked child does the work with an audit hook, which Python calls before each operation on
files; at the n-th one the hook ends the process, or raises. Nothing is replaced by a stand-in.

The children are forked by a process that has imported little: one that has started Java takes
a tenth of a second for each. What it is to do must be importable, so it stands here.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vrtracker.errors import RegistrarError
from vrtracker.files.recovery import recover
from vrtracker.files.staging import Staging

__all__ = [
    "EARLIER",
    "GOT_THROUGH",
    "WRITTEN",
    "Striker",
    "fill",
    "fill_disk",
    "interrupt",
    "kill",
    "recover_again",
    "register",
    "register_and_clean_up",
    "register_and_undo",
    "striker",
    "swap_or_undo",
]

Work = Callable[[Path], None]
Strike = Callable[[], None]
Striker = Callable[[Work, Path, Strike, int], int]
"""Strikes work on a folder before its n-th step, and tells how the work ended."""

GOT_THROUGH, RAISED, STRUCK, DIED = 0, 1, 2, 9
_CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.utime",
    "shutil.copyfile",
}
_READS = {"os.scandir", "open", "shutil.rmtree"}


# -- strikes ------------------------------------------------------------------------------------


def kill() -> None:
    os._exit(DIED)


def interrupt() -> None:
    raise KeyboardInterrupt


def fill_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# -- work ---------------------------------------------------------------------------------------

WRITTEN = {
    "licks.times.npy": b"new",
    "wheel.times.npy": b"wheel",
    "mpciROIs.redCellIdx.npy": b"zeroes",
    "mpciROIs.redCellManualAssignments.npy": b"0",
}
EARLIER = ("licks.times.npy",)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _swap(staging: Staging) -> None:
    fill(staging.path, WRITTEN)
    staging.swap_in(earlier=EARLIER)


def register(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    _swap(staging)
    staging.confirm()


def register_and_undo(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    _swap(staging)
    staging.undo()


def register_and_clean_up(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    try:
        _swap(staging)
    except BaseException:  # noqa: BLE001 (as whoever runs registrars must)
        staging.undo()
    else:
        staging.confirm()


def swap_or_undo(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    try:
        _swap(staging)
    except (KeyboardInterrupt, OSError, RegistrarError):
        staging.undo()


def recover_again(session: Path) -> None:
    recover(session)


# -- striking -----------------------------------------------------------------------------------


@contextmanager
def striker() -> Iterator[Striker]:
    """Start the process that forks the children."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_serve, args=(its,), daemon=True)
    process.start()
    its.close()

    def struck(work: Work, folder: Path, strike: Strike, step: int) -> int:
        ours.send((work, folder, strike, step))
        code: int = ours.recv()
        return code

    try:
        yield struck
    finally:
        ours.close()
        process.join()


def _serve(asked: Any) -> None:
    while True:
        try:
            work, folder, strike, step = asked.recv()
        except EOFError:
            return
        child = os.fork()
        if not child:
            _do(work, folder, strike, step)
        asked.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _do(work: Work, folder: Path, strike: Strike, step: int) -> None:
    """Work, and strike; end with `GOT_THROUGH` if there are no as many steps.

    `STRUCK` says that it ended well all the same.
    """
    counts = _changes if strike is kill else _touches
    left = [step]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if left[0] and counts(event, arguments):
            left[0] -= 1
            if not left[0]:
                strike()

    code = RAISED
    try:
        sys.addaudithook(hook)
        work(folder)
        code = GOT_THROUGH if left[0] else STRUCK
    finally:
        os._exit(code)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether the disk is another afterwards; a kill before a mere look leaves the same."""
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES


def _touches(event: str, _: tuple[Any, ...]) -> bool:
    """Tell whether the disk is asked for anything, which it may refuse."""
    return event in _CHANGES or event in _READS
