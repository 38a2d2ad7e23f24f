"""Probabilities made as even or as sharp as validation rows say, without another answer.

Source: temperature scaling (Guo et al. 2017, section 4.2), fitted on what a network answers as a whole: with several
members on the mean of their probabilities, which is calibrated better than the mean of members that each are
(Rahaman and Thiery 2021). The loss is convex in 1 / temperature, so that Newton's method finds its one minimum.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

__all__ = ["checked_temperatures", "temperature"]

RANGE = (1 / 16, 16.0)
STEPS, CLOSE_ENOUGH = 50, 1e-6


def temperature(
    answer: Mapping[str, np.ndarray], truth: np.ndarray, weight: np.ndarray | None, *, of: str
) -> float | None:
    """The temperature that makes the log loss of an answer least.

    Args:
        answer: ``probability`` (N, K).
        truth: (N,) the class of each row, or (N, K + 1) 1 where a row has a label; see ``metrics``.
        weight: (N,) sample weights, or None.
        of: "classes", of which a row has one, or "labels", of which it has any.

    Returns:
        The temperature, or None where none makes the loss less, or the rows tell too little.
    """
    probability = np.asarray(answer["probability"], np.float64)
    weights = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    if of == "classes":
        known = (truth >= 0) & (truth < probability.shape[1])
        right = np.eye(probability.shape[1])[truth[known]]
        logits, weights = _log(probability[known]), weights[known]
    else:
        # Each label is a choice between two: that it is there, and that it is not.
        known = ~np.isnan(truth).any(axis=1)
        there, likely = truth[known][:, :-1].reshape(-1), probability[known].reshape(-1)
        right, logits = np.stack([there, 1 - there], axis=1), _log(np.stack([likely, 1 - likely], axis=1))
        weights = np.repeat(weights[known], probability.shape[1])
    if not weights.sum() > 0:
        return None
    # As if one more row had every class alike: few rows that are all right do not call for certainty.
    share = 1 / (1 + weights.sum())
    soft = (1 - share) * right + share / right.shape[1]
    sharpness = _sharpness(logits, soft, weights)
    gained = _loss(1.0, logits, right, weights) - _loss(sharpness, logits, right, weights)
    return 1 / sharpness if gained > 0 else None


def checked_temperatures(stored: Mapping[str, Any], heads: Collection[str]) -> dict[str, float]:
    """The temperature of each head that has one, as a model's file holds them.

    Raises:
        ValueError: no head is called so, or no fit could give that temperature.
    """
    low, high = RANGE
    for name, value in stored.items():
        if name not in heads or type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(f"temperature of {name!r} is {value!r} (allowed: {low:g} to {high:g}, of {list(heads)})")
    return {name: float(value) for name, value in stored.items()}


def _sharpness(logits: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    """1 / temperature at the least loss: Newton's steps, and halves of the range where they lead out of it."""
    low, high = 1 / RANGE[1], 1 / RANGE[0]
    sharpness = 1.0
    for _ in range(STEPS):
        share = _softmax(sharpness * logits)
        mean = (share * logits).sum(axis=1)
        slope = weights @ (mean - (right * logits).sum(axis=1))
        curve = weights @ ((share * np.square(logits)).sum(axis=1) - np.square(mean))
        low, high = (low, sharpness) if slope > 0 else (sharpness, high)
        step = sharpness - slope / curve if curve > 0 else np.nan
        following = float(step) if low < step < high else (low + high) / 2
        if abs(following - sharpness) < CLOSE_ENOUGH * sharpness:
            break
        sharpness = following
    return sharpness


def _loss(sharpness: float, logits: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ -(right * _log(_softmax(sharpness * logits))).sum(axis=1))


def _softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    share: np.ndarray = power / power.sum(axis=1, keepdims=True)
    return share


def _log(probability: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probability, np.finfo(np.float32).tiny))
