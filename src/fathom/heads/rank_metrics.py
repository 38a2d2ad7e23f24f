"""Areas under curves: how well probabilities put rows in order, whatever the threshold.

Source: the ROC area as the chance that a positive row ranks above a negative one (Hanley and McNeil 1982); the area
under precision and recall as average precision, by steps and not by lines between points, which would be too high
(Davis and Goadrich 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.weightings import mean_of_known, share, sums

__all__ = ["precision_area", "roc_area"]

Values = Mapping[str, np.ndarray]
Area = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@METRICS.register("auc", higher=True)
def auc(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; with more than two classes the mean of each against the rest."""
    return _over_classes(roc_area, truth, prediction["probability"], weight)


@METRICS.register("auc_pr", higher=True)
def auc_pr(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Area under precision and recall; with more than two classes the mean of each against the rest."""
    return _over_classes(precision_area, truth, prediction["probability"], weight)


def roc_area(positive: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the chance that a positive row ranks above a negative one, ties counting half.

    Args:
        positive: (N,) bool.
        rank: (N,) the higher, the more likely positive.
        weight: (R, N).
    """
    found = _ranked(positive, rank, weight)
    above = (found.hits * (found.below + found.beside / 2)).sum(axis=0)
    return share(above, found.hits.sum(axis=0) * found.misses)


def precision_area(positive: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the mean over positive rows of the precision at each; rows of one rank enter together. As ``roc_area``."""
    found = _ranked(positive, rank, weight)
    reached = found.hits[::-1].cumsum(axis=0)[::-1]
    precision = share(reached, reached + found.misses - found.below, 0.0)
    return share((found.hits * precision).sum(axis=0), reached[0])


class _Ranked(NamedTuple):
    """What stands at each rank that a positive row has, from the lowest.

    Attributes:
        hits: (P, R) weight of the positive rows there.
        below: (P, R) that of the negative rows below it.
        beside: (P, R) that of the negative rows of the same rank.
        misses: (R,) that of all negative rows.
    """

    hits: np.ndarray
    below: np.ndarray
    beside: np.ndarray
    misses: np.ndarray


def _ranked(positive: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> _Ranked:
    """The rows need not be put in order: only how the negative ones fall between the positive ones counts."""
    steps = np.unique(rank[positive])
    left, right = (np.searchsorted(steps, rank, side=side) for side in ("left", "right"))
    # First the positive rows of each step, then the negative ones: below the first, beside it, above it, beside ...
    codes = np.where(positive, left, len(steps) + left + right)
    summed = sums(codes, 3 * len(steps) + 1, weight).T  # (3 P + 1, R)
    hits, misses = summed[: len(steps)], summed[len(steps) :]
    below = misses.cumsum(axis=0)
    return _Ranked(hits, below[:-1:2], misses[1::2], below[-1])


def _over_classes(area: Area, truth: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
    classes = [1] if probability.shape[1] == 2 else range(probability.shape[1])
    areas = [area(truth == k, probability[:, k], weight) for k in classes if 0 < (truth == k).sum() < len(truth)]
    return mean_of_known(np.stack(areas, axis=1)) if areas else np.full(len(weight), np.nan)
