"""Read the rows of one of the lab's tables: as a frame, as dicts, one by one, counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from vrtracker.domain.dates import plain
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.values import Coercer
from vrtracker.services.context import LabContext
from vrtracker.services.entries.asking import names_in
from vrtracker.services.entries.query import Query
from vrtracker.services.entries.rules import Key, Record, TableRules

if TYPE_CHECKING:
    import pandas as pd


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

    def query(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> Query[Record, Key]:
        """Return a query of the rows that pass the filters; nothing is asked yet.

        Examples
        --------
        >>> tracker.sessions.query("imaging", mouseName="DEMO001").count()
        4
        """
        rows = Query(self.rules, Listing(include_scratched=include_scratched))
        return rows.where(where, **filters)

    def cross_query(
        self,
        groups: Mapping[str, Any] | None = None,
        /,
        *,
        query: Query[Any, Any] | None = None,
        show_blinded: bool = False,
        qualified: bool = False,
        **crossed: Mapping[str, Any],
    ) -> pd.DataFrame:
        """Return groups of rows in one frame, with the label of its group in each row.

        Parameters
        ----------
        groups
            What selects each group, by its label: all that `query` takes first. The labels are in
            the column `group`.
        query
            The rows to choose from, their columns and order; all when not given. Its limit
            is that of each group.
        **crossed
            Further groups, by the column of their labels: then there is a group of rows for each
            combination, ``genotype={…}, protocol={…}``.

        Returns
        -------
        pandas.DataFrame
            Columns of labels (categories, in the order given), then those of the query. A row
            of several groups comes once in each; one SELECT a group.

        Examples
        --------
        >>> crossed = tracker.sessions.cross_query({"KO": "mouse.KO", "control": "not mouse.KO"})
        >>> crossed.groupby("group", observed=True).size().to_dict()
        {'KO': 4, 'control': 8}
        """
        groupings = {} if groups is None else {"group": groups}
        chosen = self.query() if query is None else query
        options = {"show_blinded": show_blinded, "qualified": qualified}
        return cross(chosen, {**groupings, **crossed}, **options)

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
            A key, a list of keys, a condition such as ``"imaging and mouse.KO"``, filters as a
            mapping, a condition of SQLAlchemy's, or a query. See ``docs/selecting.md``.
        columns
            Names of columns, also ``mouse__column`` for sessions; all when not given.
        order_by
            Names of columns, ``-`` before one for descending order, missing values last; rows
            that agree, and all rows by default, are in order of their number.
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
            ``>``, ``>=``, ``in``, ``not_in``, ``between``, ``like``, ``contains``, ``is_null``;
            ``column=[…]`` for any of several; ``column=None`` for a missing value. Of sessions
            also ``state={stage: …}``, ``qc={check: …}``, ``qc_lte={check: …}``, ``age_weeks``,
            ``days_since_last``, ``nth_session``, ``has_dataset``, ``lab``, ``changed_since``.

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

        Examples
        --------
        >>> tracker.mice.frame("not KO", columns=["mouseName", "sex", "dateOfBirth"])
          mouseName sex dateOfBirth
        0   DEMO001   F  2022-09-14
        1   DEMO003   F  2022-11-21
        """
        query = self.query(where, include_scratched=include_scratched, **filters)
        query = _asking(query, columns, order_by, limit)
        return query.frame(
            show_blinded=show_blinded,
            parse_environments=parse_environments,
            dtype_backend=dtype_backend,
            categories=categories,
        )

    def records(
        self,
        where: Any = None,
        /,
        *,
        columns: Sequence[str] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_scratched: bool = False,
        show_blinded: bool = False,
        **filters: Any,
    ) -> list[dict[str, Any]]:
        """Return the rows that `frame` does as dicts of plain Python values, without pandas.

        Parameters
        ----------
        where, columns, order_by, limit, include_scratched, show_blinded, **filters
            As `frame`.

        Returns
        -------
        list of dict
            By the names of the columns; values as declared in `vrtracker.reading`.

        Examples
        --------
        >>> tracker.mice.records("sex = F", columns=["mouseName", "dateOfBirth"], limit=1)
        [{'mouseName': 'DEMO001', 'dateOfBirth': datetime.date(2022, 9, 14)}]
        """
        query = self.query(where, include_scratched=include_scratched, **filters)
        query = _asking(query, columns, order_by, limit)
        return query.records(show_blinded=show_blinded)

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
        """Yield the rows that pass the filters, in the same order as `frame`.

        Examples
        --------
        >>> for session in tracker.sessions.iter(mouseName="DEMO001", limit=2):
        ...     print(session.key, session.numPlanes)
        DEMO001.2023-01-18.701 2
        DEMO001.2023-01-19.701 2
        """
        query = self.query(where, include_scratched=include_scratched, **filters)
        return iter(_asking(query, None, order_by, limit))

    def count(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> int:
        """Return the number of rows that pass the filters.

        Examples
        --------
        >>> tracker.sessions.count("state.registration = done", sessionID=(701, ">="))
        9
        """
        return self.query(where, include_scratched=include_scratched, **filters).count()

    def get(self, key: Any) -> Any:
        """Return the row with this key, scratched or not.

        Raises
        ------
        NotFoundError
            If there is none; it carries the nearest keys.
        InvalidKeyError, InvalidValueError
            If it is no key, or no name of a mouse.

        Examples
        --------
        >>> tracker.sessions.get("DEMO001.2023-01-20.702").imaging
        True
        >>> tracker.mice.get("DEMO01")
        Traceback (most recent call last):
            ...
        vrtracker.errors.NotFoundError: There is no mouse 'DEMO01' in the database. Did you mean ...
        """
        found = self.find(key)
        if found is None:
            wanted: Any = self.rules.key(key)
            subject, near = self.rules.look_ups.subject, self.rules.near(wanted)
            raise self._lab.not_found(subject, wanted, near)
        return found

    def find(self, key: Any) -> Any:
        """Return the row with this key, scratched or not, or None.

        Examples
        --------
        >>> tracker.sessions.find("DEMO001.2023-01-20.703") is None
        True
        """
        columns = self.rules.columns_of(self.rules.key(key))
        record = self.rules.look_ups.by_key(**columns)
        return None if record is None else self.rules.in_hand(record)


def _asking(
    query: Query[Record, Key],
    columns: Sequence[str] | None,
    order_by: str | Sequence[str] | None,
    limit: int | None,
) -> Query[Record, Key]:
    """Return a query with the options of `frame`."""
    if isinstance(columns, str):
        raise InvalidValueError(f"columns takes a list of names; write [{columns!r}].")
    if columns is not None:
        query = query.select(*names_in(columns, "columns=['mouseName']"))
    if isinstance(order_by, str):
        order_by = [order_by]
    order = () if order_by is None else names_in(order_by, "order_by=['mouseName']")
    return query.order_by(*order).limit(limit)


def cross(
    query: Query[Any, Any],
    groupings: Mapping[str, Mapping[str, Any]],
    **options: Any,
) -> pd.DataFrame:
    """Return the rows of each combination of groups; see `vrtracker.tracker.Tracker.cross_query`.

    `groupings`: for each column of labels: what selects the rows, by label. `**options`: as
    `Query.frame`.
    """
    import pandas as pd

    if not groupings or not all(map(_are_groups, groupings.values())):
        raise InvalidValueError(
            "cross_query takes groups by their labels: {'KO': {'mouse__KO': True}, ...}."
        )
    frames = []
    for combination in itertools.product(*(groups.items() for groups in groupings.values())):
        part = query
        for _, selected in combination:
            part = part.where(selected)
        frame = part.frame(**options)
        for position, (name, groups) in enumerate(groupings.items()):
            if name in frame:
                raise InvalidValueError(
                    f"{name} is a column of the rows; call the groups something else."
                )
            one: Any = pd.Categorical([combination[position][0]], categories=list(groups))
            frame.insert(position, name, one.repeat(len(frame)))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _are_groups(groups: Any) -> bool:
    """Tell whether what selects them is there by label."""
    if not isinstance(groups, Mapping) or not groups:
        return False
    return all(plain(label) is not None for label in groups)
