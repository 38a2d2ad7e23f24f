"""Predictions as rows of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fathom.data.columns import holds_single_values
from fathom.data.parallel import read_aligned
from fathom.data.readers import READERS
from fathom.errors import ConfigError, SchemaError
from fathom.signals import Role

if TYPE_CHECKING:
    from fathom.api.run import Run

__all__ = ["asked_of", "numbered", "plain", "write_csv", "writer_for"]

ROWS_AT_ONCE = 10_000


def numbered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of predictions, one after another, each with the numbers of its rows, from 0, in front."""
    first = 0
    for table in tables:
        name = "row" if "row" not in table.column_names else "row number"
        yield table.add_column(0, name, pa.array(np.arange(first, first + table.num_rows)))
        first += table.num_rows


def asked_of(run: Run, data: str) -> str | pa.Table:
    """What to predict: for a network that one text comes in for, of a file that no reader takes each line is a row."""
    inputs, place = run.model.schema.of_role(Role.INPUT), Path(data)
    endings = tuple(suffix for entry in READERS for suffix in entry.facts.get("suffixes", ()))
    if [column.kind.name for column in inputs] != ["text"] or not place.is_file() or data.lower().endswith(endings):
        return data
    return read_aligned({"train": {inputs[0].name: place}}, place).parts["train"]


def writer_for(place: Path) -> Callable[[Iterable[pa.Table]], int]:
    """What writes tables, one after another, into a file by its ending, and returns how many rows these had.

    The file is there once all of them are in it.

    Raises:
        ConfigError: nothing writes such a file.
    """
    if place.suffix not in WRITERS:
        raise ConfigError(f"--out {str(place)!r}: no such format (allowed endings: {', '.join(WRITERS)})")
    if not place.parent.is_dir():
        raise ConfigError(f"--out {str(place)!r}: there is no directory {place.parent}")
    return partial(_write, place)


def write_csv(tables: Iterable[pa.Table], file: Any) -> int:
    """Write CSV to a path or an open file, and return the number of rows.

    Raises:
        SchemaError: a cell holds more than one value.
    """
    from pyarrow import csv

    def open_writer(schema: pa.Schema) -> Any:
        for column in schema:
            if not holds_single_values(column.type):
                raise SchemaError(
                    f"a cell of {column.name!r} holds an array, which CSV cannot hold; use --out FILE.parquet"
                )
        return csv.CSVWriter(file, schema)

    return _write_all(tables, open_writer)


def plain(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Each row as JSON holds it; what is not a number is null."""
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _write(place: Path, tables: Iterable[pa.Table]) -> int:
    temporary = place.with_name(f"{place.name}.tmp")
    try:
        count = WRITERS[place.suffix](tables, str(temporary))
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write_all(tables: Iterable[pa.Table], open_writer: Callable[[pa.Schema], Any]) -> int:
    """Write tables of one schema with one of pyarrow's writers."""
    rest = iter(tables)
    first = next(rest)
    count = 0
    with open_writer(first.schema) as writer:
        for table in chain([first], rest):
            writer.write_table(table)
            count += table.num_rows
    return count


def _write_parquet(tables: Iterable[pa.Table], place: str) -> int:
    from pyarrow import parquet

    return _write_all(tables, partial(parquet.ParquetWriter, place))


def _write_json_lines(tables: Iterable[pa.Table], place: str) -> int:
    count = 0
    with open(place, "w", encoding="utf-8") as file:
        for table in tables:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in plain(table))
            count += table.num_rows
    return count


WRITERS = {".csv": write_csv, ".parquet": _write_parquet, ".jsonl": _write_json_lines}
