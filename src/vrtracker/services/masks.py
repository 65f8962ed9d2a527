"""Masks and other rows that a function makes of a session: made, read, and made anew."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from vrtracker import operations
from vrtracker.backends.base import ViolationError
from vrtracker.domain.experiments import written
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.masks import code_hash, data_hash, function_called, import_name, mask_of
from vrtracker.errors import InvalidValueError, NotFoundError, UnknownNameError, VrtrackerError
from vrtracker.found import Found, framed
from vrtracker.models.types import JSONDocument
from vrtracker.reading import INSTANT
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabContext
from vrtracker.services.entries.sessions import SessionService

_ONLY = {
    "stale": {"code", "data"},
    "missing": {"missing"},
    "all": {"code", "data", "missing", "asked"},
}
"""Why masks are made anew, by what a caller asks for."""
_LISTED = {"key": "str", "mask": "str", "function": "str", "recorded_at": INSTANT}
_LONGEST = 255
_TOGETHER = 50
"""Masks that are written in one transaction."""


class MaskOutcome(NamedTuple):
    """What was done, or is to be done, about a mask.

    `why`: ``missing``; ``code`` or ``data``, which have changed since; ``asked``. `error`: why it
    was not made.
    """

    key: SessionKey
    mask: str
    why: str
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    key: SessionKey
    number: int
    mask: str
    function_name: str
    options: Mapping[str, Any]
    data_hash: str


class MaskService:
    """Masks of sessions. Of a function its name and a hash are kept, and never its source.

    Examples
    --------
    >>> from lab_tools import early  # a module of your own, with @mask_function
    >>> mask = tracker.masks.make("DEMO001.2023-01-18.701", "early", early, until=30.0)
    >>> tracker.masks.list()[["key", "mask", "function"]]
                          key   mask         function
    0  DEMO001.2023-01-18.701  early  lab_tools:early
    """

    def __init__(self, lab: LabContext, sessions: SessionService) -> None:
        self._lab = lab
        self._sessions = sessions

    @framed
    def list(self) -> Found:
        """Return all masks, in the order in which they were made.

        Returns
        -------
        pandas.DataFrame
            key, mask, function, recorded_at (UTC).

        Examples
        --------
        >>> tracker.masks.list().columns.tolist()
        ['key', 'mask', 'function', 'recorded_at']
        """
        with self._lab.unit(readonly=True) as unit:
            rows = unit.masks.all()
            keys = {
                row["uSessionID"]: str(SessionKey.of_row(row))
                for row in unit.sessions.present(Listing(include_scratched=True))
            }
        named = {"mask": "mask_name", "function": "function_name", "recorded_at": "recorded_at"}
        return Found(
            [
                {"key": keys[row["uSessionID"]]} | {name: row[held] for name, held in named.items()}
                for row in rows
            ],
            _LISTED,
        )

    def get(self, key: Any, name: str) -> Any:
        """Return what a mask holds, arrays as arrays of NumPy.

        Raises
        ------
        NotFoundError
            If there is no such session, or it has no such mask.
        InvalidValueError
            If the name is none.

        Examples
        --------
        >>> from lab_tools import early
        >>> mask = tracker.masks.make("DEMO001.2023-01-18.701", "early", early, until=30.0)
        >>> tracker.masks.get("DEMO001.2023-01-18.701", "early")
        [array([ 1, -1]), array([ 0., 30.])]
        """
        _check_name(name)
        with self._lab.unit(readonly=True) as unit:
            record = self._sessions.get(key)
            content = unit.masks.content(record.uSessionID, name)
        if content is None:
            raise NotFoundError("mask", name, at=str(record.key))
        return _opened(json.loads(content))

    def make(self, key: Any, name: str, function: Callable[..., Any], /, **options: Any) -> Any:
        """Have a function make a mask of a session, keep it under a name, and return it.

        Parameters
        ----------
        function
            Marked with `mask_function`, in a module that can be imported.
        **options
            Plain values, given to the function too.

        Raises
        ------
        InvalidValueError
            If the name is none, the function is not such a one, or what it returns is no mask
            that `split_trials` takes.
        NotFoundError
            If there is no such session.

        Examples
        --------
        >>> from lab_tools import early
        >>> _, times = tracker.masks.make("DEMO001.2023-01-18.701", "early", early, until=30.0)
        >>> times
        array([ 0., 30.])
        """
        _check_name(name)
        record = self._sessions.get(key)
        number, wanted = record.uSessionID, SessionKey.parse(record.key)
        with self._lab.unit(readonly=True) as unit:
            datasets = unit.datasets.of_sessions([number])[number]
        seen = data_hash(datasets.values())
        task = _Task(wanted, number, name, import_name(function), options, seen)
        if refused := self._keep([(task, self._made(task))])[0]:
            raise InvalidValueError(refused)
        return self.get(wanted, name)

    def recompute(
        self,
        where: Any = None,
        /,
        *,
        only: str = "stale",
        dry_run: bool = False,
        **filters: Any,
    ) -> Any:
        """Make masks anew, and say how each of them went.

        They are made while no transaction is open, and written some at a time, each in a savepoint
        of its own; where the database knows none (Access), in a transaction of its own.

        A function is looked for by its name among the modules that are imported, and called only
        if it is marked with `mask_function`.

        Parameters
        ----------
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; all that are not scratched if not.
        only
            ``stale``: those whose function's source, or the session's files as they are on
            record, have changed since. ``missing``: those that other sessions have, made in the
            same way. ``all``.
        dry_run
            Only say which.

        Returns
        -------
        list of MaskOutcome
            ``key, mask, why, error``.

        Raises
        ------
        UnknownNameError
            If `only` is none of these.

        Examples
        --------
        >>> from lab_tools import early
        >>> mask = tracker.masks.make("DEMO001.2023-01-18.701", "early", early, until=30.0)
        >>> made = tracker.masks.recompute("mouseName = DEMO001", only="missing")
        >>> [str(each.key) for each in made]
        ['DEMO001.2023-01-19.701', 'DEMO001.2023-01-20.701', 'DEMO001.2023-01-20.702']
        """
        if only not in _ONLY:
            raise UnknownNameError("choice", only, _ONLY)
        asked = self._lab.selection(where, filters)
        together = _TOGETHER if self._lab.database.backend.supports_savepoints else 1
        tasks = iter(self._tasks(Listing(asked), only))
        outcomes: list[MaskOutcome] = []
        with operations.operation():
            while part := list(islice(tasks, together)):
                outcomes += self._recompute(part, dry_run=dry_run)
        return outcomes

    def _recompute(
        self, part: Sequence[tuple[_Task, str]], *, dry_run: bool
    ) -> Iterator[MaskOutcome]:
        errors: dict[_Task, str | None] = {}
        made = []
        for task, _ in part:
            errors[task] = None
            try:
                function_called(task.function_name)
                if not dry_run:
                    made.append((task, self._made(task)))
            except VrtrackerError as refused:
                errors[task] = str(refused)
            except Exception as raised:  # noqa: BLE001 -- whatever the lab's own function raises
                errors[task] = f"{type(raised).__name__}: {raised}"
        if made:
            errors |= zip((task for task, _ in made), self._keep(made), strict=True)
        return (MaskOutcome(task.key, task.mask, why, errors[task]) for task, why in part)

    def _tasks(self, listing: Listing, only: str) -> Iterator[tuple[_Task, str]]:
        with self._lab.unit(readonly=True) as unit:
            rows = {row["uSessionID"]: row for row in unit.sessions.present(listing)}
            every = unit.masks.all()
            datasets = unit.datasets.of_sessions(list(rows))
        # The last one that was made says how others of its name are.
        ways = {mask["mask_name"]: mask for mask in every}
        held = {(mask["uSessionID"], mask["mask_name"]): mask for mask in every}
        for number, row in rows.items():
            seen = data_hash(datasets[number].values())
            for name, way in ways.items():
                mask = held.get((number, name))
                why = "missing" if mask is None else _why(mask, seen)
                made = mask or way
                if why in _ONLY[only]:
                    called, options = made["function_name"], made["options"]
                    yield _Task(SessionKey.of_row(row), number, name, called, options, seen), why

    def _made(self, task: _Task) -> dict[str, Any]:
        """Make one mask, while no transaction is open; return its row."""
        function = function_called(task.function_name)
        code = code_hash(function)
        made = mask_of(function(self._sessions.get(task.key), **task.options))
        arrays = [{"dtype": str(each.dtype), "array": each.tolist()} for each in made]
        return {
            "uSessionID": task.number,
            "mask_name": task.mask,
            "function_name": task.function_name,
            "options": JSONDocument(written(dict(task.options))),
            "code_hash": code,
            "data_hash": task.data_hash,
            "content": written(arrays),
            "recorded_at": self._lab.now(),
        }

    def _keep(self, made: Sequence[tuple[_Task, Mapping[str, Any]]]) -> Sequence[str | None]:
        """Write masks in one transaction; return of each why it could not be, or None."""
        refused: builtins.list[str | None] = []
        with self._lab.unit() as unit:
            for task, row in made:
                told = {"mask": task.mask, "function": task.function_name}
                event = self._lab.event(task.key, "masked", changes=told)
                try:
                    with unit.savepoint():
                        unit.masks.put(row)
                        unit.events.append([event], wakes=False)
                    refused.append(None)
                except ViolationError:
                    refused.append(f"{task.key} was deleted while its mask was made.")
            # Without savepoints one that was refused is the only one, and half of it is written.
            if None in refused:
                unit.commit()
        return refused


def _why(mask: Mapping[str, Any], seen: str) -> str:
    try:
        code = code_hash(function_called(mask["function_name"]))
    except VrtrackerError:
        # Whether its source has changed nobody can say; recomputing says why.
        return "code"
    if mask["code_hash"] != code:
        return "code"
    return "data" if mask["data_hash"] != seen else "asked"


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 0 < len(storable_text(name)) <= _LONGEST:
        raise InvalidValueError(f"A mask's name has 1 to {_LONGEST} letters, not {name!r}.")


def _opened(value: Any) -> Any:
    """Return what JSON keeps, arrays as such; earlier versions kept other values too."""
    if isinstance(value, dict) and value.keys() == {"dtype", "array"}:
        import numpy as np

        return np.array(value["array"], dtype=value["dtype"])
    if isinstance(value, list):
        return [_opened(each) for each in value]
    if isinstance(value, dict):
        return {name: _opened(each) for name, each in value.items()}
    return value
