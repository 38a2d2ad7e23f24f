"""Many weightings of the same rows at once: how they are drawn, and sums under each of them.

A weight is a column of (N, R) in memory, seen as a row of (R, N): sums over rows are then products of whole columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["mean_of_known", "resamples", "share", "sums"]

CELLS_AT_ONCE = 1 << 21  # of weights; several arrays of that many are in memory together
COUNTS = 10  # a row is drawn more often in less than one of a million resamples


def resamples(
    times: int, weights: np.ndarray, groups: np.ndarray | None, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Weightings that stand for as many resamples, some at a time, (R, N) each; one without any row is left out.

    A Poisson number a row (or group) stands for how often it was drawn.

    Args:
        times: how many in all.
        weights: (N,) sample weights.
        groups: (N,) int64; rows of one group are drawn together, or None.
        generator: what they are drawn from.
    """
    units = len(weights) if groups is None else int(groups.max()) + 1
    at_once = max(1, min(times, CELLS_AT_ONCE // max(1, len(weights))))
    for start in range(0, times, at_once):
        counts = _poisson((units, min(at_once, times - start)), generator)
        drawn = counts if groups is None else counts[groups]
        drawn = drawn * weights[:, None]
        any_row = drawn.any(axis=0)
        yield (drawn if any_row.all() else drawn[:, any_row]).T


def sums(codes: np.ndarray, count: int, weight: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
    """The sum of each code's rows under each weighting, (R, count).

    Args:
        codes: (N,) int64 in 0 to count - 1.
        count: how many codes there are.
        weight: (R, N).
        values: (N,) what to add up, or None for the weights themselves.
    """
    from scipy.sparse import csr_array

    summed = np.ones(len(codes)) if values is None else np.asarray(values, np.float64)
    by_code = csr_array((summed, (codes, np.arange(len(codes)))), shape=(count, len(codes)))
    added: np.ndarray = by_code @ weight.T
    return added.T


def share(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Part over whole; ``otherwise`` where the whole is nothing."""
    return np.divide(part, whole, out=np.full_like(part, otherwise, dtype=float), where=whole > 0)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over classes of (R, K), of those that a resample holds at all; NaN where none is."""
    known = ~np.isnan(values)
    return share(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(float))


def _poisson(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Poisson numbers of mean 1, looked up by 16 random bits, which takes a fifth of the time of drawing them."""
    factorials = np.cumprod(np.maximum(np.arange(COUNTS), 1.0))
    least = np.cumsum(np.exp(-1) / factorials)  # the chance of no more than each number
    places = (np.arange(1 << 16) + 0.5) / (1 << 16)
    table = np.searchsorted(least, places, side="right").astype(np.float64)
    return table[generator.integers(0, 1 << 16, shape, dtype=np.uint16)]
