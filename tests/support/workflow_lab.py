"""A lab to try the workflow in: a database, folders for its sessions, a clock that tests move."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from support.templates import on_newest
from vrtracker.database import Database
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.services.context import LabContext
from vrtracker.tracker import Tracker

if TYPE_CHECKING:
    from support.backends import Backend

NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
TABLES = ("mice", "sessions", "stage_states", "attempts", "events", "qc_decisions")
TABLES += ("datasets", "deleted", "one_sessions", "selections")
TABLES += ("experiments", "messages", "trials", "masks")
TABLES += ("rigs", "rig_features", "session_rigs", "tracking")

Dump = dict[str, list[dict[str, Any]]]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds; give up after a time that nothing takes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: dt.datetime = NOON) -> None:
        self.time = start

    def __call__(self) -> dt.datetime:
        return self.time

    def advance(self, **much: float) -> None:
        """Move on by ``seconds=…``, ``minutes=…`` and the like."""
        self.time += dt.timedelta(**much)


class WorkflowLab:
    """One database with the folders of its sessions; makes trackers on them and closes them."""

    def __init__(
        self,
        url: str,
        root: Path,
        *,
        declared: Iterable[Stage] = (),
        lease: dt.timedelta = dt.timedelta(minutes=15),
        has_mice: bool = False,
    ) -> None:
        self.url = url
        self.root = root
        self.clock = Clock()
        self.stages = StageGraph(declared)
        self.lease = lease
        self._trackers: list[Tracker] = []
        (root / "M1").mkdir(parents=True, exist_ok=True)
        self.tracker = self.another()
        if not has_mice:
            self.tracker.mice.add_many([{"mouseName": "M1"}, {"mouseName": "M2", "KO": True}])

    @classmethod
    def on(cls, backend: Backend, root: Path, **options: Any) -> Self:
        """Return a lab on a new database, copied from one that has the mice already."""
        return cls(backend.copied_url(_with_mice), root, has_mice=True, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        for tracker in self._trackers:
            tracker.close()

    def another(self, *, actor: str = "ann", **options: Any) -> Tracker:
        """Return one more tracker with connections of its own."""
        registrars = options.pop("registrars", None)
        given: dict[str, Any] = {
            "database": Database(self.url),
            "stages": self.stages,
            "actor": actor,
            "root": self.root,
            "zone": dt.timezone(dt.timedelta(hours=2)),
            "lease": self.lease,
            "host_name": "rig",
            "now": self.clock,
        }
        tracker = Tracker(LabContext(**(given | options)), registrars=registrars)
        self._trackers.append(tracker)
        return tracker

    def add(self, key: str, *, folder: bool = True, **columns: Any) -> SessionKey:
        """Add a session, with its folder unless told otherwise, and return its key."""
        self.tracker.sessions.add(key, **columns)
        if folder:
            self.folder(key).mkdir(parents=True)
        return SessionKey.parse(key)

    def folder(self, key: Any) -> Path:
        """Return the folder of a session."""
        return self.root / SessionKey.parse(key).path

    def output(self, key: Any) -> dict[str, bytes]:
        """Return the files in the output folder of a session, by path."""
        folder = self.folder(key) / "oneData"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def litter(self, key: Any) -> list[str]:
        """Return the names of what attempts left in a session's folder."""
        names = (path.name for path in self.folder(key).iterdir())
        return sorted(name for name in names if name.startswith("."))

    def row(self, key: Any) -> Any:
        """Return a session's row."""
        return self.tracker.sessions.get(key).record

    def number(self, key: Any) -> int:
        """Return a session's autonumber."""
        return self.row(key).uSessionID

    def state(self, key: Any, stage: str) -> str:
        """Return the state of a stage of a session, as text."""
        return self.tracker.workflow.states(key)[stage].value

    def dump(self, key: Any = None) -> Dump:
        """Return every row of every table, or what hangs on one session."""
        number = None if key is None else self.number(key)
        return self.dump_of(self.tracker, key, number)

    @staticmethod
    def dump_of(tracker: Tracker, key: Any = None, number: int | None = None) -> Dump:
        """Return every row that a tracker sees, or what hangs on one session."""
        database = tracker.database
        dump: Dump = {}
        with database.read_engine.connect() as connection:
            for name in TABLES:
                table = getattr(database.tables, name)
                statement = table.select()
                if key is not None and "uSessionID" in table.c:
                    statement = statement.where(table.c.uSessionID == number)
                if key is not None and "subject_key" in table.c:
                    statement = statement.where(table.c.subject_key == str(key))
                rows = connection.execute(statement).mappings()
                dump[name] = sorted((dict(row) for row in rows), key=str)
        return dump

    def insert(self, table: str, rows: list[Mapping[str, Any]]) -> None:
        """Insert rows behind the tracker's back."""
        database = self.tracker._lab.database
        with database.write_engine.begin() as connection:
            connection.execute(getattr(database.tables, table).insert(), [dict(r) for r in rows])

    def edit(self, key: Any, **columns: Any) -> None:
        """Change columns of a session by hand, as people do in Access."""
        table = self.tracker._lab.database.tables.sessions
        number = self.number(key)
        with self.tracker._lab.database.write_engine.begin() as connection:
            connection.execute(table.update().where(table.c.uSessionID == number).values(columns))

    def mark(self, key: Any, stage: str, mark: str | None, attempt_id: str | None = None) -> None:
        """Write the tracker's row of a stage, which must not have one yet."""
        row = {
            "uSessionID": self.number(key),
            "stage": stage,
            "mark": mark,
            "attempt_id": attempt_id,
            "changed_at": self.clock(),
        }
        self.insert("stage_states", [row])

    def attempt_row(self, number: int, stage: str, attempt_id: str, **values: Any) -> dict:
        """Return a row of an attempt, running unless told otherwise."""
        return {
            "attempt_id": attempt_id,
            "uSessionID": number,
            "stage": stage,
            "outcome": "running",
            "started_at": self.clock(),
            "heartbeat_at": self.clock(),
            "lease_until": self.clock() + self.lease,
            "actor": "bob",
            "host_name": "rig",
            "process_id": 1,
            "registrar": "by hand",
            "options": {},
            "versions": {},
            **values,
        }

    def events(self, key: Any) -> list[tuple[str, str | None, str | None, str | None]]:
        """Return verb, stage, state before and after of each event of a session."""
        frame = self.tracker.history(key)
        columns = frame[["verb", "stage", "from_state", "to_state"]]
        return [
            tuple(value if isinstance(value, str) else None for value in row)
            for row in columns.itertuples(index=False)
        ]


@on_newest
def _with_mice(url: str) -> None:
    with TemporaryDirectory() as root, WorkflowLab(url, Path(root)):
        pass
