"""The 95 % interval of metrics: Wilson's for a share of rows, else the percentiles of the bootstrap.

A share of rows that all are right says no less of other rows than one that is not, but resamples of such rows are all
alike. Wilson's interval (1927) takes a number of rows instead: the effective one, by the variance that the bootstrap
found, where rows come in groups or classes count alike (Korn and Graubard 1998, who put it into Clopper and Pearson's
interval). Where there is no variance it is the number of what was drawn, each group counting as one row: that rows of a
group are right together is then all that is known of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.weightings import resamples

__all__ = ["Score", "score", "scores"]

RESAMPLES = 500
CONFIDENCE_QUANTILE = 1.959963984540054  # of the normal distribution, for 95 % in the middle
LEAST_VARIANCE = 1e-18  # below it, resamples differ by rounding alone

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
    """Metrics and their intervals: Wilson's for a share of rows, else the bootstrap's percentiles.

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
    shares = {name: METRICS.get(name).facts.get("share") for name in names}
    if groups is None:
        of_rows = [name for name in names if shares[name] == "rows"]
        found |= {name: _wilson(found[name].value, _number(weights)) for name in of_rows}
    drawn = [name for name, one in found.items() if np.isnan(one.low) and np.isfinite(one.value)]
    if not drawn or len(truth if groups is None else np.unique(groups)) < 2:
        return found  # one unit tells nothing of how units differ
    parts: dict[str, list[np.ndarray]] = {name: [] for name in drawn}
    for weighting in resamples(RESAMPLES, weights, groups, np.random.default_rng(seed)):
        with np.errstate(invalid="ignore", divide="ignore"):
            for name in drawn:
                parts[name].append(METRICS.get(name).factory(truth, prediction, weighting))
    for name in drawn:
        value, values = found[name].value, np.concatenate(parts[name])
        counts = weights if shares[name] != "classes" else _of_classes(weights, truth)
        found[name] = _of_share(value, values, counts, groups) if shares[name] else _percentiles(value, values)
    return found


def _plain(name: str, truth: np.ndarray, prediction: Values, weights: np.ndarray) -> Score:
    return Score(float(METRICS.get(name).factory(truth, prediction, weights[None])[0]), np.nan, np.nan)


def _percentiles(value: float, drawn: np.ndarray) -> Score:
    """Unknown where no resample tells anything, or all tell the same end of the scale, as where every row is right."""
    known = drawn[np.isfinite(drawn)]
    if not len(known) or (value in (0.0, 1.0) and np.ptp(known) == 0):
        return Score(value, np.nan, np.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Score(value, min(value, float(low)), max(value, float(high)))


def _of_share(part: float, drawn: np.ndarray, weights: np.ndarray, groups: np.ndarray | None) -> Score:
    """Of rows that come in groups, or that count by their class, by the variance of the resamples."""
    variance, rows = float(np.nanvar(drawn)), _number(weights)
    if variance < LEAST_VARIANCE:
        return _wilson(part, rows if groups is None else _number(np.bincount(groups, weights)))
    return _wilson(part, min(rows, part * (1 - part) / variance))


def _of_classes(weights: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) what each row counts where classes count alike."""
    place = np.unique(truth, return_inverse=True)[1]
    whole = np.bincount(place, weights)[place]
    return np.divide(weights, whole, out=np.zeros_like(weights), where=whole > 0)


def _number(weights: np.ndarray) -> float:
    """How many rows, or groups, that count alike say as much as these (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _wilson(part: float, count: float) -> Score:
    z = CONFIDENCE_QUANTILE
    centre = (part + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(part * (1 - part) / count + z**2 / (4 * count**2))
    return Score(part, max(0.0, min(part, float(centre - half))), min(1.0, max(part, float(centre + half))))
