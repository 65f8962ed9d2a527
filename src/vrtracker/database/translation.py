"""The driver's errors, turned into ours where they leave a block."""

from __future__ import annotations

from collections.abc import Callable

from vrtracker.errors import VrtrackerError


class Translation:
    """Turns the driver's errors into ours as they leave a block; can be entered again and again."""

    __slots__ = ("_translated",)

    def __init__(self, translated: Callable[[BaseException], VrtrackerError | None]) -> None:
        self._translated = translated

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            translated = self._translated(error)
            if translated is not None:
                raise translated from error
