"""One transfer over HTTP: asked for from where the last one broke off, bounded in size and time."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit

from fathom import __version__

__all__ = ["Broken", "Offline", "Refused", "stream"]

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


def stream(url: str, part: Part, came: Callable[[int], None]) -> None:
    """Ask for what a part lacks of a file, and append it.

    Args:
        url: of the file, http or https.
        part: what has come already; complete afterwards.
        came: is told how much of the file is there, again and again.

    Raises:
        Broken: another try may bring the rest; what came is in the part.
        Offline: no server could be reached.
        Refused: there is no such file, or it has another size.
    """
    came(part.size_bytes)
    if part.size_bytes == part.whole_bytes:
        return
    with _asked(url, part) as response:
        _settle_start(response, url, part)
        came(part.size_bytes)
        with part.appending():
            while block := _next_block(response, url, part):
                part.append(block)
                came(part.size_bytes)
    if part.size_bytes < part.whole_bytes:
        raise Broken(f"{url} broke off at {part.size_bytes:,} of {part.whole_bytes:,} bytes")


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
