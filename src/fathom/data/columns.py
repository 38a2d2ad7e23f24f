"""Columns of any Arrow table: what their types hold, distinct names, and one type for each sort of value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.errors import SourceError, listed

__all__ = [
    "coded",
    "distinct_names",
    "emptied",
    "holds_numbers",
    "holds_pictures",
    "holds_single_values",
    "holds_text",
    "holds_words",
    "plain_column",
    "plain_table",
]

INT32_MAX_BYTES = 2**31 - 1
"""The most that one chunk of a string column can hold; longer ones stay large_string."""


def holds_text(kind: pa.DataType) -> bool:
    """Whether the cells of a column of this type are strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def holds_words(kind: pa.DataType) -> bool:
    """Whether the cells of a column of this type are lists of strings."""
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and holds_text(kind.value_type)


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether the cells of a column of this type are whole numbers, or decimals as floating point holds them."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def holds_pictures(kind: pa.DataType) -> bool:
    """Whether the cells of a column of this type are pictures still encoded, in bytes or in files."""
    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}


def holds_single_values(kind: pa.DataType) -> bool:
    """Whether a cell of this type is one value, and no list, object or array."""
    return not (pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType))


def coded(column: pa.ChunkedArray, missing: Literal["mask", "encode"] = "mask") -> tuple[np.ndarray, pa.Array]:
    """Number the distinct values of a column in the order in which they come.

    Args:
        column: single values.
        missing: whether missing cells have no number, or one as if missing were a value.

    Returns:
        (N,) int64 the number of each cell's value, -1 where it has none; and the values.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    cells = column if column.num_chunks > 1 else column.combine_chunks()
    found = pc.dictionary_encode(cells, null_encoding=missing)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    numbers = found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, found.dictionary


def distinct_names(names: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Strip the blanks of column names, name those without one, and number the later ones of a name that stands twice.

    Args:
        names: the names as the source has them.

    Returns:
        The names, all different, and notes for what was renamed.
    """
    stripped, notes = _all_named([name.strip() for name in names])
    taken, last = set(stripped), dict.fromkeys(stripped, 0)
    distinct, renamed = [], []
    for place, name in enumerate(stripped, start=1):
        last[name] += 1
        if last[name] == 1:
            distinct.append(name)
            continue
        while f"{name}_{last[name]}" in taken:
            last[name] += 1
        distinct.append(f"{name}_{last[name]}")
        taken.add(distinct[-1])
        renamed.append(f"{name} (column {place}) is read as {distinct[-1]}")
    return distinct, notes + _told_renamed(renamed)


def _told_renamed(renamed: list[str]) -> tuple[str, ...]:
    return (f"column names that stand twice: {listed(renamed)}",) if renamed else ()


def _all_named(names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    if all(names):
        return names, ()
    named = [name or f"column_{place}" for place, name in enumerate(names, start=1)]
    told = listed(new for new, name in zip(named, names, strict=True) if not name)
    return named, (f"columns without a name are called by their place: {told}",)


def plain_table(table: pa.Table, where: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Give a table distinct names and plain types (see :func:`plain_column`); drop pandas' unnamed index.

    Returns:
        The table and notes for what was renamed or dropped.

    Raises:
        SourceError: a column cannot be held; the message names it.
    """
    kept = [place for place, name in enumerate(table.column_names) if not name.startswith("__index_level_")]
    dropped = len(kept) < table.num_columns
    names, notes = distinct_names([table.column_names[place] for place in kept])
    columns = [plain_column(table.column(i), name, where) for i, name in zip(kept, names, strict=True)]
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"pandas"}
    note = ("the row labels of the pandas frame (its index) are left out",) if dropped else ()
    return pa.table(columns, names=names).replace_schema_metadata(metadata or None), notes + note


def plain_column(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """Numbers as int64 or float64 with null for NaN, text as string, categories as their values.

    Raises:
        SourceError: a value does not fit, as an integer beyond int64 does not.
    """
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        plain = column.cast(_plain_type(column.type, column.nbytes))
    except pa.ArrowException as error:
        raise SourceError(f"{where}: column {name!r} ({column.type}) cannot be held: {error}") from error
    return _nan_as_null(plain) if pa.types.is_floating(plain.type) else plain


def _plain_type(given: pa.DataType, size_bytes: int) -> pa.DataType:
    if pa.types.is_integer(given):
        return pa.int64()
    if pa.types.is_floating(given) or pa.types.is_decimal(given):
        return pa.float64()
    if pa.types.is_null(given):
        return pa.string()
    if pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return pa.string() if size_bytes <= INT32_MAX_BYTES else pa.large_string()
    if pa.types.is_large_binary(given) or pa.types.is_binary_view(given):
        return pa.binary() if size_bytes <= INT32_MAX_BYTES else pa.large_binary()
    if pa.types.is_list(given) or pa.types.is_large_list(given):
        inner = given.value_type
        return pa.list_(inner if pa.types.is_primitive(inner) else _plain_type(inner, size_bytes))
    return given


def _nan_as_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    nan = pc.is_nan(column)
    if not pc.any(nan).as_py():
        return column
    return pc.if_else(nan, pa.scalar(None, column.type), column)


def emptied(column: pa.ChunkedArray, values: Sequence[str]) -> pa.ChunkedArray:
    """The column with null in the place of values that mean unknown, such as a 0 where nothing was measured."""
    unknown = [scalar for value in values if (scalar := _held(value, column.type)) is not None]
    if not unknown:
        return column
    return pc.if_else(pc.is_in(column, pa.array(unknown, column.type)), pa.scalar(None, column.type), column)


def _held(value: str, kind: pa.DataType) -> object | None:
    """A value as a column of this type holds it, or None where it can hold no such value."""
    try:
        return pa.scalar(value).cast(kind).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
