"""Files that are read as one source: brought to the same columns, and each column to one type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.selection import Selection, is_large
from fathom.data.source import Source
from fathom.data.spool import Spool
from fathom.errors import SourceError, listed

__all__ = ["ReadFile", "same_columns", "same_types"]


@dataclass(frozen=True)
class ReadFile:
    """One file that was read: which part it is of, what it is called, and what is in it."""

    part: str
    name: str
    source: Source
    untyped: bool

    @property
    def table(self) -> pa.Table:
        return self.source.parts["train"]


def same_columns(files: Sequence[ReadFile], place: Path) -> tuple[list[ReadFile], tuple[str, ...]]:
    """Bring the columns of all files into the order of the first; what train lacks is left out, and said.

    Raises:
        SourceError: a shard has other columns, or a part lacks some of train's.
    """
    kept, notes = [], []
    for file in files:
        check_same_shards(next(found for found in files if found.part == file.part), file, place)
        wanted = files[0].table.column_names
        lacking = [name for name in wanted if name not in file.table.column_names]
        surplus = [name for name in file.table.column_names if name not in wanted]
        if lacking and not leaves_target_out(lacking, surplus):
            raise SourceError(f"{place}: {file.name} lacks columns that {files[0].name} has: {listed(lacking)}")
        if lacking:
            notes.append(f"{file.name} is left out: it lacks {lacking[0]}, which {files[0].name} has; predict it later")
            continue
        if surplus:
            notes.append(f"columns of {file.name} that {files[0].name} lacks are left out: {listed(surplus)}")
        kept.append(_with_table(file, in_this_order(file.table, wanted)))
    return kept, tuple(dict.fromkeys(notes))


def check_same_shards(first: ReadFile, second: ReadFile, place: Path) -> None:
    differing = set(first.table.column_names) ^ set(second.table.column_names)
    if differing:
        raise SourceError(
            f"{place}: the shards {first.name} and {second.name} differ in their columns: {listed(sorted(differing))}"
        )


def in_this_order(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The columns of those names, whatever their order in the table."""
    return table.select(names)


def leaves_target_out(lacking: Sequence[str], surplus: Sequence[str]) -> bool:
    """Whether a file has every column but one: rows to predict, as contests hand them out."""
    return len(lacking) == 1 and not surplus


def same_types(files: Sequence[ReadFile], place: Path) -> tuple[list[ReadFile], tuple[str, ...]]:
    """Bring each column to one type in all files: whole numbers to decimals, missing to any type.

    Raises:
        SourceError: a column has types that no type holds both of.
    """
    tables = [file.table for file in files]
    notes, common = [], {}
    for index, name in enumerate(files[0].table.column_names):
        columns = [table.column(index) for table in tables]
        if len({column.type for column in columns}) == 1:
            continue
        common[name] = wanted = _common_type(files, columns, name, place)
        if pa.types.is_string(wanted) and any(map(_holds_numbers, columns)):
            notes.append(f"column {name!r} is text, as it holds words in {_first(files, columns, pa.string())}")
    if common:
        tables = _cast_in_files(files, common, place) if is_large(*tables) else [with_types(t, common) for t in tables]
    return [_with_table(file, table) for file, table in zip(files, tables, strict=True)], tuple(notes)


def with_types(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The table, some columns cast to other types."""
    for name, wanted in types.items():
        index = table.schema.get_field_index(name)
        if table.schema.types[index] != wanted:
            table = table.set_column(index, pa.field(name, wanted), cast(table.column(index), wanted))
    return table


def _cast_in_files(files: Sequence[ReadFile], types: Mapping[str, pa.DataType], place: Path) -> list[pa.Table]:
    """The tables of all files with those types; what is cast goes into files, as memory could not hold it."""
    stamps = [(file.name, Path(str(file.source.place)).stat().st_mtime_ns, file.table.nbytes) for file in files]
    spool = Spool(place, {"files": stamps})
    with spool.opened():
        return [_in_a_file(spool, f"file{n:05d}", file.table, types) for n, file in enumerate(files)]


def _in_a_file(spool: Spool, name: str, table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    if all(table.schema.field(column).type == wanted for column, wanted in types.items()):
        return table
    found = spool.kept(name, str(types))
    if found is None:
        found = spool.written(name, (with_types(piece, types) for piece in Selection(table).pieces()))
        spool.keep(name, str(types))
    return found


def _common_type(files: Sequence[ReadFile], columns: Sequence[pa.ChunkedArray], name: str, place: Path) -> pa.DataType:
    kinds = list(dict.fromkeys(column.type for column in columns if has_value(column)))
    while len(kinds) > 1:
        first, second, *rest = kinds
        common = type_of_two(first, second, untyped=all(file.untyped for file in files))
        if common is None:
            raise SourceError(_differing(files, columns, first, second, name, place))
        kinds = list(dict.fromkeys([common, *rest]))
    return kinds[0] if kinds else pa.string()


def type_of_two(first: pa.DataType, second: pa.DataType, *, untyped: bool) -> pa.DataType | None:
    """The type that loses nothing of either; of files that are text, whole numbers may be words again."""
    both = {first, second}
    if both == {pa.int64(), pa.float64()}:
        return pa.float64()
    if untyped and both == {pa.int64(), pa.string()}:
        return pa.string()
    if both <= {pa.string(), pa.large_string()}:
        return pa.large_string()
    if all(map(pa.types.is_list, both)):
        inner = type_of_two(first.value_type, second.value_type, untyped=False)
        empty = {kind for kind in both if pa.types.is_null(kind.value_type)}
        return max(both - empty, key=str) if empty else None if inner is None else pa.list_(inner)
    if all(map(pa.types.is_timestamp, both)) and first.tz == second.tz:
        return max(both, key=lambda kind: ("s", "ms", "us", "ns").index(kind.unit))
    return None


def cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if not has_value(column):
        return pa.chunked_array([pa.nulls(len(column), wanted)])
    return column.cast(wanted)


def has_value(column: pa.ChunkedArray) -> bool:
    return column.null_count < len(column)


def _holds_numbers(column: pa.ChunkedArray) -> bool:
    return pa.types.is_integer(column.type) and has_value(column)


def _first(files: Sequence[ReadFile], columns: Sequence[pa.ChunkedArray], kind: pa.DataType) -> str:
    return next(f.name for f, c in zip(files, columns, strict=True) if c.type == kind and has_value(c))


def _differing(
    files: Sequence[ReadFile],
    columns: Sequence[pa.ChunkedArray],
    first: pa.DataType,
    second: pa.DataType,
    name: str,
    place: Path,
) -> str:
    told = []
    for kind in (first, second):
        row = next(k for k, column in enumerate(columns) if column.type == kind and has_value(column))
        example = pc.drop_null(columns[row])[0].as_py()
        told.append(f"{kind} in {files[row].name} ({example!r:.40})")
    remedy = f"; text=({name!r},) reads it as text in both" if all(file.untyped for file in files) else ""
    return f"{place}: column {name!r} holds {told[0]} and {told[1]}{remedy}"


def _with_table(file: ReadFile, table: pa.Table) -> ReadFile:
    source = replace(file.source, parts={"train": table})
    return replace(file, source=source)
