"""What the lab's two tables answer differently: the rules of their rows, one class a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from vrtracker.backends.base import ViolationError
from vrtracker.errors import DuplicateError
from vrtracker.repositories.deletions import Deletion
from vrtracker.repositories.rows import LookUps, RowRepository
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

Record = TypeVar("Record")
Key = TypeVar("Key")


class TableRules(ABC, Generic[Record, Key]):
    """The keys of a table's rows, what makes a row fit, and what hangs on it."""

    plural: ClassVar[str]
    """What the rows are called."""

    mouse_prefix: ClassVar[str] = ""
    """What stands before the name of a mouse's column."""

    def __init__(self, lab: LabContext) -> None:
        self.lab = lab
        self._look_ups: RowRepository[Record] | None = None

    repository: ClassVar[type[RowRepository[Any]]]

    @property
    def look_ups(self) -> RowRepository[Record]:
        """The table's repository for single look-ups, made anew when the tables are."""
        metadata = self.lab.database.tables.sessions.metadata
        if self._look_ups is None or self._look_ups.table.metadata is not metadata:
            self._look_ups = self.repository(LookUps(self.lab.database))
        return self._look_ups

    @abstractmethod
    def of(self, unit: UnitOfWork) -> RowRepository[Record]:
        """Return the table's repository in a unit of work."""

    def __reduce__(self) -> Any:
        return type(self), (self.lab,)

    parts: ClassVar[tuple[str, ...]] = ()
    """What can be read together with the rows."""

    def in_hand(self, record: Record, parts: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """Return what a look-up gives its caller for a record, with what was read with it."""
        del parts
        return record

    @abstractmethod
    def key(self, value: Any) -> Key:
        """Return the key that a caller wrote in one of the usual ways."""

    @abstractmethod
    def columns_of(self, key: Key) -> dict[str, Any]:
        """Return a key as columns."""

    def selection(self, where: Any, filters: Mapping[str, Any]) -> Selection:
        """Return what a call selects of this table."""

        def key(value: Any) -> Mapping[str, Any]:
            return self.columns_of(self.key(value))

        if isinstance(getattr(where, "rules", None), TableRules):
            where = where.selecting(self.plural)
        return self.lab.selection(where, filters, key=key)

    @abstractmethod
    def key_of_row(self, row: Mapping[str, Any]) -> Key:
        """Return the key of a row."""

    @abstractmethod
    def keys_of(self, columns: Mapping[str, Sequence[Any]]) -> Iterator[Key]:
        """Yield the keys of rows that are given as columns."""

    @abstractmethod
    def near(self, key: Key) -> list[str]:
        """Return the keys that are most like one that is not there."""

    def check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Raise InvalidValueError, with `row`, if the columns of a row contradict each other."""

    def check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if new values contradict each other."""

    def check_imported(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if a row from a file is not fit to be added."""

    def check_keys(self, unit: UnitOfWork, keys: Sequence[Key]) -> None:
        """Raise DuplicateError for a new key that the database could not tell from another."""

    def check_rekeyed(self, unit: UnitOfWork, number: int, changes: Mapping[str, Any]) -> None:
        """Raise InvalidValueError or DuplicateError if a row may not get its new key."""

    def check_gives_way(self, unit: UnitOfWork, record: Record) -> None:
        """Raise InvalidTransitionError if a row can neither go now nor get another key."""

    @abstractmethod
    def explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        """Return what stood in the way of rows that the database refused."""

    def dependents(self, unit: UnitOfWork, record: Record) -> dict[str, int]:
        """Return how many rows must not be left behind when this one goes, by what they are."""
        del unit, record
        return {}

    def delete_dependents(self, unit: UnitOfWork, record: Record, reason: str) -> None:
        """Delete those rows, before the row itself."""

    def restore_dependents(self, unit: UnitOfWork, entry: Deletion, reason: str | None) -> None:
        """Bring those rows back that went with the row of an entry, which is there again."""

    def hanging(self, unit: UnitOfWork, entries: Sequence[Deletion]) -> list[str]:
        """Return what comes back with each entry, in words."""
        del unit
        return [each.hanging for each in entries]

    def check_parent(self, unit: UnitOfWork, row: Mapping[str, Any]) -> None:
        """Raise NotFoundError if what a row to be restored hangs on is not there."""

    def settle(self, unit: UnitOfWork, number: int, reason: str | None) -> None:
        """Mend what other rows say of a row that got another key or is gone."""


def taken(kind: str, key: Any, there: Any, where: str = "") -> DuplicateError:
    """Return why a key cannot be given, where one that counts as the same is there."""
    case = "" if there == key else f"{str(key)!r} differs from it in the case of letters alone"
    return DuplicateError(kind, there, "; ".join(filter(None, (where, case))))
