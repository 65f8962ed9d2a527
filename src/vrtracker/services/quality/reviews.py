"""Quality control beyond single stages: datasets, roll-up, the lab's rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import NOT_APPLICABLE, QC, agrees, repaired, roll_up
from vrtracker.domain.stages import StageKind
from vrtracker.errors import ConcurrentUpdateError, UnknownNameError
from vrtracker.found import Found, framed
from vrtracker.reading import dtypes, read_records
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.values import coercer_of
from vrtracker.services.context import LabService
from vrtracker.services.transitions import read, update_session

DATASET = "dataset"
"""The check that a decision on one file is on; its evidence is the file's path."""
_KEY = ("mouseName", "sessionDate", "sessionID")


@dataclass(frozen=True, slots=True)
class QCRepair:
    """Sessions whose sessionQC and scratchJustification disagree, and what would mend them.

    `changes`: for each session, by its key: old and new value of each column.
    """

    changes: Mapping[str, Mapping[str, list[Any]]]
    _service: Any = field(default=None, repr=False, compare=False)

    def apply(self) -> int:
        """Make the changes in one transaction, each with its event; return how many sessions.

        Raises ConcurrentUpdateError if somebody else changed one of them since; nothing is written.
        """
        done: int = self._service.repair(self)
        return done


class ReviewService(LabService):
    """Reads and writes quality control across checks.

    Examples
    --------
    >>> tracker.workflow.qc_table("DEMO003.2023-03-16.1")["qc:red_cell_qc"].tolist()
    ['NOT_APPLICABLE']
    """

    def set_dataset_qc(
        self,
        key: Any,
        path: str,
        level: Any,
        *,
        reason: str | None = None,
        criteria: str | None = None,
    ) -> QC:
        """Record a QC decision on one dataset of a session.

        Parameters
        ----------
        path
            Path below the session's folder, as ``tracker.datasets(key)`` lists it.
        level
            A QC level by name.
        reason, criteria
            Why; version of the criteria.

        Raises
        ------
        UnknownNameError
            If the session has no such dataset, or there is no such level.

        Examples
        --------
        >>> path = "oneData/licks.times.npy"
        >>> tracker.workflow.set_dataset_qc("DEMO001.2023-01-18.701", path, "FAIL", reason="drift")
        <QC.FAIL: 40>
        """
        wanted, decided = SessionKey.parse(key), QC.parse(level)
        coercer = coercer_of(self._lab.database.tables.qc_decisions)
        given = {"reason": reason, "criteria": criteria, "evidence": path}
        extras = {name: coercer.value(name, text) for name, text in given.items()}
        with self._lab.unit() as unit:
            number = read(self._lab, unit, wanted).record.uSessionID
            rows = {row["rel_path"]: row for row in unit.datasets.of_session(number)}
            if path not in rows:
                raise UnknownNameError("dataset", path, rows or ["(none is recorded)"])
            at = self._lab.now()
            unit.datasets.set_qc(rows[path]["dataset_id"], int(decided))
            unit.qc_decisions.append(
                number,
                check=DATASET,
                level=decided,
                decided_at=at,
                actor=self._lab.actor,
                **extras,
            )
            changes = {"dataset": path, "QC": [QC(rows[path]["qc_level"]).name, decided.name]}
            event = self._lab.event(
                wanted, "qc_decided", at=at, changes=changes, reason=extras["reason"]
            )
            unit.events.append([event])
            unit.commit()
        return decided

    @framed
    def qc_table(
        self, where: Any = None, /, *, include_scratched: bool = False, **filters: Any
    ) -> Found:
        """Return the level of every check of every session, and what they amount to.

        Returns
        -------
        pandas.DataFrame
            mouseName, sessionDate, sessionID; then, as text, ``qc:session``, a column for each
            review stage, ``qc:dataset`` (the worst of its datasets), and ``qc``: the worst of all,
            but NOT_SET as long as one is not set and none is bad. NOT_APPLICABLE does not count,
            nor datasets of which nobody has judged any.

        Examples
        --------
        >>> state = tracker.workflow.set_qc("DEMO001.2023-01-19.701", "red_cell", "FAIL")
        >>> levels = tracker.workflow.qc_table("mouseName = DEMO001")
        >>> levels[["sessionID", "qc:suite2p_qc", "qc:red_cell_qc", "qc"]]
           sessionID qc:suite2p_qc qc:red_cell_qc       qc
        0        701       NOT_SET        NOT_SET  NOT_SET
        1        701       NOT_SET           FAIL     FAIL
        2        701       NOT_SET        NOT_SET  NOT_SET
        3        702       NOT_SET        NOT_SET  NOT_SET
        """
        reviews = [one.name for one in self._lab.stages.values() if one.kind is StageKind.REVIEW]
        checks = ("session", *reviews, DATASET)
        names = (*_KEY, *(f"qc__{check}" for check in checks))
        asked = self._lab.selection(where, filters)
        listing = Listing(asked, names, include_scratched=include_scratched)
        tables = self._lab.database.tables
        columns = Columns(tables, tables.sessions, self._lab.stages, self._lab.now)
        statement = listing_statement(tables, tables.sessions, listing, columns=columns)
        rows = []
        for row in read_records(self._lab.database, statement):
            levels = {f"qc:{check}": row[f"qc__{check}"] for check in checks}
            counted = {**levels, "qc:dataset": _decided(levels["qc:dataset"])}
            total = roll_up(QC.__members__.get(level) for level in counted.values()).name
            rows.append({**{name: row[name] for name in _KEY}, **levels, "qc": total})
        found = dtypes(statement)
        titles = (*(f"qc:{check}" for check in checks), "qc")
        return Found(rows, {name: found[name] for name in _KEY} | dict.fromkeys(titles, "str"))

    def check_qc(self) -> QCRepair:
        """Return the sessions that break the lab's rule, with what would mend them.

        The rule: sessionQC is false exactly where scratchJustification is set. What is changed
        never changes whether a session counts.

        Examples
        --------
        >>> tracker.workflow.check_qc().changes
        {}
        """
        names = ("sessionQC", "scratchJustification", "sessionNotes")
        with self._lab.unit(readonly=True) as unit:
            rows = unit.sessions.present(Listing(include_scratched=True), names)
        changes = {}
        for row in rows:
            if not agrees(row["sessionQC"], row["scratchJustification"]):
                new = repaired(*(row[name] for name in names))
                changes[str(SessionKey.parse(row))] = {
                    name: [row[name], value] for name, value in new.items()
                }
        return QCRepair(changes, self)

    def repair(self, plan: QCRepair) -> int:
        """Make the changes of a plan, all or none; else ConcurrentUpdateError.

        Examples
        --------
        >>> tracker.workflow.check_qc().apply()
        0
        """
        with self._lab.unit() as unit:
            at, events = self._lab.now(), []
            for key, planned in plan.changes.items():
                snapshot = read(self._lab, unit, SessionKey.parse(key))
                seen = {name: getattr(snapshot.record, name) for name in planned}
                if seen != {name: old for name, (old, _) in planned.items()}:
                    raise ConcurrentUpdateError(key)
                new = {name: value for name, (_, value) in planned.items()}
                changes = update_session(unit, snapshot, new, seen=("sessionQC",))
                events.append(
                    self._lab.event(
                        snapshot.record.key,
                        "edited",
                        at=at,
                        changes=changes,
                        reason="sessionQC and scratchJustification disagreed",
                    )
                )
            if events:
                unit.events.append(events)
                unit.commit()
        return len(plan.changes)


def _decided(level: str) -> str:
    return NOT_APPLICABLE if level == QC.NOT_SET.name else level
