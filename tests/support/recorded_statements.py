"""Every statement that the tracker writes for Access files, as it is compiled and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import sqlalchemy as sa

from support.registrars import bad, good
from support.workflow_lab import WorkflowLab


@dataclass
class Recorded:
    """One statement, as it was compiled for UCanAccess.

    `values` are those of its first run, by parameter, where the statement does not hold them.
    """

    compiled: Any
    values: Mapping[str, Any] | None = None


class RecordedStatements:
    """Records every distinct statement on the tracker's tables, from `start` to `stop`.

    `ran` are the texts that were run on a real file, with their lists written out.
    """

    def __init__(self) -> None:
        self.statements: dict[str, Recorded] = {}
        self.ran: set[str] = set()
        self._stop: list[Callable[[], None]] = []

    def start(self) -> None:
        """Listen to the compiler and to all engines."""
        from vrtracker.backends.access.dialect import UcanaccessDialect
        from vrtracker.models import Base

        tables = [f"[{name}]" for name in (*Base.metadata.tables, "alembic_version")]
        note = self._note

        class Compiler(UcanaccessDialect.statement_compiler):  # type: ignore[misc,name-defined]
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                if self.statement is not None and any(name in self.string for name in tables):
                    note(self)

        patch = mock.patch.object(UcanaccessDialect, "statement_compiler", Compiler)
        patch.start()
        sa.event.listen(sa.Engine, "before_cursor_execute", self._ran)
        self._stop += [
            patch.stop,
            lambda: sa.event.remove(sa.Engine, "before_cursor_execute", self._ran),
        ]

    def stop(self) -> None:
        """Listen no more."""
        while self._stop:
            self._stop.pop()()

    def _note(self, compiled: Any) -> Recorded:
        return self.statements.setdefault(compiled.string, Recorded(compiled))

    def _ran(
        self,
        _connection: Any,
        _cursor: Any,
        text: str,
        _parameters: Any,
        context: Any,
        _many: bool,  # noqa: FBT001 - SQLAlchemy calls it so
    ) -> None:
        # What our own code announces has no context; its values are not known.
        compiled = getattr(context, "compiled", None)
        if compiled is None:
            self.ran.add(text)
        elif context.dialect.name == "access":
            self.ran.add(text)
            if context.isddl:
                self._note(compiled)
            elif compiled.string in self.statements:
                self._keep(self.statements[compiled.string], compiled, context)

    @staticmethod
    def _keep(recorded: Recorded, compiled: Any, context: Any) -> None:
        # One text can come of statements whose values have other types.
        if recorded.values is None and recorded.compiled is compiled:
            recorded.values = context.compiled_parameters[0]


FILTERS: list[dict[str, Any]] = [
    {"imaging": True},
    {"experimentID": (3, "!=")},
    {"experimentID": None},
    {"experimentType": (["a", None], "not_in")},
    {"sessionNotes": ("%[50%] _~*?#%", "like")},
    {"sessionID": list(range(600))},
    {"mouseName": ["M1", "M4"], "sessionID": (1, ">=")},
    {"sessionDate": (("2020-01-01", "2030-01-01"), "between")},
]


def work_through(lab: WorkflowLab) -> None:
    """Do with a lab what its people do, so that each kind of statement is written once."""
    tracker, work = lab.tracker, lab.tracker.workflow
    one, two = (lab.add(f"M1.2023-01-20.{number}", imaging=True) for number in (1, 2))
    tracker.mice.update({"KO": True}, "M2")
    tracker.mice.update({"mouseName": "M3"}, "M2")
    tracker.mice.delete("M3")
    for chosen in FILTERS:
        tracker.sessions.frame(**chosen, order_by="sessionDate", limit=5)
        tracker.sessions.count(**chosen)
        list(tracker.sessions.iter(**chosen))
    tracker.sessions.update({"sessionNotes": "50% [a]"}, imaging=True)
    tracker.sessions.update({"sessionID": 3}, two)
    for stage in work.stages:
        work.needs(stage, include_blocked=True, include_stale=True, limit=3)
        work.why_not(one, stage)
    work.complete(one, "suite2p")
    work.set_qc(one, "suite2p_qc", "PASS")
    work.run("registration", {"sessionID": 1}, registrar=bad)
    work.run(registrar=good)
    work.run("registration", one, registrar=good, force=True)
    work.set_qc(one, "red_cell_qc", "FAIL")
    work.reset(one, "registration")
    work.scratch(one, "asleep")
    work.unscratch(one)
    work.status()
    work.table(include_scratched=True)
    for told in (tracker.history, tracker.decisions, tracker.datasets, work.attempts):
        told(one)
    tracker.events()
    work.errors()
    tracker.scan().apply()
    tracker.sessions.delete(one, force=True, reason="a test")
