"""How far numbers lie from their predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fathom.trust.answered import Answered
from fathom.trust.thinning import drawn

__all__ = ["residuals"]

MOST_POINTS = 1000
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def residuals(answered: Answered, *, seed: int) -> dict[str, Any]:
    """Truths, predictions, and quantiles of truth minus prediction.

    Args:
        answered: one number a row.
        seed: of the MOST_POINTS rows that are kept of more.
    """
    truth, guess = (np.asarray(values, np.float64).reshape(-1) for values in (answered.truth, answered.answer["value"]))
    kept = drawn(np.arange(len(truth)), MOST_POINTS, np.random.default_rng(seed))
    quantiles = _quantiles(truth - guess, answered.weights)
    return {
        "truth": truth[kept].tolist(),
        "prediction": guess[kept].tolist(),
        "quantiles": {f"{level:g}": float(value) for level, value in zip(LEVELS, quantiles, strict=True)},
    }


def _quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each value stands in the middle of its weight."""
    order = np.argsort(values, kind="stable")
    reached = weight[order].cumsum() - weight[order] / 2
    found: np.ndarray = np.interp(LEVELS, reached / weight.sum(), values[order])
    return found
