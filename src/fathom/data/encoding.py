"""Bytes become text: packed or not, in whichever encoding holds for the whole file."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.errors import SourceError
from fathom.progress import Work

__all__ = [
    "GZIP",
    "LINE_END",
    "Encoding",
    "check_filled",
    "encodings_of",
    "first_bytes",
    "half_sign",
    "nul_words",
    "open_bytes",
    "sound_text",
    "told_encoding",
    "undecodable",
    "whole_text",
]

GZIP = b"\x1f\x8b"
CHUNK_BYTES = 1 << 22
FOLLOWED_BYTES = 1 << 24
"""A smaller file is read before anybody could see how far."""

BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
ENCODINGS = ("utf-8", "cp1252", "latin-1")
"""Tried in this order where there is no mark; the last one can decode anything."""

Encoding = tuple[str, int]
"""The name of an encoding, and how many bytes of mark stand before the text."""

FEWEST_ZEROS = 4
"""Fewer zero bytes are damage, and no sign of letters of two bytes."""

LINE_END = re.compile(r"\r\n|\n|\r")
UNDECODED = re.compile("[\udc80-\udcff]")


@contextmanager
def open_bytes(place: Path, work: str = "reading") -> Iterator[pa.NativeFile]:
    """The bytes of a file, unpacked where it is packed with gzip, whatever its name says.

    Args:
        place: of the file.
        work: what is done with them, for the progress that is shown.
    """
    with place.open("rb") as file:
        packed = _is_packed(file.read(len(GZIP)))
    with ExitStack() as stack:
        done = stack.enter_context(Work(work, place.stat().st_size, "bytes"))
        source: Any = str(place)
        if done.is_watched and place.stat().st_size > FOLLOWED_BYTES:
            source = pa.PythonFile(_Followed(stack.enter_context(place.open("rb", buffering=0)), done), mode="r")
        yield stack.enter_context(pa.input_stream(source, compression="gzip" if packed else None))


class _Followed(io.RawIOBase):
    """A file, whose work is told how far it was read."""

    def __init__(self, file: io.FileIO, done: Work) -> None:
        self._file, self._done = file, done

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._done(self._file.tell())
        return count


def _is_packed(start: bytes) -> bool:
    return start == GZIP


def first_bytes(place: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file, unpacked; all of them if there are no more."""
    with open_bytes(place) as stream:
        return bytes(stream.read(count))


def encodings_of(head: bytes) -> tuple[Encoding, ...]:
    """The encodings that a file may have, in the order in which to try them.

    Args:
        head: its first bytes.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            rest = tuple((other, 0) for other in ENCODINGS[1:]) if encoding == "utf-8" else ()
            return ((encoding, len(mark)), *rest)
    wide = _wide_encoding(head)
    return ((wide, 0),) if wide else tuple((encoding, 0) for encoding in ENCODINGS)


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 without a mark: of plain letters every other byte is zero."""
    pairs = len(head) // 2
    low, high = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if max(low, high) < FEWEST_ZEROS or min(low, high) > 0.05 * pairs or max(low, high) < 0.4 * pairs:
        return None
    return "utf-16-le" if high > low else "utf-16-be"


def told_encoding(place: Path, encoding: str) -> tuple[str, ...]:
    """A note for an encoding other than UTF-8.

    Raises:
        SourceError: most of what is not ASCII is UTF-8 after all, so that the file is damaged.
    """
    if encoding == "utf-8":
        return ()
    if encoding in ENCODINGS:
        _check_no_damaged_utf8(place)
    return (f"the text is not UTF-8; it was read as {encoding}",)


def _check_no_damaged_utf8(place: Path) -> None:
    good, bad, line, first = 0, 0, 1, ""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    with open_bytes(place) as stream:
        while chunk := bytes(stream.read(CHUNK_BYTES)):
            text = decoder.decode(chunk)
            if text.isascii():
                line += text.count("\n") if not bad else 0
                continue
            undecoded = UNDECODED.findall(text)
            if undecoded and not bad:
                first = undecoded[0]
                line += text.count("\n", 0, text.index(first))
            elif not bad:
                line += text.count("\n")
            bad += len(undecoded)
            good += sum(not letter.isascii() for letter in text) - len(undecoded)
    if good > bad:
        shown = first.encode("utf-8", "surrogateescape")
        raise SourceError(
            f"{place}: line {line} holds the byte 0x{shown.hex()}, no UTF-8, which {good:,} other letters are; "
            "mend that line, or save the file anew as UTF-8"
        )


def half_sign(text: str) -> str:
    """In words, the first thing in a text that is no sign, as half of one that JSON writes as two escapes; else ""."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{ascii(text[error.start])[1:-1]} at character {error.start:,}, half of a sign"
    return ""


def whole_text(place: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and notes on how it was read.

    Raises:
        SourceError: it is in no encoding that is known, or damaged.
    """
    with open_bytes(place) as stream:
        data = bytes(stream.read())
    for encoding, skipped in encodings_of(data[:CHUNK_BYTES]):
        try:
            text = str(memoryview(data)[skipped:], encoding)
        except UnicodeDecodeError:
            continue
        return text, told_encoding(place, encoding)
    raise SourceError(undecodable(place))


def sound_text(place: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file that holds some, and notes on how it was read.

    Raises:
        SourceError: there is no text in it, it holds a NUL byte, or it is in no encoding that is known.
    """
    text, notes = whole_text(place)
    check_no_nul(place, text)
    check_filled(place, text)
    return text, notes


def check_no_nul(place: Path, text: str) -> None:
    at = text.find("\0")
    if at >= 0:
        raise SourceError(nul_words(place, len(LINE_END.findall(text, 0, at)) + 1))


def nul_words(place: Path, line: int) -> str:
    return f"{place}: line {line} holds a NUL byte, which no text has; is the file damaged, or no text?"


def check_filled(place: Path, text: str) -> None:
    if not text.strip():
        raise SourceError(f"{place}: the file is empty")


def undecodable(place: Path) -> str:
    """The message for a file that no encoding fits."""
    return f"{place}: the text is in none of the encodings {', '.join(ENCODINGS)}, utf-16; save it as UTF-8"
