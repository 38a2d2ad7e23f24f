"""What the checks look at: rows as the source has them, and what several checks need of them, found once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from fathom.checks.thumbnails import Thumbnails, thumbnails
from fathom.data.columns import coded, holds_numbers, holds_single_values
from fathom.data.duplicates import row_codes
from fathom.inference import IDENTIFIER
from fathom.schema import Column, Schema
from fathom.signals import Role

__all__ = ["Block", "Examined", "is_number", "values_of"]

MOST_ROWS = 200_000
MOST_CELLS = 20_000_000
FIRST_COLUMNS = 64
FEWEST_ROWS = 1_000
"""However wide a table is, so many of its rows are looked at."""


class Block:
    """Columns of numbers side by side.

    Attributes:
        names: D names.
        values: (N, D) float64, NaN where missing.
    """

    def __init__(self, names: Sequence[str], values: np.ndarray) -> None:
        self.names, self.values = tuple(names), values


class Examined:
    """Rows to learn from, and those that they are scored on, evenly spaced ones where there are very many.

    Args:
        train: rows as the source has them, in its order.
        schema: what the columns are; it need not be fitted.
        parts: the other parts that the source has, "valid" and "test".
    """

    def __init__(self, train: pa.Table, schema: Schema, parts: Mapping[str, pa.Table] | None = None) -> None:
        self.schema, self.total = schema, train.num_rows
        self._stride = _stride(train)
        self.train = _thinned(train, self._stride)
        self._thumbnails: dict[tuple[str, str], Thumbnails] = {}
        self.parts = {name: _thinned(table, _stride(table)) for name, table in (parts or {}).items()}

    @property
    def sampled(self) -> str:
        """Words for a message: which rows were looked at, where not all were."""
        return "" if self._stride == 1 else f" (in {self.train.num_rows:,} of {self.total:,} rows)"

    def numbers_of(self, rows: np.ndarray, most: int = 5) -> tuple[int, ...]:
        """The numbers, in the source, of some of the rows examined."""
        return tuple(int(row) * self._stride for row in rows[:most])

    @cached_property
    def _cells(self) -> dict[str, pa.ChunkedArray]:
        """Each column of ``train``: to look one up by its name takes a table as long as it is wide."""
        return dict(zip(self.train.column_names, self.train.columns, strict=True))

    @cached_property
    def inputs(self) -> list[Column]:
        return self.schema.of_role(Role.INPUT)

    @cached_property
    def targets(self) -> list[Column]:
        return [column for column in self.schema.of_role(Role.TARGET) if column.name in self.train.column_names]

    @property
    def pictures(self) -> list[Column]:
        return [column for column in self.inputs if column.kind.name == "image"]

    @cached_property
    def block(self) -> Block:
        """The inputs of kind number that hold one number a cell."""
        numbers = {column.name for column in self.inputs if column.kind.name == "number"}
        cells = {name: column for name, column in self._cells.items() if name in numbers and holds_numbers(column.type)}
        values = np.empty((self.train.num_rows, len(cells)), order="F")
        for place, column in enumerate(cells.values()):
            values[:, place] = values_of(column)
        return Block(list(cells), values)

    @cached_property
    def words(self) -> dict[str, np.ndarray]:
        """Inputs that hold one value a cell and are no numbers, each (N,) int64 codes of their values, -1 missing."""
        others = {column.name for column in self.inputs} - set(self.block.names)
        found = {name: cells for name, cells in self._cells.items() if name in others and _is_plain(cells.type)}
        return {name: codes_of(cells)[0] for name, cells in found.items()}

    @cached_property
    def missing(self) -> dict[str, np.ndarray]:
        """Inputs with missing cells, each (N,) bool."""
        inputs = {column.name for column in self.inputs}
        holes = {name: cells for name, cells in self._cells.items() if name in inputs and cells.null_count}
        return {name: cells.is_null().to_numpy(zero_copy_only=False) for name, cells in holes.items()}

    @cached_property
    def equal_inputs(self) -> np.ndarray:
        """(N,) int64, equal for rows of ``train`` with equal inputs."""
        return _equal_rows(self.train, [column.name for column in self.inputs])

    @cached_property
    def equal_rows(self) -> dict[str, np.ndarray]:
        """For each part, "train" being one, (N,) int64, equal for rows that hold the same but for numbers of rows.

        Free text counts, though it may be no input: two people are no copies of each other.
        """
        tables = {"train": self.train, **self.parts}
        left_out = {column.name for column in self.targets}
        left_out |= {c.name for c in self.schema.of_role(Role.IGNORE) if _numbers_rows(c, self.train)}
        names = [name for name in self.train.column_names if name not in left_out]
        whole = _one_table([table.select(names) for table in tables.values()])
        ends = np.cumsum([table.num_rows for table in tables.values()])
        return dict(zip(tables, np.split(_equal_rows(whole, names), ends[:-1]), strict=True))

    def thumbnails(self, part: str, name: str) -> Thumbnails:
        """Small copies of the pictures of a column, made once."""
        if (part, name) not in self._thumbnails:
            self._thumbnails[part, name] = thumbnails(self.train if part == "train" else self.parts[part], name)
        return self._thumbnails[part, name]


def _one_table(parts: Sequence[pa.Table]) -> pa.Table:
    """Parts one after another; a column that holds words in one and numbers in another is compared as words."""
    for name in parts[0].column_names:
        types = {part.schema.field(name).type for part in parts}
        if len(types) == 1 or all(map(holds_numbers, types)) or not all(map(holds_single_values, types)):
            continue
        parts = [part.set_column(part.column_names.index(name), name, part[name].cast(pa.string())) for part in parts]
    return pa.concat_tables(parts, promote_options="permissive")


def _equal_rows(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """(N,) int64 as ``row_codes``; most columns are looked at only in rows that the first ones do not tell apart."""
    codes = row_codes(table, names[:FIRST_COLUMNS])
    alike = np.flatnonzero(np.bincount(codes, minlength=1)[codes] > 1)
    rest = names[FIRST_COLUMNS:]
    if not len(alike) or not rest:
        return codes
    pairs = np.stack([codes[alike], row_codes(table.select(rest).take(pa.array(alike)), rest)])
    codes[alike] = codes.max() + 1 + np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    return codes


def _numbers_rows(column: Column, table: pa.Table) -> bool:
    return column.reason.startswith(IDENTIFIER) and is_number(table, column)


def codes_of(column: pa.ChunkedArray) -> tuple[np.ndarray, list[object]]:
    """(N,) int64 codes of a column's values, -1 where missing, and the values."""
    codes, values = coded(column)
    return codes, values.to_pylist()


def values_of(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) float64 of a column of numbers, NaN where missing."""
    cells = column.chunk(0) if column.num_chunks == 1 else column
    values: np.ndarray = cells.to_numpy(zero_copy_only=False)
    return values if values.dtype == np.float64 else values.astype(np.float64)


def is_number(table: pa.Table, column: Column) -> bool:
    """Whether a column holds one number a cell."""
    return holds_numbers(table.schema.field(column.name).type)


def _is_plain(kind: pa.DataType) -> bool:
    return holds_single_values(kind) and not pa.types.is_null(kind)


def _stride(table: pa.Table) -> int:
    most = max(FEWEST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, table.num_columns)))
    return -(-table.num_rows // most)


def _thinned(table: pa.Table, stride: int) -> pa.Table:
    return table if stride <= 1 else table.take(pa.array(np.arange(0, table.num_rows, stride)))
