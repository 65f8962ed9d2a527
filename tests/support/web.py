"""A web server on this computer that serves a folder, and misbehaves as it is told."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Web:
    """The server: what it does, and what was asked of it.

    Attributes
    ----------
    breaks_after : int or None
        Bytes of ``lab.db`` after which each answer breaks off.
    stalls : bool
        Whether an answer that breaks off waits for ever instead.
    knows_ranges : bool
    adds : bytes
        What follows each ``lab.db``.
    flips : int or None
        Place of a byte of ``lab.db`` that is another one.
    status : int
        Of all answers, where it is not 200.
    sent : list of int
        Bytes of ``lab.db`` in each answer.
    """

    folder: Path
    url: str = ""
    breaks_after: int | None = None
    stalls: bool = False
    knows_ranges: bool = True
    adds: bytes = b""
    flips: int | None = None
    status: int = 200
    sent: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, web: Web, *arguments: object) -> None:
        self.web = web
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Keep standard error clean."""

    def do_GET(self) -> None:
        web = self.web
        web.asked.append(self.path)
        if web.status != 200:
            self.send_response(web.status)
            self.send_header("Location", f"{self.path}x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = web.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        self._send(path)

    def _send(self, path: Path) -> None:
        web, content = self.web, bytearray(path.read_bytes())
        is_database = path.name == "lab.db"
        if is_database:
            content += web.adds
            if web.flips is not None:
                content[web.flips] ^= 1
        begin = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and web.knows_ranges:
            begin = int(asked[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        part = bytes(content[begin:])
        if is_database and web.breaks_after is not None:
            part = part[: web.breaks_after]
            self.close_connection = True
        self.wfile.write(part)
        self.wfile.flush()
        if is_database:
            web.sent.append(len(part))
            if web.stalls:
                web.over.wait(60)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Web]:
    """Serve a folder while the block runs."""
    web = Web(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, web))
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
