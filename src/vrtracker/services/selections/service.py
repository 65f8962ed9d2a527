"""Freeze selections under a name, find them again, export and import them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.frozen import Frozen, digest_of
from vrtracker.errors import DuplicateError, ImportFileError, InvalidValueError, NotFoundError
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabContext, LabService
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.selections.reading import KEY_COLUMNS, query_of, rows_by_selection
from vrtracker.services.selections.verifying import SelectionCheck, check
from vrtracker.spelling import nearest

if TYPE_CHECKING:
    import pandas as pd

    from vrtracker.unit_of_work import UnitOfWork

_LONGEST = 255


@dataclass(frozen=True, slots=True, repr=False)
class FrozenSessions(Shown):
    """Sessions that were frozen under a name.

    Attributes
    ----------
    frozen : Frozen
        ``name, frozen_at, actor, query, columns, digests, note, hash``.

    Examples
    --------
    >>> fig3 = tracker.freeze("fig3", "mouse.KO")
    >>> fig3.keys[0], len(fig3.keys), fig3.columns[:2]
    ('DEMO002.2023-02-06.701', 4, ('mouseName', 'sessionDate'))
    """

    frozen: Frozen
    _lab: LabContext = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.frozen.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its sessions, in the order of their numbers then."""
        return tuple(self.frozen.digests)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the hash is of."""
        return self.frozen.columns

    @property
    def hash(self) -> str:
        """SHA-256 of keys and cells, hexadecimal; the same from every database."""
        return self.frozen.hash

    def facts(self) -> Facts:
        """Return what was frozen, when and by whom.

        Examples
        --------
        >>> tracker.freeze("fig3", "mouse.KO").facts().title
        'The selection fig3.'
        """
        frozen = self.frozen
        rows = [
            ("sessions", len(frozen.digests)),
            ("columns", len(frozen.columns)),
            ("frozen", f"{frozen.frozen_at:%Y-%m-%d %H:%M:%S} UTC by {frozen.actor}"),
            ("SHA-256", frozen.hash),
            ("note", frozen.note),
        ]
        return Facts(f"The selection {frozen.name}.", rows)

    def frame(self, **options: Any) -> pd.DataFrame:
        """Return its sessions as they are now, those that are still there, with its columns.

        What was then: ``with tracker.as_of(selection.frozen.frozen_at) as past:``, and there
        ``past.selection(name).frame()``.

        Parameters
        ----------
        **options
            ``show_blinded``, ``parse_environments``, as for ``tracker.sessions.frame``.

        Returns
        -------
        pandas.DataFrame
            A row a session, in the order of the numbers; the columns of the key come first.

        Examples
        --------
        >>> tracker.freeze("fig3", "mouse.KO", columns=["numPlanes"]).frame()
          mouseName sessionDate  sessionID  numPlanes
        0   DEMO002  2023-02-06        701          2
        1   DEMO002  2023-02-07        701          2
        2   DEMO002  2023-02-08        701          2
        3   DEMO002  2023-02-08        702          2
        """
        mice = sorted({key.rsplit(".", 2)[0] for key in self.keys})
        frame = SessionService(self._lab).frame(
            {"mouseName": mice},
            columns=list(dict.fromkeys([*KEY_COLUMNS, *self.columns])),
            include_scratched=True,
            **options,
        )
        days = frame["sessionDate"].dt.strftime("%Y-%m-%d")
        keys = frame["mouseName"] + "." + days + "." + frame["sessionID"].astype(str)
        kept: pd.DataFrame = frame[keys.isin(self.keys)].reset_index(drop=True)
        return kept

    def verify(self) -> SelectionCheck:
        """Run its query again, and say which rows came and went, and which cells changed.

        What stood in a cell is known from the history, and held to the digest of its row.

        Examples
        --------
        >>> fig3 = tracker.freeze("fig3", "mouse.KO")
        >>> keys = tracker.sessions.update({"numPlanes": 5}, "DEMO002.2023-02-06.701")
        >>> print(fig3.verify())
        1 cell changed, 0 came, 0 went since fig3 was frozen.
          key                     column     then  now
          DEMO002.2023-02-06.701  numPlanes  2     5
        """
        return check(self._lab, self.frozen)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON, for a paper's supplement; some 60 bytes a session.

        It holds no cells. A file that is there already is replaced.

        Raises
        ------
        InvalidValueError
            If it cannot be written.

        Examples
        --------
        >>> path = tracker.freeze("fig3", "mouse.KO").export("fig3.json")
        >>> path.name
        'fig3.json'
        """
        target = Path(path)
        text = json.dumps(self.frozen.document(), indent=1, ensure_ascii=False)
        try:
            target.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise InvalidValueError(
                f"{target} cannot be written ({error.strerror}); give another path."
            ) from error
        return target


