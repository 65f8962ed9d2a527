"""Replace a session's output folder so that no failure destroys what was good.

A run writes into a staging folder beside the output. The swap is two renames::

    before                  oneData (old)            .vrtracker-staging-<token> (new)
    rename oneData away     .vrtracker-old-<token>   .vrtracker-staging-<token> (new)
    rename staging          .vrtracker-old-<token>   oneData (new)
    confirm                                          oneData (new)

How far a swap has come is read from the disk alone: the old folder exists from its first step
to `Staging.confirm` or `Staging.undo` (an empty one where there was no output before), and the
staging folder until its second. So nothing depends on what a killed process remembered.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from vrtracker import clock
from vrtracker.errors import InvalidValueError, NotFoundError, RegistrarError
from vrtracker.files.alf import is_curated
from vrtracker.files.layout import LATE, ONE_DATA, SUPERSEDED
from vrtracker.files.trees import (
    carry,
    flush,
    is_empty,
    reason_of,
    remove_tree,
    rename,
    sizes,
    unused,
)

_log = logging.getLogger(__name__)

STAGING = ".vrtracker-staging-"
OLD = ".vrtracker-old-"


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What a swap put where; all paths posix, relative to the output folder."""

    files: tuple[str, ...] = ()
    """Files of the run, as it wrote them; hand them to the next swap as `earlier`."""
    bytes: int = 0
    """Their size together."""
    carried: tuple[str, ...] = ()
    """Files kept from the old output, among them curated ones that beat the run's own."""
    superseded: tuple[str, ...] = ()
    """Files of the old output that had to give way; copies are in the session's ``curated``."""


class Staging:
    """A folder to write a new output into, until it replaces the old one.

    The order of calls is `prepare`, the work, then either `discard`, or `swap_in` followed by
    `confirm` (the database has committed) or `undo` (it has not). All but `swap_in` may be
    called at any point and twice; where there is nothing to do they do nothing.

    `path`: where the run writes.
    """

    def __init__(self, session_folder: Path, *, output: str = ONE_DATA, token: str) -> None:
        check_names(output, token)
        suffix = token + _suffix(output)
        self._session = Path(session_folder)
        self._output = self._session / output
        self._old = self._session / (OLD + suffix)
        self._ours: os.stat_result | None = None
        self.path = self._session / (STAGING + suffix)

    @classmethod
    def prepare(cls, session_folder: Path, *, output: str = ONE_DATA, token: str) -> Staging:
        """Create the empty staging folder of one attempt.

        `session_folder`: folder of the session. `output`: name of the folder in it that will be
        replaced. `token`: tells this attempt from all others; letters, digits, ``_`` and ``-``.
        Raises NotFoundError if there is no session folder. Raises InvalidValueError if `output` or
        `token` cannot be part of a folder's name. Raises RegistrarError if the output is a link or
        a file, if an interrupted attempt must be recovered first, or if nothing can be written.
        """
        staging = cls(session_folder, output=output, token=token)
        try:
            staging._check()
            staging.path.mkdir()
        except OSError as error:
            raise RegistrarError(
                f"Nothing can be written in {str(session_folder)!r} ({reason_of(error)}); "
                "check its permissions and the space on the disk."
            ) from error
        return staging

    def _check(self) -> None:
        if not self._session.is_dir():
            raise NotFoundError("session folder", str(self._session))
        if self._output.is_symlink() or (self._output.exists() and not self._output.is_dir()):
            raise RegistrarError(
                f"{str(self._output)!r} is a link or a file, which cannot be replaced safely; "
                "put a real folder there."
            )
        for left_over in (self.path, self._old):
            if left_over.exists():
                raise RegistrarError(_recover_first(left_over))
        self._check_nothing_is_lost()

    def _check_nothing_is_lost(self) -> None:
        # Starting from no output while an old one waits to be put back would lose its files.
        for _, folder in folders_left(self._session, self._output.name, OLD):
            if not is_empty(folder) and not sizes(self._output):
                raise RegistrarError(_recover_first(folder))

    @property
    def is_swapped(self) -> bool:
        """Whether what the run wrote is in place, and neither confirmed nor undone."""
        return self._old.exists() and not self.path.exists()

    def discard(self) -> None:
        """Remove the staging folder and what the run wrote; the output stays as it is."""
        if self.path.exists():
            remove_tree(self.path)

    def swap_in(self, *, earlier: Collection[str]) -> SwapReport:
        """Put what the run wrote in the place of the old output.

        Kept from the old output are files of other stages and of people: all that is neither
        written by this run nor in `earlier`, and curated files in any case. A curated file beats
        a new one of the same size, since it still fits; of another size it does not, and a copy
        of it goes to ``<session>/curated/<time>``. A run that wrote no file changes nothing.

        `earlier`: POSIX paths, relative to the output, that the previous run of this stage wrote.
        Raises RegistrarError if the staging folder is gone or the disk refuses; the old output is
        then in its place, or the message says where.
        """
        if not self.path.is_dir():
            raise RegistrarError(
                f"{str(self.path)!r} is gone, so there is nothing to put in place; run again."
            )
        try:
            written = sizes(self.path)
            if not written:
                self.discard()
                return SwapReport()
            self._check_nothing_is_lost()
            report = self._keep(written, frozenset(earlier))
            flush(self.path)
            self._exchange()
        except OSError as error:
            raise RegistrarError(
                f"The new {self._output.name} of {str(self._session)!r} could not be put in "
                f"place ({reason_of(error)}); the earlier one is as it was. Run again."
            ) from error
        return report

    def _keep(self, written: dict[str, int], earlier: frozenset[str]) -> SwapReport:
        carried: list[str] = []
        superseded: list[str] = []
        for rel_path, size in sorted(sizes(self._output).items()):
            target = self.path / rel_path
            if is_curated(rel_path):
                if written.get(rel_path) == size:
                    target.unlink()
            elif rel_path in written or rel_path in earlier:
                continue
            fits = carry(self._output / rel_path, target)
            (carried if fits else superseded).append(rel_path)
        self._set_aside(superseded)
        new = {name: size for name, size in written.items() if name not in set(carried)}
        return SwapReport(tuple(sorted(new)), sum(new.values()), tuple(carried), tuple(superseded))

    def _set_aside(self, rel_paths: list[str]) -> None:
        if not rel_paths:
            return
        folder = unused(self._session / SUPERSEDED / f"{clock.lab_now():%Y%m%dT%H%M%S}")
        for rel_path in rel_paths:
            target = folder / rel_path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._output / rel_path, target, follow_symlinks=False)
        flush(folder)

    def _exchange(self) -> None:
        self._ours = self.path.stat()
        try:
            if self._output.is_dir():
                shutil.copymode(self._output, self.path)
                rename(self._output, self._old)
            else:
                self._old.mkdir()
            rename(self.path, self._output)
        except BaseException:
            # An interruption may come after the second rename too, so the disk is asked.
            self._put_back()
            raise

    def confirm(self) -> None:
        """Remove the old output for good; call it after the database has committed."""
        if self.is_swapped:
            forget(self._old)

    def keep_aside(self, time: str) -> Path | None:
        """Put the old output back; keep what the run wrote, if that is there, and return where."""
        self._put_back()
        if not self.path.is_dir() or not sizes(self.path):
            self.discard()
            return None
        token = self.path.name.removeprefix(STAGING)
        kept = unused(self._session / f"{LATE}{time}_{token[:8]}")
        rename(self.path, kept)
        return kept

    def undo(self) -> None:
        """Put the old output back and remove what the run wrote.

        If another attempt has replaced the output in the meantime, that one stays.

        Raises RegistrarError if the old output cannot be put back; the message says where it is.
        """
        self._put_back()
        self.discard()

    def _put_back(self) -> None:
        try:
            if self._old.exists():
                self._put_back_old()
        except OSError as error:
            raise RegistrarError(
                f"The earlier {self._output.name} of {str(self._session)!r} could not be put "
                f"back ({reason_of(error)}); it is kept in {self._old.name!r}. Recover the session."
            ) from error

    def _put_back_old(self) -> None:
        swapped = not self.path.exists()
        if swapped and self._output.exists():
            if self._ours and not os.path.samestat(self._ours, self._output.stat()):
                self.confirm()
                return
            rename(self._output, self.path)
        restore(self._old, self._output)


