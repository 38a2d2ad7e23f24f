"""How much a column alone tells of a target: what each of its values (or ranges of values) usually comes with.

Each row is foretold by the other rows of its value, so that a value of a single row foretells nothing and no rows
need be held out: leaving one out of a table of counts or of means has a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["binned", "explained", "hits_in_blocks", "hits_of", "ranks", "reduction"]

MOST_BINS = 256
FEWEST_BINS = 8
FEWEST_ROWS_A_BIN = 8
CELLS_AT_ONCE = 2_000_000


def binned(values: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray, int]]:
    """Codes of values: the distinct values themselves where they are few, else ranges that hold as many rows each.

    Args:
        values: (N, D) float64, NaN where missing.

    Yields:
        for blocks of columns, which ones; (N, D') int64 codes, missing being 0; (D',) distinct values; how many codes.
    """
    count, width = values.shape
    bins = int(np.clip(count // FEWEST_ROWS_A_BIN, FEWEST_BINS, MOST_BINS))
    step = max(1, CELLS_AT_ONCE // max(1, count))
    for start in range(0, width, step):
        codes, distinct = _binned(values[:, start : start + step], bins)
        yield slice(start, start + codes.shape[1]), codes, distinct, bins + 1


def _binned(part: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(part, axis=0, kind="stable")  # missing ones last
    ordered = np.take_along_axis(part, order, axis=0)
    present = ~np.isnan(ordered)
    new = present.copy()
    new[1:] &= ordered[1:] != ordered[:-1]
    dense = np.cumsum(new, axis=0)  # from 1 on, equal for equal values
    distinct = dense[-1]
    first = np.maximum.accumulate(np.where(new, np.arange(len(part))[:, None], 0), axis=0)
    ranges = first * bins // np.maximum(1, present.sum(axis=0)) + 1
    codes = np.where(present, np.where(distinct <= bins, dense, ranges), 0)
    back = np.empty_like(codes)
    np.put_along_axis(back, order, codes, axis=0)
    return back, distinct


def hits_in_blocks(codes: np.ndarray, size: int, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """(D,) how many rows' class is the usual one of the other rows that have their code.

    Args:
        codes: (N, D) int64, below ``size``.
        size: how many codes there are.
        classes: (N,) int64, below ``num_classes``.
        num_classes: K, two at least.
    """
    hits = np.zeros(codes.shape[1])
    step = max(1, CELLS_AT_ONCE // (size * num_classes))
    for start in range(0, codes.shape[1], step):
        part = codes[:, start : start + step]
        place = (part + np.arange(part.shape[1]) * size) * num_classes + classes[:, None]
        counts = np.bincount(place.ravel(), minlength=part.shape[1] * size * num_classes)
        table = counts.reshape(part.shape[1], size, num_classes)
        second, most = np.moveaxis(np.partition(table, num_classes - 2, axis=2)[:, :, -2:], 2, 0)
        # A row of the usual class is told by the others where these are still the most without it.
        hits[start : start + step] = np.where(most - 1 > second, most, 0).sum(axis=1)
    return hits


def hits_of(codes: np.ndarray, classes: np.ndarray) -> int:
    """As ``hits_in_blocks`` for one column (N,) of any number of codes."""
    num_classes = int(classes.max()) + 1
    pairs, counts = np.unique(codes * num_classes + classes, return_counts=True)
    groups = pairs // num_classes
    order = np.lexsort((-counts, groups))
    groups, counts = groups[order], counts[order]
    leads = np.ones(len(groups), bool)
    leads[1:] = groups[1:] != groups[:-1]
    behind = np.append(np.where(leads[1:], 0, counts[1:]), 0)
    return int(counts[leads & (counts - 1 > behind)].sum())


def reduction(hits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The share of the errors of who always names the usual class that is avoided: 1 where every row is told.

    Source: Goodman and Kruskal (1954), "Measures of association for cross classifications", lambda.
    """
    usual = np.bincount(classes).max()
    return np.asarray((hits - usual) / max(1, len(classes) - usual))


def explained(codes: np.ndarray, size: int, target: np.ndarray) -> np.ndarray:
    """(D,) share of the target's variance that the mean of the other rows with the same code tells.

    Args:
        codes: (N, D) int64, below ``size``.
        size: how many codes there are.
        target: (N,) float64 with mean 0.
    """
    width = codes.shape[1]
    place = (codes + np.arange(width) * size).T.ravel()
    values = np.broadcast_to(target, (width, len(target))).ravel()
    count, total, squares = (
        np.bincount(place, weights=weights, minlength=width * size).reshape(width, size)
        for weights in (None, values, values**2)
    )
    within = squares - total**2 / np.maximum(1, count)
    # A row alone in its code is foretold by the mean of all, which is 0.
    errors = np.where(count > 1, within * (count / np.maximum(1, count - 1)) ** 2, squares)
    return np.asarray(1 - errors.sum(axis=1) / max(1e-300, float(np.square(target).sum())))


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) mean ranks of values, less their mean: no outlier decides."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    found: np.ndarray = middle[place] - middle[place].mean()
    return found
