"""Engines place the shares of a run on workers; the tracker hands out the sessions.

Every engine is asked the same four things: to place a share, to wait for one that is done, what
came of it, and to end. So a run looks alike on processes of this computer, on any
`concurrent.futures.Executor`, on a cluster of Dask's, and on SLURM through submitit.
"""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from multiprocessing import connection
from typing import Any

from vrtracker.errors import InvalidValueError, WorkersError
from vrtracker.services.workflow.share import Limits, Recipe, Share, do_share, unsendable

_SHARE_S = 1.0
"""How long a share begins sessions: what it takes to place it is little against that."""
_LOOK_S = 1.0
"""How often a process is asked whether it lives, beside what its pipe says."""
_GRACE_S = 30.0
"""How long a worker that was told to end may take to give its session back."""


class Engine(abc.ABC):
    """Places shares of a run on workers."""

    slots: int
    """How many shares are placed at a time."""
    share_s: float | None = _SHARE_S
    """How long one share goes on; None: until nothing is left."""

    @abc.abstractmethod
    def prepare(self, recipe: Recipe) -> None:
        """Take what all workers need; raise if it cannot be sent to them."""

    @abc.abstractmethod
    def place(self, limits: Limits) -> Any:
        """Have a worker do a share; return what stands for it."""

    @abc.abstractmethod
    def wait(self, placed: Collection[Any]) -> Sequence[Any]:
        """Wait until some shares are done, or for a moment; return those."""

    @abc.abstractmethod
    def answer(self, done: Any) -> Share | str:
        """Return what came of a share; text if its worker was lost, saying how."""

    @abc.abstractmethod
    def stop(self, placed: Collection[Any]) -> None:
        """Have shares that are placed end soon, where the engine can; no other one begins."""

    def close(self) -> None:  # noqa: B027 - an engine that was given stays open
        """End the workers that are ours."""


def engine_for(executor: Any, workers: int | None) -> Engine:
    """Return the engine for what a run was given.

    Raises InvalidValueError if it is nothing that places work, or does not say on how many workers.
    """
    if workers is not None and workers < 1:
        raise InvalidValueError(f"A run needs at least one worker, not {workers}.")
    if executor is None:
        return _Processes(workers or 1)
    if hasattr(executor, "get_executor"):
        number = workers or sum(executor.nthreads().values())
        executor = executor.get_executor(pure=False)
        return _Futures(executor, _counted(number), _cloudpickled)
    if isinstance(executor, concurrent.futures.Executor):
        number = workers or getattr(executor, "_max_workers", None)
        is_here = isinstance(executor, concurrent.futures.ThreadPoolExecutor)
        return _Futures(executor, _counted(number), None if is_here else pickle.dumps)
    if hasattr(executor, "map_array"):
        return _Jobs(executor, _counted(workers))
    raise InvalidValueError(
        f"{executor!r} places no work: give a concurrent.futures.Executor, a dask.distributed "
        "Client, or an executor of submitit."
    )


def _counted(number: int | None) -> int:
    if not number:
        raise InvalidValueError("How many workers the executor has is not known: give workers=N.")
    return number


def _cloudpickled(recipe: Recipe) -> bytes:
    import cloudpickle

    packed: bytes = cloudpickle.dumps(recipe)
    return packed


def _packed(recipe: Recipe, dumps: Callable[[Recipe], bytes]) -> bytes:
    try:
        return dumps(recipe)
    except Exception as error:
        raise unsendable(recipe.registrar, error) from error


class _Futures(Engine):
    """Any `concurrent.futures.Executor`, that of a Dask client too."""

    def __init__(self, executor: Any, slots: int, dumps: Callable[[Recipe], bytes] | None) -> None:
        self._executor = executor
        self.slots = slots
        self._dumps = dumps
        self._recipe: Recipe | bytes = b""

    def prepare(self, recipe: Recipe) -> None:
        self._recipe = recipe if self._dumps is None else _packed(recipe, self._dumps)

    def place(self, limits: Limits) -> Any:
        try:
            return self._executor.submit(do_share, self._recipe, limits)
        except (OSError, RuntimeError) as error:
            raise WorkersError(f"The executor takes no work any more ({error}).") from error

    def wait(self, placed: Collection[Any]) -> Sequence[Any]:
        done, _ = concurrent.futures.wait(
            placed, timeout=_LOOK_S, return_when=concurrent.futures.FIRST_COMPLETED
        )
        return list(done)

    def answer(self, done: Any) -> Share | str:
        if done.cancelled():
            return "the executor cancelled it"
        error = done.exception()
        return done.result() if error is None else _said(error)

    def stop(self, placed: Collection[Any]) -> None:
        for future in placed:
            future.cancel()


