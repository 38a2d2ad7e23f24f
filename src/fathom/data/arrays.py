"""Arrays by name: a dict in memory, or an NPZ file."""

from __future__ import annotations

import lzma
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.columnar import ArrowStream
from fathom.data.columns import distinct_names, plain_column
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, split_note, with_base
from fathom.data.tree import PART_NAMES, in_order
from fathom.errors import SourceError, first_line

__all__ = ["array_column", "read_arrays", "read_npz"]

PART_PATTERN = "|".join(sorted(PART_NAMES, key=len, reverse=True))
NAMED_PART = re.compile(rf"(?i)(?:(?P<first>{PART_PATTERN})_)?(?P<column>.+?)(?:_(?P<last>{PART_PATTERN}))?")
"""train_images and images_train are the column images of the part train."""

PICKLE_ALARM = "allow_pickle"
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error, tokenize.TokenError),
    *(ValueError, TypeError, KeyError, IndexError, SyntaxError, MemoryError, NotImplementedError, RuntimeError),
)
"""What numpy and zipfile raise for a member that is not what its head says; numpy parses the head as Python."""

UNHELD = (pa.ArrowException, ValueError, TypeError)
"""What pyarrow raises for values that no column can hold."""

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
    names, notes = distinct_names(map(str, arrays))
    columns = {name: array_column(values, name) for name, values in zip(names, arrays.values(), strict=True)}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SourceError(f"the columns of the dict given differ in their number of rows: {told}")
    return Source({"train": pa.table(columns)}, (), "arrays", None, notes)


@READERS.register("npz", suffixes=(".npz",))
def read_npz(place: Path) -> Source:
    """Read the arrays of an NPZ file, by their names.

    Arrays that all say a part in their names (x_train, y_test, val_images, ...) are the source's own split.
    Otherwise arrays of one length are the columns of one table. A column called y, label(s) or target(s) is
    the target.

    Raises:
        SourceError: the file is damaged, or holds Python objects, which fathom never unpickles.
    """
    arrays = _load(place)
    check_any(arrays, place)
    arrays = single_fields(arrays)
    named = {name: _part_and_column(name) for name in arrays}
    notes: tuple[str, ...] = ()
    if all(part for part, _ in named.values()):
        parts = _tables(arrays, named, str(place))
    else:
        parts, notes = _one_table(arrays, str(place))
    ordered = {part: with_base(table, place.parent) for part, table in in_order(parts).items()}
    columns = ordered["train"].column_names
    target = tuple(name for name in columns if name.lower() in TARGET_NAMES and len(columns) > 1)
    return Source(ordered, target, short_name(place), str(place), notes + split_note(ordered))


def _load(place: Path) -> dict[str, np.ndarray]:
    check_archive(place)
    with place.open("rb") as stream:  # numpy would leave a file open that it cannot read
        try:
            file = np.load(stream, allow_pickle=False)
        except DAMAGE as error:
            raise SourceError(f"{place}: is damaged: {first_line(error)}") from error
        return {name: _member(file, name, place) for name in file.files}


def check_archive(place: Path) -> None:
    if not zipfile.is_zipfile(place):
        raise SourceError(f"{place}: is no NPZ file, or is cut short")


def check_array(values: Any, name: str, place: Path) -> None:
    if not isinstance(values, np.ndarray):
        raise SourceError(f"{place}: the member {name!r} is no array (it begins with {values[:8]!r})")


def check_any(arrays: Mapping[str, np.ndarray], place: Path) -> None:
    if not arrays:
        raise SourceError(f"{place}: holds no arrays")


def check_train(parts: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: str) -> None:
    if "train" not in parts:
        raise SourceError(f"{where}: holds {', '.join(arrays)} and nothing for train")


def check_any_column(arrays: Mapping[str, np.ndarray], where: str) -> None:
    if not any(values.ndim for values in arrays.values()):
        raise SourceError(f"{where}: holds only single values ({', '.join(arrays)}), no rows")


