"""Which sessions failed and are not tried again now, and why."""

from __future__ import annotations

from typing import Any

from vrtracker.domain.stages import StageKind
from vrtracker.found import Found, Selected, framed
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.stages import StageRepository
from vrtracker.services.context import LabService

_KEY = ("uSessionID", "mouseName", "sessionDate", "sessionID")


class HeldBackService(LabService):
    """The sessions that no run takes by itself, since they failed.

    Examples
    --------
    >>> tracker.workflow.held_back.records()
    []
    """

    @framed
    def held_back(self, stage: str | None = None, where: Any = None, /, **filters: Any) -> Found:
        """Return the sessions that failed and are set aside, or are tried again later.

        ``run`` takes them when they are named, or with ``force``; `reset` gives them free again.

        Parameters
        ----------
        stage
            This one alone; every stage of processing when not given.

        Returns
        -------
        pandas.DataFrame
            uSessionID, mouseName, sessionDate, sessionID, stage, failures (how often since the last
            success), retry_after (UTC; NaT where it is set aside), set_aside (why); by stage.

        Examples
        --------
        >>> len(tracker.workflow.held_back("registration", "mouse.KO"))
        0
        """
        stages = self._lab.stages
        chosen = [stages[stage]] if stage is not None else list(stages.values())
        repository = StageRepository(LookUps(self._lab.database))
        listing = Listing(self._lab.selection(where, filters), _KEY)
        return Selected(
            self._lab.database,
            *(
                repository.held_back(one, stages, now=self._lab.now(), listing=listing)
                for one in chosen
                if one.kind is StageKind.PROCESS or stage is not None
            ),
        )
