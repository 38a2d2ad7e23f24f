"""The fingerprint of tables: equal values give equal digests, however they are chunked or sliced.

Each column is a few streams of bytes (positions of nulls, lengths, values). A stream has its own running
hash, fed chunk after chunk; so nothing is copied together, and where a chunk ends leaves no trace.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import holds_pictures

__all__ = ["fingerprint"]


def fingerprint(parts: Mapping[str, pa.Table], place: str | None) -> str:
    """sha256 over names, types and values of each part's columns, in hexadecimal.

    Args:
        parts: name of a part to its table.
        place: where the source stands; pictures in files count by their path from there and their size in
            bytes, so that a moved or touched folder keeps its fingerprint.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for part, table in parts.items():
        digest.update(_framed(part, table.num_rows))
        for field, column in zip(table.schema, table.columns, strict=True):
            digest.update(_framed(field.name, field.type))
            digest.update(_digest_of_column(column, place))
    return digest.hexdigest()


def _framed(*items: object) -> bytes:
    return "".join(f"{len(str(item))}:{item};" for item in items).encode()


def _digest_of_column(column: pa.ChunkedArray, place: str | None) -> bytes:
    streams = _Streams()
    for chunk in column.chunks:
        _feed(streams, "", _pictures_by_path(chunk, place))
    return streams.digest()


class _Streams:
    """Named running hashes, each with the number of values that it has seen."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._seen: dict[str, int] = {}

    def feed(self, name: str, data: Any) -> None:
        """Add the bytes of a contiguous buffer."""
        self._hashes.setdefault(name, hashlib.sha256()).update(data)

    def feed_nulls(self, name: str, array: pa.Array) -> None:
        """Add where the nulls stand, counted from the start of the column."""
        start = self._seen.get(name, 0)
        self._seen[name] = start + len(array)
        if array.null_count:
            places = np.flatnonzero(np.asarray(array.is_null())) + start
            self.feed(f"{name}/null", places.astype("<i8"))

    def digest(self) -> bytes:
        joined = hashlib.sha256()
        for name in sorted(self._seen):
            joined.update(_framed(name, self._seen[name]))
        for name in sorted(self._hashes):
            joined.update(_framed(name, self._hashes[name].hexdigest()))
        return joined.digest()


def _feed(streams: _Streams, name: str, array: pa.Array) -> None:
    """Feed one array; values under nulls are undefined, so they are dropped and the nulls' places kept."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    streams.feed_nulls(name, array)
    present = array.drop_null() if array.null_count else array
    kind = present.type
    if pa.types.is_struct(kind):
        for field, values in zip(kind, present.flatten(), strict=True):
            _feed(streams, f"{name}/{field.name}", values)
    elif pa.types.is_fixed_size_list(kind):
        _feed(streams, f"{name}/values", present.flatten())
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        streams.feed(f"{name}/lengths", np.asarray(present.value_lengths()).astype("<i8"))
        _feed(streams, f"{name}/values", present.flatten())
    elif pa.types.is_null(kind):
        return
    else:
        _feed_plain(streams, name, present)


def _feed_plain(streams: _Streams, name: str, array: pa.Array) -> None:
    kind = array.type
    if pa.types.is_boolean(kind):
        streams.feed(f"{name}/values", np.asarray(array).astype(np.uint8))
    elif pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        streams.feed(f"{name}/values", _bytes_of(array, kind.bit_width // 8))
    else:
        text = array.cast(pa.large_binary())
        lengths = np.asarray(pc.binary_length(text)).astype("<i8")
        streams.feed(f"{name}/lengths", lengths)
        streams.feed(f"{name}/values", _text_of(text, int(lengths.sum())))


def _bytes_of(array: pa.Array, width_bytes: int) -> Any:
    data = array.buffers()[1]
    start = array.offset * width_bytes
    return b"" if data is None else memoryview(data)[start : start + len(array) * width_bytes]


def _text_of(array: pa.Array, size_bytes: int) -> Any:
    _, offsets, data = array.buffers()
    if data is None or offsets is None or size_bytes == 0:
        return b""
    start = int(np.frombuffer(offsets, "<i8")[array.offset])
    return memoryview(data)[start : start + size_bytes]


def _pictures_by_path(array: pa.Array, place: str | None) -> pa.Array:
    """In a chunk of pictures, put the path from ``place`` and the file's size for the absolute path."""
    if not holds_pictures(array.type):
        return array
    data, paths = pc.struct_field(array, "bytes"), pc.struct_field(array, "path")
    told = [None if path is None else _path_and_size(path, place) for path in paths.to_pylist()]
    return pa.StructArray.from_arrays([data, pa.array(told, pa.string())], ["bytes", "path"], mask=array.is_null())


def _path_and_size(path: str, place: str | None) -> str:
    inside = place is not None and path.startswith(place.rstrip(os.sep) + os.sep)
    shown = Path(path).relative_to(place).as_posix() if inside and place is not None else path
    size_bytes = os.stat(path).st_size if os.path.isfile(path) else None
    return f"{shown}:{size_bytes}"