class _Jobs(Engine):
    """Jobs of submitit's: each goes on until nothing is left, since a job may wait for hours."""

    share_s = None

    def __init__(self, executor: Any, slots: int) -> None:
        self._executor = executor
        self.slots = slots
        self._recipe = b""

    def prepare(self, recipe: Recipe) -> None:
        self._recipe = _packed(recipe, _cloudpickled)

    def place(self, limits: Limits) -> Any:
        return self._executor.submit(do_share, self._recipe, limits)

    def wait(self, placed: Collection[Any]) -> Sequence[Any]:
        time.sleep(_LOOK_S / 4)
        return [job for job in placed if job.done()]

    def answer(self, done: Any) -> Share | str:
        error = done.exception()
        return done.result() if error is None else _said(error)

    def stop(self, placed: Collection[Any]) -> None:
        for job in placed:
            job.cancel(check=False)


def _said(error: BaseException) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


class _Processes(Engine):
    """Processes of this computer, started anew; one that dies is replaced."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._context = multiprocessing.get_context("spawn")
        self._recipe = b""
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []

    def prepare(self, recipe: Recipe) -> None:
        # The password goes through the pipe to a process of the same user.
        recipe = replace(recipe, url=recipe.lab.database.url)
        self._recipe = _packed(recipe, pickle.dumps)

    def place(self, limits: Limits) -> Any:
        while self._idle:
            worker = self._idle.pop()
            if worker.send(limits):
                return worker
        worker = _Worker(self._context, self._recipe)
        self._all.append(worker)
        worker.send(limits)
        return worker

    def wait(self, placed: Collection[Any]) -> Sequence[Any]:
        ready = connection.wait([worker.pipe for worker in placed], timeout=_LOOK_S)
        return [
            worker for worker in placed if worker.pipe in ready or not worker.process.is_alive()
        ]

    def answer(self, done: Any) -> Share | str:
        try:
            # What it started may hold its pipe open; what it has sent is there.
            share: Share | None = done.pipe.recv() if done.pipe.poll() else None
        except (EOFError, OSError):
            share = None
        if share is None:
            done.end(_LOOK_S)
            self._all.remove(done)
            return f"process {done.process.pid} ended with exit code {done.process.exitcode}"
        self._idle.append(done)
        return share

    def stop(self, placed: Collection[Any]) -> None:
        end = time.monotonic() + _GRACE_S
        left = list(placed)
        while left and time.monotonic() < end:
            # Again and again: between two shares it changes nothing, after the first time either.
            for worker in left:
                worker.process.terminate()
            for worker in self.wait(left):
                self.answer(worker)
                left.remove(worker)

    def close(self) -> None:
        for worker in self._all:
            worker.pipe.close()
        for worker in self._all:
            worker.end(_GRACE_S if worker in self._idle else 0)
        self._all, self._idle = [], []


class _Worker:
    """A process that does one share after the other, until its pipe is closed."""

    def __init__(self, context: Any, recipe: bytes) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, recipe), name="vrtracker worker", daemon=False
        )
        self.process.start()
        theirs.close()

    def end(self, seconds: float) -> None:
        """Close its pipe, on which it ends by itself; kill it if it takes longer."""
        self.pipe.close()
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def send(self, limits: Limits) -> bool:
        """Send it a share to do; False if it is gone."""
        try:
            self.pipe.send(limits)
        except OSError:
            return False
        return True


def _work(pipe: Any, recipe: bytes) -> None:
    """Do share after share until the pipe is closed; signals between two change nothing."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: None)
    threading.Thread(target=_end_with_parent, name="vrtracker parent", daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(do_share(recipe, pipe.recv()))


def _end_with_parent() -> None:
    """Give the session at hand back, and end, when the process that began the run is gone."""
    parent: Any = multiprocessing.parent_process()
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
