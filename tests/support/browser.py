"""A real browser: the Chromium of the system, without a window."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import sync_playwright

from support.missing import CHROMIUM

__all__ = ["launched"]


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Start the browser; yield None where there is none."""
    program = shutil.which(CHROMIUM)
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        # In a container nobody may make the sandbox's user namespaces.
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            timeout=120_000,
        )
        try:
            yield browser
        finally:
            browser.close()
