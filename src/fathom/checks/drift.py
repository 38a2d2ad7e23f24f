"""Columns whose values differ between the rows to learn from and those to be scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa

from fathom.checks.check import CHECKS, Finding, without
from fathom.checks.examined import Examined, codes_of
from fathom.data.columns import holds_numbers, holds_single_values
from fathom.errors import listed
from fathom.registry import Range
from fathom.schema import Column

__all__ = ["drift"]

SIGNIFICANT = 0.01
FEWEST_ROWS = 20
MOST_ROWS = 20_000
MOST_VALUES = 1_000


@dataclass(frozen=True)
class Shift:
    """How far two distributions are apart, and how likely so much is by chance."""

    name: str
    distance: float
    probability: float


@CHECKS.register("drift", cost="cheap", needs=("parts",))
def drift(examined: Examined, *, distance: Annotated[float, Range(0, 1)] = 0.1) -> Iterator[Finding]:
    """Columns distributed otherwise in the rows that are scored than in those that are learned from.

    Numbers are compared by the test of Kolmogorov and Smirnov, categories by that of chi-square, each at 1 % over the
    number of columns (Bonferroni); as any difference is significant among many rows, it must also be large.

    Source: Rabanser, Günnemann and Lipton (2019), "Failing loudly", section 3.

    Args:
        examined: what is looked at.
        distance: how far apart the two must be: the largest distance of the cumulative distributions of a number,
            half the sum of the differences of the shares of a category (total variation).
    """
    columns = [c for c in [*examined.inputs, *examined.targets] if c.kind.name in ("number", "category")]
    for part, table in examined.parts.items():
        used = [column for column in columns if column.name in table.column_names]
        shifts = [shift for column in used if (shift := _shift(examined.train, table, column)) is not None]
        found = [s for s in shifts if s.distance >= distance and s.probability < SIGNIFICANT / len(shifts)]
        found.sort(key=lambda shift: -shift.distance)
        if found:
            yield _finding(part, found, examined)


def _finding(part: str, found: list[Shift], examined: Examined) -> Finding:
    names = tuple(shift.name for shift in found)
    told = listed([f"{shift.name} ({shift.distance:.2f} apart)" for shift in found])
    message = f"distributed otherwise in {part} than in train: {told}; scores on {part} may differ from those to come"
    targets = {column.name for column in examined.targets}
    inputs = [name for name in names if name not in targets]
    remedy = f"if that is an accident of the split, {without(inputs)}" if inputs else ""
    return Finding("drift", "warning", message, remedy, names)


def _shift(train: pa.Table, other: pa.Table, column: Column) -> Shift | None:
    first, second = _sampled(train[column.name]), _sampled(other[column.name])
    if min(len(first), len(second)) < FEWEST_ROWS or not holds_single_values(first.type):
        return None
    if column.kind.name == "number" and holds_numbers(first.type) and holds_numbers(second.type):
        found = _of_numbers(first, second)
    else:
        found = _of_categories(first, second)
    return None if found is None else Shift(column.name, *found)


def _sampled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    stride = -(-len(column) // MOST_ROWS)
    return column if stride <= 1 else column.take(pa.array(np.arange(0, len(column), stride)))


def _of_numbers(first: pa.ChunkedArray, second: pa.ChunkedArray) -> tuple[float, float] | None:
    from scipy.special import kolmogorov

    values = [np.sort(part.drop_null().to_numpy().astype(np.float64)) for part in (first, second)]
    if min(map(len, values)) < FEWEST_ROWS:
        return None
    everywhere = np.concatenate(values)
    reached = [np.searchsorted(part, everywhere, side="right") / len(part) for part in values]
    distance = float(np.abs(reached[0] - reached[1]).max())
    effective = len(values[0]) * len(values[1]) / (len(values[0]) + len(values[1]))
    return distance, float(kolmogorov(distance * np.sqrt(effective)))


def _of_categories(first: pa.ChunkedArray, second: pa.ChunkedArray) -> tuple[float, float] | None:
    from scipy.special import chdtrc

    whole = pa.chunked_array([*first.cast(pa.string()).chunks, *second.cast(pa.string()).chunks], pa.string())
    codes, names = codes_of(whole)
    if not names or len(names) > MOST_VALUES:
        return None
    codes = codes + 1  # missing is a value
    counts = np.stack([np.bincount(part, minlength=len(names) + 1) for part in np.split(codes, [len(first)])])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    expected = counts.sum(axis=0) * counts.sum(axis=1, keepdims=True) / counts.sum()
    statistic = float((np.square(counts - expected) / expected).sum())
    return distance, float(chdtrc(counts.shape[1] - 1, statistic))
