"""JSON larger than memory, an object a line: parsed block by block, with types that hold for all of the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.columnar import typed_table
from fathom.data.encoding import first_bytes, open_bytes
from fathom.data.json_objects import JSON_BLANKS, as_parsed, check_sort_of_cell, lines_of, table_of_objects, text_note
from fathom.data.spool import Spool
from fathom.errors import SourceError
from fathom.runtime import in_parallel

__all__ = ["FALLBACK_ENCODING", "UTF16_MARKS", "spooled_lines"]

FALLBACK_ENCODING = "cp1252"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

STREAMED_BYTES = 1 << 22
"""Lines are parsed together in blocks of so many bytes."""

HUGE = pa.uint64()
"""Stands for whole numbers of which one is beyond int64, until the type of the column is known."""

Block = tuple[int, bytes]
"""The number of the first line, and whole lines as UTF-8."""


def spooled_lines(spool: Spool, place: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows of a file with an object a line, in the files of ``spool``, and notes.

    The file is read twice: to find the type of each column, which the last line may decide, and with these types.
    """
    encoding, notes = _encoding_of(place)
    try:
        found: dict[str, pa.DataType] = {}
        for types in in_parallel(partial(_types_in, place=place), _blocks(place, encoding)):
            found = merged_types(found, types, place)
    except SourceError:
        _check_line_by_line(place, encoding)  # which of two lines is told should not depend on where blocks end
        raise
    huge = [name for name, kind in found.items() if kind == HUGE]
    schema = pa.schema([(name, kind) for name, kind in found.items()])
    parse = partial(_with_schema, schema=schema, place=place)
    more: dict[str, None] = {}

    def pieces() -> Iterator[pa.Table]:
        for parsed in in_parallel(parse, _blocks(place, encoding)):
            table, told = typed_table(parsed, str(place))
            more.update(dict.fromkeys(told))
            yield table

    table = spool.written("rows", pieces())
    return table, spool.finish(table, (*notes, *map(text_note, huge), *more))


def _encoding_of(place: Path) -> tuple[str, tuple[str, ...]]:
    """The encoding that holds for the whole of a file, and a note where it is not UTF-8."""
    is_wide = first_bytes(place, 2) in UTF16_MARKS
    for encoding in ("utf-16",) if is_wide else ("utf-8-sig", FALLBACK_ENCODING):
        try:
            is_filled = False
            for _, data in _blocks(place, encoding):
                is_filled = is_filled or bool(data.strip(JSON_BLANKS))
        except UnicodeError as error:
            reason = error
            continue
        if not is_filled:
            raise SourceError(f"{place}: the file is empty")
        if encoding == "utf-8-sig":
            return encoding, ()
        return encoding, ("the text is UTF-16" if is_wide else f"the text is not UTF-8; read as {encoding}",)
    told = "begins as UTF-16 does, but is not" if is_wide else f"is neither UTF-8 nor {FALLBACK_ENCODING}"
    raise SourceError(f"{place}: the text {told}: {reason}") from reason


def _blocks(place: Path, encoding: str) -> Iterator[Block]:
    decoder = codecs.getincrementaldecoder(encoding)()
    line, rest = 1, b""
    with open_bytes(place) as stream:
        while chunk := bytes(stream.read(STREAMED_BYTES)):
            whole, end, begun = decoder.decode(chunk).encode().rpartition(b"\n")
            if end:
                data = rest + whole + end
                yield line, data
                line, rest = line + data.count(b"\n"), begun
            else:
                rest += begun
    yield line, rest + decoder.decode(b"", final=True).encode()


def _types_in(block: Block, place: Path) -> dict[str, pa.DataType]:
    """The type of each column as the lines of a block have it."""
    first, data = block
    if not data.strip(JSON_BLANKS):
        return {}
    table, unheld = as_parsed(data), tuple[str, ...]()
    if table is None:
        table, unheld = table_of_objects(data, place, first)
    return {name: HUGE if name in unheld else table.schema.field(name).type for name in table.column_names}


def merged_types(
    first: Mapping[str, pa.DataType], second: Mapping[str, pa.DataType], place: Path
) -> dict[str, pa.DataType]:
    """The types of columns in lines before and in lines after.

    Raises:
        SourceError: no type holds the values of both.
    """
    merged = dict(first)
    for name, kind in second.items():
        common = _common_type(first.get(name, kind), kind)
        if common is None:
            raise SourceError(f"{place}: {name!r} holds values of two sorts ({first[name]} and {kind})")
        merged[name] = common
    return merged


def _common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """The type that pyarrow finds for the values of both, or None."""
    both = {first, second}
    if len(both) == 1 or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if both <= {pa.int64(), pa.float64(), HUGE}:
        return pa.float64() if pa.float64() in both else HUGE
    if all(pa.types.is_timestamp(kind) or pa.types.is_string(kind) for kind in both):
        return pa.string() if pa.string() in both else pa.timestamp("ns")
    if all(map(pa.types.is_list, both)):
        inner = _common_type(first.value_type, second.value_type)
        return None if inner is None else pa.list_(inner)
    if all(map(pa.types.is_struct, both)):
        fields = {field.name: field.type for field in first}
        for field in second:
            common = _common_type(fields.get(field.name, field.type), field.type)
            if common is None:
                return None
            fields[field.name] = common
        return pa.struct(list(fields.items()))
    return None


def _with_schema(block: Block, schema: pa.Schema, place: Path) -> pa.Table:
    """The rows of a block, with the types that the whole file has."""
    first, data = block
    held = pa.schema([(field.name, pa.int64() if field.type == HUGE else field.type) for field in schema])
    wanted = pa.schema([(field.name, pa.string() if field.type == HUGE else field.type) for field in schema])
    if not data.strip(JSON_BLANKS):
        return wanted.empty_table()
    table = as_parsed(data, held)
    if table is not None:
        return table.select(wanted.names).cast(wanted)
    objects = [found for _, found in lines_of(data, place, first)]
    return pa.table([_cells(objects, field) for field in wanted], schema=wanted)


def _cells(objects: list[dict[str, Any]], field: pa.Field) -> pa.Array:
    cells = [found.get(field.name) for found in objects]
    if pa.types.is_timestamp(field.type):
        return pa.array(cells, pa.string()).cast(field.type)
    if pa.types.is_string(field.type):
        cells = [None if cell is None else str(cell) for cell in cells]
    return pa.array(cells, field.type)


def _check_line_by_line(place: Path, encoding: str) -> None:
    """Look at every line as if the file were read at once.

    Raises:
        SourceError: one cannot be read, or a column changes its sort; it says which.
    """
    sorts: dict[str, tuple[str, str]] = {}
    for first, data in _blocks(place, encoding):
        for where, found in lines_of(data, place, first):
            for name, cell in found.items():
                check_sort_of_cell(name, cell, where, sorts, place)
