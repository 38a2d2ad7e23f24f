"""Objects of JSON: parsed by pyarrow, and one by one where it refuses, or loses something in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.encoding import half_sign
from fathom.errors import SourceError
from fathom.progress import one_by_one

__all__ = ["JSON_BLANKS", "as_parsed", "check_sort_of_cell", "is_array", "lines_of", "table_of_objects", "text_note"]

BLOCK_BYTES = 1 << 24
"""No line may be longer than a block; one that is, is read with the others one by one."""

INT64_BOUND = 2.0**63
JSON_BLANKS = b" \t\r\n"

NULL_LINE = re.compile(rb"^[ \t\r]*null\b", re.MULTILINE)

OPENING = b"[{"
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MOST_DEEP = 100
"""pyarrow overruns the stack where lists stand in lists tens of thousands deep."""

UNHELD = (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError)
"""What pyarrow raises for values that no column can hold."""

SORTS = {bool: "true or false", int: "a number", float: "a number", str: "words", list: "a list", dict: "an object"}


def is_array(data: bytes) -> bool:
    """Whether the file is one array, rather than an object a line."""
    return data.lstrip(JSON_BLANKS)[:1] == b"["


def has_null_line(data: bytes) -> bool:
    """Whether a line is null, of which pyarrow makes a row without values, in silence."""
    return NULL_LINE.search(data) is not None


def is_deep(data: bytes) -> bool:
    """Whether brackets may be open within brackets too deep; those in words count, which costs only time."""
    brackets = np.frombuffer(data.translate(None, NO_BRACKETS), np.uint8)
    steps = np.where(np.isin(brackets, np.frombuffer(OPENING, np.uint8)), 1, -1)
    return bool(np.cumsum(steps).max(initial=0) > MOST_DEEP)


def parsed(data: bytes, schema: pa.Schema | None = None) -> pa.Table | None:
    """What pyarrow reads, of a schema if one is given, or None where it refuses."""
    from pyarrow import json as arrow_json

    how, wanted = arrow_json.ReadOptions(block_size=BLOCK_BYTES), arrow_json.ParseOptions(explicit_schema=schema)
    try:
        return arrow_json.read_json(pa.BufferReader(data), how, wanted)
    except pa.ArrowInvalid:
        return None


def as_parsed(data: bytes, schema: pa.Schema | None = None) -> pa.Table | None:
    """What pyarrow reads of objects, or None where it refuses, or would read what does not stand there."""
    table = None if is_array(data) or is_deep(data) or has_null_line(data) else parsed(data, schema)
    return table if table is None or schema is not None or not may_have_lost_digits(table) else None


def may_have_lost_digits(table: pa.Table) -> bool:
    """Whether a column of decimals holds what a whole number beyond int64 becomes."""
    return any(
        pa.types.is_floating(column.type) and pc.any(pc.greater_equal(pc.abs(column), INT64_BOUND)).as_py()
        for column in table.columns
    )


def table_of_objects(data: bytes, place: Path, first: int = 1) -> tuple[pa.Table, tuple[str, ...]]:
    """The table of all objects, read one by one, and which columns are text for whole numbers beyond 2^63.

    Raises:
        SourceError: a line cannot be read, or a column changes its sort; it says which.
    """
    objects = list(_array(data, place) if is_array(data) else lines_of(data, place, first))
    where = [place_of for place_of, _ in objects]
    names = dict.fromkeys(name for _, found in objects for name in found)
    unheld: tuple[str, ...] = ()
    arrays = {}
    for name in names:
        cells = [found.get(name) for _, found in objects]
        check_one_sort(name, cells, where, place)
        if beyond_int64(cells):
            unheld += (name,)
            cells = [None if cell is None else str(cell) for cell in cells]
        arrays[name] = _column(name, cells, place)
    return pa.table(arrays), unheld


def text_note(name: str) -> str:
    return f"column {name!r} is text: it holds whole numbers beyond 2^63"


def lines_of(data: bytes, place: Path, first: int = 1) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that is not blank, as an object, with its place for messages."""
    for number, line in enumerate(one_by_one(data.split(b"\n"), "reading", "lines"), start=first):
        if line.strip(JSON_BLANKS):
            where = f"line {number}"
            yield where, _object(_loaded(line, where, place), where, place)


def _array(data: bytes, place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    items = _loaded(data, "the array", place)
    for number, found in enumerate(one_by_one(items, "reading", "objects"), start=1):
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
    sorts: dict[str, tuple[str, str]] = {}
    for place_of, cell in zip(where, cells, strict=True):
        check_sort_of_cell(name, cell, place_of, sorts, place)


def check_sort_of_cell(name: str, cell: Any, where: str, sorts: dict[str, tuple[str, str]], place: Path) -> None:
    """Check a value against the sort of its column, which ``sorts`` holds by name, with where it was found first.

    Raises:
        SourceError: it is of another sort, or holds half of a sign.
    """
    sort = SORTS.get(type(cell))
    if sort is None:
        return
    first = sorts.setdefault(name, (sort, where))
    if sort != first[0]:
        raise SourceError(
            f"{place}: {name!r} holds {sort} in {where} ({json.dumps(cell):.40}) and {first[0]} in {first[1]}; "
            "make all of one sort, or put null where it is missing"
        )
    if isinstance(cell, str) and (half := half_sign(cell)):
        raise SourceError(f"{place}: {name!r} holds {half}, in {where}; complete it")


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
