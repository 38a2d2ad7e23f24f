"""Arrays by name: a dict in memory, or an NPZ file."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.columnar import ArrowStream
from fathom.data.columns import distinct_names, plain_column
from fathom.data.readers import READERS
from fathom.data.source import PARTS, Source, short_name, with_base
from fathom.errors import SourceError

__all__ = ["array_column", "read_arrays", "read_npz", "split_note"]

PART_NAMES = {"train": "train", "training": "train", "val": "valid", "valid": "valid", "validation": "valid"}
PART_NAMES |= {"test": "test", "testing": "test"}
PART_PATTERN = "|".join(sorted(PART_NAMES, key=len, reverse=True))
NAMED_PART = re.compile(rf"(?i)(?:(?P<first>{PART_PATTERN})_)?(?P<column>.+?)(?:_(?P<last>{PART_PATTERN}))?")
"""train_images and images_train are the column images of the part train."""

TARGET_NAMES = ("y", "label", "labels", "target", "targets")


@READERS.register("arrays", takes=Mapping)
def read_arrays(arrays: Mapping[str, Any]) -> Source:
    """Read a dict of arrays or lists, a column each.

    Args:
        arrays: a column's name to its values, all of one length. A numpy array of more than one dimension
            becomes one column of tensors; uint8 of shape (N, H, W) or (N, H, W, C) is thus one of pictures.

    Raises:
        SourceError: a column cannot be held, or the lengths differ; the message names the columns.
    """
    if not arrays:
        raise SourceError("the dict given has no columns")
    names, notes = distinct_names(map(str, arrays), "the dict given")
    columns = {name: array_column(values, name) for name, values in zip(names, arrays.values(), strict=True)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SourceError(f"the columns of the dict given differ in their number of rows: {told}")
    return Source({"train": pa.table(columns)}, (), "arrays", None, notes)


@READERS.register("npz", suffixes=(".npz",))
def read_npz(place: Path) -> Source:
    """Read an NPZ file.

    Arrays that all say a part in their names (x_train, y_test, val_images, ...) are the source's own split.
    Otherwise arrays of one length are the columns of one table. A column called y, label(s) or target(s) is
    the target.

    Raises:
        SourceError: the file is damaged, or holds Python objects, which fathom never unpickles.
    """
    arrays = _load(place)
    if not arrays:
        raise SourceError(f"{place}: holds no arrays")
    named = {name: _part_and_column(name) for name in arrays}
    notes: tuple[str, ...] = ()
    if all(part for part, _ in named.values()):
        parts = _tables(arrays, named, str(place))
    else:
        parts, notes = _one_table(arrays, str(place))
    ordered = {part: with_base(parts[part], place.parent) for part in PARTS if part in parts}
    columns = ordered["train"].column_names
    target = tuple(name for name in columns if name.lower() in TARGET_NAMES and len(columns) > 1)
    return Source(ordered, target, short_name(place, ".npz"), str(place), notes + split_note(ordered))


def _load(place: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(place):
        raise SourceError(f"{place}: is no NPZ file, or is cut short")
    try:
        with np.load(place, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except zipfile.BadZipFile as error:
        raise SourceError(f"{place}: is damaged: {error}") from error
    except ValueError as error:
        raise SourceError(f"{place}: holds Python objects, which fathom never unpickles") from error


def _part_and_column(name: str) -> tuple[str | None, str]:
    found = NAMED_PART.fullmatch(name)
    part = found and (found["first"] or found["last"])
    if not found or not part:
        return None, name
    return PART_NAMES[part.lower()], found["column"]


def _tables(arrays: dict[str, np.ndarray], named: dict[str, Any], where: str) -> dict[str, pa.Table]:
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, (part, column) in named.items():
        parts.setdefault(part, {})[column] = arrays[name]
    if "train" not in parts:
        raise SourceError(f"{where}: holds {', '.join(arrays)} and nothing for train")
    order = sorted(parts["train"], key=lambda name: name.lower() in TARGET_NAMES)
    tables = {}
    for part, columns in parts.items():
        lengths = {name: len(values) if values.ndim else 0 for name, values in columns.items()}
        if len(set(lengths.values())) > 1 or set(columns) != set(order):
            told = ", ".join(f"{name} has {length} rows" for name, length in lengths.items())
            raise SourceError(f"{where}: the arrays of {part} fit neither each other nor train's: {told}")
        tables[part] = pa.table({name: array_column(columns[name], name, where) for name in order})
    return tables


def _one_table(arrays: dict[str, np.ndarray], where: str) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    lengths = Counter(len(values) for values in arrays.values() if values.ndim)
    if not lengths:
        raise SourceError(f"{where}: holds only single values ({', '.join(arrays)}), no rows")
    num_rows = max(lengths, key=lambda length: (lengths[length], length))
    kept = {name: values for name, values in arrays.items() if values.ndim and len(values) == num_rows}
    left = [f"{name} {values.shape}" for name, values in arrays.items() if name not in kept]
    notes = (f"left out, not having {num_rows} rows: {', '.join(left)}",) if left else ()
    columns = {name: array_column(values, name, where) for name, values in kept.items()}
    return {"train": pa.table(columns)}, notes


def split_note(parts: Mapping[str, pa.Table]) -> tuple[str, ...]:
    """One sentence that says which split the source carries; none where it carries none."""
    if len(parts) == 1:
        return ()
    told = ", ".join(f"{part} {table.num_rows:,} rows" for part, table in parts.items())
    return (f"the source's own split is used: {told}",)


def array_column(values: Any, name: str, where: str = "the dict given") -> pa.ChunkedArray:
    """One column from a list, a numpy array, or a column of pandas, polars or pyarrow.

    Raises:
        SourceError: Arrow cannot hold the values; the message names the column.
    """
    try:
        if isinstance(values, ArrowStream):
            column = pa.chunked_array(values)
        elif isinstance(values, list | tuple | pa.Array):
            column = pa.chunked_array([pa.array(values)])
        else:
            column = pa.chunked_array([_array_of_numpy(np.asarray(values))])
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise SourceError(f"{where}: column {name!r} cannot be held: {error}") from error
    return plain_column(column, name, where)


def _array_of_numpy(values: np.ndarray) -> pa.Array:
    """A column of values for one dimension (or a second of size 1), else a column of tensors in one block."""
    if values.ndim == 0:
        raise ValueError(f"it is the single value {values!r} and no column")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return pa.array(values, from_pandas=True)
    if values.dtype == bool:
        values = values.view(np.uint8)
    if values.dtype.kind not in "iuf" or 0 in values.shape[1:]:
        raise ValueError(f"tensors of {values.dtype} and shape {values.shape[1:]} are not possible")
    if len(values) == 0:
        raise ValueError("it has no rows")
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))