def restore(old: Path, output: Path) -> None:
    """Put an old output in its place again; an empty one stands for none."""
    if is_empty(old):
        old.rmdir()
        return
    if sizes(output):
        raise FileExistsError(errno.EEXIST, "something else made it anew", str(output))
    if output.exists():
        remove_tree(output)
    rename(old, output)


def forget(old: Path) -> bool:
    """Remove an old output; return whether it is gone."""
    # Renamed first, so that a kill in the middle leaves no half-empty folder that looks good.
    by_way_of = old.with_name(STAGING + old.name.removeprefix(OLD))
    try:
        rename(old, by_way_of)
    except OSError as error:
        _log.warning("%s could not be removed: %s", old, reason_of(error))
        return False
    return remove_tree(by_way_of)


def folders_left(session: Path, output: str, *kinds: str) -> Iterator[tuple[str, Path]]:
    """Yield the folders that attempts at an output have left, `OLD` ones first: attempt, folder."""
    names = os.listdir(session) if session.is_dir() else ()  # noqa: PTH208 - no Path for each
    for name in sorted(name for name in names if name.startswith(kinds)):
        kind = OLD if name.startswith(OLD) else STAGING
        token, _, other = name.removeprefix(kind).partition(".")
        # A registrar may have put a file in the place of its staging folder.
        if (other or ONE_DATA) == output and (kind == STAGING or (session / name).is_dir()):
            yield token, session / name


def _suffix(output: str) -> str:
    # Tells the folders of different outputs apart; a token has no point.
    return "" if output == ONE_DATA else f".{output}"


def _recover_first(left_over: Path) -> str:
    return f"{str(left_over)!r} was left by an interrupted attempt; recover the session first."


_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_OUTPUT = re.compile(r"\w[\w.-]*")


def check_names(output: str, token: str) -> None:
    """Raise InvalidValueError for what cannot be part of a folder's name."""
    if not _TOKEN.fullmatch(token):
        raise InvalidValueError(
            f"{token!r} cannot name a staging folder; use letters, digits, '_' and '-'.",
            value=token,
        )
    if not _OUTPUT.fullmatch(output) or output == SUPERSEDED:
        raise InvalidValueError(
            f"{output!r} cannot be an output folder; give the name of one folder, "
            f"not hidden and not {SUPERSEDED!r}.",
            value=output,
        )
