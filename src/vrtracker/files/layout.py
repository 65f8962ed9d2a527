"""Where sessions are: ``<root>/<mouse>/<date>/<number>``.

The layout is that of Alyx and ONE, which also know ``<root>/<lab>/Subjects/<mouse>/...``
and numbers padded to three digits; the lab writes them unpadded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vrtracker.errors import RootUnavailableError
from vrtracker.files.trees import is_hidden, leads_to_folder, reason_of

if TYPE_CHECKING:
    from vrtracker.domain.keys import SessionKey

SUITE2P = "suite2p"
ONE_DATA = "oneData"
SUBJECTS = "Subjects"
# Where copies of curated files go that no longer fit a session's output.
SUPERSEDED = "curated"
# Where pruned files go, below the root; hidden, so that no scan looks into it.
TRASH = ".vrtracker-trash"
# How folders begin that keep outputs whose record was refused.
LATE = "late_output_"
# What systems make on their drives, in capitals or not, and often let nobody read.
_OF_THE_SYSTEM = {"lost+found", "system volume information", "$recycle.bin", "#recycle"}


def number_spellings(number: int) -> tuple[str, ...]:
    """Return the folder names that mean a session number, the lab's own first."""
    plain, padded = str(number), f"{number:03d}"
    return (plain,) if plain == padded else (plain, padded)


def is_of_people(name: str) -> bool:
    """Tell whether a name below the root is neither hidden nor of what systems make on a drive."""
    return not is_hidden(name) and name.lower() not in _OF_THE_SYSTEM


class SessionFolders:
    """Find the folders of sessions below one root; never creates anything.

    `root`: folder that holds the folders of the mice.
    """

    def __init__(self, root: Path | str) -> None:
        # Making a path of a path takes as long as parsing it.
        self.root = root if isinstance(root, Path) else Path(root)

    def check(self) -> None:
        """Make sure that the root is there, so that absence below it means something.

        Raises RootUnavailableError if the root is missing, not a folder, not readable, or empty:
        that is how the mount point of an unmounted drive looks.
        """
        try:
            with os.scandir(self.root) as entries:
                if any(is_of_people(entry.name) for entry in entries):
                    return
        except FileNotFoundError as error:
            raise RootUnavailableError(self._unavailable("does not exist")) from error
        except NotADirectoryError as error:
            raise RootUnavailableError(self._unavailable("is not a folder")) from error
        except OSError as error:
            problem = f"cannot be read ({reason_of(error)})"
            raise RootUnavailableError(self._unavailable(problem)) from error
        raise RootUnavailableError(self._unavailable("is empty"))

    def find(self, key: SessionKey) -> Path | None:
        """Return the existing folder of a session, or None.

        The mouse's own folder below the root is preferred to a lab's, an unpadded number to a
        padded one.

        Raises RootUnavailableError if the disk refuses to answer: that is not the same as a missing
        folder.
        """
        return self._first(key, self._mouse_parents())

    def path(self, key: SessionKey) -> Path:
        """Return the folder of a session, or where it would be if there is none yet."""
        return self.find(key) or self.root / key.path

    def labs(self) -> dict[str, list[str]]:
        """Return the labs below whose folders a mouse has one, by the mouse.

        The root itself is an empty name, which comes first; a mouse that is there alone is left
        out. Raises RootUnavailableError if a folder cannot be listed.
        """
        found: dict[str, list[str]] = {}
        try:
            for mice in self._mouse_parents():
                if mice != self.root and leads_to_folder(mice):
                    for mouse in mice.iterdir():
                        if mouse.name not in found:
                            at_root = leads_to_folder(self.root / mouse.name)
                            found[mouse.name] = [""] if at_root else []
                        found[mouse.name].append(mice.parent.name)
        except OSError as error:
            problem = f"cannot be searched for labs ({reason_of(error)})"
            raise RootUnavailableError(self._unavailable(problem)) from error
        return found

    def lab_of(self, key: SessionKey, labs: Iterable[str]) -> str | None:
        """Return which of some labs, as `labs` gives them, a session's folder is below, or None.

        Raises RootUnavailableError as `find` does.
        """
        mice = {self.root / lab / SUBJECTS if lab else self.root: lab for lab in labs}
        folder = self._first(key, mice)
        return None if folder is None else mice[folder.parents[2]]

    def _first(self, key: SessionKey, parents: Iterable[Path]) -> Path | None:
        try:
            return next((path for path in _candidates(key, parents) if leads_to_folder(path)), None)
        except OSError as error:
            problem = f"cannot be searched for {key} ({reason_of(error)})"
            raise RootUnavailableError(self._unavailable(problem)) from error

    def _mouse_parents(self) -> Iterator[Path]:
        yield self.root
        if leads_to_folder(self.root):
            with os.scandir(self.root) as entries:
                labs = sorted(entry.name for entry in entries if is_of_people(entry.name))
            yield from (self.root / lab / SUBJECTS for lab in labs)

    def _unavailable(self, problem: str) -> str:
        return (
            f"The sessions' root {str(self.root)!r} {problem}; nothing was changed. "
            "It may be a drive that is not mounted: mount it, or give another root."
        )


def _candidates(key: SessionKey, parents: Iterable[Path]) -> Iterator[Path]:
    for mice in parents:
        for number in number_spellings(key.number):
            yield mice.joinpath(key.mouse, key.date.isoformat(), number)
