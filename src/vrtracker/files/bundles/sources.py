"""Where snapshots are read from: a folder, or a web server."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vrtracker.errors import BackendError, DatabaseUnavailableError, MissingDependencyError

Progress = Callable[[str, int, int], object]
"""Called with a file's name, the bytes that are there, and how many there will be."""

_SMALL = 64 * 1024**2
"""Bytes; no index or manifest is longer."""
_CHUNK = 256 * 1024
_REDIRECTS = 5
_TRIES = 5
_FIRST_PAUSE_S = 0.5
"""Seconds before the second try; each further one waits twice as long."""
_CONNECT_S, _READ_S = 10, 60
_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}
_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416


class Source(ABC):
    """A folder of bundles, here or elsewhere."""

    address: str

    def where(self, path: str) -> str:
        """Return a file's address, for people."""
        return f"{self.address.rstrip('/')}/{path}"

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the content of a small file.

        Raises DatabaseUnavailableError if it is not there, or cannot be reached.
        """

    @abstractmethod
    def fetch(self, path: str, size: int, partial: Path, progress: Progress) -> None:
        """Complete a file that may be there in part already.

        Raises DatabaseUnavailableError if it is not there, cannot be reached, or breaks off again
        and again; what came stays. Raises BackendError if there is more of it than `size` bytes.
        """


def source_of(address: str) -> Source:
    """Return the source that a folder's path or a URL names."""
    if urlsplit(address).scheme in {"http", "https"}:
        return HttpSource(address)
    return FolderSource(Path(address).expanduser().absolute())


def without_secrets(url: str) -> str:
    """Return a URL without what it may hold of secrets."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


class FolderSource(Source):
    """A folder that this computer sees."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder)
        self._folder = folder

    def read(self, path: str) -> bytes:
        """Read the file."""
        with self._opened(path) as stream:
            return bytes(stream.read(_SMALL))

    def fetch(self, path: str, size: int, partial: Path, progress: Progress) -> None:
        """Copy the file anew: that is quicker than to look at what is there."""
        done = 0
        with self._opened(path) as stream, partial.open("wb") as target:
            while part := stream.read(_CHUNK):
                done += len(part)
                if done > size:
                    raise _too_long(self.where(path), size)
                target.write(part)
                progress(path, done, size)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Any]:
        try:
            with (self._folder / path).open("rb") as stream:
                yield stream
        except OSError as error:
            raise DatabaseUnavailableError(
                f"{self.where(path)} cannot be read ({error.strerror}); give the folder that "
                "snapshots were published to."
            ) from error


class HttpSource(Source):
    """A web server; one that knows ranges goes on where a download broke off."""

    def __init__(self, url: str) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise MissingDependencyError("Reading snapshots by HTTP", "snapshots") from error
        self.address = url
        self._errors = urllib3.exceptions.HTTPError
        # Tries are counted here, where it is known what has come already.
        retries = urllib3.Retry(total=None, connect=0, read=0, status=0, redirect=_REDIRECTS)
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        self._pool = urllib3.PoolManager(retries=retries, timeout=timeout)

    def where(self, path: str) -> str:
        """Return a file's address without secrets."""
        return f"{without_secrets(self.address).rstrip('/')}/{path}"

    def read(self, path: str) -> bytes:
        """Read the file, trying again where that may help."""
        content = bytearray()

        def take() -> bool:
            content.clear()
            for part in self._parts(path, 0, _SMALL):
                content.extend(part)
            return True

        self._trying(path, take)
        return bytes(content)

    def fetch(self, path: str, size: int, partial: Path, progress: Progress) -> None:
        """Ask for the rest of the file until all of it is there."""

        def take() -> bool:
            there = partial.stat().st_size if partial.exists() else 0
            if there > size:
                there = 0
            if there < size:
                self._append(path, there, size, partial, progress)
            return partial.stat().st_size == size if partial.exists() else size == 0

        self._trying(path, take)

    def _append(self, path: str, there: int, size: int, partial: Path, progress: Progress) -> None:
        # Not buffered: whatever has come is there when the process is killed.
        with partial.open("r+b" if partial.exists() else "w+b", buffering=0) as target:
            target.truncate(there)
            target.seek(there)
            for part in self._parts(path, there, size, restarted=lambda: _empty(target)):
                target.write(part)
                if target.tell() > size:
                    _empty(target)
                    raise _too_long(self.where(path), size)
                progress(path, target.tell(), size)

    def _trying(self, path: str, take: Callable[[], bool]) -> None:
        """Try so often, with longer and longer pauses; what breaks off comes in several tries."""
        why: object = "it broke off"
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                if take():
                    return
            except _TryAgainError as error:
                why = error
        raise DatabaseUnavailableError(
            f"{self.where(path)} could not be fetched in {_TRIES} tries ({why}); try again later: "
            "what has come is kept."
        )

    def _parts(
        self, path: str, there: int, size: int, *, restarted: Callable[[], object] | None = None
    ) -> Iterator[bytes]:
        """Yield what follows the first bytes; `restarted` is called if all of it comes again."""
        headers = {"Accept-Encoding": "identity"}
        if there:
            headers["Range"] = f"bytes={there}-"
        base, _, query = self.address.partition("?")
        url = f"{base.rstrip('/')}/{path}{'?' if query else ''}{query}"
        response: Any = None
        try:
            response = self._pool.request("GET", url, headers=headers, preload_content=False)
            self._check(response, path, there, restarted)
            left = size + 1
            while left > 0 and (part := response.read1(_CHUNK, decode_content=False)):
                left -= len(part)
                yield part
        except self._errors as error:
            raise self._explained(error, path) from error
        finally:
            if response is not None:
                response.close()

    def _check(
        self, response: Any, path: str, there: int, restarted: Callable[[], object] | None
    ) -> None:
        status = response.status
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        if status == _PARTIAL and there and begins:
            return
        if status == _OK:
            if restarted is not None:
                restarted()
            return
        if status in _WORTH_ANOTHER_TRY:
            raise _TryAgainError(f"HTTP status {status}")
        if status in {_PARTIAL, _NOT_SATISFIABLE} and restarted is not None:
            restarted()
            raise _TryAgainError("the server answered for another part than was asked for")
        raise DatabaseUnavailableError(
            f"{self.where(path)} cannot be had (HTTP status {status}); correct the URL."
        )

    def _explained(self, error: Exception, path: str) -> Exception:
        reason = getattr(error, "reason", None)
        if type(reason).__name__ == "ResponseError" and "redirect" in str(reason):
            return DatabaseUnavailableError(
                f"{self.where(path)} leads from one address to the next without an end; have the "
                "server mended, or give another URL."
            )
        return _TryAgainError(f"{type(reason or error).__name__}")


class _TryAgainError(Exception):
    """What may be well a moment later."""


def _empty(target: Any) -> None:
    target.seek(0)
    target.truncate()


def _too_long(where: str, size: int) -> BackendError:
    return BackendError(
        f"{where} is longer than the {size} bytes that its manifest names; it was discarded. Have "
        "the snapshot published anew under another name."
    )
