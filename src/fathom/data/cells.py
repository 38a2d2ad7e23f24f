"""The cells of a delimited file as strings: parsed by pyarrow, and checked where it lets damage pass."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from fathom.data.encoding import encodings_of, open_bytes, told_encoding, undecodable
from fathom.data.header import Asked
from fathom.data.layout import QUOTINGS, Layout, Quoting, csv_rows, layout_of, long_cells, read_head
from fathom.data.quotes import check_header_quotes, check_quotes, column_holds, decoded_lines, row_words, shortened
from fathom.data.spool import Spool
from fathom.errors import SourceError

__all__ = ["check_no_nul", "read_cells"]

BLOCK_BYTES = 1 << 22
"""More blocks give more threads something to do; a row longer than a block takes larger ones."""

SPOOLED_BLOCK_BYTES = 1 << 20
"""pyarrow reads some 30 blocks ahead."""

CELLS = "cells"
"""What the files with the cells of a table are called that does not fit into memory."""

MOST_BLOCK_BYTES = 1 << 30
ROWS_AT_ONCE = 1000


@dataclass
class _Uneven:
    """Rows that are shorter or longer than the first: how many, and the first of them."""

    count: int = 0
    first: arrow_csv.InvalidRow | None = None

    def keep(self, row: arrow_csv.InvalidRow) -> str:
        self.count += 1
        self.first = self.first or row
        return "skip"


def read_cells(place: Path, asked: Asked, spool: Spool | None = None) -> tuple[Layout, pa.Table, tuple[str, ...]]:
    """Read all cells of a file as strings, in the encoding and with the quotes that hold for the whole of it.

    Args:
        place: absolute path of the file.
        asked: what was said about the names of its columns.
        spool: where the cells go that do not fit into memory, or None.

    Returns:
        The layout; the cells, in columns named by their place; and notes.

    Raises:
        SourceError: rows are uneven, a quote is never closed, there is no row, or the text is damaged.
    """
    data, is_whole = read_head(place)
    for encoding in encodings_of(data):
        try:
            find = partial(layout_of, place, data, encoding, asked, is_whole=is_whole)
            layout, cells = _read_quoted(place, find, spool)
        except UnicodeDecodeError:
            continue
        except pa.ArrowInvalid as error:
            if "invalid UTF8" not in str(error):
                raise
            continue
        return layout, cells, (*layout.names.notes, *layout.notes, *told_encoding(place, layout.encoding))
    raise SourceError(undecodable(place))


def _read_quoted(place: Path, find: Callable[[Quoting], Layout], spool: Spool | None) -> tuple[Layout, pa.Table]:
    """Read with the usual quotes, or else with the first others with which all rows come out even."""
    layout = find(QUOTINGS[0])
    try:
        return layout, _checked_cells(place, layout, spool)
    except SourceError as error:
        for quoting in QUOTINGS[1:]:
            if quoting.quote is None and layout.delimiter != "\t":
                continue  # between commas, quotes that are letters would be a guess
            with suppress(SourceError):
                other = find(quoting)
                return other, _checked_cells(place, other, spool)
        raise error


def _checked_cells(place: Path, layout: Layout, spool: Spool | None) -> pa.Table:
    check_header_quotes(place, layout)
    kept = None if spool is None else spool.kept(CELLS, repr(layout))
    cells = _even_cells(place, layout, spool) if kept is None else kept
    check_quotes(place, layout, cells)
    _check_has_rows(place, layout, cells)
    if spool is not None:
        spool.keep(CELLS, repr(layout))
    return cells


# --- parsing ----------------------------------------------------------------------------------------------


def _even_cells(place: Path, layout: Layout, spool: Spool | None) -> pa.Table:
    uneven = _Uneven()
    table = _parse(place, layout, uneven, spool, use_threads=True)
    if uneven.count:
        uneven = _Uneven()  # with threads pyarrow does not know the rows' numbers
        _parse(place, layout, uneven, spool, use_threads=False)
        _check_even(place, layout, uneven)
    return table


def _check_has_rows(place: Path, layout: Layout, table: pa.Table) -> None:
    if table.num_rows == 0:
        header = " ".join(", ".join(layout.names.names).split())[:100]
        raise SourceError(
            f"{place}: holds a header ({header}) and no rows; header='no' (--no-header) reads it as a row"
        )


def _parse(place: Path, layout: Layout, uneven: _Uneven, spool: Spool | None, *, use_threads: bool) -> pa.Table:
    """Read all cells as strings, in columns named by their place; rows longer than a block take larger blocks."""
    block_bytes = BLOCK_BYTES if spool is None else SPOOLED_BLOCK_BYTES
    while True:
        try:
            return _parse_blocks(place, layout, uneven, block_bytes, spool, use_threads=use_threads)
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or block_bytes >= MOST_BLOCK_BYTES:
                raise
        block_bytes *= 8
        uneven.count, uneven.first = 0, None


def _parse_blocks(
    place: Path, layout: Layout, uneven: _Uneven, block_bytes: int, spool: Spool | None, *, use_threads: bool
) -> pa.Table:
    names = [str(number) for number in range(len(layout.names.names))]
    how = arrow_csv.ReadOptions(
        use_threads=use_threads,
        block_size=block_bytes,
        column_names=names,
        encoding="utf-8" if layout.is_rewritten else layout.encoding,
    )
    cut = arrow_csv.ParseOptions(
        delimiter=layout.delimiter,
        newlines_in_values=True,
        invalid_row_handler=uneven.keep,
        quote_char=layout.quoting.quote or False,
        escape_char=(not layout.is_rewritten and layout.quoting.escape) or False,
    )
    convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with open_bytes(place) as stream:
        stream.read(layout.start_bytes)
        source = (
            pa.PythonFile(io.BufferedReader(_Rewritten(stream, layout)), mode="r") if layout.is_rewritten else stream
        )
        try:
            if spool is None:
                return arrow_csv.read_csv(source, how, cut, convert)
            reader = arrow_csv.open_csv(source, how, cut, convert)
            return spool.written(CELLS, (pa.Table.from_batches([batch]) for batch in reader), reader.schema)
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise
            return pa.table({name: pa.array([], pa.string()) for name in names})


class _Rewritten(io.RawIOBase):
    """Rows in which quotes open after blanks, or blanks divide cells, written as pyarrow takes them, and as UTF-8."""

    def __init__(self, stream: pa.NativeFile, layout: Layout) -> None:
        self._rows = _rewritten_rows(stream, layout)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            rows = next(self._rows, None)
            if rows is None:
                return 0
            self._left = rows
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _rewritten_rows(stream: pa.NativeFile, layout: Layout) -> Iterator[bytes]:
    with long_cells():
        reader = csv_rows(decoded_lines(stream, layout), layout.delimiter, layout.quoting)
        while rows := list(islice(reader, ROWS_AT_ONCE)):
            written = io.StringIO()
            csv.writer(written, delimiter=layout.delimiter).writerows(row for row in rows if row)
            yield written.getvalue().encode()


# --- what pyarrow lets pass -------------------------------------------------------------------------------


def _check_even(place: Path, layout: Layout, uneven: _Uneven) -> None:
    row, names = uneven.first, layout.names
    assert row is not None
    width = len(names.names) - names.surplus
    than = "the header" if names.in_file else "the first row"
    nul = " It holds NUL bytes: is the file damaged?" if "\0" in row.text else ""
    header = shortened(layout.delimiter.join(layout.rows[0]))
    raise SourceError(
        f"{place}: {row_words(layout, row.number)} (empty lines not counted) has {row.actual_columns} "
        f"cell{'s' if row.actual_columns > 1 else ''}, {than} {width}{_others_words(uneven.count)}. "
        f"The row: {shortened(row.text)} {'The header' if names.in_file else 'The first row'}: {header}"
        f"{nul}{_title_words(layout)}"
    )


def _title_words(layout: Layout) -> str:
    alone = len(layout.rows[0]) == 1
    return (
        " If the first line is a title, skip_rows=1 passes it over; if rows are one cell, put quotes around it"
        if alone
        else ""
    )


def _others_words(count: int) -> str:
    return f"; {count:,} rows are uneven" if count > 1 else ""


def check_no_nul(place: Path, layout: Layout, cells: pa.Table) -> None:
    """Check that no cell holds a NUL byte.

    Raises:
        SourceError: one does; names the row.
    """
    for column in cells.columns:
        if column_holds(column, b"\0"):
            row = pc.index(pc.match_substring(column, "\0"), True).as_py()
            if row >= 0:
                raise SourceError(
                    f"{place}: {row_words(layout, row + 1)} holds a NUL byte: {shortened(column[row].as_py())}; "
                    "is the file damaged? take it out"
                )
