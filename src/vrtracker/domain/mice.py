"""What the columns of a mouse mean beyond their type: blinding, order of environments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vrtracker.errors import InvalidValueError

BLINDED = "Blinded"
"""The tick box of mice whose genotype is not to be seen."""
ENVIRONMENTS = "environmentOrder"

_GENOTYPE = {"ko", "genotype", "strain"}
_PART = re.compile(r"genotyp|knock_?-?out", re.IGNORECASE)
_ORDER = re.compile(r"\d+(\.\d+)*")


def tells_genotype(column: str) -> bool:
    """Return whether a column of a mouse gives its genotype away, the lab's own ones too."""
    return column.casefold() in _GENOTYPE or _PART.search(column) is not None


def veiled(mouse: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a mouse, without its genotype if that is not to be seen."""
    is_blinded = bool(mouse.get(BLINDED))
    return {name: each for name, each in mouse.items() if not (is_blinded and tells_genotype(name))}


def environment_order(text: str | None) -> tuple[int, ...] | None:
    """Return the environments in order of introduction: ``1.3.4`` is ``(1, 3, 4)``.

    Raises InvalidValueError if the text is no such order.
    """
    if text is None or not text.strip():
        return None
    if _ORDER.fullmatch(text.strip()) is None:
        raise InvalidValueError(
            f"{text!r} is no order of environments; write numbers with dots between: 1.3.4",
            column=ENVIRONMENTS,
            value=text,
        )
    return tuple(int(number) for number in text.strip().split("."))
