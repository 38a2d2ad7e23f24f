"""Formats that know their types: Parquet, JSON lines, Arrow files, and objects that speak Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from fathom.data.columns import plain_table
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, with_base
from fathom.errors import SourceError

__all__ = ["ArrowStream", "read_arrow", "read_json_lines", "read_parquet", "read_stream"]

JSON_BLOCK_BYTES = 1 << 24
"""No JSON line may be longer than a block."""


@runtime_checkable
class ArrowStream(Protocol):
    """What pandas, polars, DuckDB and pyarrow tables have in common: the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the rows out as a C stream."""


@READERS.register("parquet", suffixes=(".parquet",))
def read_parquet(place: Path) -> Source:
    """Read a Parquet file."""
    from pyarrow import parquet

    with parquet.ParquetFile(place) as file:
        return _source_of_file(file.read(), place)


@READERS.register("jsonl", suffixes=(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"))
def read_json_lines(place: Path) -> Source:
    """Read a file with one JSON object a line; a key that a line lacks is missing there."""
    from pyarrow import json

    options = json.ReadOptions(block_size=JSON_BLOCK_BYTES)
    with pa.input_stream(place) as stream:
        return _source_of_file(json.read_json(stream, options), place)


@READERS.register("arrow", suffixes=(".arrow", ".feather"))
def read_arrow(place: Path) -> Source:
    """Read an Arrow file, be it in the file or in the stream form."""
    with pa.OSFile(str(place)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        return _source_of_file(reader.read_all(), place)


@READERS.register("stream", takes=ArrowStream)
def read_stream(frame: ArrowStream) -> Source:
    """Read an object in memory that has ``__arrow_c_stream__``.

    Raises:
        SourceError: it is one column and not a table.
    """
    where = f"the {type(frame).__name__} given"
    try:
        table = pa.RecordBatchReader.from_stream(frame).read_all()
    except pa.ArrowException as error:
        raise SourceError(f"{where} is not a table that Arrow can hold: {error}") from error
    plain, notes = plain_table(table, where)
    return Source({"train": plain}, (), "table", None, notes)


def _source_of_file(table: pa.Table, place: Path) -> Source:
    plain, notes = plain_table(table, str(place))
    suffix = "".join(place.suffixes[-2:]) if place.suffix == ".gz" else place.suffix
    return Source({"train": with_base(plain, place.parent)}, (), short_name(place, suffix), str(place), notes)
