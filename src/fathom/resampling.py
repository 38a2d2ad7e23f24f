"""Which samples an interval draws together: those of a group, or of a block of time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fathom.data.splits import group_codes, time_blocks
from fathom.errors import SchemaError
from fathom.kinds.times import time_reader
from fathom.schema import Schema
from fathom.signals import Role

__all__ = ["resampled_together"]


def resampled_together(schema: Schema, table: pa.Table, rows: np.ndarray) -> np.ndarray | None:
    """Which samples are resampled together: those of one value of the group column, else those of a block of time.

    Args:
        schema: says which column that is.
        table: the rows.
        rows: (S,) the row of each sample.
    """
    column = next(iter(schema.of_role(Role.GROUP) or schema.of_role(Role.TIME)), None)
    if column is None or column.name not in table.column_names:
        return None
    if column.role is Role.GROUP:
        return group_codes(table[column.name])[rows]
    try:
        times = time_reader(table[column.name], column.name, column.kind)(table[column.name])
    except SchemaError:  # where times are not known, rows are scored as if each came by itself
        return None
    return time_blocks(times)[rows]
