"""CSV and its relatives: every cell is read as a string, and types are decided afterwards."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from fathom.data.columns import distinct_names
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, with_base
from fathom.data.types import typed
from fathom.errors import SourceError

__all__ = ["read_delimited"]

DELIMITERS = (",", ";", "\t", "|")
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
HEAD_BYTES = 1 << 20
HEAD_ROWS = 50
BLOCK_BYTES = 1 << 22
"""No row may be longer than a block; more blocks give more threads something to do."""

ENCODINGS = ("utf-8", "cp1252", "latin-1")
"""Tried in this order; the last one can decode anything."""


@dataclass(frozen=True)
class _Form:
    """How a file is written: encoding, delimiter, header, and how many rows there are up to its end."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    header_rows: int


@READERS.register("csv", suffixes=SUFFIXES)
def read_delimited(place: Path) -> Source:
    """Read a table with a header, its cells divided by comma, semicolon, tab or bar.

    Args:
        place: absolute path of the file; .gz is unpacked.

    Raises:
        SourceError: a row is shorter or longer than the header, a quote is never closed, a column has no
            name, or there is nothing in it.
    """
    form, cells = _read_cells(place)
    _check_last_quote(place, cells)
    names, notes = distinct_names(form.header, str(place))
    table = pa.table([typed(column) for column in cells.columns], names=names)
    if form.encoding != "utf-8":
        notes = (*notes, f"the text is not UTF-8; it was read as {form.encoding}")
    suffix = next(end for end in sorted(SUFFIXES, key=len, reverse=True) if place.name.lower().endswith(end))
    return Source({"train": with_base(table, place.parent)}, (), short_name(place, suffix), str(place), notes)


def _read_cells(place: Path) -> tuple[_Form, pa.Table]:
    """Find the encoding that holds for the whole file, and read its cells as strings."""
    head = _head(place)
    for encoding in ("utf-16",) if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ENCODINGS:
        try:
            form = _form(place, head, encoding)
            return form, _parse(place, form)
        except UnicodeDecodeError:
            continue
        except pa.ArrowInvalid as error:
            if "invalid UTF8" not in str(error):
                raise
    raise SourceError(f"{place}: the text is in none of the encodings {', '.join(ENCODINGS)}, utf-16")


def _head(place: Path) -> bytes:
    """The first whole lines of the file."""
    with pa.input_stream(place) as stream:
        head = bytes(stream.read(HEAD_BYTES))
    if len(head) < HEAD_BYTES:
        return head
    return head[: head.rfind(b"\n") + 1] or head


def _form(place: Path, head: bytes, encoding: str) -> _Form:
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    delimiter = max(DELIMITERS, key=lambda mark: _fit(text, mark))
    for row_number, row in enumerate(_rows(text, delimiter), start=1):
        if row:
            return _Form(encoding, delimiter, tuple(row), row_number)
    raise SourceError(f"{place}: the file is empty")


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter explains the first rows: the share as wide as the header, and that width."""
    try:
        rows = [row for row in islice(_rows(text, delimiter), HEAD_ROWS) if row]
    except csv.Error:  # with the wrong delimiter a cell may run on beyond what the module allows
        return 0.0, 0
    widths = Counter(len(row) for row in rows)
    if not rows or len(rows[0]) == 1:
        return 0.0, 0
    return widths[len(rows[0])] / len(rows), len(rows[0])


def _parse(place: Path, form: _Form) -> pa.Table:
    invalid: list[Any] = []
    table = _parse_all(place, form, invalid, use_threads=True)
    if invalid:
        invalid.clear()  # with threads pyarrow does not know the rows' numbers
        _parse_all(place, form, invalid, use_threads=False)
        raise SourceError(_uneven_rows(place, form, invalid))
    if table.num_rows == 0:
        raise SourceError(f"{place}: holds a header ({', '.join(form.header)[:100]}) and no rows")
    return table


def _parse_all(place: Path, form: _Form, invalid: list[Any], *, use_threads: bool) -> pa.Table:
    """Read all cells as strings, in columns named by their place; uneven rows go to ``invalid``."""

    def keep(row: arrow_csv.InvalidRow) -> str:
        invalid.append(row)
        return "skip"

    names = [str(number) for number in range(len(form.header))]
    how = arrow_csv.ReadOptions(
        use_threads=use_threads,
        block_size=BLOCK_BYTES,
        column_names=names,
        skip_rows_after_names=form.header_rows,
        encoding=form.encoding,
    )
    cut = arrow_csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=keep)
    convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with pa.input_stream(place) as stream:
        return arrow_csv.read_csv(stream, how, cut, convert)


def _uneven_rows(place: Path, form: _Form, invalid: list[Any]) -> str:
    first = invalid[0]
    row_number = first.number - form.header_rows
    others = f"; {len(invalid)} rows are uneven" if len(invalid) > 1 else ""
    return (
        f"{place}: row {row_number} below the header (empty lines not counted) has {first.actual_columns} "
        f"cell{'s' if first.actual_columns > 1 else ''}, the header {first.expected_columns}{others}. "
        f"The row: {_shortened(first.text)} The header: {_shortened(form.delimiter.join(form.header))}"
    )


def _shortened(text: str, length: int = 120) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= length else line[: length - 3] + "...")


def _check_last_quote(place: Path, cells: pa.Table) -> None:
    """A quote that is never closed makes the rest of the file one cell, which pyarrow lets pass."""
    last = cells.columns[-1][-1].as_py()
    if "\n" not in last or place.name.lower().endswith(".gz"):
        return
    with place.open("rb") as file:
        file.seek(-min(place.stat().st_size, 64), io.SEEK_END)
        tail = file.read().rstrip()
    if not tail.endswith(b'"'):
        raise SourceError(f"{place}: a quote is never closed; the last cell runs on from: {_shortened(last)}")
