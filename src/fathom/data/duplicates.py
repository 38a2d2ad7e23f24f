"""Rows that are the same: one number for all rows that hold equal values."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import coded, holds_pictures, holds_single_values

__all__ = ["column_hashes", "row_codes", "row_hashes"]

MIXER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplication by it spreads low bits over high ones (Knuth, volume 3, 6.4)."""


def row_codes(table: pa.Table, columns: Sequence[str]) -> np.ndarray:
    """(N,) int64 from 0 on: equal for rows that hold equal values in all of the columns.

    Pictures are equal where their bytes are; a file is read only where another one has its size. Values are compared
    by hashes of 64 bits, of which a million rows have two alike once in 37 million tables.
    """
    return np.unique(row_hashes(table, columns), return_inverse=True)[1].astype(np.int64)


def row_hashes(table: pa.Table, columns: Sequence[str]) -> np.ndarray:
    """(N,) uint64: equal for rows that hold equal values in all of the columns."""
    mixed = np.zeros(table.num_rows, np.uint64)
    for name in columns:
        mixed = _mixed(mixed * MIXER + column_hashes(table[name]))
    return mixed


def column_hashes(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) uint64: equal for cells that hold equal values, missing being a value."""
    kind = column.type
    if pa.types.is_floating(kind):
        plain = pc.add(pc.cast(column, pa.float64()), 0.0)  # -0.0 is 0.0
        values = np.nan_to_num(plain.to_numpy(zero_copy_only=False), nan=np.inf)
        return _mixed(np.ascontiguousarray(values, np.float64).view(np.uint64))
    if pa.types.is_integer(kind):
        values = pc.cast(column.fill_null(0), pa.int64(), safe=False).to_numpy(zero_copy_only=False)
        return _mixed(values.view(np.uint64) * np.uint64(2) + column.is_null().to_numpy(zero_copy_only=False))
    if holds_pictures(kind):
        return _hashes_of_pictures(column)
    if not holds_single_values(kind):
        return _hashes_of_bytes(_as_bytes(column))
    return _hashes_of_distinct(column)


def _mixed(values: np.ndarray) -> np.ndarray:
    """A bijection of 64 bits whose output looks random (the finalizer of SplitMix64; Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hashes_of_distinct(column: pa.ChunkedArray) -> np.ndarray:
    """Hashes of the distinct values alone, handed out to their cells."""
    numbers, values = coded(column)
    hashes = np.append(_hashes_of_bytes(value.as_py().encode() for value in values.cast(pa.string())), np.uint64(0))
    return hashes[numbers]


def _as_bytes(column: pa.ChunkedArray) -> Any:
    """The bytes of each cell that is a list or a tensor."""
    for chunk in column.chunks:
        if isinstance(chunk, pa.FixedShapeTensorArray) and chunk.null_count == 0:
            yield from (row.tobytes() for row in chunk.to_numpy_ndarray())
        else:
            yield from (repr(cell).encode() for cell in chunk.to_pylist())


def _hashes_of_pictures(column: pa.ChunkedArray) -> np.ndarray:
    cells = column.to_pylist()
    sizes = [_size(cell) for cell in cells]
    often = Counter(sizes)
    contents = (
        _content(cell) if often[size] > 1 else str(size).encode() for cell, size in zip(cells, sizes, strict=True)
    )
    return _hashes_of_bytes(contents)


def _size(cell: Any) -> int:
    if cell is None:
        return -1
    if cell["bytes"] is not None:
        return len(cell["bytes"])
    try:
        return os.stat(cell["path"]).st_size
    except OSError:  # a file that is not there is told where pictures are opened
        return -2


def _content(cell: Any) -> bytes:
    if cell is None:
        return b""
    if cell["bytes"] is not None:
        return bytes(cell["bytes"])
    try:
        return Path(cell["path"]).read_bytes()
    except OSError:
        return os.fsencode(cell["path"])


def _hashes_of_bytes(contents: Any) -> np.ndarray:
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, np.uint64)
