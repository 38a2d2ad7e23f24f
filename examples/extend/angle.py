"""A kind in one file: an angle in degrees, of which 359 and 1 are neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.kinds.kind import KINDS, Kind, Statistics
from fathom.kinds.moments import count_numbers, fit_numbers, merge_numbers, number_spec
from fathom.signals import NumberSpec, Ragged


@KINDS.register("angle", packed=False, form="number", entry="scale", head="regress", rebuild="regress")
class Angle(Kind):
    """An angle in degrees, such as where the wind comes from, as a point on a circle.

    Its tensor has the form of two number columns, so that it takes their nets and heads. Missing is NaN in both.
    """

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        return count_numbers(_points(column), weight)

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
        """``""`` is (N, 2) float32: cosine and sine."""
        return {"": torch.from_numpy((_points(column) - self._shift).astype(np.float32))}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N, 2) float64, points on the circle."""
        assert isinstance(encoded, Tensor)
        return encoded.numpy().astype(np.float64) + self._shift

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each (N, 2), points beside the circle's middle."""
        return {name: np.asarray(value, dtype=np.float64) + self._shift for name, value in prediction.items()}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, 2), as degrees from 0 to 360."""
        cosine, sine = self.values(prediction)["value"].T
        return {"": pa.array(np.degrees(np.arctan2(sine, cosine)) % 360)}

    @property
    def _shift(self) -> np.ndarray:
        return np.array(self.state["shift"])  # of a column that hardly varies; else 0


def _points(column: pa.ChunkedArray) -> np.ndarray:
    """(N, 2) float64: cosine and sine, NaN where missing."""
    degrees = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)
