"""Columns that put rows in order of time: numbers, times and dates as they are, text as the dates that it holds."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from fathom.data.columns import holds_text
from fathom.errors import SchemaError
from fathom.kinds.datetime import Datetime
from fathom.registry import Choice

__all__ = ["time_reader"]

TimeReader = Callable[[pa.ChunkedArray], pa.ChunkedArray]
DATETIME = "datetime"


def time_reader(cells: pa.ChunkedArray, name: str, kind: Choice) -> TimeReader:
    """What gives cells of a column as values whose order is that of time, missing as null.

    Args:
        cells: of the column, as many as it takes to know how its dates are written.
        name: of the column.
        kind: of the column; how the kind datetime is to read dates holds here too.

    Raises:
        SchemaError: the cells are text that holds no dates of one format; the function returned raises it, too.
    """
    if not holds_text(cells.type):
        return lambda column: column
    try:
        dates = Datetime(Datetime.fit(Datetime.count(cells)), **(kind.options if kind.name == DATETIME else {}))
    except SchemaError as error:
        raise SchemaError(_told(name, error)) from error

    def moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            return pa.chunked_array([dates.microseconds(column)])
        except SchemaError as error:
            raise SchemaError(_told(name, error)) from error

    return moments


def _told(name: str, error: SchemaError) -> str:
    return f"column {name!r}: times are to be numbers, or dates such as 2026-01-31 or 31.01.2026 18:00; {error}"
