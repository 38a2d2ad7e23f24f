"""Metrics by name, each for many weightings of the rows at once, so that its interval costs little more than it.

A metric takes the truth, a prediction and weights (R, N), and returns (R,) values: one for each weighting. Truth is
(N,) or (N, D): a class index (K where training never saw the class, so that no answer is right) or a number (NaN
where missing). Rows without truth are taken out before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fathom.heads.head import METRICS

__all__ = ["Score", "calibration_error", "score"]

RESAMPLES = 500
CELLS_AT_ONCE = 1 << 21  # of weights; several arrays of that many are in memory together
CALIBRATION_BINS = 15
CONFIDENCE_QUANTILE = 1.959963984540054  # of the normal distribution, for 95 % in the middle

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """A metric with its 95 % interval, NaN where that is not known."""

    value: float
    low: float
    high: float


def score(
    name: str, truth: np.ndarray, prediction: Values, weight: np.ndarray | None, groups: np.ndarray | None, *, seed: int
) -> Score:
    """A metric and its interval: Wilson's (1927) for a share of rows, else the bootstrap's percentiles.

    Args:
        name: a registered metric.
        truth: (N,) or (N, D).
        prediction: arrays of N rows, as a head predicts them.
        weight: (N,) sample weights, or None.
        groups: (N,) int64; rows of one group are resampled together (patients, blocks of time), or None.
        seed: of the resampling.
    """
    metric = METRICS.get(name)
    weights = np.ones(len(truth)) if weight is None else weight
    value = float(metric.factory(truth, prediction, weights[None])[0])
    if metric.facts.get("share") and groups is None:
        low, high = _wilson(value, weights.sum() ** 2 / np.square(weights).sum())
        return Score(value, low, high)
    if len(truth if groups is None else np.unique(groups)) < 2:  # one unit tells nothing of how units differ
        return Score(value, np.nan, np.nan)
    drawn = _resampled(metric.factory, truth, prediction, weights, groups, np.random.default_rng(seed))
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Score(value, min(value, float(low)), max(value, float(high)))


@METRICS.register("accuracy", higher=True, share=True)
def accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rows whose likeliest class is theirs."""
    return _mean(prediction["probability"].argmax(axis=1) == truth, weight)


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
    return _mean(-np.log(np.maximum(given, 1e-15)), weight)


