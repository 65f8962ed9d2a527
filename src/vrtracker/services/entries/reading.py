"""Read the rows of one of the lab's tables: as a frame, as dicts, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from vrtracker.domain.mice import BLINDED, ENVIRONMENTS, tells_genotype
from vrtracker.reading import read_records
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.values import Coercer
from vrtracker.services.context import LabContext
from vrtracker.services.entries.rules import Key, Record, TableRules

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Select

__all__ = ["RowReading"]


class _Veil(NamedTuple):
    """What is hidden in the rows whose flag is set; whether the flag is read for that alone."""

    names: Sequence[str]
    flag: str
    is_added: bool


class RowReading(Generic[Record, Key]):
    """The verbs of `RowService` that list and look up; `rules` say what the table's own are."""

    def __init__(self, lab: LabContext, rules: TableRules[Record, Key]) -> None:
        self._lab = lab
        self.rules = rules

    @property
    def columns(self) -> list[str]:
        """Names of the columns, the lab's own at the end."""
        return list(self.rules.look_ups.table.c.keys())

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the columns that make up the key."""
        return self.rules.repository.key_columns

    @property
    def coercer(self) -> Coercer:
        """What fits values to the columns."""
        return self.rules.look_ups.coercer

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
        dtype_backend: str | None = None,
        categories: bool = False,
        **filters: Any,
    ) -> pd.DataFrame:
        """Return the rows that pass the filters.

        Parameters
        ----------
        where
            A key, a condition such as ``"imaging and mouse.KO"``, filters as a mapping, a condition
            of SQLAlchemy's, or a query. See ``docs/selecting.md``.
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
        dtype_backend
            ``"pyarrow"`` for pandas' Arrow dtypes, in which every column can hold ``NA``.
        categories
            Give texts that occur again and again (mouse, experimentType, sex, genotype, strain)
            as categoricals.
        **filters
            ``column=value``; ``column=(value, operator)`` with ``==``, ``!=``, ``<``, ``<=``,
            ``>``, ``>=``, ``in``, ``not_in``, ``between``, ``like``, ``is_null``;
            ``column=[…]`` for any of several; ``column=None`` for a missing value. Of sessions
            also ``state={stage: …}``, ``qc={check: …}``, ``qc_lte={check: …}``, ``age_weeks``,
            ``days_since_last``, ``nth_session``, ``has_dataset``, ``changed_since``.

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
            If a value does not fit its column; as a `ConditionError`, also if a condition cannot
            be read.
        """
        # With the first frame: pandas takes longer to import than most commands to run.
        from vrtracker.frames import hide, parse_orders, read_frame

        statement, veil = self._selected(
            where,
            columns=columns,
            order_by=order_by,
            limit=limit,
            include_scratched=include_scratched,
            show_blinded=show_blinded,
            **filters,
        )
        frame = read_frame(
            self._lab.database, statement, dtype_backend=dtype_backend, categories=categories
        )
        if veil.names:
            hide(frame, veil.names, where=frame[veil.flag])
        if parse_environments:
            parse_orders(frame, f"{self.rules.mouse_prefix}{ENVIRONMENTS}")
        return frame.drop(columns=veil.flag) if veil.is_added else frame

    def records(self, where: Any = None, /, **asked: Any) -> list[dict[str, Any]]:
        """Return the rows that `frame` does as dicts of plain Python values, without pandas.

        Parameters
        ----------
        where, **asked
            As `frame`: columns, order_by, limit, include_scratched, show_blinded, filters.

        Returns
        -------
        list of dict
            By the names of the columns; values as declared in `vrtracker.reading`.
        """
        statement, veil = self._selected(where, **asked)
        rows = read_records(self._lab.database, statement)
        for row in rows if veil.names else ():
            if row[veil.flag]:
                row.update(dict.fromkeys(veil.names))
            if veil.is_added:
                del row[veil.flag]
        return rows

    def _selected(
        self,
        where: Any,
        *,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        show_blinded: bool = False,
        **filters: Any,
    ) -> tuple[Select[Any], _Veil]:
        """Return the SELECT of a listing, and what of its rows is not to be seen."""
        flag = f"{self.rules.mouse_prefix}{BLINDED}"
        secret = [] if show_blinded else self._secret(columns)
        is_added = bool(secret) and columns is not None and flag not in columns
        wanted = [*(columns or ()), flag] if is_added else columns
        listing = self._listing(where, filters, wanted, order_by, limit, include_scratched)
        table = self.rules.look_ups.table
        statement = listing_statement(self._lab.database.tables, table, listing)
        return statement, _Veil(secret, flag, is_added)

    def _secret(self, columns: Sequence[str] | None) -> list[str]:
        """Return the columns that give a mouse's genotype away."""
        if isinstance(columns, str):
            return []
        prefix = self.rules.mouse_prefix
        return [
            name
            for name in (self.columns if columns is None else dict.fromkeys(columns))
            if name.startswith(prefix) and tells_genotype(name.removeprefix(prefix))
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
            records = list(self.rules.of(unit).records(listing))
        return (self.rules.in_hand(record) for record in records)

    def count(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> int:
        """Return the number of rows that pass the filters."""
        listing = self._listing(where, filters, None, None, None, include_scratched)
        with self._lab.unit(readonly=True) as unit:
            return self.rules.of(unit).count(listing)

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
            wanted: Any = self.rules.key(key)
            subject, near = self.rules.look_ups.subject, self.rules.near(wanted)
            raise self._lab.not_found(subject, wanted, near)
        return found

    def find(self, key: Any) -> Any:
        """Return the row with this key, scratched or not, or None."""
        columns = self.rules.columns_of(self.rules.key(key))
        record = self.rules.look_ups.by_key(**columns)
        return None if record is None else self.rules.in_hand(record)

    def _listing(self, where: Any, filters: Mapping[str, Any], *asked: Any) -> Listing:
        """Return what is asked for; a session named by its key is looked up, scratched or not."""
        return Listing(self._where(where, filters), *asked)

    def _where(self, where: Any, filters: Mapping[str, Any]) -> Selection:
        def key(value: Any) -> Mapping[str, Any]:
            return self.rules.columns_of(self.rules.key(value))

        return self._lab.selection(where, filters, key=key)
