"""A session by its key: cheap to make by the hundred, loaded when its data is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import VrtrackerError
from vrtracker.files.layout import number_spellings

if TYPE_CHECKING:
    from vrtracker.interop.vranalysis.session_backends import SessionBackend


class LazySession:
    """What `iter_sessions` lists. Whatever is not said here is asked of the opened session.

    `key`: the session. `backend`: what opens it. `params`: parameters of the opened session.
    """

    __slots__ = ("_backend", "_opened", "_params", "key")

    key: SessionKey
    _backend: SessionBackend
    _params: dict[str, Any]
    _opened: Any

    def __init__(
        self, key: SessionKey, backend: SessionBackend, params: Mapping[str, Any] | None = None
    ) -> None:
        own = {"key": key, "_backend": backend, "_params": dict(params or {}), "_opened": None}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"LazySession({str(self.key)!r})"

    # vrAnalysis' Tracker looks for a session among its own with `in`, and a B2Session is equal to
    # what is an instance of B2Session and has its hash, that of the name.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._backend.session_class or LazySession

    def __eq__(self, other: object) -> bool:
        if type(other) is LazySession:
            return other.key == self.key
        return bool(getattr(other, "session_name", None) == self.session_name)

    def __hash__(self) -> int:
        return hash(self.session_name)

    def __getattr__(self, name: str) -> Any:
        # A notebook that shows a session asks for _repr_html_ and the like: that opens nothing.
        if name.startswith("_"):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return getattr(self.opened, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.opened, name, value)

    def __reduce__(self) -> Any:
        return LazySession, (self.key, self._backend, self._params)

    @property
    def opened(self) -> Any:
        """The session itself, opened on first use: a B2Session where vrAnalysis is installed."""
        if self._opened is None:
            object.__setattr__(self, "_opened", self._backend.open(self.key, self._params))
        return self._opened

    @property
    def mouse_name(self) -> str:
        """Name of the mouse."""
        return self.key.mouse

    @property
    def date(self) -> str:
        """Date, ``YYYY-MM-DD``."""
        return self.key.date.isoformat()

    @property
    def session_id(self) -> str:
        """Number of the session as its folder spells it, such as ``001``, where that is there."""
        number = self.key.number
        # The disk is looked at only where there are two ways to spell the number.
        if len(number_spellings(number)) > 1:
            with contextlib.suppress(VrtrackerError):
                return self.data_path.name
        return str(number)

    @property
    def session_name(self) -> tuple[str, str, str]:
        """Mouse, date and number, as text."""
        return self.mouse_name, self.date, self.session_id

    @property
    def session_uid(self) -> str:
        """Mouse, date and number as one word: ``ATL012.2023-01-20.702``."""
        return self.session_print(".")

    def session_print(self, joinby: str = "/") -> str:
        """Return mouse, date and number as one text."""
        return joinby.join(self.session_name)

    @property
    def data_path(self) -> Path:
        """Folder of the session."""
        return self._backend.paths(self.key).root

    @property
    def s2p_path(self) -> Path:
        """Folder of suite2p's output."""
        return self._backend.paths(self.key).suite2p

    @property
    def one_path(self) -> Path:
        """Folder of the registered data."""
        return self._backend.paths(self.key).one_data
