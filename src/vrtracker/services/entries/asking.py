"""What a query asks for: rows, columns, order, parts; nothing here asks the database for rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self

from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.columns import plain_name
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Expression, Filters, Selection
from vrtracker.services.entries.rules import Key, Record, TableRules


@dataclass(frozen=True, slots=True, repr=False)
class Asking(Generic[Record, Key]):
    """The steps of a `Query`, each of which returns another one; and the query as a filter."""

    rules: TableRules[Record, Key]
    listing: Listing
    parts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        asked = {
            "where": [_told(part) for part in self.listing.filters.parts],
            "columns": self.listing.columns,
            "order_by": self.listing.order_by,
            "limit": self.listing.limit,
            "include_scratched": self.listing.include_scratched,
            "preload": self.parts,
        }
        told = (f"{name}={value!r}" for name, value in asked.items() if value)
        return f"Query({', '.join((self.rules.plural, *told))})"

    def where(self, where: Any = None, /, **filters: Any) -> Self:
        """Return the query of those of its rows that pass further filters too.

        Parameters
        ----------
        where
            A condition as text, a key, a mapping, an SQLAlchemy expression, or another query.

        Examples
        --------
        >>> tracker.query("imaging").where(mouseName=["DEMO001", "DEMO002"]).count()
        8
        """
        selected = self.listing.filters & self.rules.selection(where, filters)
        return replace(self, listing=replace(self.listing, filters=selected))

    def select(self, *names: str) -> Self:
        """Return the query of these columns, in this order.

        Parameters
        ----------
        *names
            Columns of the table, ``*`` for all of them. Of sessions also ``mouse.sex``
            (``mouse.*``), ``state.registration``, ``qc.red_cell``, ``qc.session`` (levels, as
            ``workflow.qc_table`` has them), ``attempts.registration.error_message`` (of the last
            attempt at a stage; missing if a person has settled it since), ``datasets.count`` and
            ``datasets.bytes``. A dot may be written ``__``.

        Examples
        --------
        >>> query = tracker.query("DEMO002.2023-02-08.701")
        >>> query.select("state.registration", "datasets.count").frame()
          state.registration  datasets.count
        0             failed               0
        """
        columns = names_in(names, "select('mouseName')")
        return replace(self, listing=replace(self.listing, columns=columns))

    def order_by(self, *names: str) -> Self:
        """Return the query in another order: by columns that `select` takes, ``-`` for descending.

        Missing values come last; rows that agree are in order of their number. No name: by number.

        Examples
        --------
        >>> query = tracker.query("sessionDate = 2023-01-20").order_by("-sessionID")
        >>> [str(key) for key in query.keys()]
        ['DEMO001.2023-01-20.702', 'DEMO001.2023-01-20.701']
        """
        order = names_in(names, "order_by('mouseName')")
        return replace(self, listing=replace(self.listing, order_by=order))

    def limit(self, rows: int | None) -> Self:
        """Return the query of so many rows at most; None for all.

        Examples
        --------
        >>> tracker.query().limit(5).count()
        5
        """
        return replace(self, listing=replace(self.listing, limit=rows))

    def preload(self, *parts: str) -> Self:
        """Return the query whose sessions, in a ``for`` loop, have these parts as attributes.

        Parameters
        ----------
        *parts
            ``mouse`` (its record), ``datasets``, ``qc`` (decisions), ``attempts`` (lists of rows,
            each a dict by column). One more statement for each, however many sessions there are;
            all are of one moment.

        Raises
        ------
        UnknownNameError
            If there is no such part.

        Examples
        --------
        >>> query = tracker.query("mouseName = DEMO001").preload("mouse", "datasets")
        >>> [(session.mouse.sex, len(session.datasets)) for session in query]
        [('F', 17), ('F', 16), ('F', 16), ('F', 16)]
        """
        for part in names_in(parts, "preload('mouse')"):
            if part not in self.rules.parts:
                raise UnknownNameError("part to preload", part, self.rules.parts or ["(none)"])
        return replace(self, parts=tuple(dict.fromkeys((*self.parts, *parts))))

    @property
    def selection(self) -> Selection:
        """What selects its sessions, for whatever takes filters."""
        return self.selecting("sessions")

    def selecting(self, plural: str) -> Selection:
        """Return what selects its rows where rows of a table, called in the `plural`, are chosen.

        Raises
        ------
        InvalidValueError
            If they are those of the other table, or it has a limit: rows that are done with would
            make room for others.

        Examples
        --------
        >>> tracker.mice.query("KO = true").selecting("sessions")
        Traceback (most recent call last):
            ...
        vrtracker.errors.InvalidValueError: This is a query of mice, and sessions are to be chosen.
        """
        if plural != self.rules.plural:
            raise InvalidValueError(
                f"This is a query of {self.rules.plural}, and {plural} are to be chosen."
            )
        if self.listing.limit is not None:
            raise InvalidValueError(
                "A query with a limit cannot choose the rows of a call; take it off: .limit(None)"
            )
        selected = replace(self.listing.filters, is_key=False)
        if not selected or plural != "sessions":
            return selected
        if self.listing.include_scratched or self.listing.filters.is_key:
            return selected & Selection.of({"sessionQC": (None, "!=")})
        if selected.shows_scratched:
            return selected
        return selected & selected.unscratched

    def _plain(self, *also: str) -> Listing:
        """Return what is asked for in the names that listings take, with further columns."""
        table, lab = self.rules.look_ups.table, self.rules.lab
        order = [
            f"{'-' * name.startswith('-')}{plain_name(table, name.removeprefix('-'))}"
            for name in self.listing.order_by or ()
        ]
        columns = list(dict.fromkeys((*self._named(), *also)))
        # What it is today, or what runs now, is asked now.
        filters = self.listing.filters.known_to(lab.stages, lab.now, lab.zone)
        return replace(self.listing, filters=filters, columns=columns, order_by=order)

    def _named(self, *, qualified: bool = False) -> dict[str, str]:
        """Return the columns of the result: as listings name them, and as they were asked for."""
        table, asked = self.rules.look_ups.table, self.listing.columns
        names = ("*",) if asked is None else asked
        named: dict[str, str] = {}
        for name in (each for one in names for each in self._expanded(one)):
            named.setdefault(plain_name(table, name), name)
        if not qualified:
            return named
        subject = self.rules.look_ups.subject
        return {
            name: f"{subject}.{name}" if name in table.c else name.replace("__", ".")
            for name in named
        }

    def _expanded(self, name: str) -> Sequence[str]:
        if name == "*":
            return self.rules.look_ups.table.c.keys()
        if name in {"mouse.*", "mouse__*"} and self.rules.mouse_prefix:
            return [f"{name[:-1]}{each.name}" for each in self.rules.lab.database.tables.mice.c]
        return [name]


def names_in(given: Any, example: str) -> tuple[str, ...]:
    """Return the names that a call was given, or raise InvalidValueError with an example."""
    names = tuple(given) if isinstance(given, Iterable) else (given,)
    for name in names:
        if not isinstance(name, str):
            raise InvalidValueError(f"{name!r} is not a name; give names as text: {example}.")
    return names


def _told(part: Any) -> str:
    """Return a part of what selects the rows as people write it."""
    if isinstance(part, Filters):
        return ", ".join(f"{name}={value!r}" for name, value in part.pairs)
    return str(part.clause) if isinstance(part, Expression) else str(part.text)
