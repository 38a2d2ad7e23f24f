"""Quotes around cells: what pyarrow lets pass, as a quote that is never closed, or text behind one that is."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.encoding import open_bytes
from fathom.data.layout import Layout, csv_rows, long_cells
from fathom.errors import SourceError

__all__ = ["check_header_quotes", "check_quotes", "column_holds", "decoded_lines", "row_words", "shortened"]

AFTER_BLANKS_IN_CELL = r'(?s)^[ \t]+".*"[ \t]*$'
CHUNK_BYTES = 1 << 22
EDGE_BYTES = 64
SHOWN_CHARACTERS = 120


def row_words(layout: Layout, row: int) -> str:
    """Which row, as messages call it; rows count from 1."""
    return f"row {row}{' below the header' if layout.names.in_file else ''}"


def shortened(text: str) -> str:
    """A row or cell on one line, as messages show it."""
    line = " ".join(text[: 8 * SHOWN_CHARACTERS].replace("\0", "").split())
    return repr(line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 3] + "...")


def decoded_lines(stream: pa.NativeFile, layout: Layout) -> io.TextIOWrapper:
    """The text of a stream as Python's csv module takes it."""
    return io.TextIOWrapper(stream, encoding=layout.encoding, newline="")


def check_header_quotes(place: Path, layout: Layout) -> None:
    """Check that the quotes of the header do not stand in its names, as where they open after blanks.

    Raises:
        SourceError: they do.
    """
    is_usual = layout.quoting.quote is not None and not layout.quoting.after_blanks
    if (
        is_usual
        and any(name.startswith('"') for name in layout.names.names)
        and _has_quotes_after_blanks(place, layout)
    ):
        header = shortened(layout.delimiter.join(layout.rows[0]))
        raise SourceError(f"{place}: quotes in the header open after blanks: {header}")


def check_quotes(place: Path, layout: Layout, cells: pa.Table) -> None:
    """Check what pyarrow lets pass: text after a closing quote, and a quote that is never closed.

    Raises:
        SourceError: there is such a cell.
    """
    names = "".join(layout.rows[0])
    if layout.quoting.quote is None:
        return
    is_shown = _holds(cells, b'"', b"\n", b"\r") or any(mark in names for mark in '"\n\r')
    if not is_shown and not _has_text_after_quotes(place, layout):
        return
    if not layout.quoting.after_blanks:
        _check_no_quote_after_blanks(place, layout, cells)
    with open_bytes(place, "looking at quotes") as stream, long_cells():
        stream.read(layout.header_bytes)
        reader = csv_rows(decoded_lines(stream, layout), layout.delimiter, layout.quoting, strict=True)
        try:
            deque(reader, maxlen=0)
        except csv.Error as error:
            line = reader.line_num + layout.header_lines  # type: ignore[attr-defined]
            raise SourceError(f"{place}: {_damaged_quote(layout, cells, str(error), line)}") from error


def _check_no_quote_after_blanks(place: Path, layout: Layout, cells: pa.Table) -> None:
    for column in cells.columns:
        if column_holds(column, b'"'):
            found = pc.index(pc.match_substring_regex(column, AFTER_BLANKS_IN_CELL), True).as_py()
            if found >= 0 and _has_quotes_after_blanks(place, layout):
                told = shortened(column[found].as_py())
                raise SourceError(f"{place}: {row_words(layout, found + 1)}: a quote opens after a blank: {told}")


def _has_quotes_after_blanks(place: Path, layout: Layout) -> bool:
    return _stands_in_file(place, layout, rf'(\A|[{layout.delimiter}\r\n])[ \t]+"')


def _has_text_after_quotes(place: Path, layout: Layout) -> bool:
    """Whether a quote stands between two letters, as it does where text follows a closing quote."""
    edges = rf'{layout.delimiter}\r\n"'
    return _stands_in_file(place, layout, rf'[^{edges}]"[^{edges}]')


def _stands_in_file(place: Path, layout: Layout, pattern: str) -> bool:
    """Whether a pattern is found in the bytes of a file, or may be, where letters are of several bytes each."""
    if layout.encoding.startswith(("utf-16", "utf-32")):
        return True
    found = re.compile(pattern.encode(layout.encoding))
    before = b""
    with open_bytes(place, "looking at quotes") as stream:
        stream.read(layout.header_bytes)
        while chunk := bytes(stream.read(CHUNK_BYTES)):
            text = before + chunk
            if b'"' in text and found.search(text):
                return True
            before = text[-EDGE_BYTES:]
    return False


def _damaged_quote(layout: Layout, cells: pa.Table, reason: str, line: int) -> str:
    if "unexpected end" not in reason:
        ways = "write a quote inside quotes twice, or close the one before it"
        return f"near line {line:,} a quote is closed or opened inside a cell; {ways}"
    where = row_words(layout, cells.num_rows) if cells.num_rows else "the header"
    last = [column[-1].as_py() for column in cells.columns] if cells.num_rows else list(layout.rows[0])
    cell = next((cell for cell in last if "\n" in cell or "\r" in cell), last[-1])
    ways = "close it, or write it twice if it is meant"
    return f"a quote is never closed; {where} runs on from: {shortened(cell)}; {ways}"


def _holds(cells: pa.Table, *marks: bytes) -> bool:
    return any(column_holds(column, mark) for column in cells.columns for mark in marks)


def column_holds(column: pa.ChunkedArray, mark: bytes) -> bool:
    """Whether the bytes of a column of strings hold a mark: by far faster than to match each cell."""
    buffers = (chunk.buffers()[2] for chunk in column.chunks)
    return any(buffer is not None and buffer.to_pybytes().find(mark) >= 0 for buffer in buffers)
