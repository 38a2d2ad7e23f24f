"""JSON: an object a line, or one array of objects.

pyarrow parses; where it refuses, or may have lost digits, the lines are read again one by one, which either repairs
what can be repaired or finds the line to tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columnar import source_of_table
from fathom.data.readers import READERS
from fathom.data.source import Source
from fathom.errors import SourceError

__all__ = ["read_json_lines"]

BLOCK_BYTES = 1 << 24
"""No line may be longer than a block; one that is, is read with the others one by one."""

INT64_BOUND = 2.0**63
FALLBACK_ENCODING = "cp1252"
JSON_BLANKS = b" \t\r\n"
UTF8_MARK, UTF16_MARKS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")

NULL_LINE = re.compile(rb"^[ \t\r]*null\b", re.MULTILINE)

OPENING = b"[{"
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MOST_DEEP = 100
"""pyarrow overruns the stack where lists stand in lists tens of thousands deep."""

UNHELD = (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError)
"""What pyarrow raises for values that no column can hold."""

SORTS = {bool: "true or false", int: "a number", float: "a number", str: "words", list: "a list", dict: "an object"}


@READERS.register("jsonl", suffixes=(".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"))
def read_json_lines(place: Path) -> Source:
    """Read a file with one JSON object a line, or with one array of objects; a key that one lacks is missing there.

    Objects inside objects become columns such as ``a.b``; lists stay lists.

    Args:
        place: absolute path of the file; .gz is unpacked.

    Raises:
        SourceError: a line is no object, names a key twice, or holds another sort of value than the lines before.
    """
    with pa.input_stream(place) as stream:
        data, notes = decoded(bytes(stream.read()), place)
    check_filled(data, place)
    table = None if is_array(data) or is_deep(data) or has_null_line(data) else _parsed(data)
    if table is None or may_have_lost_digits(table):
        table, more = _table_of_objects(data, place)
        notes += more
    if is_one_object(table, place):
        raise SourceError(
            f"{place}: holds one object with lists inside; expected an object a line, or an array of objects"
        )
    check_keys(table, place)
    return source_of_table(table, place, notes)


def check_filled(data: bytes, place: Path) -> None:
    if not data.strip(JSON_BLANKS):
        raise SourceError(f"{place}: the file is empty")


def check_keys(table: pa.Table, place: Path) -> None:
    if table.num_columns == 0:
        raise SourceError(f"{place}: its objects hold no keys, so there is no column")


def decoded(data: bytes, place: Path) -> tuple[bytes, tuple[str, ...]]:
    """The file's text as UTF-8 without a mark, and a note where it was written otherwise."""
    if data[:2] in UTF16_MARKS:
        try:
            return data.decode("utf-16").encode(), ("the text is UTF-16",)
        except UnicodeError as error:
            raise SourceError(f"{place}: the text begins as UTF-16 does, but is not: {error}") from error
    try:
        data.decode()
    except UnicodeDecodeError:
        try:
            return data.decode(FALLBACK_ENCODING).encode(), (f"the text is not UTF-8; read as {FALLBACK_ENCODING}",)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SourceError(f"{place}: line {line}: the text is neither UTF-8 nor {FALLBACK_ENCODING}") from error
    return data.removeprefix(UTF8_MARK), ()


def is_array(data: bytes) -> bool:
    """Whether the file is one array, rather than an object a line."""
    return data.lstrip(JSON_BLANKS)[:1] == b"["


def is_one_object(table: pa.Table, place: Path) -> bool:
    """Whether a .json file holds a single object of nested ones, which is no table of one row."""
    is_json = place.name.lower().endswith((".json", ".json.gz"))
    return is_json and table.num_rows == 1 and any(map(pa.types.is_nested, table.schema.types))


def has_null_line(data: bytes) -> bool:
    """Whether a line is null, of which pyarrow makes a row without values, in silence."""
    return NULL_LINE.search(data) is not None


def is_deep(data: bytes) -> bool:
    """Whether brackets may be open within brackets too deep; those in words count, which costs only time."""
    brackets = np.frombuffer(data.translate(None, NO_BRACKETS), np.uint8)
    steps = np.where(np.isin(brackets, np.frombuffer(OPENING, np.uint8)), 1, -1)
    return bool(np.cumsum(steps).max(initial=0) > MOST_DEEP)