def _member(file: Any, name: str, place: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of files that Python 2 wrote, which are as good as others
            values = file[name]
    except DAMAGE as error:
        if PICKLE_ALARM in str(error):
            told = "holds Python objects, which fathom never unpickles; save it as numbers or text"
            raise SourceError(f"{place}: the array {name!r} {told}") from error
        raise SourceError(f"{place}: the array {name!r} is damaged: {first_line(error)}") from error
    check_array(values, name, place)
    found: np.ndarray = values
    return found


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
    check_train(parts, arrays, where)
    check_parts_fit(parts, where)
    order = sorted(parts["train"], key=lambda name: name.lower() in TARGET_NAMES)
    return {
        part: pa.table({name: array_column(columns[name], name, where) for name in order})
        for part, columns in parts.items()
    }


def check_parts_fit(parts: Mapping[str, Mapping[str, np.ndarray]], where: str) -> None:
    """Check that the arrays of each part are of one length, and the same as train's by name."""
    for part, columns in parts.items():
        lengths = {name: len(values) if values.ndim else 0 for name, values in columns.items()}
        if len(set(lengths.values())) > 1 or set(columns) != set(parts["train"]):
            told = ", ".join(f"{name} has {length} rows" for name, length in lengths.items())
            raise SourceError(f"{where}: the arrays of {part} fit neither each other nor train's: {told}")


def single_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, with each field of one of records as an array of its own."""
    found: dict[str, np.ndarray] = {}
    for name, values in arrays.items():
        fields = values.dtype.names
        found |= {name: values} if fields is None else {f"{name}.{field}": values[field] for field in fields}
    return found


def _one_table(arrays: dict[str, np.ndarray], where: str) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    check_any_column(arrays, where)
    lengths = Counter(len(values) for values in arrays.values() if values.ndim)
    num_rows = max(lengths, key=lambda length: (lengths[length], length))
    kept = {name: values for name, values in arrays.items() if values.ndim and len(values) == num_rows}
    notes = left_out_note({name: values for name, values in arrays.items() if name not in kept}, num_rows)
    columns = {name: array_column(values, name, where) for name, values in kept.items()}
    return {"train": pa.table(columns)}, notes


def left_out_note(arrays: Mapping[str, np.ndarray], num_rows: int) -> tuple[str, ...]:
    """One sentence that names the arrays that are no columns of the table."""
    told = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
    return (f"left out, not having {num_rows} rows: {told}",) if arrays else ()


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
    except UNHELD as error:
        raise SourceError(f"{where}: column {name!r} cannot be held: {error}") from error
    return plain_column(column, name, where)


def _array_of_numpy(values: np.ndarray) -> pa.Array:
    """A column of values for one dimension (or a second of size 1), else a column of tensors in one block."""
    if values.ndim == 0:
        raise ValueError(f"it is the single value {values!r} and no column")
    values = flat(decoded_text(native(values)))
    if values.ndim == 1:
        return pa.array(values, from_pandas=True)
    values = numbers_as_tensors_hold(values)
    if values.dtype.kind not in "iuf" or 0 in values.shape[1:]:
        raise ValueError(f"tensors of {values.dtype} and shape {values.shape[1:]} are not possible")
    check_any_row(values)
    return pa.FixedShapeTensorArray.from_numpy_ndarray(in_rows(values))


def native(values: np.ndarray) -> np.ndarray:
    """The values in the machine's order of bytes, which is all that Arrow holds."""
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def flat(values: np.ndarray) -> np.ndarray:
    """(N, 1) as (N,)."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def decoded_text(values: np.ndarray) -> np.ndarray:
    """numpy's strings of bytes as words, where they are UTF-8."""
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        return values


def numbers_as_tensors_hold(values: np.ndarray) -> np.ndarray:
    """Truths as 0 and 1, and decimals of 16 bits as of 32."""
    if values.dtype == bool:
        return values.view(np.uint8)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def in_rows(values: np.ndarray) -> np.ndarray:
    """The values with each row's next to each other in memory."""
    return np.ascontiguousarray(values)


def check_any_row(values: np.ndarray) -> None:
    if len(values) == 0:
        raise ValueError("it has no rows")
