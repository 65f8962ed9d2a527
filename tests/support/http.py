"""A lab that is served by HTTP in this process, and who asks it."""

from __future__ import annotations

import contextlib
import functools
import html
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

from vrtracker.tracker import Tracker
from vrtracker.web.serving import LabServer

__all__ = ["Answer", "Client", "Visitor", "hidden", "served"]


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
            path += "?" + urllib.parse.urlencode(query, doseq=True)
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


class Visitor:
    """Somebody with a browser, who came in by the address with the token, or by a password."""

    def __init__(self, client: Client, name: str | None = None, password: str = "") -> None:
        self.client = client
        if name is None:
            came = client.ask("GET", "//enter", token=client.token)
        else:
            form = urllib.parse.urlencode({"name": name, "password": password})
            came = client.send("//login", form, {"Origin": client.url})
        assert (came.status, came.headers["Location"]) == (303, "/"), came.body
        self.cookie = came.headers["Set-Cookie"].partition(";")[0]

    def look(self, path: str, *, cookies: str = "", **query: Any) -> Answer:
        """Return what is at a path, whatever it is."""
        headers = self._headers()
        headers["Cookie"] = f"{self.cookie}; {cookies}" if cookies else self.cookie
        return self.client.ask("GET", f"/{path}", headers=headers, **query)

    def see(self, path: str, **query: Any) -> str:
        """Return the page at a path, which has to be there."""
        answer = self.look(path, **query)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def send(self, path: str, origin: str | None = None, /, **form: Any) -> Answer:
        """Send a form of one of the pages."""
        headers = self._headers() | {"Origin": origin or self.client.url}
        whole = urllib.parse.urlencode({"mark": self.mark, **form}, doseq=True)
        return self.client.send(f"/{path}", whole, headers)

    @functools.cached_property
    def mark(self) -> str:
        """What the forms of this visit bear."""
        return hidden(self.see("/calls"), "mark")

    def _headers(self) -> dict[str, str | None]:
        return {"Cookie": self.cookie, "Authorization": None}


def hidden(page: str, name: str) -> str:
    """Return the value of a hidden field, the last one of that name."""
    found = re.findall(f'type="hidden" name="{re.escape(name)}" value="([^"]*)"', page)
    return html.unescape(found[-1])


@contextlib.contextmanager
def served(tracker: Tracker, **options: Any) -> Iterator[Client]:
    """Serve a lab in a thread; options are those of `LabServer`."""
    ready, told = threading.Event(), []

    def say(url: str, token: str) -> None:
        told.extend([url, token])
        ready.set()

    server = LabServer(tracker, port=0, ready=say, **options)
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    try:
        assert ready.wait(60)
        yield Client(*told)
    finally:
        server.stop()
        thread.join()