def _parsed(data: bytes) -> pa.Table | None:
    """What pyarrow reads, or None where it refuses."""
    from pyarrow import json as arrow_json

    try:
        return arrow_json.read_json(pa.BufferReader(data), arrow_json.ReadOptions(block_size=BLOCK_BYTES))
    except pa.ArrowInvalid:
        return None


def may_have_lost_digits(table: pa.Table) -> bool:
    """Whether a column of decimals holds what a whole number beyond int64 becomes."""
    return any(
        pa.types.is_floating(column.type) and pc.any(pc.greater_equal(pc.abs(column), INT64_BOUND)).as_py()
        for column in table.columns
    )


def _table_of_objects(data: bytes, place: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The table of all objects, read one by one, and notes.

    Raises:
        SourceError: a line cannot be read, or a column changes its sort; it says which.
    """
    objects = list(_array(data, place) if is_array(data) else _lines(data, place))
    where = [place_of for place_of, _ in objects]
    names = dict.fromkeys(name for _, found in objects for name in found)
    notes: tuple[str, ...] = ()
    arrays = {}
    for name in names:
        cells = [found.get(name) for _, found in objects]
        check_one_sort(name, cells, where, place)
        if beyond_int64(cells):
            notes += (f"column {name!r} is text: it holds whole numbers beyond 2^63",)
            cells = [None if cell is None else str(cell) for cell in cells]
        arrays[name] = _column(name, cells, place)
    return pa.table(arrays), notes


def _lines(data: bytes, place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that is not blank, as an object, with its place for messages."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip(JSON_BLANKS):
            where = f"line {number}"
            yield where, _object(_loaded(line, where, place), where, place)


def _array(data: bytes, place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, found in enumerate(_loaded(data, "the array", place), start=1):
        where = f"item {number}"
        yield where, _object(found, where, place)


def _loaded(text: bytes, where: str, place: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except RecursionError as error:
        raise SourceError(f"{place}: {where} nests too deep") from error
    except ValueError as error:
        raise SourceError(f"{place}: {where} is no JSON, or is cut short: {error}") from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _object(found: Any, where: str, place: Path) -> dict[str, Any]:
    if not isinstance(found, dict):
        told = SORTS.get(type(found), "null")
        raise SourceError(f'{place}: {where} holds {told}; an object was expected, as in {{"name": value}}')
    return found


def check_one_sort(name: str, cells: list[Any], where: list[str], place: Path) -> None:
    """Check that a column's values are of one sort.

    Raises:
        SourceError: one is not; it says which, and what it holds.
    """
    first: tuple[str, str] | None = None
    for place_of, cell in zip(where, cells, strict=True):
        sort = SORTS.get(type(cell))
        if sort is None:
            continue
        first = first or (sort, place_of)
        if sort != first[0]:
            raise SourceError(
                f"{place}: {name!r} holds {sort} in {place_of} ({json.dumps(cell):.40}) and {first[0]} in {first[1]}; "
                "make all of one sort, or put null where it is missing"
            )


def beyond_int64(cells: list[Any]) -> bool:
    """Whether whole numbers alone stand in a column, and one does not fit."""
    whole = all(cell is None or type(cell) is int for cell in cells)
    return whole and any(cell is not None and not -(2**63) <= cell < 2**63 for cell in cells)


def _column(name: str, cells: list[Any], place: Path) -> pa.Array:
    try:
        array = pa.array(_plain_numbers(cells))
    except UNHELD as error:
        reason = str(error).split("\n", 1)[0]
        raise SourceError(f"{place}: {name!r} cannot be held: {reason}") from error
    return _times(array) if pa.types.is_string(array.type) else array


def _plain_numbers(cells: list[Any]) -> list[Any]:
    """Whole numbers beside decimals as decimals."""
    if any(type(cell) is float for cell in cells):
        return [float(cell) if type(cell) is int else cell for cell in cells]
    return cells


def _times(strings: pa.Array) -> pa.Array:
    """Times, where every string is one: pyarrow reads them so, and a file is not to depend on who reads it."""
    for unit in ("s", "ns"):
        try:
            return strings.cast(pa.timestamp(unit)) if strings.null_count < len(strings) else strings
        except pa.ArrowInvalid:
            continue
    return strings
