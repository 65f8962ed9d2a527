"""The page of the work: what waits, runs in the background, the disk against the database."""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import http
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from vrtracker import clock
from vrtracker.as_json import plain_value, records
from vrtracker.domain.stages import StageKind
from vrtracker.errors import InvalidValueError, NotFoundError, VrtrackerError
from vrtracker.files.bundles import check_name, without_secrets
from vrtracker.snapshots import list_versions
from vrtracker.tracker import Tracker
from vrtracker.web.answers import digest
from vrtracker.web.fresh import Fresh
from vrtracker.web.problems import ONLY_READS, Refusal
from vrtracker.web.rendering import Form, Given, Renderer, then

_TAIL = 8_000
_KEPT = 20
_PLACE = "VRTRACKER_SNAPSHOTS"
# Windows' own, which Python has there alone.
_STOP: int = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_APART: dict[str, Any] = {"creationflags": _GROUP} if _GROUP else {"start_new_session": True}


@dataclass(frozen=True, slots=True)
class Target:
    """The lab, as the shell is told of it: its database and its folder; None: by the settings."""

    url: str | None = None
    root: str | None = None

    def line(self, actor: str, *words: str) -> list[str]:
        """Return the words that run the shell on the lab."""
        line = [sys.executable, "-m", "vrtracker", "--actor", actor]
        line += [] if self.url is None else ["--url", self.url]
        line += [] if self.root is None else ["--root", self.root]
        return [*line, *words]


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that was started here, in a process of its own, which lives on without the server."""

    number: int
    actor: str
    words: tuple[str, ...]
    process: subprocess.Popen[bytes]
    output: Path
    begun: dt.datetime = field(default_factory=clock.now)

    def told(self) -> dict[str, Any]:
        """Return how it goes."""
        code = self.process.poll()
        with self.output.open("rb") as file:
            file.seek(max(0, self.output.stat().st_size - _TAIL))
            tail = file.read().decode("utf-8", "replace")
        return {
            "number": self.number,
            "actor": self.actor,
            "words": " ".join(self.words),
            "begun": self.begun.isoformat(timespec="seconds"),
            "runs": code is None,
            "code": code,
            "output": tail,
        }


class Runs:
    """The runs that were started from the page, newest first."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.fresh = Fresh()
        self._runs: list[_Run] = []
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def start(self, actor: str, *words: str) -> None:
        """Start a command of the shell; what it says is kept as long as the server lives."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="vrtracker-runs-"))
                atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
            number = self._runs[0].number + 1 if self._runs else 1
            output = self._folder / f"{number}.txt"
            with output.open("wb") as said:
                process = subprocess.Popen(  # noqa: S603 -- our own shell, words as a list
                    self.target.line(actor, *words),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    # Neither Ctrl-C at the server nor its end is one of the run.
                    **_APART,
                )
            self._runs.insert(0, _Run(number, actor, words, process, output))
            ended = [run for run in self._runs[_KEPT:] if run.process.poll() is not None]
            self._runs = [run for run in self._runs if run not in ended]

    def stop(self, number: int) -> None:
        """Have a run give back what it is at, and end.

        Raises NotFoundError if it was not started here.
        """
        for run in self._runs:
            if run.number == number:
                with contextlib.suppress(ProcessLookupError):
                    run.process.send_signal(_STOP)
                return
        raise NotFoundError("run", str(number))

    def told(self) -> list[dict[str, Any]]:
        """Return how all go."""
        return [run.told() for run in self._runs]


def routes(tracker: Tracker, renderer: Renderer, runs: Runs) -> APIRouter:
    """Return the pages of the work."""
    router, work = APIRouter(include_in_schema=False), _Work(tracker, runs)

    @router.get("/runs")
    def shown() -> Response:
        return renderer.show("work.html", work.shown())

    @router.get("/runs/live")
    def live() -> Response:
        return renderer.show("work_live.html", work.going())

    @router.post("/runs/start")
    def start(form: Form) -> Response:
        work.start(form)
        return then("/runs")

    @router.post("/runs/publish")
    def publish(form: Form) -> Response:
        work.publish(form)
        return then("/runs")

    @router.post("/runs/{number}/stop")
    def stop(number: int, _form: Form) -> Response:
        work.require_writing()
        runs.stop(number)
        return then("/runs")

    @router.get("/doctor")
    def doctor() -> Response:
        return renderer.show("doctor.html", {"found": work.examined()})

    for name, plan_of in work.plans.items():
        _planned(router, renderer, name, plan_of)
    return router


def _planned(
    router: APIRouter, renderer: Renderer, name: str, plan_of: Callable[[Given], Any]
) -> None:
    """Add a page that shows a plan, and carries it out once that has been seen."""

    @router.post(f"/runs/{name}")
    def planned(form: Form) -> Response:
        plan = plan_of(form)
        facts = plan.facts()
        seen = digest(plain_value(facts.rows))
        if form.get("seen") == seen:
            plan.apply()
            return then("/runs")
        given = {each: value for each, value in form.items() if each != "seen"}
        shown = {"name": name, "facts": facts, "given": given, "seen": seen}
        return renderer.show("plan.html", shown | {"differs": "seen" in form})


class _Work:
    """What waits, what goes on, and what can be done about it."""

    def __init__(self, tracker: Tracker, runs: Runs) -> None:
        self._tracker = tracker
        self._runs = runs
        self.plans: dict[str, Callable[[Given], Any]] = {
            "scan": lambda form: tracker.scan(add_mice="add_mice" in form),
            "reconcile": lambda form: tracker.reconcile(form.text("where")),
        }

    def shown(self) -> dict[str, Any]:
        """Return what is on the page."""
        stages = self._tracker.workflow.stages.values()
        return {
            "processes": [each.name for each in stages if each.kind is StageKind.PROCESS],
            "root": self._tracker.root,
            **_snapshots(),
            **self.going(anew=True),
        }

    def going(self, *, anew: bool = False) -> dict[str, Any]:
        """Return what goes on."""
        return {**self._runs.fresh.get(self._found, anew=anew), "runs": self._runs.told()}

    def _found(self) -> dict[str, Any]:
        workflow = self._tracker.workflow
        activity = workflow.activity()
        return {
            "standing": activity.rows["stages"].records(),
            "claims": records(activity.rows["claims"].records()),
            "failures": records(workflow.errors.records(group=True)),
            "held_back": records(workflow.held_back.records()),
        }

    def start(self, form: Given) -> None:
        """Start a run of a stage, over what is due, what is chosen, or what failed alike."""
        self.require_writing()
        group = form.text("error")
        if group is not None:
            self._tracker.workflow.error_group(group)
            self._runs.start(self._tracker.actor, "register", "--error", group)
            return
        stage = self._tracker.workflow.stages.process(form.get("stage", ""))
        words = ["register", "--stage", stage.name]
        key, where = form.text("key"), form.text("where")
        words += [] if key is None else [str(self._tracker.sessions.get(key).key)]
        if where is not None:
            self._tracker.query(where).exists()
            words += [f"--where={where}"]
        for name in ("max-sessions", "workers"):
            number = form.text(name)
            if number is not None and not (number.isdecimal() and number.isascii()):
                raise InvalidValueError(f"{name}: {number!r} is no number.")
            words += [] if number is None else [f"--{name}={number}"]
        self._tracker.workflow.registrar(stage.name)
        self._runs.start(self._tracker.actor, *words)

    def publish(self, form: Given) -> None:
        """Start the publishing of a snapshot, into the folder that the server was told of."""
        self.require_writing()
        place, where = _snapshots()["place"], form.text("where")
        if not place:
            raise InvalidValueError(f"Name a folder in {_PLACE}, and start the server again.")
        words = ["snapshot", "publish", check_name(form.get("name", "")), "--to", place]
        if where is not None:
            self._tracker.query(where).exists()
            words += [f"--where={where}"]
        self._runs.start(self._tracker.actor, *words)

    def require_writing(self) -> None:
        """Raise Refusal where nothing may be written, which a run's process would not know."""
        if self._tracker.database.readonly:
            remedy = "Start another one."
            raise Refusal(http.HTTPStatus.FORBIDDEN, "read_only", ONLY_READS, remedy)

    def examined(self) -> Any:
        """Return what the doctor finds."""
        from vrtracker.services.doctor import examine

        target = self._runs.target
        return examine(target.url, root=target.root, actor=self._tracker.actor)


def _snapshots() -> dict[str, Any]:
    """Return the snapshots in the folder that the server was told of, newest first."""
    address, found, problem = os.environ.get(_PLACE, ""), [], ""
    place, address = ("", without_secrets(address)) if "://" in address else (address, address)
    try:
        found = list_versions(place, only_supported=False)[::-1] if place else []
    except VrtrackerError as error:
        problem = str(error)
    return {"place": place, "address": address, "snapshots": found[:_KEPT], "problem": problem}
