"""CSV and its relatives: every cell is read as a string, and types are decided afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.cells import CELLS, check_no_nul, read_cells
from fathom.data.columns import distinct_names
from fathom.data.content import TABLES
from fathom.data.header import Asked, check_no_header_below, without_surplus
from fathom.data.layout import Layout
from fathom.data.numerals import trimmed
from fathom.data.quotes import row_words
from fathom.data.readers import READERS
from fathom.data.source import Source, source_of_file
from fathom.data.spool import Spool, is_large_file
from fathom.data.tagged import is_tagged, read_tagged
from fathom.data.types import ColumnType, Evidence, as_it_stands, cast, decide, evidence, file_mark, merge
from fathom.errors import SourceError, listed, unknown_name
from fathom.progress import one_by_one
from fathom.registry import Range
from fathom.runtime import in_parallel

__all__ = ["column_types", "read_delimited"]

GROWTH = 1.5
"""How much more memory the cells of a file take than its bytes: each has an offset."""

TAGGED = (".tsv", ".tsv.gz")
"""Files that may hold a token and its tag a line, and blank lines that mean something."""

STRETCH_BYTES = 1 << 20


@READERS.register("csv", suffixes=TABLES)
def read_delimited(
    place: Path,
    *,
    header: Literal["auto", "yes", "no"] = "auto",
    columns: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    text: tuple[str, ...] = (),
    decimal: Literal["auto", ".", ","] = "auto",
    skip_rows: Annotated[int, Range(0, 1000)] = 0,
) -> Source:
    """Read a table whose cells are divided by comma, semicolon, tab or bar.

    Args:
        place: absolute path of the file; .gz is unpacked.
        header: whether the first row holds the names of the columns; auto: unless it plainly is data.
        columns: names of all columns; the first row is then data, unless it holds these names.
        missing: further words that mean a missing cell, in every column.
        text: columns that are text as they stand: no numbers, and no words that mean missing.
        decimal: what stands before fractions, where the cells leave it open; auto: as in the other columns.
        skip_rows: lines at the top of the file that are not of the table.

    Raises:
        SourceError: a row is shorter or longer than the header, a quote is never closed, a word stands among
            numbers, or there is nothing in it; the message names the row.
    """
    said = replace(Asked(header, columns), skip_rows=skip_rows)
    if place.name.lower().endswith(TAGGED) and said == Asked() and is_tagged(place):
        return read_tagged(place)
    options = {"missing": missing, "text": text, "decimal": decimal}
    if is_large_file(place, GROWTH):
        spool = Spool(place, {"asked": said, **options})
        with spool.opened():
            table, notes = spool.found() or _read_table(place, said, options, spool)
    else:
        table, notes = _read_table(place, said, options, None)
    return source_of_file(table, place, notes)


def _read_table(
    place: Path, asked: Asked, options: Mapping[str, Any], spool: Spool | None
) -> tuple[pa.Table, tuple[str, ...]]:
    """The typed rows, in the files of ``spool`` where one is given, and notes."""
    layout, cells, notes = read_cells(place, asked, spool)
    check_no_nul(place, layout, cells)
    if layout.names.in_file:
        check_no_header_below(str(place), layout.rows[0], cells)
    kept, cells = without_surplus(str(place), layout.names, cells)
    names, renamed = distinct_names(kept.names)
    text = _known(place, options["text"], names)
    types = column_types(cells, names, layout.delimiter, **{**options, "text": text})
    _check_types(place, layout, cells, types)
    notes += (*kept.notes[len(layout.names.notes) :], *renamed, *_type_notes(types))
    if spool is None:
        return _cast(cells, types), notes
    table = spool.made_of(CELLS, "rows", lambda piece: _cast(piece.select(cells.column_names), types), "reading")
    return table, spool.finish(table, notes)


def _cast(cells: pa.Table, types: Mapping[str, ColumnType]) -> pa.Table:
    columns = [cast(column, found) for column, found in zip(cells.columns, types.values(), strict=True)]
    return pa.table(columns, names=list(types))


def _known(place: Path, text: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    for name in text:
        if name not in names:
            raise SourceError(f"{place}: {unknown_name('column', name, names)}")
    return text


def column_types(
    cells: pa.Table, names: Sequence[str], delimiter: str, *, missing: Sequence[str], text: Sequence[str], decimal: str
) -> dict[str, ColumnType]:
    """Decide the type of each column; what begins the fractions of one may show in another.

    Args:
        cells: all cells as strings.
        names: of the columns.
        delimiter: between the cells of the file.
        missing: further words that mean a missing cell.
        text: columns that are text as they stand.
        decimal: what stands before fractions where the cells leave it open, or "auto".
    """
    columns = [(name, column) for name, column in zip(names, cells.columns, strict=True) if name not in text]
    found = {name: _evidence(column, missing) for name, column in one_by_one(columns, "finding types", "columns")}
    mark = _fraction_mark(file_mark(found.values()), delimiter) if decimal == "auto" else decimal
    return {name: decide(found[name], mark) if name in found else as_it_stands(missing) for name in names}


def _evidence(column: pa.ChunkedArray, missing: Sequence[str]) -> Evidence:
    """The evidence of a column's cells; of a long column stretch by stretch, so that it takes little memory."""
    rows = max(1, len(column) * STRETCH_BYTES // max(1, column.nbytes))
    if rows >= len(column):
        return evidence(column, missing)
    stretches = (column.slice(start, rows) for start in range(0, len(column), rows))
    return reduce(merge, in_parallel(lambda cells: evidence(cells, missing), stretches))


def _fraction_mark(proven: str | None, delimiter: str) -> str | None:
    """Where no column proves what begins a fraction: between commas a comma is none, between others it may be."""
    return proven or ("." if delimiter == "," else None)


def _check_types(place: Path, layout: Layout, cells: pa.Table, types: Mapping[str, ColumnType]) -> None:
    refused = {name: found for name, found in types.items() if found.refused}
    if not refused:
        return
    (name, found), *others = refused.items()
    assert found.refused is not None
    cell, why = found.refused
    column = cells.column(list(types).index(name))
    row = pc.index(trimmed(column), cell).as_py() + 1
    told = cell if len(cell) <= 60 else cell[:57] + "..."
    more = f"; so in {len(others)} more column{'s' if len(others) > 1 else ''}" if others else ""
    raise SourceError(f"{place}: column {name!r}, {row_words(layout, row)}: {told!r} {why}{more}. {_ways(name, found)}")


def _ways(name: str, found: ColumnType) -> str:
    """What to do about a column that stops the reading: the options that settle it."""
    assert found.refused is not None
    word = found.refused[0]
    text = f"text={name!r} (--text {name!r}) keeps the column as text"
    if found.missing_settles:
        return f"missing={word[:60]!r} (--missing {word[:60]!r}) reads it as missing, {text}"
    if found.decimal_settles:
        return f"decimal=',' or '.' (--decimal) tells it, {text}"
    return f"Write them in one way; {text}"


def _type_notes(types: Mapping[str, ColumnType]) -> tuple[str, ...]:
    """What a person should know of the types, one sentence for all columns that it is true of."""
    columns: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for name, found in types.items():
        for what, example in found.notes:
            columns.setdefault(what, []).append(name)
            shown.setdefault(what, example)
    return tuple(
        f"{_few(names)}: {what} ({'as in ' if len(names) > 1 else ''}{shown[what]})" for what, names in columns.items()
    )


def _few(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {listed(names)}"
