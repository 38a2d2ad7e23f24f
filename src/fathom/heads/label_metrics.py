"""Metrics of sets of labels.

Truth is (N, K + 1): 1 where a row has a label, and in the last column how many labels it has that training never saw,
which no prediction can hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.metrics import calibration_error

__all__: list[str] = []

Values = Mapping[str, np.ndarray]


@METRICS.register("micro_f1", higher=True)
def micro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall over all labels of all rows together."""
    chosen = prediction["chosen"].astype(bool)
    hits = weight @ (truth[:, :-1] * chosen).sum(axis=1)
    named = weight @ (truth.sum(axis=1) + chosen.sum(axis=1))
    return _share(2 * hits, named)


@METRICS.register("label_macro_f1", higher=True)
def label_macro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over labels (of truth or prediction) of the harmonic mean of precision and recall."""
    chosen = np.pad(prediction["chosen"].astype(float), ((0, 0), (0, 1)))  # what training never saw is never chosen
    hits, named = weight @ (truth * chosen), weight @ (truth + chosen)  # (R, K + 1)
    return _mean_of_known(_share(2 * hits, named))


@METRICS.register("subset_accuracy", higher=True, share=True)
def subset_accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rows of which every label is right."""
    right = (truth[:, :-1] == prediction["chosen"]).all(axis=1) & (truth[:, -1] == 0)
    return weight @ right.astype(float) / weight.sum(axis=1)


@METRICS.register("average_precision", higher=True)
def average_precision(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over labels of the precision at each row that has the label, rows by falling probability.

    Labels that no row has, and those that training never saw, are left out.
    """
    having = np.flatnonzero(truth[:, :-1].any(axis=0))
    parts = [_precision(truth[:, k], prediction["probability"][:, k], weight) for k in having]
    return _mean_of_known(np.stack(parts, axis=1)) if parts else np.full(len(weight), np.nan)


@METRICS.register("label_brier", higher=False)
def label_brier(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over labels of the squared distance from a label's probability to 1 where it is there, else 0."""
    rows = np.square(prediction["probability"] - truth[:, :-1]).mean(axis=1)
    return weight @ rows / weight.sum(axis=1)


@METRICS.register("label_ece", higher=False)
def label_ece(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Expected calibration error of the labels' probabilities, the mean over labels."""
    probability = prediction["probability"]
    parts = [calibration_error(probability[:, k], truth[:, k], weight) for k in range(probability.shape[1])]
    return np.mean(parts, axis=0)


def _precision(positive: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the step-wise area under the precision-recall curve; rows of one probability enter together."""
    order = np.argsort(-rank, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(rank[order]) != 0, True])
    hits = np.cumsum((weight * positive)[:, order], axis=1)[:, ends]
    seen = np.cumsum(weight[:, order], axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0.0)
    return _share((gained * _share(hits, seen, 0.0)).sum(axis=1), hits[:, -1])


def _share(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(part, otherwise, dtype=float), where=whole > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over labels of (R, K), of those that a resample holds at all; NaN where none is."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(float))
