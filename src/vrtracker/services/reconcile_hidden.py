"""Sessions whose folders a look at the disk could not see: absent there says nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vrtracker.domain.dates import parse_date
from vrtracker.domain.keys import SessionKey
from vrtracker.files.layout import SUBJECTS
from vrtracker.files.scan import SkippedFolder

__all__ = ["Hidden", "hidden_by"]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Why folders were skipped, by what they stand for: all mice, a mouse, a day, a session."""

    reasons: dict[tuple[object, ...], str]

    def get(self, key: SessionKey) -> str | None:
        """Return why the folder of a session cannot be seen, or None if it can."""
        parts = (key.mouse, key.date, key.number)
        spans = (parts[:length] for length in range(len(parts) + 1))
        return next((self.reasons[span] for span in spans if span in self.reasons), None)


def hidden_by(skipped: Iterable[SkippedFolder], root: Path) -> Hidden:
    """Return what the skipped folders hide."""
    reasons: dict[tuple[object, ...], str] = {}
    for skip in skipped:
        reasons.setdefault(_span(skip.path.relative_to(root).parts), skip.reason)
    return Hidden(reasons)


def _span(parts: tuple[str, ...]) -> tuple[object, ...]:
    """Return the mouse, date and number that a path below the root stands for."""
    if SUBJECTS in parts[:2]:
        parts = parts[parts.index(SUBJECTS) + 1 :]
    span: list[object] = list(parts[:1])
    readers: tuple[Callable[[str], object], ...] = (parse_date, int)
    for text, reader in zip(parts[1:], readers, strict=False):
        try:
            span.append(reader(text))
        except ValueError:
            span.append(text)
    return tuple(span)
