"""What the inputs of other rows hold that training never saw: values of categories, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.checks.check import counted
from fathom.data.columns import emptied
from fathom.errors import SchemaError
from fathom.schema import Column, Schema
from fathom.signals import Role

__all__ = ["unfamiliar"]

MOST_TOLD = 10
LONGEST_VALUE = 40


def unfamiliar(schema: Schema, table: pa.Table) -> tuple[str, ...]:
    """A sentence for each input column that holds what training never saw, of the first few, and how many more do.

    Args:
        schema: fitted on the training rows.
        table: other rows.
    """
    there = set(table.column_names)
    inputs = [column for column in schema.of_role(Role.INPUT) if column.name in there]
    told = [sentence for column in inputs for sentence in _told(column, table[column.name])]
    more = (f"so it is with {len(told) - MOST_TOLD:,} columns more",) if len(told) > MOST_TOLD else ()
    return (*told[:MOST_TOLD], *more)


def _told(column: Column, cells: pa.ChunkedArray) -> Iterator[str]:
    kind, cells = column.fitted, emptied(cells, column.missing)
    if kind is None:
        return
    if cells.null_count and not np.sum(kind.state.get("missing", 1)):
        none = f"{counted(cells.null_count, 'cell is', 'cells are')} missing, where none was in training"
        yield f"column {column.name!r}: {none}"
    unknown = np.zeros(0, bool)
    with suppress(SchemaError):  # a cell that fits no value at all is told by whoever answers the rows
        unknown = kind.unknown(cells)
    if unknown.any():
        first = str(cells[int(unknown.argmax())].as_py())
        distinct = pc.count_distinct(cells.filter(pa.array(unknown))).as_py()
        seen = "or seldom saw" if kind.state.get("other") else "saw"
        values = f"hold {counted(distinct, 'value')} that training never {seen}, as {first[:LONGEST_VALUE]!r}"
        cell = counted(int(unknown.sum()), "cell")
        yield f"column {column.name!r}: {cell} {values if unknown.sum() > 1 else values.replace('hold', 'holds', 1)}"
