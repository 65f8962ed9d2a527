"""How many examples hypothesis draws: many on SQLite, few where each takes long, more in a soak."""

from __future__ import annotations

import os

__all__ = ["PROFILE_VARIABLE", "examples"]

PROFILE_VARIABLE = "VRTRACKER_TEST_PROFILE"
"""``soak`` draws other examples in each run, and ten times as many."""

_SOAK = 10
_SHARE = {"sqlite": 1.0, "postgresql": 0.4, "access": 0.1}


def examples(many: int, kind: str = "sqlite") -> int:
    """Return how many examples to draw on a kind of database, where SQLite draws `many`."""
    times = _SOAK if os.environ.get(PROFILE_VARIABLE) == "soak" else 1
    return max(1, round(many * _SHARE[kind])) * times
