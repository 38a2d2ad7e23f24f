"""How a file of delimited cells is laid out: encoding, delimiter, quotes, and where its rows begin."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fathom.data.blanks import BLANK, are_cut_by_blanks, check_no_hidden_columns, with_single_blanks
from fathom.data.encoding import Encoding, open_bytes
from fathom.data.header import Asked, Names, find_names
from fathom.errors import SourceError

__all__ = ["QUOTINGS", "Head", "Layout", "Quoting", "csv_rows", "layout_of", "read_head"]

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 1 << 20
MOST_HEAD_BYTES = 1 << 28
HEAD_ROWS = 50
SEPARATOR_LINE = re.compile(r'"?sep=(?P<mark>.)"?\s*')
"""The first line that Excel writes, and takes, to tell the delimiter."""


@dataclass(frozen=True)
class Quoting:
    """How quotes are written.

    Attributes:
        note: that this is not the usual way; empty for the usual one.
        after_blanks: a quote may open after blanks: ``a, "b, c"``.
        escape: what stands before a quote inside quotes, beside another quote.
        quote: the quote, or None where quotes are letters as any other.
    """

    note: str = ""
    after_blanks: bool = False
    escape: str | None = None
    quote: str | None = '"'


QUOTINGS = (
    Quoting(),
    Quoting("quotes are taken to open after blanks too", after_blanks=True),
    Quoting("a backslash is taken to keep the quote after it in the cell", escape="\\"),
    Quoting("quotes are taken as letters, since they do not stand in pairs", quote=None),
)
"""Tried in this order, each where the cells did not come out right by those before it."""


@dataclass(frozen=True)
class Head:
    """The first whole lines of a file, decoded, and whether they are all of it."""

    lines: tuple[str, ...]
    encoding: Encoding
    is_whole: bool


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        encoding: of the whole file.
        delimiter: between cells.
        quoting: of cells.
        names: of its columns.
        start_bytes: how many bytes, unpacked, stand before the first row of data.
        header_lines: how many lines, and
        header_bytes: how many bytes, unpacked, stand before the first row, be it the header.
        rows: the first rows, with the header if there is one.
        notes: what a person should know of how it was found.
    """

    encoding: str
    delimiter: str
    quoting: Quoting
    names: Names
    start_bytes: int
    header_lines: int
    header_bytes: int
    rows: tuple[list[str], ...]
    notes: tuple[str, ...]

    @property
    def is_rewritten(self) -> bool:
        """Whether pyarrow cannot take the file as it is written."""
        return self.quoting.after_blanks or self.delimiter == BLANK


def read_head(place: Path) -> tuple[bytes, bool]:
    """The first bytes of a file, as many as hold some rows, and whether they are all of it."""
    with open_bytes(place) as stream:
        head = bytes(stream.read(HEAD_BYTES))
        size = HEAD_BYTES
        while len(head) == size and size < MOST_HEAD_BYTES and head.count(b"\n") + head.count(b"\r") < 3:
            head += bytes(stream.read(15 * size))
            size *= 16
    return head, len(head) < size


def decoded_head(data: bytes, encoding: Encoding, *, is_whole: bool) -> Head:
    """The whole lines of the first bytes of a file.

    Raises:
        UnicodeDecodeError: they are not in that encoding.
    """
    name, skipped = encoding
    text = codecs.getincrementaldecoder(name)().decode(data[skipped:], final=is_whole)
    lines = _lines_of(text)
    return Head(lines if is_whole or len(lines) == 1 else lines[:-1], encoding, is_whole)


def _lines_of(text: str) -> tuple[str, ...]:
    """Lines with their ends, whether these are those of Unix, Windows or old Macs."""
    return tuple(io.StringIO(text, newline=""))


def layout_of(
    place: Path, data: bytes, encoding: Encoding, asked: Asked, quoting: Quoting, *, is_whole: bool
) -> Layout:
    """Find how a file is laid out, from its first bytes.

    Raises:
        SourceError: there is nothing in it, or its header does not fit its rows.
        UnicodeDecodeError: it is not in that encoding.
    """
    head = decoded_head(data, encoding, is_whole=is_whole)
    preamble, said = _separator(head.lines[asked.skip_rows :])
    preamble += asked.skip_rows
    preamble += _blank_lines(head.lines, preamble)
    marked = _comment_lines(head.lines, preamble)
    delimiter = said or _delimiter(head.lines[preamble + marked :], quoting, place, asked)
    marked -= _is_header_marked(head.lines[preamble:], marked, delimiter)
    lines = head.lines[preamble + marked :]
    rows, ends = _first_rows(lines, delimiter, quoting)
    _check_has_rows(place, rows)
    names = find_names(str(place), rows, asked)
    above = encoding[1] + _num_bytes(head.lines[: preamble + marked], encoding)
    start = above + (_num_bytes(lines[: ends[0]], encoding) if names.in_file else 0)
    notes = (*_comment_note(marked), *_blank_note(delimiter), *((quoting.note,) if quoting.note else ()))
    return Layout(encoding[0], delimiter, quoting, names, start, preamble + marked, above, tuple(rows), notes)


def _num_bytes(lines: Iterable[str], encoding: Encoding) -> int:
    return sum(len(line.encode(encoding[0])) for line in lines)


def _check_has_rows(place: Path, rows: list[list[str]]) -> None:
    if not rows:
        raise SourceError(f"{place}: the file is empty")


# --- lines above the header -------------------------------------------------------------------------------


