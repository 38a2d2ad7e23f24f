"""What each threshold costs, and whether probabilities mean what they say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fathom.heads.metrics import calibration_bins
from fathom.trust.answered import Answered

__all__ = ["calibration_curve", "operating_points", "precision_recall_curve", "roc_curve"]

MOST_POINTS = 100
RECALLS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
USUAL_THRESHOLD = 0.5

Points = list[list[float]]


def operating_points(answered: Answered) -> list[dict[str, float]]:
    """Thresholds of the second class's probability, from the lowest, and what flagging the rows at or above it brings.

    They are the highest thresholds that reach each of a few recalls, and the half at which answers change.
    """
    found = _thresholds(answered)
    if found is None:
        return []
    recall = found.hits / found.hits[-1]
    places = {int(np.searchsorted(recall, least - 1e-12)): None for least in RECALLS}
    thresholds = {place: float(found.threshold[place]) for place in places}
    flagged = int((found.threshold >= USUAL_THRESHOLD).sum())
    if flagged:
        thresholds[flagged - 1] = USUAL_THRESHOLD
    return [_point(found, place, threshold) for place, threshold in sorted(thresholds.items(), reverse=True)]


def roc_curve(answered: Answered) -> Points:
    """Shares of the first class's and of the second class's rows at or above falling thresholds; at most 100 points."""
    found = _thresholds(answered)
    if found is None:
        return []
    rates = np.stack([found.misses / found.misses[-1], found.hits / found.hits[-1]], axis=1)
    return _thinned(np.concatenate([np.zeros((1, 2)), rates]))


def precision_recall_curve(answered: Answered) -> Points:
    """Recall and precision of the second class at falling thresholds; at most 100 points."""
    found = _thresholds(answered)
    if found is None:
        return []
    return _thinned(np.stack([found.hits / found.hits[-1], found.hits / (found.hits + found.misses)], axis=1))


def calibration_curve(answered: Answered) -> Points:
    """The mean probability of each bin, the share that was right, and how many there are.

    Of classes it is the likeliest one's probability, as ``ece`` has it; of labels that of each label of each row.
    """
    probability, weight = np.asarray(answered.answer["probability"], np.float64), answered.weights
    if answered.form == "labels":
        right = answered.truth[:, :-1].ravel() > 0
        likely, weight = probability.ravel(), np.repeat(weight, probability.shape[1])
    else:
        likely, right = probability.max(axis=1), answered.guess == answered.truth
    bins = calibration_bins(likely)
    rows, total = np.bincount(bins), np.bincount(bins, weights=weight)
    sums = [np.bincount(bins, weights=weight * values) for values in (likely, right)]
    return [[*(float(one[k] / total[k]) for one in sums), int(rows[k])] for k in np.flatnonzero(rows)]


class _Thresholds(NamedTuple):
    """Falling thresholds (T,), and the weight of the rows of either class at or above each.

    Attributes:
        threshold: the distinct probabilities of the second class.
        hits: of its rows.
        misses: of the others.
    """

    threshold: np.ndarray
    hits: np.ndarray
    misses: np.ndarray


def _thresholds(answered: Answered) -> _Thresholds | None:
    """None where rows have but one of the two classes."""
    positive = answered.truth == 1
    if positive.all() or not positive.any():
        return None
    steps, place = np.unique(-answered.answer["probability"][:, 1], return_inverse=True)
    hits, misses = (np.bincount(place, answered.weights * rows).cumsum() for rows in (positive, ~positive))
    return _Thresholds(-steps, hits, misses)


def _point(found: _Thresholds, place: int, threshold: float) -> dict[str, float]:
    hits, misses = found.hits[place], found.misses[place]
    return {
        "threshold": threshold,
        "precision": float(hits / (hits + misses)),
        "recall": float(hits / found.hits[-1]),
        "false_positive_rate": float(misses / found.misses[-1]),
        "flagged": float((hits + misses) / (found.hits[-1] + found.misses[-1])),
    }


def _thinned(points: np.ndarray) -> Points:
    """At most MOST_POINTS of (T, 2) points, at equal steps along the curve, the first and the last among them."""
    if len(points) > MOST_POINTS:
        way = np.r_[0.0, np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum()]
        kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], MOST_POINTS - 1)))
        points = points[np.union1d(kept, [len(points) - 1])]
    found: Points = points.tolist()
    return found
