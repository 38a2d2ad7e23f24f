"""Numbers that stand for "unknown"."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fathom.checks.check import CHECKS, Finding, option
from fathom.checks.examined import Examined
from fathom.errors import listed
from fathom.registry import Range

__all__ = ["sentinels"]

FEWEST_ROWS = 50
FEWEST_VALUES = 10
NEAR_ZERO = 0.25
"""Of the median of the others: how near to zero almost none of them may stand."""
TIMES = 10
"""How many times as many zeros there must be as numbers near zero."""
FEWEST_STEPS = 3
CODES = frozenset(sign * (10.0**digits - 1) for digits in range(2, 11) for sign in (1, -1)) | {-1.0, -9.0}
"""-1, -9, and nines alone: 99, -99, 999, ..."""


@dataclass(frozen=True)
class Border:
    """The smallest or the largest value of a column, and the others.

    Attributes:
        value: the value.
        count: in how many rows it stands.
        others: (V,) the distinct others, sorted from the border inwards.
        counts: (V,) in how many rows each stands.
    """

    value: float
    count: int
    others: np.ndarray
    counts: np.ndarray

    def quantile(self, share: float) -> float:
        """Of the others, in the usual order."""
        order = np.argsort(self.others)
        reached = self.counts[order].cumsum() / self.counts.sum()
        return float(self.others[order][np.searchsorted(reached, share)])

    @property
    def gap(self) -> float:
        return float(abs(self.others[0] - self.value))


@CHECKS.register("sentinels", cost="cheap", needs=("inputs",))
def sentinels(examined: Examined, *, repeats: Annotated[int, Range(2, 1_000_000)] = 3) -> Iterator[Finding]:
    """Numbers that seem to stand for "unknown": -9999, 999, or a zero that is far from all other values.

    Args:
        examined: what is looked at.
        repeats: in how many rows such a number must stand, but for those of nines alone.
    """
    found: dict[float, dict[str, np.ndarray]] = {}
    block = examined.block
    for name, column in _with_repeats(block.names, block.values):
        for border in _borders(column):
            if _is_code(border) or (border.count >= repeats and (_is_hole_at_zero(border) or _is_far(border))):
                found.setdefault(border.value, {})[name] = column == border.value
    for value, columns in found.items():
        yield _finding(value, columns, examined)


def _with_repeats(names: tuple[str, ...], values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The columns whose smallest or largest value stands in several rows, or is a code."""
    if len(values) < FEWEST_ROWS:
        return
    finite = np.where(np.isfinite(values), values, np.nan)
    worth = np.zeros(len(names), bool)
    for border in (np.fmin.reduce(finite, axis=0), np.fmax.reduce(finite, axis=0)):
        worth |= ((finite == border).sum(axis=0) > 1) | np.isin(border, list(CODES))
    for place in np.flatnonzero(worth):
        yield names[place], finite[:, place]


def _borders(column: np.ndarray) -> Iterator[Border]:
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) <= FEWEST_VALUES or counts.sum() < FEWEST_ROWS:
        return
    yield Border(float(values[0]), int(counts[0]), values[1:], counts[1:])
    yield Border(float(values[-1]), int(counts[-1]), values[-2::-1], counts[-2::-1])


def _is_code(border: Border) -> bool:
    """-1 below what is never negative, or nines alone, farther off than all but the ends of the others are wide."""
    if border.value not in CODES:
        return False
    if border.value in (-1.0, -9.0):
        others = border.others
        return bool(border.count > border.counts[0] and others[0] >= 0 and (others == np.rint(others)).all())
    width = border.quantile(0.95) - border.quantile(0.05)
    return border.gap > max(width, abs(border.others[0]) * 0.5)


def _is_hole_at_zero(border: Border) -> bool:
    """Zero below numbers that almost never come near it: what starts at zero by nature is densest there.

    Where most are zero it is the usual amount, as of capital gains, and not an unknown one.
    """
    if border.value != 0 or border.others[0] < 0:
        return False
    near = border.quantile(0.5) * NEAR_ZERO
    step = np.diff(border.others).min()
    low = int(border.counts[border.others < near].sum())
    total = int(border.counts.sum())
    return FEWEST_ROWS <= total > border.count > TIMES * low and near >= FEWEST_STEPS * step


def _is_far(border: Border) -> bool:
    """Farther from the next value than these are from each other, of amounts also by their logarithms."""
    width = border.quantile(0.95) - border.quantile(0.05)
    if border.gap <= 2 * width:
        return False
    if border.value <= border.others[0] or border.others[-1] < 0:
        return True
    positive = border.others[border.others > 0]
    return len(positive) > 1 and bool(
        np.log(border.value / positive[0]) > np.log(positive[0] / np.median(positive)) + 1
    )


def _finding(value: float, columns: dict[str, np.ndarray], examined: Examined) -> Finding:
    counts = {name: int(mask.sum()) for name, mask in columns.items()}
    told = listed([f"{name} ({count:,})" for name, count in counts.items()], 8)
    message = f"{value:g} stands far from all other values{examined.sampled}, as if it meant unknown, in {told}"
    rows = np.flatnonzero(np.logical_or.reduce(list(columns.values())))
    return Finding(
        "sentinels", "warning", message, _remedy(value, columns), tuple(columns),
        examined.numbers_of(rows), len(rows),
    )  # fmt: skip


def _remedy(value: float, columns: Collection[str]) -> str:
    word = f"{value:.0f}" if value == round(value) else repr(value)
    return f"if so, {' '.join(option('missing', f'{name}={word}') for name in columns)}"
