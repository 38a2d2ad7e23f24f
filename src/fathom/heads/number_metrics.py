"""Metrics of numbers and of their quantiles; see ``metrics`` for what a metric takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.metrics import mean

__all__ = ["quantiles_of"]

NEAR_ZERO = 0.01  # of the usual size of the truth

Values = Mapping[str, np.ndarray]


@METRICS.register("mae", higher=False)
def mae(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Mean absolute error, in the target's unit."""
    return mean(_per_row(np.abs(prediction["value"] - truth)), weight)


@METRICS.register("rmse", higher=False)
def rmse(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Root of the mean squared error, in the target's unit."""
    return np.sqrt(mean(_per_row(np.square(prediction["value"] - truth)), weight))


@METRICS.register("mape", higher=False)
def mape(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Mean absolute error as a share of the truth; NaN where truths lie at 0, near it, or on both sides of it."""
    size = np.abs(truth)
    one_sign = not (np.any(truth > 0) and np.any(truth < 0))
    if not (one_sign and np.nanmin(size) > NEAR_ZERO * np.nanmedian(size)):
        return np.full(len(weight), np.nan)
    return mean(_per_row(np.abs(prediction["value"] - truth) / size), weight)


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
    for name, quantile in quantiles_of(prediction).items():
        gap = truth.reshape(-1) - quantile
        losses.append(np.maximum(float(name[1:]) * gap, (float(name[1:]) - 1) * gap))
    return mean(np.mean(losses, axis=0), weight)


@METRICS.register("coverage", higher=True, share="rows")
def coverage(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of rows whose truth lies between the lowest and the highest quantile."""
    quantiles = list(quantiles_of(prediction).values())
    return mean((quantiles[0] <= truth.reshape(-1)) & (truth.reshape(-1) <= quantiles[-1]), weight)


def quantiles_of(prediction: Values) -> dict[str, np.ndarray]:
    """The quantiles among the arrays of a prediction, by name."""
    return {name: value for name, value in prediction.items() if name.startswith("q")}


def _per_row(errors: np.ndarray) -> np.ndarray:
    return errors if errors.ndim == 1 else np.nanmean(errors.reshape(len(errors), -1), axis=1)
