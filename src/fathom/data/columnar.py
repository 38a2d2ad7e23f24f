"""Formats that know their types: Parquet, Arrow files, and objects that speak Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import holds_pictures, plain_table
from fathom.data.dialogues import DIALOGUE_ROLES, REPLY, replies_in_messages
from fathom.data.readers import READERS
from fathom.data.source import IMAGE_TYPE, Source, source_of_file
from fathom.data.spool import Spool, is_large_file
from fathom.errors import SourceError
from fathom.progress import BYTES, Work, one_by_one

__all__ = ["ArrowStream", "read_arrow", "read_parquet", "read_stream", "source_of_table", "unfolded"]

PICTURE_MARKS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6")
"""How the bytes of a picture begin: PNG, JPEG, GIF, BMP, WebP, TIFF, PBM, PGM, PPM."""

PARQUET_GROWTH = 4
"""How much larger than its file a table in Parquet is taken to be."""

ROWS_AT_ONCE = 1 << 16
INT64_MAX = 2**63 - 1
DEEPEST = 8
"""Levels of objects inside objects that are unfolded."""


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
        if is_large_file(place, PARQUET_GROWTH):
            return source_of_pieces(_counted(_pieces(file.iter_batches(ROWS_AT_ONCE)), file.metadata.num_rows), place)
        return source_of_table(file.read(), place)


@READERS.register("arrow", suffixes=(".arrow", ".feather"))
def read_arrow(place: Path) -> Source:
    """Read an Arrow file, be it in the file or in the stream form."""
    large = is_large_file(place)
    with pa.memory_map(str(place)) if large else pa.OSFile(str(place)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        batches = _batches_of_file(reader) if is_file else _batches_of_stream(reader, file)
        if not large:
            return source_of_table(pa.Table.from_batches(batches, reader.schema), place)
        if is_file and _is_usable_as_it_is(reader):
            return source_of_table(reader.read_all(), place)
        return source_of_pieces(_pieces(batches), place)


def _batches_of_file(reader: pa.ipc.RecordBatchFileReader) -> Iterator[pa.RecordBatch]:
    return map(reader.get_batch, one_by_one(range(reader.num_record_batches), "reading", "parts"))


def _batches_of_stream(reader: pa.ipc.RecordBatchStreamReader, file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    with Work("reading", file.size(), BYTES) as done:
        for batch in reader:
            yield batch
            done(file.tell())


def _is_usable_as_it_is(reader: pa.ipc.RecordBatchFileReader) -> bool:
    """Whether a mapped file's columns are of plain types, so that its pages are the table."""
    before = pa.total_allocated_bytes()
    for number in range(reader.num_record_batches):
        batch = pa.Table.from_batches([reader.get_batch(number)])
        plain, _ = typed_table(batch.slice(0, 0), "")
        nan = any(pc.any(pc.is_nan(column)).as_py() for column in batch.columns if pa.types.is_floating(column.type))
        if nan or plain.schema.types != batch.schema.types or pa.total_allocated_bytes() > before + batch.nbytes // 4:
            return False  # what takes memory of its own was packed
    return True


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            yield pa.Table.from_batches([batch.slice(start, ROWS_AT_ONCE)])


