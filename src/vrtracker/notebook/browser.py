"""The widget of ``tracker.browse()``; it needs anywidget."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import anywidget
import traitlets

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError
from vrtracker.services.entries.sessions import SessionService

_COLUMNS = ("imaging", "numPlanes", "suite2p", "vrRegistration", "redCellQC", "experimentType")
_KEY = ("mouseName", "sessionDate", "sessionID")
_MOST = 5000


class Browser(anywidget.AnyWidget):
    """A table of sessions that filters, sorts and selects; rows are those of when it was made.

    `selected`: the sessions that are selected, in the order of the table; may be set.
    """

    _esm = Path(__file__).with_name("browser.js")
    _columns: Any = traitlets.List().tag(sync=True)
    _rows: Any = traitlets.List().tag(sync=True)
    _ticked: Any = traitlets.List().tag(sync=True)

    @classmethod
    def of(cls, sessions: SessionService, where: Any, columns: list[str], filters: Any) -> Self:
        """Return the table of sessions that pass.

        Raises InvalidValueError if they are more than a notebook shows well.
        """
        shown = columns or list(_COLUMNS)
        query = sessions.query(where, **filters)
        if (count := query.limit(_MOST + 1).count()) > _MOST:
            raise InvalidValueError(
                f"More than {_MOST} sessions pass, which no table is for ({count} and more); "
                "give a condition: tracker.browse('sessionDate >= today - 90 days')."
            )
        records = query.select(*_KEY, *(name for name in shown if name not in _KEY)).records()
        rows = [
            [
                str(SessionKey.parse(tuple(row[name] for name in _KEY))),
                *(_cell(row[name]) for name in shown),
            ]
            for row in records
        ]
        return cls(_columns=["key", *shown], _rows=rows)

    @property
    def selected(self) -> list[SessionKey]:
        """The sessions that are selected, in the order of the table."""
        ticked = set(self._ticked)
        return [SessionKey.parse(row[0]) for row in self._rows if row[0] in ticked]

    @selected.setter
    def selected(self, wanted: Any) -> None:
        self._ticked = [str(SessionKey.parse(key)) for key in wanted]


def _cell(value: Any) -> Any:
    """Return a value as JSON has it; a tick box as a word, so that it can be looked for."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if value is None or isinstance(value, (int, float)) else str(value)
