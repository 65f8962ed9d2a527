"""Move a whole database to another place or kind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vrtracker.database import Database
from vrtracker.display import Facts, Shown
from vrtracker.errors import BackendError, ConfigurationError
from vrtracker.services.administration import moving, opening
from vrtracker.services.administration.cloning import Clone, Copying
from vrtracker.settings import profile_urls, resolve_url, settings_for
from vrtracker.settings_file import set_profile_url

if TYPE_CHECKING:
    from vrtracker.services.doctor import Diagnosis

_NEEDED = ("database", "schema", "references", "names")


@dataclass(frozen=True, slots=True)
class Moved(Shown):
    """A database that was moved.

    `copied`: what was copied; both sides agree.
    `profile`: the profile that names the new database now; None if none named the old one.
    `note`: says beside the old file where it went; None for a database on a server.
    `kept`: an old file that gave way to the new one.
    `others`: further profiles, which still name the old one.
    """

    copied: Clone
    profile: str | None
    note: Path | None
    kept: Path | None
    others: tuple[str, ...] = ()

    def facts(self) -> Facts:
        """Return where it is now, and what to do where that is not known yet."""
        notes = [f"{self.note} says so, and the old file is only read."] if self.note else []
        notes += [f"What was there before is in {self.kept}."] if self.kept else []
        told = f"The profile {self.profile} names it now."
        notes += [told if self.profile else "Name it now: --url, VRTRACKER_URL or a profile."]
        if self.others:
            named = ", ".join(self.others)
            notes.append(f"Still naming the old one, change them too: the profiles {named}.")
        went = f"{self.copied.source} was moved to {self.copied.destination}."
        return Facts(went, notes=notes)


def migrate(
    source: str | os.PathLike[str] | None,
    destination: str | os.PathLike[str],
    *,
    actor: str | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> Moved:
    """Move a database to another place or kind: off Access, onto a server, or back.

    It is looked at first, then copied and compared; then the profile that names it is changed, and
    the old file is marked as moved: this package only reads it from then on. If anything fails, all
    is as it was. An old file at the destination, from which the database was moved before, is kept
    under another name.

    `source`: path, URL or profile; the default one if not given. `destination`: path of a new file,
    or URL of an empty database, without a password in it. `actor`: who asks; the user when not
    given. It takes an admin. Raises BackendError if something in it is wrong, that a copy would not
    bring along or bring along wrong; or somebody wrote meanwhile. Raises ClaimHeldError if a
    session is worked on. Raises VrtrackerError as `vrtracker.clone`.
    """
    from vrtracker.services.doctor import examine

    settings = settings_for(source)
    _require_sound(examine(source))
    with (
        Database(settings.database, readonly=True) as old,
        Database(resolve_url(destination), create=True) as new,
    ):
        lab = opening.plain_lab(old, settings, actor=actor)
        moving.require_movable(lab)
        with moving.room_at(new) as kept, moving.leaving(lab, new) as note:
            made = Copying(old, new, progress).run()
        others = _others(old, settings.profile)
        if settings.profile is not None:
            written = profile_urls().get(settings.profile, ("", ""))
            set_profile_url(settings.profile, _as_written(str(new), *written))
        return Moved(made, settings.profile, note, kept, others)


def _others(old: Database, profile: str | None) -> tuple[str, ...]:
    """Return the other profiles that name this database."""
    place = old.backend.place(old.url)
    found = []
    for name, (_, url) in profile_urls().items():
        with contextlib.suppress(ConfigurationError):
            other = Database(url, readonly=True)
            if name != profile and other.backend.place(other.url) == place:
                found.append(name)
    return tuple(found)


def _as_written(new: str, written: str, meant: str) -> str:
    """Return an address with the variables that the profile had, as far as they still hold.

    Those of the folder do, where the new file is in the same one.
    """
    folder, kept = meant.rpartition("/")[0], written.rpartition("/")[0]
    is_there = "${" in kept and "://" not in meant and new.startswith(f"{folder}/")
    return f"{kept}{new.removeprefix(folder)}" if is_there else new


def _require_sound(found: Diagnosis) -> None:
    wrong = [check for check in found.checks if check.status == "error" and check.name in _NEEDED]
    if wrong:
        # A line each: remedies end with a command, which has no full stop.
        said = "\n".join(f"{check.message} {check.remedy or ''}".strip() for check in wrong)
        raise BackendError(f"{found.database} cannot be moved as it is; nothing was done. {said}")
