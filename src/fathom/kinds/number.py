"""Numbers: one to a row, or a block of several that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.errors import SchemaError
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.signals import NumberSpec, Ragged

__all__ = ["Number"]

SKETCH_POINTS = 1024
SKETCH_ROWS, SKETCH_CELLS = 100_000, 4_000_000
NUM_EDGES = 65
ROUNDING = 1e-12  # of a level, in a sum of weights
# Beyond this ratio of mean to spread, float32 would lose more than a thousandth of the spread.
SHIFT_RATIO = 1e4
# Sums of squares, and differences in float32, stay finite up to here; what is larger counts as this much.
LARGEST = 1e38
# A spread below this has no float32 inverse.
SMALLEST_SPREAD = 1e-37


@KINDS.register("number", packed=True, entry="scale", head="regress", rebuild="regress")
class Number(Kind):
    """A quantity; missing is NaN.

    A column of fixed-size lists is a block: its numbers are kept together and share one encoding.
    """

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if _block_width(column.type) is not None:
            return Claim(0.6, f"block of {_block_width(column.type)} numbers")
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return Claim(0.6, "decimals")
        if pa.types.is_integer(column.type):
            return Claim(0.5, "whole numbers")
        return Claim(0.1, "no value at all") if pa.types.is_null(column.type) else None

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        values = _numbers(column)  # (N, D)
        weights = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
        present = np.isfinite(values)
        filled = np.where(present, values, 0.0)
        shares = present * weights[:, None]
        total = shares.sum(axis=0)
        mean = _ratio((filled * shares).sum(axis=0), total)
        squares = (shares * np.where(present, values - mean, 0.0) ** 2).sum(axis=0)
        return {
            "type": str(column.type),
            "weight": total.tolist(),
            "missing": (~present).sum(axis=0).tolist(),
            "mean": mean.tolist(),
            "squares": squares.tolist(),
            "sketch": _sketches(values, weights),
        }

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        """Chan, Golub and LeVeque (1979), equation 2.1, for the moments; sketches are concatenated and thinned."""
        weights = np.array(first["weight"]), np.array(second["weight"])
        total = weights[0] + weights[1]
        gap = np.array(second["mean"]) - np.array(first["mean"])
        mean = np.array(first["mean"]) + gap * _ratio(weights[1], total)
        squares = np.array(first["squares"]) + second["squares"] + gap**2 * _ratio(weights[0] * weights[1], total)
        return {
            "type": first["type"],
            "weight": total.tolist(),
            "missing": (np.array(first["missing"]) + second["missing"]).tolist(),
            "mean": mean.tolist(),
            "squares": squares.tolist(),
            "sketch": [_merged_sketch(a, b) for a, b in zip(first["sketch"], second["sketch"], strict=True)],
        }

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        mean, total = np.array(statistics["mean"]), np.array(statistics["weight"])
        deviation = np.sqrt(_ratio(np.array(statistics["squares"]), total))
        edges = np.stack([_quantiles(sketch) for sketch in statistics["sketch"]])  # (D, NUM_EDGES)
        spread = np.where(deviation > 0, deviation, 1.0)
        far = (np.abs(mean) > SHIFT_RATIO * spread) | (np.abs(edges).max(axis=1) > 2**24)
        return {
            "type": statistics["type"],
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
            "missing": statistics["missing"],
            "shift": np.where(far, mean, 0.0).tolist(),
            "edges": edges.tolist(),
        }

    @property
    def spec(self) -> NumberSpec:
        shift = np.array(self.state["shift"])
        edges = np.array(self.state["edges"]) - shift[:, None]
        deviation = np.array(self.state["deviation"])
        mean = np.array(self.state["mean"]) - shift
        # A spread that is rounding error of the values themselves is no spread.
        constant = deviation <= np.maximum(SMALLEST_SPREAD, 1e-12 * np.abs(self.state["mean"]))
        deviation = np.where(constant, 1.0, deviation)
        quarter = NUM_EDGES // 4
        spread = edges[:, -1 - quarter] - edges[:, quarter]
        wide = np.where(spread > 0, spread, (edges[:, -1] - edges[:, 0]) / 2)
        return NumberSpec(
            count=len(mean),
            centre=tuple(edges[:, NUM_EDGES // 2].tolist()),
            scale=tuple(np.where(constant | (wide <= 0), deviation, wide).tolist()),
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
            edges=tuple(tuple(row) for row in edges.tolist()),
            missing=tuple(count > 0 for count in self.state["missing"]),
        )

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        width = len(self.state["shift"])
        values = np.full((len(column), width), np.nan) if pa.types.is_null(column.type) else _numbers(column)
        if values.shape[1] != width:
            raise SchemaError(f"a row holds {values.shape[1]} numbers where the model was fitted on {width}")
        return {"": torch.from_numpy((values - np.array(self.state["shift"])).astype(np.float32))}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        assert isinstance(encoded, Tensor)
        return self.values({"value": encoded.numpy()})["value"]

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each as (N,), or as (N, D) where the column is a block, in the column's own unit."""
        shift = self.state["shift"][0] if len(self.state["shift"]) == 1 else np.array(self.state["shift"])
        whole = {name: np.asarray(value, dtype=np.float64) + shift for name, value in prediction.items()}
        return {name: value[:, 0] if value.shape[1:] == (1,) else value for name, value in whole.items()}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, D), and one column a quantile ``q0.1`` where there are any."""
        values = self.values(prediction)
        columns = {"": _column(values.pop("value"), self.state["type"])}
        return columns | {name: pa.array(quantile) for name, quantile in values.items()}


def _column(value: np.ndarray, kind: str) -> pa.Array:
    if value.ndim == 2 and (kind.startswith(("fixed", "extension")) or value.shape[1] > 1):
        return pa.FixedSizeListArray.from_arrays(pa.array(value.ravel()), value.shape[1])
    return pa.array(value.reshape(-1))


def _block_width(kind: pa.DataType) -> int | None:
    """How many numbers a cell of this type holds, if it holds a fixed number of them."""
    if isinstance(kind, pa.FixedShapeTensorType) and len(kind.shape) == 1 and not pa.types.is_uint8(kind.value_type):
        return int(kind.shape[0])
    if pa.types.is_fixed_size_list(kind) and _is_numeric(kind.value_type):
        return int(kind.list_size)
    return None


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The column as (N, D) float64, missing as NaN, infinite too; at most LARGEST."""
    width = _block_width(column.type)
    if width is not None:
        values = np.concatenate([_block(chunk, width) for chunk in column.chunks] or [np.empty((0, width))])
    else:
        values = _scalar_numbers(column).reshape(-1, 1)
    values[~np.isfinite(values)] = np.nan
    return np.clip(values, -LARGEST, LARGEST)


def _block(chunk: pa.Array, width: int) -> np.ndarray:
    """(N, width) float64 of one chunk of a block; Arrow's ``flatten`` leaves missing rows out."""
    lists = chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk
    values = np.full((len(lists), width), np.nan)
    present = lists.is_valid().to_numpy(zero_copy_only=False)
    values[present] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return values


def _scalar_numbers(column: pa.ChunkedArray) -> np.ndarray:
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(f"a number was expected: {str(error).splitlines()[0]}") from error
    return np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


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
    return _at(np.linspace(0, 1, NUM_EDGES), values, weights)


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
