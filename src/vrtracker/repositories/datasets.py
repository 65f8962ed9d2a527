"""Datasets: the files of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, select, update

from vrtracker.database import Executor
from vrtracker.repositories.listing import Listing, where
from vrtracker.repositories.rows import LookUps


class DatasetRepository:
    """The rows of `vrt_dataset`."""

    def __init__(self, executor: Executor | LookUps) -> None:
        self._x: Any = executor

    def of_session(self, number: int) -> list[dict[str, Any]]:
        """Return the datasets of a session, by path."""
        table = self._x.tables.datasets
        prepared = self._x.database.prepare(
            "datasets.of_session", lambda: self.listing(bindparam("number"))
        )
        names = table.c.keys()
        return [dict(zip(names, row, strict=True)) for row in self._x.rows(prepared, number=number)]

    def of_claim(self, attempt_id: str) -> list[dict[str, Any]] | None:
        """Return the datasets of the session of an attempt, by path; None if it does not run."""
        tables = self._x.tables
        table, attempts = tables.datasets, tables.attempts
        prepared = self._x.database.prepare(
            "datasets.of_claim",
            lambda: (
                select(*table.c)
                .select_from(attempts.outerjoin(table, table.c.uSessionID == attempts.c.uSessionID))
                .where(attempts.c.attempt_id == bindparam("id"), attempts.c.outcome == "running")
                .order_by(table.c.rel_path)
            ),
        )
        rows, names = self._x.rows(prepared, id=attempt_id), table.c.keys()
        # Of a session without any there is a row of NULLs.
        found = [dict(zip(names, row, strict=True)) for row in rows if row[0] is not None]
        return found if rows else None

    def of_sessions(self, numbers: Sequence[int]) -> dict[int, dict[str, dict[str, Any]]]:
        """Return the datasets of sessions: by the session's number, then by path."""
        table = self._x.tables.datasets
        found: dict[int, dict[str, dict[str, Any]]] = {number: {} for number in numbers}
        names = table.c.keys()
        for part in self._x.parts(numbers):
            statement = select(*table.c).where(table.c.uSessionID.in_(part))
            for values in self._x.execute(statement.order_by(table.c.rel_path)):
                row = dict(zip(names, values, strict=True))
                found[row["uSessionID"]][row["rel_path"]] = row
        return found

    def facts(self, listing: Listing, numbers: Sequence[int], *, hashed: bool) -> Select[Any]:
        """Return the SELECT of size and time of the files of sessions.

        `numbers`: sessions that follow each other in the listing, by number. `hashed`: files
        without SHA-256 are not known well enough. Returns uSessionID, rel_path, size_bytes, and
        `modified`, missing where the file was not there when it was last looked for, or is not
        known well enough.
        """
        tables = self._x.tables
        table, sessions = tables.datasets, tables.sessions
        is_known = [table.c.missing_since.is_(None)]
        if hashed:
            is_known.append(table.c.sha256.is_not(None))
        modified = case((and_(*is_known), table.c.modified)).label("modified")
        names = ("uSessionID", "rel_path", "size_bytes")
        chosen: Any = select(*(table.c[name] for name in names), modified)
        return where(chosen, tables, sessions, listing).where(
            table.c.uSessionID == sessions.c.uSessionID,
            table.c.uSessionID.between(numbers[0], numbers[-1]),
        )

    def listing(self, number: Any) -> Select[Any]:
        """Return the SELECT of the datasets of a session, for a frame."""
        table = self._x.tables.datasets
        return select(*table.c).where(table.c.uSessionID == number).order_by(table.c.rel_path)

    def set_qc(self, dataset_id: int, level: int) -> None:
        """Set the level of one dataset."""
        table = self._x.tables.datasets
        self._x.execute(
            update(table).where(table.c.dataset_id == dataset_id).values(qc_level=level)
        )

    def of_listing(self, listing: Listing) -> list[dict[str, Any]]:
        """Return the datasets of the sessions of a listing, by session and path."""
        tables = self._x.tables
        table, sessions = tables.datasets, tables.sessions
        chosen: Any = select(*table.c)
        statement = (
            where(chosen, tables, sessions, listing)
            .where(table.c.uSessionID == sessions.c.uSessionID)
            .order_by(table.c.uSessionID, table.c.rel_path)
        )
        return [dict(row) for row in self._x.execute(statement).mappings()]

    def replace(self, *, remove: Sequence[int], insert_rows: Sequence[Mapping[str, Any]]) -> None:
        """Delete the datasets with these ids, then insert rows; two statements at most."""
        table = self._x.tables.datasets
        if remove:
            prepared = self._x.database.prepare(
                "datasets.delete",
                lambda: delete(table).where(table.c.dataset_id == bindparam("id")),
            )
            self._x.change_many(prepared, [{"id": number} for number in remove])
        names = [column.name for column in table.c if not column.primary_key]
        self._x.insert(table, [{name: row.get(name) for name in names} for row in insert_rows])

    def update(self, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Set columns of datasets that are there, by their dataset_id."""
        if not rows:
            return
        table = self._x.tables.datasets
        prepared = self._x.database.prepare(
            f"datasets.update:{','.join(names)}",
            lambda: (
                update(table)
                .where(table.c.dataset_id == bindparam("id"))
                .values(
                    {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
                )
            ),
        )
        values = [
            {"id": row["dataset_id"], **{f"new_{name}": row[name] for name in names}}
            for row in rows
        ]
        self._x.change_many(prepared, values)
