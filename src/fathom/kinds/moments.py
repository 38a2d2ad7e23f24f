"""Statistics of columns of numbers, (N, D): moments, quantiles, and how they merge over shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fathom.kinds.kind import Statistics
from fathom.signals import NumberSpec

__all__ = ["LARGEST", "NUM_EDGES", "count_numbers", "fit_numbers", "merge_numbers", "number_spec"]

SKETCH_POINTS = 1024
SKETCH_ROWS, SKETCH_CELLS = 100_000, 4_000_000
NUM_EDGES = 65
LEVELS = np.linspace(0, 1, NUM_EDGES)
ROUNDING = 1e-12  # of a level, in a sum of weights
# Values that so many rows have recur, where one of them has this share of all rows.
FEWEST_TIMES, SHARE_OF_ONE, MOST_RECURRING = 10, 0.5, 256
# Beyond this ratio of mean to spread, float32 would lose more than a thousandth of the spread.
SHIFT_RATIO = 1e4
# Sums of squares, and differences in float32, stay finite up to here; what is larger counts as this much.
LARGEST = 1e38
# A spread below this has no float32 inverse.
SMALLEST_SPREAD = 1e-37


def count_numbers(values: np.ndarray, weight: np.ndarray | None) -> dict[str, Any]:
    """Statistics of (N, D) numbers, NaN or infinite where missing, at most LARGEST; ``weight`` is (N,) float64."""
    weights = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    shares = present * weights[:, None]
    total = shares.sum(axis=0)
    mean = _ratio((filled * shares).sum(axis=0), total)
    squares = (shares * np.where(present, values - mean, 0.0) ** 2).sum(axis=0)
    return {
        "weight": total.tolist(),
        "missing": (~present).sum(axis=0).tolist(),
        "mean": mean.tolist(),
        "squares": squares.tolist(),
        "sketch": _sketches(values, weights),
    }


def merge_numbers(first: Statistics, second: Statistics) -> dict[str, Any]:
    """Chan, Golub and LeVeque (1979), equation 2.1, for the moments; sketches are concatenated and thinned."""
    weights = np.array(first["weight"]), np.array(second["weight"])
    total = weights[0] + weights[1]
    gap = np.array(second["mean"]) - np.array(first["mean"])
    mean = np.array(first["mean"]) + gap * _ratio(weights[1], total)
    squares = np.array(first["squares"]) + second["squares"] + gap**2 * _ratio(weights[0] * weights[1], total)
    return {
        "weight": total.tolist(),
        "missing": (np.array(first["missing"]) + second["missing"]).tolist(),
        "mean": mean.tolist(),
        "squares": squares.tolist(),
        "sketch": [_merged_sketch(a, b) for a, b in zip(first["sketch"], second["sketch"], strict=True)],
    }


def fit_numbers(statistics: Statistics) -> dict[str, Any]:
    """What a model keeps: moments, quantiles, and by how much each column is shifted before it is float32."""
    mean, total = np.array(statistics["mean"]), np.array(statistics["weight"])
    deviation = np.sqrt(_ratio(np.array(statistics["squares"]), total))
    edges = np.stack([_quantiles(sketch) for sketch in statistics["sketch"]])  # (D, NUM_EDGES)
    spread = np.where(deviation > 0, deviation, 1.0)
    far = (np.abs(mean) > SHIFT_RATIO * spread) | (np.abs(edges).max(axis=1) > 2**24)
    return {
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "missing": statistics["missing"],
        "shift": np.where(far, mean, 0.0).tolist(),
        "edges": edges.tolist(),
        "scale": _spread(edges).tolist(),
        "recurring": [_recurring(sketch) for sketch in statistics["sketch"]],
    }


def number_spec(state: Statistics) -> NumberSpec:
    """The spec of numbers that are shifted by ``state["shift"]``."""
    shift = np.array(state["shift"])
    edges = np.array(state["edges"]) - shift[:, None]
    deviation = np.array(state["deviation"])
    mean = np.array(state["mean"]) - shift
    # A spread that is rounding error of the values themselves is no spread.
    constant = deviation <= np.maximum(SMALLEST_SPREAD, 1e-12 * np.abs(state["mean"]))
    deviation = np.where(constant, 1.0, deviation)
    wide = np.array(state["scale"])
    recurring = state.get("recurring", [[]] * len(mean))  # older models have none
    return NumberSpec(
        count=len(mean),
        centre=tuple(edges[:, NUM_EDGES // 2].tolist()),
        scale=tuple(np.where(constant | (wide <= SMALLEST_SPREAD), deviation, wide).tolist()),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        edges=tuple(tuple(row) for row in edges.tolist()),
        missing=tuple(count > 0 for count in state["missing"]),
        recurring=tuple(tuple((np.array(v) - s).tolist()) for v, s in zip(recurring, shift, strict=True)),
    )


def _spread(edges: np.ndarray) -> np.ndarray:
    """The distance between the quartiles, (D, NUM_EDGES) to (D,).

    Where more than half of the rows have one value, as most people have no capital gain, what differs from it counts:
    the median of its distances. By the whole range a single far value would bring all others together.
    """
    quarter = NUM_EDGES // 4
    spread: np.ndarray = edges[:, -1 - quarter] - edges[:, quarter]
    single = spread <= 0
    away = np.abs(edges[single] - edges[single, NUM_EDGES // 2, None])
    counts = np.count_nonzero(away, axis=1)
    middle = NUM_EDGES - counts + counts // 2  # of the distances in order, zeros first
    spread[single] = np.sort(away, axis=1)[np.arange(len(away)), np.minimum(middle, NUM_EDGES - 1)]
    return spread


def _recurring(sketch: Mapping[str, Any]) -> list[float]:
    """The values that many rows have, in order, where most rows have one value; else none.

    What most people have none of comes in set amounts, as capital gains do, and what an amount stands for is not
    between what its neighbours stand for. Of more values than the sketch holds apart nothing is known.
    """
    values, weights = np.array(sketch["values"]), np.array(sketch["weights"])
    if not 2 < len(values) < SKETCH_POINTS or weights.max() < SHARE_OF_ONE * weights.sum():
        return []
    often = np.flatnonzero(weights >= FEWEST_TIMES)
    most = often[np.argsort(-weights[often], kind="stable")[:MOST_RECURRING]]
    found: list[float] = np.sort(values[most]).tolist()
    return found


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Division in which 0 / 0 is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=float), where=denominator > 0)


def _sketches(values: np.ndarray, weights: np.ndarray) -> list[dict[str, list[float]]]:
    """For each column weighted points that stand for its distribution, from evenly spaced rows where there are many.

    Exact while no row is passed over and a column has at most SKETCH_POINTS distinct values.
    """
    stride = max(1, len(values) // SKETCH_ROWS, values.size // SKETCH_CELLS)
    values, weights = values[::stride], weights[::stride] * stride
    used = np.isfinite(values) & (weights > 0)[:, None]
    return [_thinned(column[keep], weights[keep]) for column, keep in zip(values.T, used.T, strict=True)]


def _merged_sketch(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[float]]:
    values = np.concatenate([first["values"], second["values"]])
    return _thinned(values, np.concatenate([first["weights"], second["weights"]]))


def _thinned(values: np.ndarray, weights: np.ndarray) -> dict[str, list[float]]:
    unique, place = np.unique(values, return_inverse=True)
    summed = np.bincount(place, weights=weights, minlength=len(unique))
    if len(unique) > SKETCH_POINTS:
        total = summed.sum()
        levels = (np.arange(SKETCH_POINTS) + 0.5) / SKETCH_POINTS
        inner = _at(levels[1:-1], unique, summed)
        unique = np.concatenate([unique[:1], inner, unique[-1:]])
        summed = np.full(SKETCH_POINTS, total / SKETCH_POINTS)
    return {"values": unique.tolist(), "weights": summed.tolist()}


def _quantiles(sketch: Mapping[str, Any]) -> np.ndarray:
    values, weights = np.array(sketch["values"]), np.array(sketch["weights"])
    if not len(values):
        return np.zeros(NUM_EDGES)
    return _at(LEVELS, values, weights)


def _at(levels: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values, sorted and all different: the inverse of their distribution function.

    Nothing is interpolated but where a level falls between two values (Hyndman and Fan 1996, definition 2), so that
    a value which most rows have is the median, however far the next one is.
    """
    reached = weights.cumsum() / weights.sum()
    last = len(values) - 1
    low = np.minimum(np.searchsorted(reached, levels - ROUNDING), last)
    high = np.minimum(np.searchsorted(reached, levels + ROUNDING, side="right"), last)
    return values[low] / 2 + values[high] / 2
