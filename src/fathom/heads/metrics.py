"""Metrics by name, each for many weightings of the rows at once, so that its interval costs little more than it.

A metric takes the truth, a prediction and weights (R, N), and returns (R,) values: one for each weighting. Truth is
(N,) or (N, D): a class index (K where training never saw the class, so that no answer is right) or a number (NaN
where missing); of texts see ``over_texts``. Rows without truth are taken out before. A metric that says nothing of
such rows gives NaN.

Here are those of classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.weightings import mean_of_known, share, sums

__all__ = ["calibration_bins", "calibration_error", "mean"]

CALIBRATION_BINS = 15

Values = Mapping[str, np.ndarray]


@METRICS.register("accuracy", higher=True, share="rows")
def accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rows whose likeliest class is theirs."""
    return mean(prediction["probability"].argmax(axis=1) == truth, weight)


@METRICS.register("balanced_accuracy", higher=True, share="classes")
def balanced_accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over classes of the share of their rows that are given it: rare classes count as much as common ones."""
    classes, place = np.unique(truth, return_inverse=True)
    right = prediction["probability"].argmax(axis=1) == truth
    return mean_of_known(share(sums(place, len(classes), weight, right), sums(place, len(classes), weight)))


@METRICS.register("cell_accuracy", higher=True)
def cell_accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rebuilt categories, over all columns, that are the ones that came in."""
    known = truth > 0
    right = known & (prediction["index"] == truth)
    return (weight @ right.sum(axis=1)) / (weight @ known.sum(axis=1))


@METRICS.register("log_loss", higher=False)
def log_loss(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean of -log of the probability given to the true class, in nats."""
    probability = prediction["probability"]
    given = np.take_along_axis(probability, np.minimum(truth, probability.shape[1] - 1)[:, None], axis=1)[:, 0]
    given = np.where(truth < probability.shape[1], given, 0.0)
    return mean(-np.log(np.maximum(given, 1e-15)), weight)


@METRICS.register("brier", higher=False)
def brier(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean of the squared distance from the probabilities to 1 for the true class and 0 for the others."""
    probability = prediction["probability"]
    right = truth[:, None] == np.arange(probability.shape[1])
    unseen = truth >= probability.shape[1]
    return mean(np.square(probability - right).sum(axis=1) + unseen, weight)


@METRICS.register("ece", higher=False)
def ece(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Expected calibration error: how far the likeliest class's probability is from how often it is right.

    Source: Guo et al. (2017, equation 3), with bins of equal width.
    """
    probability = prediction["probability"]
    return calibration_error(probability.max(axis=1), probability.argmax(axis=1) == truth, weight)


def calibration_error(probability: np.ndarray, right: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the mean over rows of the gap, in each bin of probabilities (N,), to the share that is right."""
    gaps = sums(calibration_bins(probability), CALIBRATION_BINS, weight, probability - right)  # (R, bins)
    error: np.ndarray = np.abs(gaps).sum(axis=1) / weight.sum(axis=1)
    return error


def calibration_bins(probability: np.ndarray) -> np.ndarray:
    """(N,) int64 the bin of equal width that each probability falls into."""
    return np.minimum((probability * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


@METRICS.register("macro_f1", higher=True)
def macro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over classes (of truth or prediction) of the harmonic mean of precision and recall."""
    guess = prediction["probability"].argmax(axis=1)
    classes, place = np.unique(np.concatenate([truth, guess]), return_inverse=True)
    true, guessed = place[: len(truth)], place[len(truth) :]
    hits = sums(true, len(classes), weight, true == guessed)
    named = sums(true, len(classes), weight) + sums(guessed, len(classes), weight)
    return mean_of_known(share(2 * hits, named))


def mean(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the mean of (N,) values under each weighting."""
    total: np.ndarray = weight @ rows.astype(float) / weight.sum(axis=1)
    return total
