"""Which claims this very process is at: it lives, but may have given one up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["is_given_up", "let_go", "take_up"]

_TOKENS: set[str] = set()


def take_up(attempt_id: str) -> None:
    """Say that the process is at a claim."""
    _TOKENS.add(attempt_id)


def let_go(attempt_id: str) -> None:
    """Say that the process is at a claim no more, whatever the database knows of it."""
    _TOKENS.discard(attempt_id)


def is_given_up(row: Mapping[str, Any]) -> bool:
    """Return whether an attempt of this process, which lives, is not at work any more."""
    return row["process_id"] == os.getpid() and row["attempt_id"] not in _TOKENS
