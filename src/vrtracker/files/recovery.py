"""Clean up a session's folder after attempts that were interrupted; see `staging`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from vrtracker import clock
from vrtracker.errors import RegistrarError
from vrtracker.files.layout import LATE, ONE_DATA
from vrtracker.files.staging import OLD, STAGING, folders_left, forget, restore
from vrtracker.files.trees import is_empty, reason_of, remove_tree, rename, sizes, unused

Tokens = Callable[[], Collection[str]]


def left_over(session_folder: Path, *, output: str = ONE_DATA) -> list[tuple[str, str]]:
    """Return what `recover` would look at: the attempt, and the name of a folder of its."""
    found = folders_left(Path(session_folder), output, OLD, STAGING)
    return [(token, path.name) for token, path in found]


def may_replace(session_folder: Path, *, output: str = ONE_DATA) -> bool:
    """Return whether `recover` may put another output in the place of the one that is there."""
    session = Path(session_folder)
    olds = dict(folders_left(session, output, OLD)).keys()
    staged = dict(folders_left(session, output, STAGING)).keys()
    return bool(olds - staged) or (bool(olds) and not sizes(session / output))


def recover(
    session_folder: Path,
    *,
    output: str = ONE_DATA,
    live_tokens: Tokens = tuple,
    unrecorded: Tokens = tuple,
) -> list[str]:
    """Clean up after interrupted attempts; the output is then the last good one.

    An attempt that died between the two renames is taken back, and so is one that died after them
    without being recorded: what it made is kept aside. Else the new output stays.

    `session_folder`, `output`: folder of the session, and the name of its output; a missing folder
    needs nothing. `live_tokens`: asked, once the folders are listed, for the attempts that may
    still be at work. `unrecorded`: asked then for those that ended without a success, and had none
    after them: where one has replaced an output, the earlier one is what the tracker knows. Returns
    what was done, a sentence each; empty when there was nothing to do. Raises RegistrarError if the
    disk refuses; nothing but left-over folders has then been touched.
    """
    folder = Path(session_folder)
    try:
        return _recover(folder, output, live_tokens, unrecorded)
    except OSError as error:
        raise RegistrarError(
            f"{str(folder)!r} could not be recovered ({reason_of(error)}). "
            "Check its permissions, then recover again."
        ) from error


def _recover(session: Path, output: str, live_tokens: Tokens, unrecorded: Tokens) -> list[str]:
    olds = dict(folders_left(session, output, OLD))
    staged = dict(folders_left(session, output, STAGING))
    live = frozenset(live_tokens())
    done: list[str] = []
    if not sizes(session / output):
        if live & olds.keys():
            # A live attempt is between its two renames: the output is in its hands.
            return done
        done += _restore_newest(olds, session / output)
    if not live & olds.keys():
        swapped = {token: path for token, path in olds.items() if token not in staged}
        done += _take_back(swapped, olds, session / output, frozenset(unrecorded()))
    for token in sorted((olds.keys() | staged.keys()) - live):
        done += _sweep(olds.get(token), staged.get(token))
    return done


def _restore_newest(olds: dict[str, Path], output: Path) -> list[str]:
    full = {token: path for token, path in olds.items() if not is_empty(path)}
    if not full:
        return []
    newest = max(full, key=lambda token: _changed(full[token]))
    path = olds.pop(newest)
    restore(path, output)
    return [f"Put {output.name} back from {path.name}: its replacement was interrupted."]


def _take_back(
    swapped: dict[str, Path], olds: dict[str, Path], output: Path, unrecorded: frozenset[str]
) -> list[str]:
    """Put back what the latest attempts replaced, as long as none of them was recorded."""
    done = []
    for token in sorted(swapped, key=lambda token: _changed(swapped[token]), reverse=True):
        if token not in unrecorded or not sizes(output):
            break
        old = olds.pop(token)
        kept = unused(output.parent / f"{LATE}{clock.lab_now():%Y%m%dT%H%M%S}_{token[:8]}")
        rename(output, kept)
        restore(old, output)
        done.append(
            f"Put {output.name} back from {old.name}: what replaced it was not recorded, and is "
            f"kept in {kept.name}."
        )
    return done


def _changed(old: Path) -> int:
    # The change time is that of the rename on POSIX and that of the folder's birth on Windows;
    # both grow from one swap to the next.
    return old.stat().st_ctime_ns


def _sweep(old: Path | None, staged: Path | None) -> list[str]:
    if old is not None and staged is not None and not is_empty(old):
        # The swap never ended, so this is the good one, and yet there is an output with files.
        return [f"Left {old.name} alone: its output was made anew by something else. Compare."]
    done = []
    if staged is not None and remove_tree(staged):
        done.append(f"Removed {staged.name}, which an interrupted attempt left.")
    if old is not None and forget(old):
        done.append(f"Removed {old.name}, whose replacement is in place.")
    return done
