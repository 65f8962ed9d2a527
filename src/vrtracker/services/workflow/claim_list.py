"""Who works on what: list the claims, and give one back that its holder does not."""

from __future__ import annotations

from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import ClaimHeldError, InvalidValueError, NotFoundError
from vrtracker.found import Found, framed
from vrtracker.reading import INSTANT
from vrtracker.services.context import LabService
from vrtracker.services.holders import is_alive, why_abandoned
from vrtracker.services.transitions import read
from vrtracker.services.workflow.abandoned import abandon, clean_after

CLAIM = {
    **dict.fromkeys(("key", "stage", "host"), "str"),
    "pid": "int64",
    "actor": "str",
    **dict.fromkeys(("claimed_at", "heartbeat_at", "lease_until"), INSTANT),
    "alive": "boolean",
}


class ClaimListService(LabService):
    """The claims that are held, and those that nobody holds any more but that are not ended yet.

    Examples
    --------
    >>> tracker.workflow.claims.records()
    []
    """

    @framed
    def claims(self) -> Found:
        """Return who works on what; oldest first.

        Returns
        -------
        pandas.DataFrame
            key, stage, host, pid, actor: text, pid an int64. claimed_at, heartbeat_at, lease_until:
            UTC. alive: boolean, whether the process runs; missing where that cannot be known, as
            of another computer.

        Examples
        --------
        >>> len(tracker.workflow.claims())
        0
        """
        rows = [
            {
                "key": str(SessionKey.of_row(row)),
                "stage": row["stage"],
                "host": row["host_name"],
                "pid": row["process_id"],
                "actor": row["actor"],
                "claimed_at": row["started_at"],
                "heartbeat_at": row["heartbeat_at"],
                "lease_until": row["lease_until"],
                "alive": is_alive(self._lab, row),
            }
            for row in self._running()
        ]
        return Found(rows, CLAIM)

    def release(
        self, key: Any, stage: str | None = None, *, force: bool = False, reason: str | None = None
    ) -> list[str]:
        """Give back the claims on a session that nobody holds any more; it is as it was before.

        Parameters
        ----------
        stage
            This one alone; all that are claimed when not given.
        force
            Also if its holder may live; needs a reason. What it makes is refused then.

        Returns
        -------
        list of str
            A sentence for each claim that was ended, and for what it left in the session's folder.

        Raises
        ------
        ClaimHeldError
            If somebody may still work on it.
        NotFoundError
            If nobody has claimed it, or there is no such session.
        InvalidValueError
            If `force` has no reason.

        Examples
        --------
        >>> tracker.workflow.release("DEMO001.2023-01-18.701")
        Traceback (most recent call last):
            ...
        vrtracker.errors.NotFoundError: There is no claim 'DEMO001.2023-01-18.701' in the database.
        """
        if force and not reason:
            raise InvalidValueError("Taking a claim away needs a reason; give reason=….")
        wanted = SessionKey.parse(key)
        if stage is not None:
            stage = self._lab.stages[stage].name
        rows = [
            row
            for row in self._running()
            if SessionKey.of_row(row) == wanted and stage in {None, row["stage"]}
        ]
        if not rows:
            read(self._lab, None, wanted)
            raise NotFoundError("claim", f"{wanted} {stage}" if stage else wanted)
        whys = [(row, why_abandoned(self._lab, row)) for row in rows]
        held = [row for row, why in whys if why is None]
        if held and not force:
            who = "{actor} on {host_name} (process {process_id})".format_map(held[0])
            raise ClaimHeldError(wanted, held[0]["stage"], who, held[0]["heartbeat_at"])
        taken = (f"{self._lab.actor} took it away: {reason}", False)
        ended = [
            sentence for row, why in whys for sentence in abandon(self._lab, row, *(why or taken))
        ]
        # Who is alive writes on, and finds at the end that the claim is gone.
        return [*ended, *clean_after(self._lab, [row for row, why in whys if why is not None])]

    def _running(self) -> list[dict[str, Any]]:
        with self._lab.unit(readonly=True) as unit:
            return [row for row in unit.attempts.open_claims() if row["outcome"] == "running"]
