"""One transfer over HTTP: asked for from where the last one broke off, bounded in size and time, and shown."""

from __future__ import annotations

import http.client
import re
import ssl
import sys
import time
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit

from fathom import __version__

__all__ = ["Broken", "Offline", "Progress", "Refused", "stream"]

TIMEOUT_S = 30.0
"""For a connection, and for each piece that comes over it."""

BLOCK_BYTES = 1 << 18
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may not get."""

CUT = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLError)
"""Failures of a connection to a server that is there."""

UNSATISFIABLE = 416
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
LINE_S = 30.0  # between lines, where no terminal shows the bar


class Broken(Exception):
    """The transfer broke off, or the server was busy: another try may bring the rest."""


class Offline(Exception):
    """No server could be reached."""


class Refused(Exception):
    """The server has no such file, or offers another one: no further try helps."""


class Part(Protocol):
    """What has come of a file so far, and where the rest goes."""

    size_bytes: int
    whole_bytes: int

    @property
    def version(self) -> str: ...

    def start(self, version: str) -> None: ...

    def appending(self) -> AbstractContextManager[None]: ...

    def append(self, block: bytes) -> None: ...


class Progress:
    """A bar with the rate and the time left, on stderr; without a terminal, a line now and then.

    Args:
        title: what is downloaded, in front of the bar.
        total_bytes: its size.
    """

    def __init__(self, title: str, total_bytes: int) -> None:
        self._title, self._total_bytes = title, total_bytes
        self._told_s = time.monotonic()

    def __enter__(self) -> Progress:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(20),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._total_bytes)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begins(self, total_bytes: int, folder: Path) -> None:
        """Say how much is downloaded, and where it goes."""
        self._bar.update(self._task, total=total_bytes)
        if total_bytes:
            self.tell(f"downloading {_told_size(total_bytes)} to {folder}")

    def moved(self, size_bytes: int) -> None:
        """Note that so much more has come, or, below zero, was for nothing."""
        self._bar.advance(self._task, size_bytes)
        if self._bar.disable and time.monotonic() - self._told_s > LINE_S:
            self._told_s = time.monotonic()
            task = self._bar.tasks[0]
            self.tell(f"{_told_size(task.completed)} of {_told_size(task.total or 0)}")

    def tell(self, words: str) -> None:
        """Write a line, above the bar where there is one."""
        if self._bar.disable:
            sys.stderr.write(f"{self._title}: {words}\n")
            sys.stderr.flush()
        else:
            self._bar.console.print(f"{self._title}: {words}", markup=False, highlight=False)


def _told_size(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.0f} kB"


def stream(url: str, part: Part, progress: Progress) -> None:
    """Ask for what a part lacks of a file, and append it.

    Args:
        url: of the file, http or https.
        part: what has come already; complete afterwards.
        progress: is told what comes.

    Raises:
        Broken: another try may bring the rest; what came is in the part.
        Offline: no server could be reached.
        Refused: there is no such file, or it has another size.
    """
    progress.moved(part.size_bytes)
    if part.size_bytes == part.whole_bytes:
        return
    shown_bytes = part.size_bytes
    try:
        with _asked(url, part) as response:
            _settle_start(response, url, part)
            progress.moved(part.size_bytes - shown_bytes)
            shown_bytes = part.size_bytes
            with part.appending():
                while block := _next_block(response, url, part):
                    part.append(block)
                    shown_bytes += len(block)
                    progress.moved(len(block))
        if part.size_bytes < part.whole_bytes:
            raise Broken(f"{url} broke off at {part.size_bytes:,} of {part.whole_bytes:,} bytes")
    except Broken:
        progress.moved(-shown_bytes)  # the next try counts what is there
        raise


def _asked(url: str, part: Part) -> Any:
    """The server's answer, after redirects; never from https to http, and to nothing else."""
    headers = {"User-Agent": f"fathom/{__version__}"}
    if part.size_bytes:
        headers["Range"] = f"bytes={part.size_bytes}-"
        if part.version:
            headers["If-Range"] = part.version
    place = url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            return _opener().open(urllib.request.Request(place, headers=headers), timeout=TIMEOUT_S)
        except HTTPError as error:
            error.close()
            if error.code not in REDIRECTS:
                raise _of_status(error, url, part) from error
            place = _redirected(place, error.headers.get("Location", ""))
        except (URLError, http.client.HTTPException, OSError) as error:
            raise _of_failure(error, url) from error
    raise Refused(f"{url} redirects more than {MAX_REDIRECTS} times")


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS, through the proxies that the environment names; no files, no FTP, no redirects."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _redirected(url: str, location: str) -> str:
    try:
        place = urljoin(url, location)
        scheme = urlsplit(place).scheme
    except ValueError:
        place, scheme = location, ""
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(url).scheme == "https"):
        raise Refused(f"{url} redirects to {place!r}, which is not followed (only https is, or http from http)")
    return place


def _of_status(error: HTTPError, url: str, part: Part) -> Exception:
    if error.code == UNSATISFIABLE:
        part.start("")
        return Broken(f"{url} has nothing beyond what had come")
    told = f"{url} answers {error.code} {error.reason}".strip()
    return Broken(told) if error.code in PASSING else Refused(told)


def _of_failure(error: Exception, url: str) -> Exception:
    """What a failure of the connection means: URLError is one before anything was sent."""
    reason = error.reason if isinstance(error, URLError) else error
    told = str(getattr(reason, "strerror", None) or reason or type(reason).__name__).split("\n", 1)[0]
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Refused(f"{url} cannot prove who it is ({reason.verify_message})")
    if isinstance(error, URLError) and not isinstance(reason, CUT):
        return Offline(told)
    return Broken(f"{url} broke off ({told})")


def _settle_start(response: Any, url: str, part: Part) -> None:
    """Find out from which byte the answer goes, and whether it is a file of the right size.

    A server that knows no ranges, or has another version by now, sends all of it.
    """
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        start, whole = found.groups() if found else ("", "")
        if start != str(part.size_bytes) or whole not in ("*", str(part.whole_bytes)):
            part.start("")
            raise Broken(f"{url} sent another range than it was asked for")
        return
    offered = response.headers.get("Content-Length")
    if offered is not None and offered != str(part.whole_bytes):
        form = response.headers.get_content_type()
        raise Refused(f"{url} offers {offered} bytes ({form}) and not the {part.whole_bytes} that were published")
    part.start(_version(response))


def _version(response: Any) -> str:
    """What If-Range can name: a strong tag, or else the date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _next_block(response: Any, url: str, part: Part) -> bytes:
    """The bytes that came since; one more than fits is enough to see that there are too many."""
    left_bytes = part.whole_bytes - part.size_bytes
    try:
        block: bytes = response.read1(min(BLOCK_BYTES, left_bytes + 1))
    except (http.client.HTTPException, OSError) as error:
        raise Broken(f"{url} broke off at {part.size_bytes:,} of {part.whole_bytes:,} bytes") from error
    if len(block) > left_bytes:
        part.start("")
        raise Refused(f"{url} sends more than the {part.whole_bytes:,} bytes that were published")
    return block
