"""Numbers: one to a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.errors import SchemaError, first_line
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.kinds.moments import LARGEST, count_numbers, fit_numbers, merge_numbers, number_spec
from fathom.signals import NumberSpec, Ragged

__all__ = ["Number"]


@KINDS.register("number", packed=True, entry="scale", head="regress", rebuild="regress")
class Number(Kind):
    """A quantity: an age, a price, a temperature.

    Missing is NaN.
    """

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return Claim(0.6, "decimals")
        if pa.types.is_integer(column.type):
            return Claim(0.5, "whole numbers")
        return Claim(0.1, "no value at all") if pa.types.is_null(column.type) else None

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        return count_numbers(_numbers(column), weight)

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        return merge_numbers(first, second)

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        return fit_numbers(statistics)

    @property
    def spec(self) -> NumberSpec:
        return number_spec(self.state)

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, 1) float32."""
        return {"": torch.from_numpy((_numbers(column) - self.state["shift"][0]).astype(np.float32))}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        assert isinstance(encoded, Tensor)
        return self.values({"value": encoded.numpy()})["value"]

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each as (N,), in the column's own unit."""
        shift = self.state["shift"][0]
        whole = {name: np.asarray(value, dtype=np.float64) + shift for name, value in prediction.items()}
        return {name: value[:, 0] if value.ndim == 2 else value for name, value in whole.items()}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, 1), and one column a quantile ``q0.1`` where there are any."""
        values = self.values(prediction)
        return {"": pa.array(values.pop("value"))} | {name: pa.array(value) for name, value in values.items()}


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The column as (N, 1) float64, at most LARGEST; missing and infinite as NaN."""
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        hint = " (lists of numbers are of kind vector)" if pa.types.is_nested(column.type) else ""
        raise SchemaError(f"a number was expected: {first_line(error)}{hint}") from error
    values = np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(-1, 1)
    values[~np.isfinite(values)] = np.nan
    return np.clip(values, -LARGEST, LARGEST)
