"""Names that are spelled like one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_AROUND = 60
_SHOWN = 12


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return up to three of `known` that are spelled most like `name`, best first."""
    by_fold: dict[str, str] = {}
    for candidate in known:
        by_fold.setdefault(candidate.casefold(), candidate)
    matches = get_close_matches(str(name).casefold(), by_fold, n=3, cutoff=0.5)
    return tuple(by_fold[match] for match in matches)


def did_you_mean(names: Sequence[str]) -> str:
    """Phrase a suggestion, or the empty string when there is none."""
    return f" Did you mean {' or '.join(repr(name) for name in names)}?" if names else ""


def known_ones(names: Sequence[str]) -> str:
    """Phrase what there is, the first ones of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" Known: {', '.join(names[:_SHOWN])}{more}."


def pointed(text: str, at: int) -> str:
    """Return the line of a text around a place, and under it a caret that points at the place."""
    start = max(0, at - _AROUND)
    return f"  {on_one_line(text)[start : at + _AROUND]}\n  {' ' * (at - start)}^"


def on_one_line(text: str) -> str:
    """Return a text with a space for each character that cannot be shown: places stay."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
