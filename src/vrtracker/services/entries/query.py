"""A query: which rows, which columns, in which order; asked when its result is wanted."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select

from vrtracker.database.prepared import with_values
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import BLINDED, ENVIRONMENTS, tells_genotype
from vrtracker.errors import InvalidValueError, MissingDependencyError
from vrtracker.files.tables import writing
from vrtracker.reading import read_records
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import listing_statement, whole_number
from vrtracker.services.entries.asking import Asking
from vrtracker.services.entries.rules import Key, Record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True, repr=False)
class Query(Asking[Record, Key]):
    """Sessions or mice, as they will be when they are asked for.

    A query holds no rows and never changes: `where`, `select`, `order_by`, `limit` and `preload`
    return another one. `frame`, `arrow`, `polars`, `records`, `keys`, `count`, `exists`,
    `iter_frames`, `recarray` and a ``for`` loop ask the database, each in a number of statements
    that does not depend on the number of rows. It can be sent to another process, and given to
    whatever takes filters.

    Examples
    --------
    >>> query = tracker.query(imaging=True).where("mouse.KO").select("mouseName", "sessionID")
    >>> query.order_by("-sessionID").limit(2).frame()
      mouseName  sessionID
    0   DEMO002        702
    1   DEMO002        701
    """

    # -- what ends it -------------------------------------------------------------------------

    def frame(
        self,
        *,
        show_blinded: bool = False,
        parse_environments: bool = False,
        qualified: bool = False,
        dtype_backend: str | None = None,
        categories: bool = False,
    ) -> pd.DataFrame:
        """Return the rows as a DataFrame.

        Parameters
        ----------
        show_blinded
            Show the genotype of blinded mice, which is missing otherwise, here and in every other
            form of the result. Filters and order go by the true values.
        parse_environments
            Give `environmentOrder` as a tuple of numbers, None where it is missing.
        qualified
            Name columns ``session.sessionID``, ``mouse.sex``, whatever they were selected as.
        dtype_backend
            ``"pyarrow"`` for pandas' Arrow dtypes, in which every column can hold ``NA``.
        categories
            Give texts that occur again and again (mouse, sex, states, levels, …) as categoricals.

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

        Examples
        --------
        >>> tracker.query("not imaging").select("mouseName", "mouse.sex").frame(qualified=True)
          session.mouseName mouse.sex
        0           DEMO003         F
        """
        # With the first frame: pandas takes longer to import than most commands to run.
        import pandas as pd

        from vrtracker.frames import hide, parse_orders, read_frame

        secret, flag = self._veil(show_blinded=show_blinded)
        frame = read_frame(
            self.rules.lab.database,
            self._statement(*flag),
            dtype_backend=dtype_backend,
            categories=categories,
        )
        for each in flag:
            hide(frame, secret, where=frame[each])
        if parse_environments:
            parse_orders(frame, f"{self.rules.mouse_prefix}{ENVIRONMENTS}")
        titles = list(self._named(qualified=qualified).values())
        shown = _first(frame, len(titles))
        shown.columns = pd.Index(titles)
        return shown

    def arrow(self, *, show_blinded: bool = False, qualified: bool = False) -> pa.Table:
        """Return the rows as an Arrow table; types are those of the dtypes of `frame`.

        Examples
        --------
        >>> tracker.query("imaging").select("mouseName", "numPlanes").arrow().schema
        mouseName: large_string
        numPlanes: int64
        """
        from vrtracker.arrow import hide_in_table, read_table

        secret, flag = self._veil(show_blinded=show_blinded)
        table = read_table(self.rules.lab.database, self._statement(*flag))
        for each in flag:
            table = hide_in_table(table, secret, flag=each)
        titles = list(self._named(qualified=qualified).values())
        return table.select(range(len(titles))).rename_columns(titles)

    def polars(self, *, show_blinded: bool = False, qualified: bool = False) -> pl.DataFrame:
        """Return the rows as a polars DataFrame; values and types are those of `arrow`.

        Raises
        ------
        MissingDependencyError
            If polars is not installed.

        Examples
        --------
        >>> tracker.query("imaging").select("mouseName", "numPlanes").polars().shape
        (11, 2)
        """
        try:
            import polars as pl
        except ImportError as error:
            raise MissingDependencyError("A polars DataFrame", "polars") from error
        table = self.arrow(show_blinded=show_blinded, qualified=qualified)
        return pl.from_arrow(table)  # type: ignore[return-value]

    def recarray(
        self, *, show_blinded: bool = False, qualified: bool = False
    ) -> np.recarray[Any, Any]:
        """Return the rows as a NumPy record array.

        Whole numbers that may be missing are float64, NaN where they are; texts, and tick boxes
        that may be missing, are Python objects, None where they are; times are datetime64[us],
        instants in UTC.

        Examples
        --------
        >>> tracker.mice.query().select("mouseName").recarray().mouseName
        array(['DEMO001', 'DEMO002', 'DEMO003'], dtype=object)
        """
        from vrtracker.frames import plain_records

        return plain_records(self.frame(show_blinded=show_blinded, qualified=qualified))

    def records(self, *, show_blinded: bool = False) -> list[dict[str, Any]]:
        """Return the rows as dicts of Python values, None for a missing one.

        Examples
        --------
        >>> tracker.mice.query("KO = true").select("mouseName", "sex").records()
        [{'mouseName': 'DEMO002', 'sex': 'M'}]
        """
        secret, flag = self._veil(show_blinded=show_blinded)
        rows = read_records(self.rules.lab.database, self._statement(*flag))
        for each in flag:
            for row in rows:
                row.update(dict.fromkeys(secret) if row[each] else ())
        named = self._named()
        return [{title: row[name] for name, title in named.items()} for row in rows]

    def write(self, path: str | os.PathLike[str], *, show_blinded: bool = False) -> int:
        """Write the rows into a file, of the kind that its ending names; return how many.

        Parameters
        ----------
        path
            ``.csv`` and ``.tsv``, which ``read_table`` reads again; ``.parquet``, ``.arrow`` and
            ``.feather``, with the types of `arrow`; or ``.json``: the keys of sessions alone, as
            the lab's lists for clusters have them (mouse_name, date, session_id). A file that is
            there is replaced once the new one is whole.

        Raises
        ------
        InvalidValueError
            If the ending is another one, these are no sessions, or it cannot be written.

        Examples
        --------
        >>> tracker.query("imaging").select("mouseName", "numPlanes").write("imaged.csv")
        11
        """
        file = Path(path)
        kind = writing.kind_of(file)
        if kind in writing.COLUMNAR:
            table = self.arrow(show_blinded=show_blinded)
            writing.write_columns(file, table)
            return int(table.num_rows)
        if kind in writing.TEXTS:
            rows = self.records(show_blinded=show_blinded)
            writing.write_rows(file, rows, list(self._named().values()))
            return len(rows)
        keys = self.keys()
        if not all(isinstance(key, SessionKey) for key in keys):
            raise InvalidValueError(f"{str(file)!r}: such lists are of sessions; write .csv.")
        writing.write_keys(file, keys)
        return len(keys)

    def keys(self) -> list[Key]:
        """Return the keys of the rows.

        Examples
        --------
        >>> tracker.query("not imaging").keys()
        [SessionKey(mouse='DEMO003', date=datetime.date(2023, 3, 16), number=1)]
        """
        with self.rules.lab.unit(readonly=True) as unit:
            keys = self.rules.of(unit).present_keys(self._plain(), self._columns())
        names = self.rules.repository.key_columns
        return [self.rules.key_of_row(dict(zip(names, key, strict=True))) for key in keys]

    def count(self) -> int:
        """Return the number of rows.

        Examples
        --------
        >>> tracker.query("imaging").count()
        11
        """
        with self.rules.lab.unit(readonly=True) as unit:
            return self.rules.of(unit).count(self._plain())

    def exists(self) -> bool:
        """Return whether there is any row.

        Examples
        --------
        >>> tracker.query(numPlanes=(4, ">")).exists()
        False
        """
        return self.listing.limit != 0 and bool(self.limit(1).order_by().keys())

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows in the hand, whole whatever is selected, with what is preloaded."""
        listing = replace(self._plain(), columns=None)
        with self.rules.lab.unit(readonly=True, of_one_moment=bool(self.parts)) as unit:
            repository: Any = self.rules.of(unit)
            records = list(repository.records(listing, self._columns()))
            if not self.parts:
                return (self.rules.in_hand(record) for record in records)
            parts_of = repository.parts(self.parts, listing, self._columns)
        return (self.rules.in_hand(record, parts_of(record)) for record in records)

    def iter_frames(self, rows: int, **options: Any) -> Iterator[pd.DataFrame]:
        """Yield the rows as frames of so many rows at most, in order of their numbers.

        Each frame is a SELECT of its own, which goes on behind the number of the last row; no
        transaction is open between them. What others write meanwhile is seen from the next frame
        on: no row comes twice, none that is there and matches all the time is left out.

        Parameters
        ----------
        rows
            Of each frame; that many are in memory at a time.

        Yields
        ------
        pandas.DataFrame
            One without rows if there are none at all.

        Raises
        ------
        InvalidValueError
            If the query has an order of its own.

        Examples
        --------
        >>> [len(frame) for frame in tracker.query().iter_frames(5)]
        [5, 5, 2]
        """
        if self.listing.order_by:
            raise InvalidValueError(
                "iter_frames goes by the rows' numbers; take the order off: .order_by()"
            )
        # A wrong option is told now, and not with the first page.
        inspect.signature(self.frame).bind(**options)
        limit = self.listing.limit
        left = None if limit is None else whole_number("limit", limit, least=0)
        return self._pages(whole_number("rows", rows), left, options)

    def _pages(self, rows: int, left: int | None, options: Any) -> Iterator[pd.DataFrame]:
        number, asked = self.rules.look_ups.id_column.name, self.listing.columns
        names, after = list(self._named()), None
        position = [*names, number].index(number)
        columns = (*(("*",) if asked is None else asked), number)
        while left is None or left > 0 or after is None:
            wanted = rows if left is None else min(rows, left)
            page = replace(self.listing, columns=columns, after=after, limit=wanted)
            frame: Any = replace(self, listing=page).frame(**options)
            if len(frame) or after is None:
                yield _first(frame, len(names))
            if len(frame) < max(wanted, 1):
                return
            after = int(frame.iloc[-1, position])
            left = None if left is None else left - wanted

    # -- what it would do ---------------------------------------------------------------------

    def sql(self) -> str:
        """Return the statement with its values in it, to be read; it is not what is sent.

        Examples
        --------
        >>> print(tracker.mice.query("KO = true").select("mouseName").sql())
        SELECT mousedb."mouseName"
        FROM mousedb
        WHERE mousedb."KO" = 1 ORDER BY mousedb."uMouseID" ASC
        """
        return with_values(self._statement(), self.rules.lab.database.read_engine.dialect)

    def explain(self) -> str:
        """Return how the database would find the rows, in its own words.

        Raises
        ------
        BackendError
            If this kind of database does not tell: Access.

        Examples
        --------
        >>> print(tracker.mice.query("DEMO001").explain())
        SEARCH mousedb USING INDEX ... (mouseName=?)
        """
        with self.rules.lab.unit(readonly=True) as unit:
            return "\n".join(self.rules.of(unit).plan(self._plain(), self._columns()))

    # -- how ----------------------------------------------------------------------------------

    def _columns(self) -> Columns:
        lab = self.rules.lab
        return Columns(lab.database.tables, self.rules.look_ups.table, lab.stages, lab.now)

    def _statement(self, *also: str) -> Select[Any]:
        """Return the SELECT, with further columns."""
        tables, table = self.rules.lab.database.tables, self.rules.look_ups.table
        return listing_statement(tables, table, self._plain(*also), columns=self._columns())

    def _veil(self, *, show_blinded: bool) -> tuple[list[str], list[str]]:
        """Return the columns that give a genotype away, and the flag of the mice that hide it."""
        prefix = self.rules.mouse_prefix
        secret = [
            name
            for name in self._named()
            if name.startswith(prefix) and tells_genotype(name.removeprefix(prefix))
        ]
        return ([], []) if show_blinded or not secret else (secret, [f"{prefix}{BLINDED}"])


def _first(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return a frame without the columns behind the first ones; it is not copied for nothing."""
    behind = frame.columns[count:]
    return frame.drop(columns=behind) if len(behind) else frame
