"""The 95 % interval of metrics: Wilson's for a share of rows, else the percentiles of the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.weightings import resamples

__all__ = ["Score", "score", "scores"]

RESAMPLES = 500
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
    """One metric and its interval; see ``scores``."""
    return scores((name,), truth, prediction, weight, groups, seed=seed)[name]


def scores(
    names: Sequence[str],
    truth: np.ndarray,
    prediction: Values,
    weight: np.ndarray | None,
    groups: np.ndarray | None,
    *,
    seed: int,
) -> dict[str, Score]:
    """Metrics and their intervals: Wilson's (1927) for a share of rows, else the bootstrap's percentiles.

    Args:
        names: registered metrics, all on the same resamples.
        truth: (N,) or (N, D).
        prediction: arrays of N rows, as a head predicts them.
        weight: (N,) sample weights, or None.
        groups: (N,) int64; rows of one group are resampled together (patients, blocks of time), or None.
        seed: of the resampling.

    Returns:
        Each metric's score, NaN where it says nothing of such rows.
    """
    weights = np.ones(len(truth)) if weight is None else weight
    found = {name: _plain(name, truth, prediction, weights) for name in names}
    if groups is None:
        shares = [name for name in names if METRICS.get(name).facts.get("share")]
        found |= {name: _wilson(found[name].value, weights) for name in shares}
    drawn = [name for name, one in found.items() if np.isnan(one.low) and np.isfinite(one.value)]
    if not drawn or len(truth if groups is None else np.unique(groups)) < 2:
        return found  # one unit tells nothing of how units differ
    parts: dict[str, list[np.ndarray]] = {name: [] for name in drawn}
    for weighting in resamples(RESAMPLES, weights, groups, np.random.default_rng(seed)):
        with np.errstate(invalid="ignore", divide="ignore"):
            for name in drawn:
                parts[name].append(METRICS.get(name).factory(truth, prediction, weighting))
    return found | {name: _percentiles(found[name].value, np.concatenate(parts[name])) for name in drawn}


def _plain(name: str, truth: np.ndarray, prediction: Values, weights: np.ndarray) -> Score:
    return Score(float(METRICS.get(name).factory(truth, prediction, weights[None])[0]), np.nan, np.nan)


def _percentiles(value: float, drawn: np.ndarray) -> Score:
    if not np.isfinite(drawn).any():
        return Score(value, np.nan, np.nan)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Score(value, min(value, float(low)), max(value, float(high)))


def _wilson(part: float, weights: np.ndarray) -> Score:
    z, count = CONFIDENCE_QUANTILE, weights.sum() ** 2 / np.square(weights).sum()
    centre = (part + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(part * (1 - part) / count + z**2 / (4 * count**2))
    return Score(part, max(0.0, float(centre - half)), min(1.0, float(centre + half)))