def _counted(pieces: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    with Work("reading", rows, "rows") as done:
        count = 0
        for piece in pieces:
            done(count)
            yield piece
            count += piece.num_rows


@READERS.register("stream", takes=ArrowStream)
def read_stream(frame: ArrowStream) -> Source:
    """Read a frame in memory, as pandas, polars and pyarrow have them.

    Raises:
        SourceError: it is one column and not a table.
    """
    where = f"the {type(frame).__name__} given"
    try:
        table = pa.RecordBatchReader.from_stream(frame).read_all()
    except pa.ArrowException as error:
        raise SourceError(f"{where} is not a table that Arrow can hold: {error}") from error
    plain, notes = typed_table(table, where)
    return Source({"train": plain}, (), "table", None, notes)


def source_of_table(table: pa.Table, place: Path, notes: tuple[str, ...] = ()) -> Source:
    """The Source of a table that stands in a file."""
    check_values(table, place)
    replies = replies_in_messages(table, place)
    if replies is not None:
        table, told = replies
        return source_of_file(table, place, notes + told, (REPLY,), DIALOGUE_ROLES)
    plain, more = typed_table(table, str(place))
    return source_of_file(plain, place, notes + more)


def source_of_pieces(pieces: Iterable[pa.Table], place: Path) -> Source:
    """The Source of a file whose rows do not fit into memory.

    Args:
        pieces: the rows, a piece at a time; only looked at where they are not in the cache.
        place: absolute path of the file.
    """
    spool = Spool(place, {})
    with spool.opened():
        table, notes = spool.found() or _spooled(spool, pieces, place)
    return source_of_file(table, place, notes)


def _spooled(spool: Spool, pieces: Iterable[pa.Table], place: Path) -> tuple[pa.Table, tuple[str, ...]]:
    notes: dict[str, None] = {}

    def typed_pieces() -> Iterator[pa.Table]:
        for piece in pieces:
            check_values(piece, place)
            table, told = typed_table(piece, str(place))
            notes.update(dict.fromkeys(told))
            yield table

    table = spool.written("rows", typed_pieces())
    return table, spool.finish(table, tuple(notes))


def check_values(table: pa.Table, place: Path) -> None:
    """Check offsets and text: Arrow trusts a file, and would read beside its buffers.

    Raises:
        SourceError: the file is damaged.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise SourceError(f"{place}: column {name!r} is damaged: {error}") from error


def typed_table(table: pa.Table, where: str) -> tuple[pa.Table, tuple[str, ...]]:
    """A table with plain types, distinct names and nothing nested, and notes of what that changed."""
    table, unfolded_notes = unfolded(table)
    table, text_notes = beyond_int64_as_text(pictures_found(table))
    plain, notes = plain_table(table, where)
    return plain, unfolded_notes + text_notes + notes


def unfolded(table: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Give each field of a nested column a column of its own, called as in ``a.b``."""
    before = table.column_names
    for _ in range(DEEPEST):
        if not any(_is_nested(column.type) for column in table.columns):
            break
        table = _unfolded_once(table)
    new = [name for name in table.column_names if name not in before]
    return table, (f"nested values are read as columns of their own: {', '.join(new[:5])}",) if new else ()


def _is_nested(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and not holds_pictures(kind)


def _unfolded_once(table: pa.Table) -> pa.Table:
    names: list[str] = []
    columns: list[pa.ChunkedArray] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not _is_nested(column.type):
            names.append(name)
            columns.append(column)
        else:
            names += [f"{name}.{field.name}" for field in column.type]
            columns += column.flatten()
    return pa.table(columns, names=names).replace_schema_metadata(table.schema.metadata)


def pictures_found(table: pa.Table) -> pa.Table:
    """Make pictures of the columns of bytes in which every value begins as one."""
    for index, column in enumerate(table.columns):
        if (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)) and _are_pictures(column):
            chunks = [_pictures(chunk) for chunk in column.chunks]
            table = table.set_column(index, table.column_names[index], pa.chunked_array(chunks, IMAGE_TYPE))
    return table


def _are_pictures(column: pa.ChunkedArray) -> bool:
    starts = pc.unique(pc.binary_slice(column, 0, 6)).drop_null().to_pylist()
    return bool(starts) and all(start.startswith(PICTURE_MARKS) for start in starts)


def _pictures(chunk: pa.Array) -> pa.StructArray:
    fields = [chunk.cast(pa.binary()), pa.nulls(len(chunk), pa.string())]
    return pa.StructArray.from_arrays(fields, fields=list(IMAGE_TYPE), mask=chunk.is_null())


def beyond_int64_as_text(table: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Make text of whole numbers of which one is beyond int64; a decimal would lose its last digits."""
    notes = []
    for index, column in enumerate(table.columns):
        if pa.types.is_uint64(column.type) and (pc.max(column).as_py() or 0) > INT64_MAX:
            name = table.column_names[index]
            notes.append(f"column {name!r} is text: it holds whole numbers beyond 2^63")
            table = table.set_column(index, name, column.cast(pa.string()))
    return table, tuple(notes)
