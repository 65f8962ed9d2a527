"""Work that others do without this package: claim, sign of life, outcome, each a call of its own.

A rig in MATLAB or a program on a cluster takes a session, works on it where it is, and says how it
went. What a run of ours does by itself they do by these calls; the rules are the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import DatasetFile, Registrar
from vrtracker.domain.retrying import NextTry
from vrtracker.domain.states import State
from vrtracker.errors import InvalidValueError, LostClaimError, NotFoundError
from vrtracker.operations import new_id
from vrtracker.repositories.queue import Queue
from vrtracker.services.context import LabService
from vrtracker.services.transitions import read
from vrtracker.services.workflow.abandoned import free_abandoned
from vrtracker.services.workflow.claims import Claim, Claims, Finished

_TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignWorker:
    """Who works, for the record.

    `name`, `host`: what the program is called, and the computer that it runs on. `pid`: its process
    there; 0 where it does not say. `versions`: of the software.
    """

    name: str = "foreign"
    host: str = "unknown"
    pid: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class ForeignService(LabService):
    """Claims of those who work past this package."""

    def claim(
        self,
        stage: str,
        where: Any = None,
        /,
        *,
        worker: ForeignWorker | None = None,
        token: str | None = None,
        **filters: Any,
    ) -> dict[str, Any] | None:
        """Take the next session of a stage.

        `stage`: a stage of processing. `where`, `**filters`: as for ``tracker.sessions.frame``.
        `token`: 32 hexadecimal digits that are new with each claim; asked again with the same, the
        same claim is returned, so that a call whose answer was lost can be repeated. Returns
        `attempt_id`, `key`, `stage`, `lease_until` (aware UTC: say `renew` well before), `path`
        (text, None where no root is set or no folder is there); None if nothing is ready.
        """
        process, who = self._lab.stages.process(stage), worker or ForeignWorker()
        attempt_id = token or new_id()
        if not _TOKEN.fullmatch(attempt_id):
            raise InvalidValueError(f"{attempt_id!r} is no token; give 32 hexadecimal digits.")
        held = self._row(attempt_id) if token else None
        if held is not None:
            return self._told(held)
        # Its process is nobody's on this computer, whatever its number.
        lab = replace(self._lab, host_name=f"{who.host} (foreign)")
        claims = Claims(lab, who.versions, run=attempt_id, foreign=who.pid)
        selection = self._lab.selection(where, filters)
        taken = self._next(claims, process, who, attempt_id, selection)
        if taken is None:
            free_abandoned(self._lab)
            taken = self._next(claims, process, who, attempt_id, selection)
        return None if taken is None else self._told(self._held(taken.attempt_id))

    def outcome(self, attempt_id: str) -> str | None:
        """Return how a claim ended, ``running`` while it holds, None if there is none."""
        row = self._row(attempt_id)
        return None if row is None else row["outcome"]

    def renew(self, attempt_id: str) -> dt.datetime:
        """Say that the work goes on; return until when the claim holds.

        Raises LostClaimError if it was taken over or has ended; stop the work. Raises NotFoundError
        if there is no such claim.
        """
        row, now = self._held(attempt_id), self._lab.now()
        until = now + self._lab.lease
        with self._lab.unit() as unit:
            if not unit.attempts.renew(attempt_id, now=now, lease_until=until):
                raise LostClaimError(SessionKey.of_row(row), row["stage"])
            unit.commit()
        return until

    def succeed(
        self,
        attempt_id: str,
        *,
        datasets: Sequence[Mapping[str, Any]] = (),
        bytes: int = 0,  # noqa: A002
    ) -> None:
        """Record that the work is done, and what it made.

        `datasets`: of each file `path` below the session's folder, `size` in bytes, and perhaps
        `md5` and `revision`. `bytes`: amount of data made; the sum of the sizes when 0.
        """
        files = [_file(each) for each in datasets]
        claim, finished = self._claim(attempt_id)
        self._check(claim.key, files)
        finished = replace(
            finished,
            bytes=bytes or sum(file.size_bytes for file in files),
            datasets=files,
            written=[file.rel_path for file in files],
        )
        claims = Claims(self._lab, {})
        claims.succeed(claim, finished, known=claims.datasets(claim))

    def fail(
        self, attempt_id: str, *, error: str, kind: str = "Failure", details: str | None = None
    ) -> NextTry:
        """Record that the work failed: the message, its kind, and a traceback where there is one.

        Returns when it is tried again, by the policy of the stage.
        """
        claim, finished = self._claim(attempt_id)
        failure: Exception = type(kind, (Exception,), {"__module__": "builtins"})(error)
        if details:
            failure.add_note(details)
        return Claims(self._lab, {}).fail(claim, failure, finished)

    def cancel(self, attempt_id: str, reason: str) -> None:
        """Give the session back as it was."""
        claim, finished = self._claim(attempt_id)
        Claims(self._lab, {}).cancel(claim, reason, finished)

    def _next(
        self, claims: Claims, stage: Any, who: ForeignWorker, attempt_id: str, selection: Any
    ) -> Claim | None:
        queue = Queue(
            self._lab.database,
            stage,
            self._lab.stages,
            (State.READY, State.FAILED),
            filters=selection,
            run=attempt_id,
            left_behind=False,
            only_due=not selection.is_named,
            without=(),
        )
        found: Claim | int | None = 0
        while isinstance(found, int):
            # Of a registrar a claim asks for name and options alone.
            found = claims.start_next(queue, found, stage, cast("Registrar", who))
        return found

    def _check(self, key: SessionKey, files: Sequence[DatasetFile]) -> None:
        """Refuse files that are not in the session's folder as they are told, if it is in reach."""
        path = None if self._lab.root is None else self._lab.folders().find(key)
        if path is None:
            return
        for file in files:
            found = path / file.rel_path
            if not found.is_file() or found.stat().st_size != file.size_bytes:
                raise InvalidValueError(
                    f"There is no {file.rel_path} of {file.size_bytes} bytes in {path}; nothing "
                    "was recorded. Tell of files that are there, by path and size."
                )

    def _row(self, attempt_id: str) -> dict[str, Any] | None:
        if not _TOKEN.fullmatch(attempt_id):
            return None
        with self._lab.unit(readonly=True) as unit:
            return next(iter(unit.attempts.of_run(attempt_id)), None)

    def _held(self, attempt_id: str) -> dict[str, Any]:
        row = self._row(attempt_id)
        if row is None:
            raise NotFoundError("claim", attempt_id)
        if row["outcome"] != "running":
            raise LostClaimError(SessionKey.of_row(row), row["stage"])
        return row

    def _claim(self, attempt_id: str) -> tuple[Claim, Finished]:
        row, now = self._held(attempt_id), self._lab.now()
        stage = self._lab.stages[row["stage"]]
        snapshot = read(self._lab, None, SessionKey.of_row(row))
        if snapshot.row(stage).attempt_id != attempt_id:
            raise LostClaimError(SessionKey.of_row(row), stage.name)
        with self._lab.unit(readonly=True) as unit:
            before = State(unit.events.before_attempt(SessionKey.of_row(row), attempt_id))
        duration = (now - row["started_at"]).total_seconds()
        return Claim(attempt_id, stage, snapshot, before), Finished(duration_s=duration)

    def _told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        key = SessionKey.of_row(row)
        path = None if self._lab.root is None else self._lab.folders().find(key)
        return {
            "attempt_id": row["attempt_id"],
            "key": str(key),
            "stage": row["stage"],
            "outcome": row["outcome"],
            "lease_until": row["lease_until"],
            "path": None if path is None else str(path),
        }


def _file(told: Mapping[str, Any]) -> DatasetFile:
    path, size = str(told.get("path", "")), told.get("size")
    parts = path.split("/")
    is_below = bool(path) and not path.startswith("/") and not {"", ".", ".."} & set(parts)
    if not is_below or "\\" in path or not isinstance(size, int) or size < 0:
        raise InvalidValueError(
            f"{dict(told)!r} is no dataset; give its path below the session's folder, with /, and "
            'its size in bytes: {"path": "oneData/licks.times.npy", "size": 1024}.'
        )
    return DatasetFile(path, size, told.get("md5"), told.get("revision"))