@METRICS.register("brier", higher=False)
def brier(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean of the squared distance from the probabilities to 1 for the true class and 0 for the others."""
    probability = prediction["probability"]
    right = truth[:, None] == np.arange(probability.shape[1])
    unseen = truth >= probability.shape[1]
    return _mean(np.square(probability - right).sum(axis=1) + unseen, weight)


@METRICS.register("ece", higher=False)
def ece(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Expected calibration error: how far the likeliest class's probability is from how often it is right.

    Source: Guo et al. (2017, equation 3), with bins of equal width.
    """
    probability = prediction["probability"]
    return calibration_error(probability.max(axis=1), probability.argmax(axis=1) == truth, weight)


def calibration_error(probability: np.ndarray, right: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(R,) the mean over rows of the gap, in each bin of probabilities (N,), to the share that is right."""
    gap = probability - right
    place = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    used = np.unique(place)
    gaps = np.stack([weight[:, place == k] @ gap[place == k] for k in used], axis=1)  # (R, bins)
    error: np.ndarray = np.abs(gaps).sum(axis=1) / weight.sum(axis=1)
    return error


@METRICS.register("macro_f1", higher=True)
def macro_f1(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over classes (of truth or prediction) of the harmonic mean of precision and recall."""
    guess = prediction["probability"].argmax(axis=1)
    parts = []
    for k in np.union1d(truth, guess):
        hit = weight @ ((truth == k) & (guess == k)).astype(float)
        named = weight @ (truth == k).astype(float) + weight @ (guess == k).astype(float)
        parts.append(np.divide(2 * hit, named, out=np.full_like(hit, np.nan), where=named > 0))
    return _mean_of_known(parts)


@METRICS.register("auc", higher=True)
def auc(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; with more than two classes the mean of each against the rest."""
    probability = prediction["probability"]
    classes = [1] if probability.shape[1] == 2 else range(probability.shape[1])
    areas = [_area(truth == k, probability[:, k], weight) for k in classes if 0 < (truth == k).sum() < len(truth)]
    return _mean_of_known(areas) if areas else np.full(len(weight), np.nan)


@METRICS.register("mae", higher=False)
def mae(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Mean absolute error, in the target's unit."""
    return _mean(_per_row(np.abs(prediction["value"] - truth)), weight)


@METRICS.register("rmse", higher=False)
def rmse(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Root of the mean squared error, in the target's unit."""
    return np.sqrt(_mean(_per_row(np.square(prediction["value"] - truth)), weight))


@METRICS.register("r2", higher=True)
def r2(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of the target's variance that the prediction explains; the mean over targets that travel together."""
    truth, guess = (array.reshape(len(truth), -1) for array in (truth, np.asarray(prediction["value"])))
    known = ~np.isnan(truth)
    total = np.maximum(weight @ known, np.finfo(float).tiny)
    centred = np.where(known, truth - np.nanmean(truth, axis=0), 0.0)
    error = weight @ np.where(known, np.square(guess - truth), 0.0)
    spread = weight @ np.square(centred) - np.square(weight @ centred) / total
    return np.mean(1 - np.divide(error, spread, out=np.ones_like(error), where=spread > 0), axis=1)


@METRICS.register("pinball", higher=False)
def pinball(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over quantiles of the pinball loss, in the target's unit."""
    losses = []
    for name, quantile in _quantiles(prediction).items():
        gap = truth.reshape(-1) - quantile
        losses.append(np.maximum(float(name[1:]) * gap, (float(name[1:]) - 1) * gap))
    return _mean(np.mean(losses, axis=0), weight)


@METRICS.register("coverage", higher=True, share=True)
def coverage(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rows whose truth lies between the lowest and the highest quantile."""
    quantiles = list(_quantiles(prediction).values())
    return _mean((quantiles[0] <= truth.reshape(-1)) & (truth.reshape(-1) <= quantiles[-1]), weight)


def _mean(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight @ rows.astype(float) / weight.sum(axis=1)


def _mean_of_known(parts: list[np.ndarray]) -> np.ndarray:
    """The mean over classes, each (R,), of those that are in a resample at all; NaN where none is."""
    known = ~np.isnan(parts)
    total = np.where(known, parts, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full_like(total, np.nan), where=known.any(axis=0))


def _per_row(errors: np.ndarray) -> np.ndarray:
    return errors if errors.ndim == 1 else np.nanmean(errors.reshape(len(errors), -1), axis=1)


def _quantiles(prediction: Values) -> dict[str, np.ndarray]:
    return {name: value for name, value in prediction.items() if name.startswith("q")}


def _area(positive: np.ndarray, rank: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The chance that a positive row ranks above a negative one, ties counting half, for each weighting."""
    order = np.argsort(rank, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(rank[order]) > 0])
    ups = np.add.reduceat((weight * positive)[:, order], starts, axis=1)
    downs = np.add.reduceat((weight * ~positive)[:, order], starts, axis=1)
    below = downs.cumsum(axis=1) - downs / 2
    pairs = ups.sum(axis=1) * downs.sum(axis=1)
    return np.divide((ups * below).sum(axis=1), pairs, out=np.full(len(weight), np.nan), where=pairs > 0)


def _wilson(share: float, count: float) -> tuple[float, float]:
    z = CONFIDENCE_QUANTILE
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _resampled(
    metric: Any,
    truth: np.ndarray,
    prediction: Values,
    weights: np.ndarray,
    groups: np.ndarray | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """The metric on RESAMPLES resamples; a Poisson weight a row (or group) stands for how often it was drawn."""
    at_once = max(1, min(RESAMPLES, CELLS_AT_ONCE // max(1, truth.size)))
    drawn: list[np.ndarray] = []
    while sum(map(len, drawn)) < RESAMPLES:
        units = len(truth) if groups is None else int(groups.max()) + 1
        counts = generator.poisson(1.0, (at_once, units)).astype(np.float64)
        counts = counts if groups is None else counts[:, groups]
        chosen = counts[counts.sum(axis=1) > 0] * weights
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append(metric(truth, prediction, chosen))
    return np.concatenate(drawn)
