"""What kind of statement a text of SQL is."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|#[^#]*#")
_FIRST_WORD = re.compile(r"\s*\(*\s*([A-Za-z]+)")


def first_word(operation: str) -> str:
    """Return the first word in capitals, past parentheses."""
    found = _FIRST_WORD.match(operation)
    return found.group(1).upper() if found else ""


def is_pure_select(operation: str) -> bool:
    """Tell whether a statement is one SELECT that writes into no table."""
    if first_word(operation) != "SELECT":
        return False
    return re.search(r"\binto\b|;\s*\S", _QUOTED.sub("''", operation), re.IGNORECASE) is None