class SelectionService(LabService):
    """The selections of a lab."""

    def freeze(
        self,
        name: str,
        where: Any = None,
        /,
        *,
        columns: Sequence[str] | None = None,
        include_scratched: bool = False,
        note: str | None = None,
        **filters: Any,
    ) -> FrozenSessions:
        """Keep which sessions pass the filters now, and a digest of each, under a name.

        Parameters
        ----------
        name
            Such as ``fig3``; it is taken for good.
        columns
            The columns that count, also ``mouse__column``; all of `sessiondb` but the row's
            number when not given.
        note
            What it is for.

        Raises
        ------
        DuplicateError
            If the name is taken, also in another case of letters.
        InvalidValueError
            If no session passes, or the name is empty or too long.
        UnknownNameError
            If a column does not exist.

        Examples
        --------
        >>> columns = ["numPlanes", "mouse__sex"]
        >>> frozen = tracker.freeze("fig3", "not imaging", columns=columns, note="behaviour alone")
        >>> frozen.frame().columns.tolist()
        ['mouseName', 'sessionDate', 'sessionID', 'numPlanes', 'mouse__sex']
        """
        at = self._lab.now()
        asked = self._lab.selection(where, filters)
        query = query_of(asked, include_scratched=include_scratched)
        chosen = self._columns() if columns is None else list(dict.fromkeys(columns))
        with self._lab.unit() as unit:
            self._check_free(_name(name), unit.selections.names())
            rows = rows_by_selection(unit, asked, chosen, include_scratched=include_scratched)
            if not rows:
                raise InvalidValueError("No session passes these filters; nothing was frozen.")
            frozen = Frozen(
                name=_name(name),
                frozen_at=at,
                actor=self._lab.actor,
                query=query,
                columns=tuple(chosen),
                digests={key: digest_of(key, cells) for key, cells in rows.items()},
                event_id=unit.events.last_number(),
                note=None if note is None else storable_text(note),
            )
            self._keep(unit, frozen)
        return self.get(frozen.name)

    def _keep(self, unit: UnitOfWork, frozen: Frozen) -> None:
        unit.selections.add(frozen)
        self._tell(unit, frozen.name, "selection_frozen", {"hash": frozen.hash}, None)

    def _columns(self) -> list[str]:
        table = self._lab.database.tables.sessions
        return [column.name for column in table.c if not column.primary_key]

    @staticmethod
    def _check_free(name: str, taken: Sequence[str]) -> None:
        there = next((each for each in taken if each.casefold() == name.casefold()), None)
        if there is not None:
            raise DuplicateError("selection", there)

    def delete(self, name: str, *, reason: str | None = None) -> None:
        """Delete a selection for good, a damaged one too; an event keeps its name and hash.

        Raises NotFoundError if there is none of that name.
        """
        with self._lab.unit() as unit:
            self._require(name, unit.selections.names())
            digest = unit.selections.hash_of(name)
            unit.selections.delete(name)
            self._tell(unit, name, "selection_deleted", {"hash": digest}, reason)

    def rename(self, name: str, new: str) -> FrozenSessions:
        """Give a selection another name; what is frozen stays.

        Raises NotFoundError if there is none of that name, DuplicateError if the new one is taken.
        """
        found = self.get(name)
        renamed = dataclasses.replace(found.frozen, name=_name(new))
        with self._lab.unit() as unit:
            self._require(name, there := unit.selections.names())
            self._check_free(renamed.name, [each for each in there if each != name])
            unit.selections.rename(name, renamed)
            self._tell(unit, name, "selection_renamed", {"name": renamed.name}, None)
        return self.get(renamed.name)

    @staticmethod
    def _require(name: str, there: Sequence[str]) -> None:
        if name not in there:
            raise NotFoundError("selection", name, nearest(name, there))

    def _tell(
        self, unit: UnitOfWork, name: str, verb: str, what: dict[str, str], reason: str | None
    ) -> None:
        changes = {"selection": what}
        event = self._lab.event(
            name, verb, subject_kind="selection", changes=changes, reason=reason
        )
        unit.events.append([event])
        unit.commit()

    def get(self, name: str) -> FrozenSessions:
        """Return the selection of that name.

        Raises NotFoundError if there is none; it carries the nearest names.
        """
        with self._lab.unit(readonly=True) as unit:
            frozen = unit.selections.find(name)
            known = [] if frozen else unit.selections.names()
        if frozen is None:
            raise NotFoundError("selection", name, nearest(name, known))
        return FrozenSessions(frozen, self._lab)

    def all(self) -> list[FrozenSessions]:
        """Return all selections, oldest first; a warning names those that are damaged."""
        with self._lab.unit(readonly=True) as unit:
            return [FrozenSessions(frozen, self._lab) for frozen in unit.selections.all()]

    def read(self, path: str | os.PathLike[str], *, name: str | None = None) -> FrozenSessions:
        """Take in what ``selection.export`` wrote, also for another database of the lab.

        `name`: another name than the one in the file. Raises ImportFileError if it is no such file,
        or was changed; DuplicateError if the name is taken.
        """
        frozen = _read(Path(path))
        frozen = dataclasses.replace(frozen, name=_name(frozen.name if name is None else name))
        with self._lab.unit() as unit:
            self._check_free(frozen.name, unit.selections.names())
            self._keep(unit, frozen)
        return self.get(frozen.name)


def _name(name: str) -> str:
    found = storable_text(name).strip()
    if not found or len(found) > _LONGEST:
        raise InvalidValueError(f"A selection's name has 1 to {_LONGEST} letters, not {name!r}.")
    return found


def _read(path: Path) -> Frozen:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportFileError(f"{path} cannot be read ({error}); give an exported one.") from error
    return Frozen.of_document(document, str(path))
