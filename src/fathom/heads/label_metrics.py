"""Metrics of sets of labels.

Truth is (N, K + 1): 1 where a row has a label, and in the last column how many labels it has that training never saw,
which no prediction can hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.metrics import calibration_error
from fathom.heads.rank_metrics import precision_area
from fathom.heads.weightings import mean_of_known, share

__all__: list[str] = []

Values = Mapping[str, np.ndarray]


@METRICS.register("micro_f1", higher=True)
def micro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall over all labels of all rows together."""
    chosen = prediction["chosen"].astype(bool)
    hits = weight @ (truth[:, :-1] * chosen).sum(axis=1)
    named = weight @ (truth.sum(axis=1) + chosen.sum(axis=1))
    return share(2 * hits, named)


@METRICS.register("label_macro_f1", higher=True)
def label_macro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over labels (of truth or prediction) of the harmonic mean of precision and recall."""
    chosen = np.pad(prediction["chosen"].astype(float), ((0, 0), (0, 1)))  # what training never saw is never chosen
    hits, named = weight @ (truth * chosen), weight @ (truth + chosen)  # (R, K + 1)
    return mean_of_known(share(2 * hits, named))


@METRICS.register("subset_accuracy", higher=True, share="rows")
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
    parts = [precision_area(truth[:, k] > 0, prediction["probability"][:, k], weight) for k in having]
    return mean_of_known(np.stack(parts, axis=1)) if parts else np.full(len(weight), np.nan)


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
