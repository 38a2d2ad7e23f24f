"""Predictions as rows of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.errors import ConfigError, SchemaError

__all__ = ["numbered", "plain", "write_csv", "writer_for"]

ROWS_AT_ONCE = 10_000


def numbered(table: pa.Table) -> pa.Table:
    """The table with each row's number, from 0, in front."""
    name = "row" if "row" not in table.column_names else "row number"
    return table.add_column(0, name, pa.array(np.arange(table.num_rows)))


def writer_for(place: Path) -> Callable[[pa.Table, Path], None]:
    """What writes a file of this ending.

    Raises:
        ConfigError: nothing writes such a file.
    """
    if place.suffix not in WRITERS:
        raise ConfigError(f"--out {str(place)!r}: no such format (allowed endings: {', '.join(WRITERS)})")
    if not place.parent.is_dir():
        raise ConfigError(f"--out {str(place)!r}: there is no directory {place.parent}")
    return WRITERS[place.suffix]


def write_csv(table: pa.Table, file: Any) -> None:
    """Write CSV to a path or an open file.

    Raises:
        SchemaError: a cell holds more than one value.
    """
    from pyarrow import csv

    for column in table.schema:
        if pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
            raise SchemaError(
                f"a cell of {column.name!r} holds an array, which CSV cannot hold; use --out FILE.parquet"
            )
    csv.write_csv(table, file)


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


def _write_csv(table: pa.Table, place: Path) -> None:
    write_csv(table, str(place))


def _write_parquet(table: pa.Table, place: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, place)


def _write_json_lines(table: pa.Table, place: Path) -> None:
    with open(place, "w", encoding="utf-8") as file:
        for row in plain(table):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


WRITERS = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_json_lines}
