"""A web server on this machine that behaves, or misbehaves, as a test asks, and a file that it publishes."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fathom.data.download import RemoteFile, fetch
from fathom.errors import SourceError

__all__ = ["CONTENT", "CUT", "OTHER", "Served", "Web", "names", "published", "refused", "serving"]

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
CUT = 100_000


@dataclass
class Served:
    """What stands at one address.

    Attributes:
        content: the bytes of the file.
        tag: its ETag; empty for none.
        ranges: whether parts of it may be asked for.
        shift: by how much a part begins too early.
        length: whether its length is said.
        answers: a status, or a place to go instead, for each of the first requests.
        cuts: after how many bytes each of the first requests breaks off.
        pauses_s: how long each of the first requests waits before its body.
        gate: nothing is sent before it is set.
    """

    content: bytes
    tag: str = '"1"'
    ranges: bool = True
    shift: int = 0
    length: bool = True
    answers: list[int | str] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    pauses_s: list[float] = field(default_factory=list)
    gate: threading.Event | None = None


class Web(ThreadingHTTPServer):
    """The server; ``files`` is what it has, ``requests`` and ``sent_bytes`` what was asked and given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.requests: list[dict[str, str]] = []
        self.sent_bytes: list[int] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        web = self.server
        web.requests.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        place = len(web.sent_bytes)
        web.sent_bytes.append(0)
        served = web.files.get(self.path)
        answer = 404 if served is None else served.answers.pop(0) if served.answers else 200
        if served is None or answer != 200:
            self.send_response(302 if isinstance(answer, str) else answer)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            self.end_headers()
            return
        self._send(served, place)

    def _send(self, served: Served, place: int) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", served.tag) == served.tag
        start = int(asked[1]) - served.shift if asked and served.ranges and same else 0
        body = served.content[start:]
        self.send_response(206 if start else 200)
        if start:
            size = len(served.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if served.length:
            self.send_header("Content-Length", str(len(body)))
        if served.tag:
            self.send_header("ETag", served.tag)
        self.end_headers()
        if served.gate is not None:
            assert served.gate.wait(60)
        time.sleep(served.pauses_s.pop(0) if served.pauses_s else 0)
        cut = served.cuts.pop(0) if served.cuts else len(body)
        with suppress(ConnectionError):  # the client had enough
            for begin in range(0, min(cut, len(body)), 1 << 14):
                piece = body[begin : min(begin + (1 << 14), cut)]
                self.wfile.write(piece)
                self.server.sent_bytes[place] += len(piece)

    def log_message(self, *_: Any) -> None:
        """Nothing is written to stderr, where tests look for what fathom says."""


@contextmanager
def serving() -> Iterator[Web]:
    """A server that ends with the block."""
    with Web() as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            web.shutdown()
            thread.join()


def published(web: Web, name: str = "a.csv", *, address: str | None = None) -> RemoteFile:
    """A file of which it is known what it holds, published at an address."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return RemoteFile(name, web.url(address or f"/{name}"), len(CONTENT), sha256)


def refused(files: Sequence[RemoteFile], folder: Path) -> str:
    """The one line that says why files cannot be had."""
    with pytest.raises(SourceError) as raised:
        fetch("the set", files, folder)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("the set: ")
    return str(raised.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
