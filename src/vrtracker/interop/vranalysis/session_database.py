"""The old module's methods on sessions: list, open, what needs work, decide, register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vrtracker.domain.dates import plain
from vrtracker.domain.disk_rules import SUITE2P_FILES
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.errors import VrtrackerError
from vrtracker.interop.vranalysis import disk, registering
from vrtracker.interop.vranalysis.base import BaseDatabase
from vrtracker.interop.vranalysis.front import LazySession
from vrtracker.interop.vranalysis.printing import say
from vrtracker.interop.vranalysis.session_backends import SessionBackend, backend_named
from vrtracker.opening import tracker_of
from vrtracker.tracker import Tracker

if TYPE_CHECKING:
    import pandas as pd

    from vrtracker.services.workflow.run_report import RunReport

_WAITING: Mapping[str, Mapping[str, bool]] = {
    "suite2p": {"imaging": True, "suite2p": False},
    "suite2p_qc": {"imaging": True, "suite2p": True, "suite2pQC": False},
    "registration": {"vrRegistration": False},
    "red_cell_qc": {"imaging": True, "suite2p": True, "vrRegistration": True, "redCellQC": False},
}
"""Columns of a session that waits for a stage."""


class SessionDatabase(BaseDatabase):
    """The lab's sessions.

    Attributes
    ----------
    backend : SessionBackend
        What opens and registers sessions; another one can be put in its place.
    """

    def __init__(self, db_name: str = "vrSessions") -> None:
        super().__init__(db_name)

    @cached_property
    def backend(self) -> SessionBackend:
        """What opens and registers sessions: `session_backend` of the profile."""
        return backend_named(self._settings.session_backend, self.tracker.root)

    @property
    def working(self) -> Tracker:
        """The tracker, opened with the backend's root where the settings name none."""
        if self.tracker.root is None and self.backend.root is not None:
            self.tracker.close()
            self.tracker = tracker_of(self._settings, root=self.backend.root)
        return self.tracker

    # -- sessions ------------------------------------------------------------------------------

    def iter_sessions(
        self, session_params: Mapping[str, Any] | None = None, **kw_conditions: Any
    ) -> list[LazySession]:
        """Return the sessions that pass the conditions, in order of `uid`.

        Parameters
        ----------
        session_params
            Parameters of the opened sessions.
        **kw_conditions
            As `get_table`.
        """
        return list(self.gen_sessions(session_params, **kw_conditions))

    def gen_sessions(
        self, session_params: Mapping[str, Any] | None = None, **kw_conditions: Any
    ) -> Iterator[LazySession]:
        """Yield the sessions that pass the conditions, in order of `uid`."""
        use_default = kw_conditions.pop("use_default", True)
        conditions = self._conditions(kw_conditions, use_default=use_default)
        for session in self.tracker.sessions.iter(conditions, include_scratched=True):
            yield LazySession(session.key, self.backend, session_params)

    def print_sessions(self, **kw_conditions: Any) -> None:
        """Print the sessions that pass the conditions."""
        for session in self.gen_sessions(**kw_conditions):
            say(session.session_print())

    @staticmethod
    def mice_in_sessions(sessions: Iterable[Any]) -> list[str]:
        """Return the names of the mice of some sessions, each once, in order."""
        return list(dict.fromkeys(session.mouse_name for session in sessions))

    def print_mice_in_sessions(self, sessions: Iterable[Any]) -> None:
        """Print the names of the mice of some sessions."""
        for name in self.mice_in_sessions(sessions):
            say(name)

    def session_name(self, row: Any) -> tuple[str, str, str]:
        """Return mouse, date as ``YYYY-MM-DD`` and number of a row, as its folder spells them."""
        return self.make_b2session(row).session_name

    def make_b2session(self, row: Any) -> LazySession:
        """Return the session of a row; it is opened when its data is asked for."""
        return LazySession(SessionKey.parse(row), self.backend)

    def make_b2registration(self, row: Any, opts: Any) -> Any:
        """Return the B2Registration of a row, which works in the session's folder itself.

        Raises
        ------
        MissingDependencyError
            If vrAnalysis is not installed.
        """
        return self.backend.registration(SessionKey.parse(row), opts)

    # -- what needs work -----------------------------------------------------------------------

    def _needs(self, stage: str, conditions: dict[str, Any]) -> pd.DataFrame:
        use_default = conditions.pop("use_default", True)
        wanted = self._conditions(conditions, use_default=use_default)
        queue = self.tracker.workflow.needs(stage, wanted).drop(columns="state")
        if wanted.get("sessionQC") is True:
            return queue
        # The workflow asks nothing of a scratched session: only its columns tell what it lacks.
        rows = self._frame(wanted)
        lacking = ~rows["sessionQC"]
        for name, value in _WAITING[stage].items():
            lacking &= rows[name] == value
        return rows[lacking | rows[self.uid].isin(queue[self.uid])].reset_index(drop=True)

    def needs_registration(
        self, skip_errors: bool = True, return_df: bool = True, **kw_conditions: Any
    ) -> pd.DataFrame | None:
        """Return, or print, the sessions that can be registered now.

        Parameters
        ----------
        skip_errors
            Leave out sessions that failed, unless `vrRegistrationError` is among the conditions.
        return_df
            Return the rows; else print the sessions.
        """
        if skip_errors:
            kw_conditions.setdefault("vrRegistrationError", False)
        needed = self._needs("registration", kw_conditions)
        return self._result(needed, "Session needs registration", return_df=return_df)

    def needs_s2p(
        self,
        needs_qc: bool = False,
        return_df: bool = True,
        print_targets: bool = True,
        **kw_conditions: Any,
    ) -> pd.DataFrame | None:
        """Return, or print, the sessions that need suite2p, or with `needs_qc` its curation.

        Parameters
        ----------
        print_targets
            With the sessions, print where suite2p reads from and writes to.
        """
        needed = self._needs("suite2p_qc" if needs_qc else "suite2p", kw_conditions)
        if needs_qc:
            said = "Database indicates that suite2p has been run but not QC'd"
        else:
            said = "Database indicates that suite2p has not been run"
        targets = print_targets and not needs_qc
        return self._result(needed, said, return_df=return_df, targets=targets)

    def needs_red_cell_qc(
        self, return_df: bool = True, **kw_conditions: Any
    ) -> pd.DataFrame | None:
        """Return, or print, the sessions whose red cells are to be curated."""
        needed = self._needs("red_cell_qc", kw_conditions)
        said = "Database indicates that redCellQC has not been performed for session"
        return self._result(needed, said, return_df=return_df)

    def iter_sessions_need_red_cell_qc(self, **kw_conditions: Any) -> list[LazySession]:
        """Return the sessions whose red cells are to be curated."""
        needed = self._needs("red_cell_qc", kw_conditions)
        return [self.make_b2session(row) for _, row in needed.iterrows()]

    def _result(
        self, needed: pd.DataFrame, said: str, *, return_df: bool, targets: bool = False
    ) -> pd.DataFrame | None:
        if return_df:
            return needed
        for _, row in needed.iterrows():
            session = self.make_b2session(row)
            say(f"{said}: {session.session_print()}")
            if targets:
                for line in self._targets(session):
                    say(line)
                say("")
        return None

    def _targets(self, session: LazySession) -> list[str]:
        """Return where suite2p reads from and writes to, as far as the settings tell."""
        raw = self._settings.raw_data
        lines = [f"source: {raw.rstrip('/')}/{session.session_print()}"] if raw else []
        if self.backend.root is not None:
            lines.append(f"target: {session.data_path}")
        return lines

    # -- decisions -----------------------------------------------------------------------------

    def set_red_cell_qc(
        self, mouse_name: str, date_string: Any, session_id: str | int, state: bool = True
    ) -> bool:
        """Sign off the red cells of a session, or take that back; the date goes with it.

        Returns
        -------
        bool
            Whether it was done; if not, why is printed.
        """
        name = "/".join(map(str, (mouse_name, date_string, session_id)))
        record = self.get_record(mouse_name, date_string, session_id, verbose=False)
        if record is None:
            say(f"Could not find session {name} in database.")
            return False
        level = QC.PASS if state else QC.NOT_SET
        try:
            self.tracker.workflow.set_qc(SessionKey.parse(record), "red_cell", level)
        except VrtrackerError as error:
            say(f"Failed to update database for session: {name}")
            say(f"Error: {error}")
            return False
        return True

    # -- the disk ------------------------------------------------------------------------------

    def check_s2p(
        self, with_database_update: bool = False, return_check: bool = False
    ) -> bool | None:
        """Compare the column `suite2p` with the files, plane by plane; print what differs.

        Looks at the sessions with imaging that pass `default_conditions`.

        Parameters
        ----------
        with_database_update
            Correct the column, its date and what rests on it. Without, nothing is written.
        return_check
            Return whether anything differs.

        Raises
        ------
        RootUnavailableError
            If the sessions' root is missing or empty, or has lost so much that a drive must be
            missing; nothing is changed then.
        """
        differs = disk.check_suite2p(
            self.working,
            self.default_conditions,
            files=self._settings.reconcile.suite2p_files or SUITE2P_FILES,
            update=with_database_update,
        )
        return differs if return_check else None

    def update_s2p_date_time(self, *, dry_run: bool = False) -> None:
        """Set suite2pDate to the time of suite2p's newest file, where that is later.

        Looks at the sessions that pass `default_conditions`.

        Raises
        ------
        RootUnavailableError
            If the sessions' root is missing or empty, or has lost so much that a drive must be
            missing; nothing is changed then.
        """
        conditions = self.default_conditions
        disk.update_dates(self.working, disk.SUITE2P_DATE, conditions, dry_run=dry_run)

    def update_red_cell_qc_date_time(self, *, dry_run: bool = False) -> None:
        """Set redCellQCDate to that of the newest curated file, else as `update_s2p_date_time`."""
        conditions = self.default_conditions
        disk.update_dates(self.working, disk.RED_CELL_DATE, conditions, dry_run=dry_run)

    # -- registration --------------------------------------------------------------------------

    def _run(self, imaging: bool | None, options: Mapping[str, Any] | None) -> registering.Run:
        chosen = dict(options or {}) | ({} if imaging is None else {"imaging": bool(imaging)})
        # What the profile names for registration comes before what the backend would use.
        named = "registration" in self._settings.registrars
        registrar = None if named else self.backend.registrar(chosen)
        return registering.Run(self.working, registrar, chosen)

    def register_record(
        self,
        record: Any,
        raise_exception: bool = False,
        imaging: bool | None = None,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[bool, int]:
        """Register the session of a row; done ones again.

        Earlier output stays until the new one is whole. A failure is recorded and printed.

        Parameters
        ----------
        raise_exception
            Raise the failure after recording it.
        imaging
            False registers without the imaging: it waits for no suite2p, and once it succeeded
            suite2p and red-cell QC are not for this session. True takes that back, and so does
            a success with None, which leaves it to the row. The attempt keeps it among its
            options, whatever does the work.
        options
            Further options of the registration, kept with the attempt.

        Returns
        -------
        tuple of bool and int
            Whether it succeeded, and the size of the output, bytes.
        """
        run = self._run(imaging, options)
        return run.one(SessionKey.parse(record), raise_exception=raise_exception)

    def register_single_session(
        self,
        mouse_name: str,
        session_date: Any,
        session_id: str | int,
        raise_exception: bool = False,
        imaging: bool | None = None,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> bool | None:
        """Register one session; None if it is not in the database. See `register_record`."""
        record = self.get_record(mouse_name, session_date, session_id, verbose=False)
        if record is None:
            name = "/".join(map(str, (mouse_name, session_date, session_id)))
            say(f"Session {name} is not in the database")
            return None
        return self.register_record(record, raise_exception, imaging, options=options)[0]

    def register_sessions(
        self,
        max_data: float = 30e9,
        skip_errors: bool = True,
        raise_exception: bool = False,
        imaging: bool | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        **kw_conditions: Any,
    ) -> RunReport:
        """Register the sessions that need it, in order of `uid`, within a limit of data.

        Parameters
        ----------
        max_data
            Stop before the outputs exceed so many bytes.
        skip_errors
            Leave out sessions that failed before, unless `vrRegistrationError` is among the
            conditions.
        raise_exception, imaging, options
            As `register_record`.
        **kw_conditions
            As `get_table`.

        Returns
        -------
        RunReport
            What became of each session; printed too.
        """
        use_default = kw_conditions.pop("use_default", True)
        wanted = self._conditions(kw_conditions, use_default=use_default)
        if skip_errors:
            wanted.setdefault("vrRegistrationError", False)
        run = self._run(imaging, options)
        return run.all(wanted, max_data=max_data, raise_exception=raise_exception)

    def print_registration_errors(self, **kw_conditions: Any) -> None:
        """Print the message of each session whose last registration failed."""
        failed = self.get_table(**{**kw_conditions, "vrRegistrationError": True})
        for _, row in failed.iterrows():
            name = "/".join(self.session_name(row))
            message = plain(row["vrRegistrationException"]) or "(no message)"
            say(f"{name} had error: {message}")
