"""Conditions on one column, such as ``age < 25`` or ``sex = female``: what slices are cut by.

A column's cells are coded: each value of a category, or each range between edges of a number or a date, is a code.
A condition is a code, or of what has an order a range of codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import coded, emptied, holds_numbers, holds_single_values
from fathom.errors import SchemaError
from fathom.kinds.times import time_reader
from fathom.schema import Column, Schema
from fathom.signals import Role

__all__ = ["Coded", "coded_columns"]

NUM_RANGES = (4, 10)  # as many rows in each, as far as values are distinct
ROWS_OF_RANGE = 200  # fewer rows are cut into fewer ranges: of many that are tried, chance shows some as bad
MOST_VALUES = 30
MICROSECONDS_A_DAY = 86_400 * 10**6

Words = Callable[[int, int], str]


@dataclass(frozen=True)
class Coded:
    """A column by the codes of its cells.

    Attributes:
        name: of the column.
        codes: (N,) int64 in 0 to ``count``; ``count`` itself is of cells of which there is no condition.
        count: how many codes there are.
        first: (conditions,) int64 the lowest code of each condition.
        last: (conditions,) its highest code.
        words: the lowest and highest code of a condition to how a person writes it.
        ranges: how many codes, from 0 on, are ranges of many values each, in their order.
    """

    name: str
    codes: np.ndarray
    count: int
    first: np.ndarray
    last: np.ndarray
    words: Words
    ranges: int = 0

    def holds(self, condition: int, beyond: int = 0) -> np.ndarray:
        """(N,) bool: in which rows a condition holds, or holds by so many more ranges on each side."""
        first, last = self.first[condition], self.last[condition]
        if last < self.ranges:
            first, last = first - beyond, min(last + beyond, self.ranges - 1)
        held: np.ndarray = (self.codes >= first) & (self.codes <= last)
        return held

    def of_rows(self, rows: np.ndarray) -> Coded:
        """The same conditions of some of the rows."""
        return replace(self, codes=self.codes[rows])

    def told(self, condition: int) -> str:
        return self.words(int(self.first[condition]), int(self.last[condition]))


def coded_columns(schema: Schema, table: pa.Table, fewest: int) -> Iterator[Coded]:
    """The input and protected columns of numbers, categories and dates that a condition can cut.

    Args:
        schema: of the model.
        table: the rows.
        fewest: how many rows a value must have to be a condition.
    """
    for column in schema.of_role(Role.INPUT, Role.PROTECTED):
        if column.name not in table.column_names:
            continue
        found = _coded(column, emptied(table[column.name], column.missing), fewest)
        if found is not None and len(found.first):
            yield found


def _coded(column: Column, cells: pa.ChunkedArray, fewest: int) -> Coded | None:
    if column.kind.name == "category" and holds_single_values(cells.type):
        return _of_categories(column.name, cells, fewest)
    if column.kind.name == "number" and holds_numbers(cells.type):
        values = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return _of_numbers(column.name, values, fewest, _number, _round_number)
    if column.kind.name == "datetime":
        moments = _moments(column, cells)
        return None if moments is None else _of_numbers(column.name, moments, fewest, _date, _whole_day)
    return None


def _of_categories(name: str, cells: pa.ChunkedArray, fewest: int) -> Coded:
    places, values = coded(cells, missing="encode")
    sizes = np.bincount(places, minlength=len(values))
    kept = np.argsort(-sizes, kind="stable")[:MOST_VALUES]
    kept = kept[sizes[kept] >= fewest]
    code_of = np.full(len(values), len(kept))
    code_of[kept] = np.arange(len(kept))
    named = [values[int(k)].as_py() for k in kept]
    words = [f"{name} is missing" if value is None else f"{name} = {value}" for value in named]
    each = np.arange(len(kept))
    return Coded(name, code_of[places], len(kept), each, each, lambda first, last: words[first])


def _of_numbers(
    name: str,
    values: np.ndarray,
    fewest: int,
    written: Callable[[float], str],
    between: Callable[[float, float], float],
) -> Coded:
    """Ranges between edges that leave as many rows in each; where values are few, each value by itself.

    Args:
        name: of the column.
        values: (N,) float64, NaN where missing.
        fewest: how many rows must lack a value for that to be a condition.
        written: a value as a person writes it.
        between: an edge above one value and not above the next, which is easy to read.
    """
    known = np.isfinite(values)
    distinct = np.unique(values[known])
    most = min(max(len(values) // ROWS_OF_RANGE, NUM_RANGES[0]), NUM_RANGES[1])
    starts, cut = np.arange(len(distinct)), len(distinct) > most
    if cut:
        starts = np.unique(np.searchsorted(distinct, np.quantile(values[known], np.linspace(0, 1, most + 1)[1:-1])))
    starts = starts[starts > 0]
    if not len(starts) and len(distinct) > 1:
        starts = np.array([1])  # most rows have the lowest value: the others are one range
    edges = np.array([between(distinct[k - 1], distinct[k]) for k in starts])
    ranges = len(edges) + 1
    codes = np.where(known, np.searchsorted(edges, values, side="right"), ranges)
    first, last = np.triu_indices(ranges)
    part = last - first < ranges - 1  # all ranges together are no condition, unless values are missing
    first, last, count = first[part], last[part], ranges
    if np.count_nonzero(~known) >= fewest:
        first, last, count = np.r_[first, ranges], np.r_[last, ranges], ranges + 1
    ends = np.r_[0, starts, len(distinct)]

    def words(low: int, high: int) -> str:
        if low == ranges:
            return f"{name} is missing"
        if ends[high + 1] - ends[low] == 1:
            return f"{name} = {written(distinct[ends[low]])}"
        above = "" if low == 0 else written(edges[low - 1])
        below = "" if high == ranges - 1 else written(edges[high])
        if above and below:
            return f"{above} ≤ {name} < {below}"
        return f"{name} ≥ {above}" if above else f"{name} < {below}"

    return Coded(name, codes, count, first, last, words, ranges if cut else 0)


def _moments(column: Column, cells: pa.ChunkedArray) -> np.ndarray | None:
    """(N,) float64 microseconds since 1970, NaN where missing; None where the cells hold no dates."""
    try:
        times = time_reader(cells, column.name, column.kind)(cells)
        if not pa.types.is_integer(times.type):
            times = pc.cast(pc.cast(times, pa.timestamp("us")), pa.int64())
    except (SchemaError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    values: np.ndarray = pc.cast(times, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _round_number(below: float, above: float) -> float:
    """The number of the fewest digits above one and not above the other."""
    for digits in range(1, 17):
        for value in (above, below / 2 + above / 2):
            rounded = float(f"{value:.{digits}g}")
            if below < rounded <= above:
                return rounded
    return float(above)


def _date(value: float) -> str:
    moment = np.datetime64(int(value), "us")
    day = moment.astype("datetime64[D]")
    return str(day) if day == moment else str(moment.astype("datetime64[s]")).replace("T", " ")


def _whole_day(below: float, above: float) -> float:
    """The last midnight above one moment and not above the other, where there is one."""
    midnight = above // MICROSECONDS_A_DAY * MICROSECONDS_A_DAY
    return midnight if below < midnight else above
