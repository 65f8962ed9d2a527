"""Listing and looking up rows of one of the lab's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import pandas as pd

from vrtracker.domain.mice import BLINDED, ENVIRONMENTS, environment_order, tells_genotype
from vrtracker.errors import NotFoundError
from vrtracker.frames import hide, read_frame
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rows import LookUps, RowRepository
from vrtracker.repositories.values import Coercer
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["Key", "Record", "RowReader"]

Record = TypeVar("Record")
Key = TypeVar("Key")


class RowReader(Generic[Record, Key]):
    """Reads the rows of one table."""

    _mouse: ClassVar[str] = ""
    """What stands before the name of a mouse's column."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self._cached_look_ups: RowRepository[Record] | None = None

    # -- what the two tables answer differently -----------------------------------------------

    def _repository(self, executor: Any) -> RowRepository[Record]:
        raise NotImplementedError

    def _of(self, unit: UnitOfWork) -> RowRepository[Record]:
        raise NotImplementedError

    def _key(self, value: Any) -> Key:
        raise NotImplementedError

    def _columns_of(self, key: Key) -> dict[str, Any]:
        raise NotImplementedError

    def _key_of_row(self, row: Mapping[str, Any]) -> Key:
        raise NotImplementedError

    def _handle(self, record: Record) -> Any:
        return record

    def _near(self, key: Key) -> list[str]:
        raise NotImplementedError

    # -- reading ------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """Names of the columns, the lab's own at the end."""
        return list(self._look_ups.table.c.keys())

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the columns that make up the key."""
        return self._look_ups.key_columns

    @property
    def coercer(self) -> Coercer:
        """What fits values to the columns."""
        return self._look_ups.coercer

    @property
    def _look_ups(self) -> RowRepository[Record]:
        tables = self._lab.database.tables
        if self._cached_look_ups is None or self._cached_look_ups.table.metadata is not (
            tables.sessions.metadata
        ):
            self._cached_look_ups = self._repository(LookUps(self._lab.database))
        return self._cached_look_ups

    def frame(
        self,
        where: Any = None,
        /,
        *,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        show_blinded: bool = False,
        parse_environments: bool = False,
        **filters: Any,
    ) -> pd.DataFrame:
        """Return the rows that pass the filters.

        Parameters
        ----------
        where
            Filters as a mapping, or a key; the same as `filters`, for names that are not
            Python's.
        columns
            Names of columns, also ``mouse__column`` for sessions; all when not given.
        order_by
            Names of columns, ``-`` before one for descending order, missing values last; rows
            that agree, and all rows by default, are in order of their number.
        limit
            Number of rows at most.
        include_scratched
            Include scratched sessions. They are left out unless this is set, `sessionQC` is
            filtered, or the session is named by its key.
        show_blinded
            Show the genotype of blinded mice. It is missing unless this is set: KO, genotype,
            strain, and columns of the lab's own that are named for it. A column that is never
            missing otherwise, such as KO, is then a nullable one. Filters and order go by the
            true values.
        parse_environments
            Give `environmentOrder` as a tuple of numbers, None where it is missing.
        **filters
            ``column=value``; ``column=(value, operator)`` with ``==``, ``!=``, ``<``, ``<=``,
            ``>``, ``>=``, ``in``, ``not_in``, ``between``, ``like``, ``is_null``;
            ``column=[…]`` for any of several; ``column=None`` for a missing value.

        Returns
        -------
        pandas.DataFrame
            One row a match; columns and dtypes as declared in `vrtracker.frames`, also when
            there are no rows.

        Raises
        ------
        UnknownNameError
            If a column or operator does not exist; it carries the nearest ones.
        InvalidValueError
            If a value does not fit its column.
        """
        secret = [] if show_blinded else self._secret(columns)
        flag = f"{self._mouse}{BLINDED}"
        is_added = bool(secret) and columns is not None and flag not in columns
        wanted = [*(columns or ()), flag] if is_added else columns
        listing = self._listing(where, filters, wanted, order_by, limit, include_scratched)
        frame = read_frame(self._lab.database, self._look_ups.listing(listing))
        if secret:
            hide(frame, secret, where=frame[flag])
        order = f"{self._mouse}{ENVIRONMENTS}"
        if parse_environments and order in frame:
            texts = (text if isinstance(text, str) else None for text in frame[order])
            parsed = [environment_order(text) for text in texts]
            frame[order] = pd.Series(parsed, index=frame.index, dtype=object)
        return frame.drop(columns=flag) if is_added else frame

    def _secret(self, columns: Sequence[str] | None) -> list[str]:
        """Return the columns that give a mouse's genotype away."""
        if isinstance(columns, str):
            return []
        names = self.columns if columns is None else dict.fromkeys(columns)
        return [
            name
            for name in names
            if name.startswith(self._mouse) and tells_genotype(name.removeprefix(self._mouse))
        ]

    def iter(
        self,
        where: Any = None,
        /,
        *,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        **filters: Any,
    ) -> Iterator[Any]:
        """Yield the rows that pass the filters, in the same order as `frame`."""
        listing = self._listing(where, filters, None, order_by, limit, include_scratched)
        with self._lab.unit(readonly=True) as unit:
            records = list(self._of(unit).records(listing))
        return (self._handle(record) for record in records)

    def count(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> int:
        """Return the number of rows that pass the filters."""
        listing = self._listing(where, filters, None, None, None, include_scratched)
        with self._lab.unit(readonly=True) as unit:
            return self._of(unit).count(listing)

    def get(self, key: Any) -> Any:
        """Return the row with this key, scratched or not.

        Raises
        ------
        NotFoundError
            If there is none; it carries the nearest keys.
        InvalidKeyError, InvalidValueError
            If it is no key, or no name of a mouse.
        """
        found = self.find(key)
        if found is None:
            wanted = self._key(key)
            raise NotFoundError(self._look_ups.subject, wanted, self._near(wanted))
        return found

    def find(self, key: Any) -> Any:
        """Return the row with this key, scratched or not, or None."""
        columns = self._columns_of(self._key(key))
        record = self._look_ups.by_key(**columns)
        return None if record is None else self._handle(record)

    def _listing(self, where: Any, filters: Mapping[str, Any], *asked: Any) -> Listing:
        """Return what is asked for; a session named by its key is looked up, scratched or not."""
        columns, order_by, limit, include_scratched = asked
        named = where is not None and not isinstance(where, Mapping)
        return Listing(
            self._filters(where, filters), columns, order_by, limit, include_scratched or named
        )

    def _filters(self, where: Any, filters: Mapping[str, Any]) -> dict[str, Any]:
        if where is None:
            return dict(filters)
        if isinstance(where, Mapping):
            return {**where, **filters}
        return {**self._columns_of(self._key(where)), **filters}