def _separator(lines: Iterable[str]) -> tuple[int, str | None]:
    """How many lines tell the delimiter (1 or 0), and which they tell."""
    found = SEPARATOR_LINE.fullmatch(next(iter(lines), ""))
    return (1, found["mark"]) if found else (0, None)


def _blank_lines(lines: tuple[str, ...], start: int) -> int:
    count = 0
    while start + count < len(lines) and not lines[start + count].strip():
        count += 1
    return count


def _comment_lines(lines: tuple[str, ...], start: int) -> int:
    """How many lines from ``start`` on begin with #, with the blank lines among and after them."""
    count = 0
    while start + count < len(lines) and (
        lines[start + count].startswith("#") or (count and not lines[start + count].strip())
    ):
        count += 1
    return count


def _is_header_marked(lines: tuple[str, ...], marked: int, delimiter: str) -> bool:
    """Whether the last of the lines that begin with # is the header: it has as many cells as the row below."""
    if marked == 0:
        return False
    if marked >= len(lines):
        return True
    width = lines[marked].count(delimiter)
    return (
        width > 0
        and lines[marked - 1].count(delimiter) == width
        and (marked + 1 >= len(lines) or _has_digit(lines[marked]))
    )


def _has_digit(line: str) -> bool:
    return any(letter.isdigit() for letter in line)


def _comment_note(count: int) -> tuple[str, ...]:
    return (f"{count} line{'s' if count > 1 else ''} above the header that begin with # are skipped",) if count else ()


def _blank_note(delimiter: str) -> tuple[str, ...]:
    one = "columns=('text',), on the command line --columns text, reads each line as one cell"
    return (f"the cells are divided by blanks ({one})",) if delimiter == BLANK else ()


# --- delimiter and rows -----------------------------------------------------------------------------------


@contextmanager
def long_cells() -> Iterator[None]:
    """Let Python's csv module read cells of any length."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def csv_rows(lines: Iterable[str], delimiter: str, quoting: Quoting, *, strict: bool = False) -> Iterator[list[str]]:
    """The rows of lines as Python's csv module finds them."""
    return csv.reader(
        map(with_single_blanks, lines) if delimiter == BLANK else lines,
        delimiter=delimiter,
        quotechar=quoting.quote,
        quoting=csv.QUOTE_NONE if quoting.quote is None else csv.QUOTE_MINIMAL,
        escapechar=quoting.escape,
        skipinitialspace=quoting.after_blanks,
        strict=strict,
    )


def _first_rows(lines: tuple[str, ...], delimiter: str, quoting: Quoting) -> tuple[list[list[str]], list[int]]:
    """The first rows that are not blank, and how many lines each one ends after."""
    rows, ends = [], []
    with long_cells():
        reader = csv_rows(lines, delimiter, quoting)
        for row in islice(reader, 2 * HEAD_ROWS):
            if row:
                rows.append(row)
                ends.append(reader.line_num)  # type: ignore[attr-defined]
    return rows[: HEAD_ROWS + 1], ends


def _delimiter(lines: tuple[str, ...], quoting: Quoting, place: Path, asked: Asked) -> str:
    usual = ("\t", *DELIMITERS) if ".tsv" in place.name.lower() else DELIMITERS
    found = max(usual, key=lambda mark: _fit(lines, mark, quoting))
    divides, _, width = _fit(lines, found, quoting)
    if (
        (not divides or (found == "\t" and width == 2))
        and len(asked.columns) != 1
        and _are_blanks(lines, quoting, width)
    ):
        return BLANK
    if not divides:
        below = next((mark for mark in DELIMITERS if _divides_all_below(lines, mark, quoting)), None)
        if below is None:
            check_no_hidden_columns(place, _full_lines(lines), asked, DELIMITERS)
        return below or found
    if found == "," and _are_decimal_commas(lines) and _fit(lines, ";", quoting)[:2] == (True, 1.0):
        return ";"
    return found


def _are_blanks(lines: tuple[str, ...], quoting: Quoting, width: int) -> bool:
    """Whether blanks divide the cells; beside tabs only where they stand in runs, as no list of numbers has them."""
    if width > 1 and not all("  " in line.strip() for line in _full_lines(lines)):
        return False
    return are_cut_by_blanks(_first_rows(lines, BLANK, quoting)[0])


def _full_lines(lines: tuple[str, ...]) -> list[str]:
    return [line for line in lines[:HEAD_ROWS] if line.strip()]


def _divides_all_below(lines: tuple[str, ...], delimiter: str, quoting: Quoting) -> bool:
    """Whether a delimiter cuts all rows but the first alike, so that the first may be a title, and no header."""
    widths = {len(row) for row in _first_rows(lines, delimiter, quoting)[0][1:]}
    return len(widths) == 1 and widths.pop() > 1


def _are_decimal_commas(lines: tuple[str, ...]) -> bool:
    text = "".join(islice(lines, HEAD_ROWS))
    return ";" in text and re.search(r"(?<![0-9]),|,(?![0-9])", text) is None


def _fit(lines: tuple[str, ...], delimiter: str, quoting: Quoting) -> tuple[bool, float, int]:
    """How well a delimiter explains the first rows: whether it divides the first, the share as wide, the width."""
    rows, _ = _first_rows(lines, delimiter, quoting)
    if not rows:
        return False, 0.0, 0
    widths, width = Counter(map(len, rows)), len(rows[0])
    return width > 1, widths[width] / len(rows), width
