"""Sessions whose folders a look at the disk could not see: absent there says nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from vrtracker.domain.dates import parse_date
from vrtracker.domain.keys import SessionKey
from vrtracker.files.layout import SUBJECTS
from vrtracker.files.scan import SkippedFolder


@dataclass(frozen=True, slots=True)
class UnseenFolders:
    """Why folders were not seen."""

    reasons: dict[tuple[object, ...], str]
    """By what the folders stand for: a mouse (in small letters), a day of it, a session."""
    anywhere: str | None
    """Why a session without a folder may have one all the same: a lab's mice were not seen."""
    elsewhere: str | None
    """Why a mouse without any folder may have one: a link that may be a lab's was not followed."""
    seen: Collection[str]
    """The mice of which a folder was seen."""

    def get(self, key: SessionKey) -> str | None:
        """Return why the session's own folder cannot be seen, or None if it can."""
        parts = (key.mouse.casefold(), key.date, key.number)
        spans = (parts[:length] for length in range(1, len(parts) + 1))
        return next((self.reasons[span] for span in spans if span in self.reasons), None)

    def in_a_lab(self, key: SessionKey) -> str | None:
        """Return why the session's folder may be in a lab's that cannot be seen, or None."""
        return self.anywhere or (None if key.mouse in self.seen else self.elsewhere)


def unseen_folders(
    skipped: Iterable[SkippedFolder], root: Path, *, seen: Collection[str]
) -> UnseenFolders:
    """Return what the skipped folders hide; `seen` are the mice of which a folder was seen."""
    reasons: dict[tuple[object, ...], str] = {}
    labs: list[str] = []
    links: list[str] = []
    for skip in skipped:
        parts = skip.path.relative_to(root).parts
        span, perhaps = _span(parts), f"It may be in {skip.path}. {skip.reason}"
        if not span:
            labs.append(perhaps)
        elif skip.is_link and len(parts) == 1:
            # It may have been a lab's, or anything: it says nothing of mice that are elsewhere.
            links.append(perhaps)
        reasons.setdefault(span, skip.reason)
    return UnseenFolders(reasons, next(iter(labs), None), next(iter(links), None), seen)


def _span(parts: tuple[str, ...]) -> tuple[object, ...]:
    """Return the mouse, date and number that a path below the root stands for.

    The mouse in small letters, since its folder may be spelled otherwise than it. None of them,
    which is all mice, for the folder of a lab's mice: nobody knows which they are.
    """
    if parts[1:2] == (SUBJECTS,):
        parts = parts[2:]
    span: list[object] = [name.casefold() for name in parts[:1]]
    readers: tuple[Callable[[str], object], ...] = (parse_date, int)
    for text, reader in zip(parts[1:], readers, strict=False):
        try:
            span.append(reader(text))
        except ValueError:
            span.append(text)
    return tuple(span)
