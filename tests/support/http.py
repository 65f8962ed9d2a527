"""A lab that is served by HTTP in this process, and who asks it."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

from vrtracker.tracker import Tracker
from vrtracker.web.serving import LabServer

__all__ = ["Answer", "Client", "served"]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        told = self.document["error"]
        assert set(told) >= {"code", "message", "remedy"}
        return told


class Client:
    """Asks one server, and shows its token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self._pool = urllib3.PoolManager(retries=False)

    def ask(
        self, verb: str, path: str, body: Any = None, headers: Any = None, **query: Any
    ) -> Answer:
        """Ask something of the API."""
        shown = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        whole = {name: value for name, value in shown.items() if value is not None}
        options: dict[str, Any] = {} if body is None else {"json": body}
        if query:
            path += "?" + urllib.parse.urlencode(query)
        address = self.url + (path[1:] if path.startswith("//") else f"/api/v1{path}")
        got = self._pool.request(verb, address, headers=whole, redirect=False, **options)
        return Answer(got.status, got.headers, got.data)

    def send(self, path: str, form: str, headers: Any) -> Answer:
        """Send a form of one of the pages, as a browser does."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        whole = {name: value for name, value in (headers | kind).items() if value is not None}
        url = self.url + path[1:]
        got = self._pool.request("POST", url, headers=whole, body=form, redirect=False)
        return Answer(got.status, got.headers, got.data)

    def get(self, path: str, **query: Any) -> Any:
        """Return the document that is there."""
        answer = self.ask("GET", path, **query)
        assert answer.status == 200, answer.body
        return answer.document


@contextlib.contextmanager
def served(tracker: Tracker) -> Iterator[Client]:
    """Serve a lab in a thread."""
    ready, told = threading.Event(), []

    def say(url: str, token: str) -> None:
        told.extend([url, token])
        ready.set()

    server = LabServer(tracker, port=0, ready=say)
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    try:
        assert ready.wait(60)
        yield Client(*told)
    finally:
        server.stop()
        thread.join()
