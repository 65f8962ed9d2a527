"""What became of a frozen selection: rows that came and went, cells that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.frozen import Frozen, canonical, digest_of, hash_of
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.values import Coercer
from vrtracker.services.context import LabContext
from vrtracker.services.selections.reading import (
    Rows,
    rows_by_selection,
    rows_of,
    selection_of_query,
)
from vrtracker.unit_of_work import UnitOfWork

_MOUSE = "mouse__"


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell that changed since its selection was frozen.

    `column`: None where the row changed, but the history does not tell what: it was edited past the
    tracker, or the selection is of another database. `old`, `new`: as JSON holds them; a genotype
    is not shown.
    """

    key: str
    column: str | None
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, repr=False)
class SelectionCheck(Shown):
    """A frozen selection, compared with the database.

    `hash`, `frozen_hash`: of the rows that the query selects now, and selected then. `changed`: in
    the order of the keys; also those of rows that are no longer selected. `added`, `removed`: keys
    that the query selects now and did not then, and the other way round.
    """

    name: str
    hash: str
    frozen_hash: str
    changed: tuple[CellChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether the query selects the same rows with the same cells."""
        return self.hash == self.frozen_hash

    def facts(self) -> Facts:
        """Return what changed, came and went."""
        rows = [
            (each.key, each.column or "(something)", each.old, each.new) for each in self.changed
        ]
        rows += [(key, "(the row)", None, "there") for key in self.added]
        rows += [(key, "(the row)", "there", None) for key in self.removed]
        if self.is_same:
            return Facts(f"{self.name} is as it was frozen.", notes=[f"SHA-256 {self.hash}"])
        said = f"{counted(len(self.changed), 'cell')} changed, {len(self.added)} came, "
        said += f"{len(self.removed)} went since {self.name} was frozen."
        return Facts(said, rows, ("key", "column", "then", "now"))

    def document(self) -> dict[str, Any]:
        """Return what ``vrtracker verify --json`` writes."""
        return asdict(self)


def check(lab: LabContext, frozen: Frozen) -> SelectionCheck:
    """Run the query again and compare."""
    with lab.unit(readonly=True, of_one_moment=True) as unit:
        asked = selection_of_query(lab, frozen.query, frozen.frozen_at)
        scratched = bool(frozen.query["include_scratched"])
        now = rows_by_selection(unit, asked, frozen.columns, include_scratched=scratched)
        gone = [key for key in frozen.digests if key not in now]
        there = now | rows_of(unit, gone, frozen.columns)
        changed = tuple(_Changes(unit, frozen).of(there))
    digests = {key: digest_of(key, cells) for key, cells in now.items()}
    return SelectionCheck(
        name=frozen.name,
        hash=hash_of(frozen.columns, digests),
        frozen_hash=frozen.hash,
        changed=changed,
        added=tuple(key for key in now if key not in frozen.digests),
        removed=tuple(gone),
    )


class _Changes:
    """Takes back what events tell, and so finds what stood in the cells."""

    def __init__(self, unit: UnitOfWork, frozen: Frozen) -> None:
        self._unit = unit
        self._frozen = frozen
        self._coercers = {"": unit.sessions.coercer, _MOUSE: unit.mice.coercer}

    def of(self, there: Rows) -> Iterator[CellChange]:
        """Yield what changed in rows that are there and were frozen."""
        for key, digest in self._frozen.digests.items():
            if key in there and digest_of(key, there[key]) != digest:
                yield from self._of_row(key, there[key], digest)

    def _of_row(self, key: str, cells: Sequence[Any], digest: str) -> Iterator[CellChange]:
        names = self._frozen.columns
        now = dict(zip(names, cells, strict=True))
        then = now | self._told("session", key, "")
        then |= self._told("mouse", SessionKey.parse(key).mouse, _MOUSE)
        for name in names:
            if canonical(then[name]) != canonical(now[name]):
                veiled = tells_genotype(name.removeprefix(_MOUSE))
                values = (None, None) if veiled else (_plain(then[name]), _plain(now[name]))
                yield CellChange(key, name, *values)
        if digest_of(key, [then[name] for name in names]) != digest:
            yield CellChange(key, None, None, None)

    def _told(self, kind: str, key: str, prefix: str) -> dict[str, Any]:
        """Return what columns held before the events since then, by the history."""
        wanted = {name for name in self._frozen.columns if name.startswith(prefix)}
        if prefix and not wanted:
            return {}
        told: dict[str, Any] = {}
        for event in reversed(self._unit.events.told_of(kind, key)):
            if event.number <= self._frozen.event_id:
                break
            for column, pair in (event.changes or {}).items():
                match f"{prefix}{column}", pair:
                    case name, [old, _] if name in wanted:
                        told[name] = _typed(self._coercers[prefix], column, old)
        return told


def _typed(coercer: Coercer, column: str, value: Any) -> Any:
    """Return a value of the history as its column holds it."""
    try:
        return coercer.value(column, value)
    except InvalidValueError:
        return value


def _plain(value: Any) -> Any:
    spelled = canonical(value)
    if isinstance(value, str | bool | int | float) or spelled is None:
        return value
    return spelled.removeprefix("#")
