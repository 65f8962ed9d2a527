"""What the tests do where a part of the world is absent: skip by name, or fail where CI asks."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED_VARIABLE = "REQUIRE_BACKENDS"
CHROMIUM = "chromium"
"""The browser of tests/browser, which is no database but is required alike."""


class BackendMissingError(Exception):
    """A backend cannot run here; the message says why and what would mend it."""


def required_backends() -> frozenset[str]:
    """Return the backends that must not be skipped, from the comma list in the environment."""
    listed = os.environ.get(REQUIRED_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in listed if name.strip())


def give_up(name: str, why: str, *, required: bool) -> NoReturn:
    """Fail the test when `name` is required, otherwise skip it."""
    if required:
        pytest.fail(f"{name} is required here, but {why}", pytrace=False)
    pytest.skip(f"{name}: {why}")
