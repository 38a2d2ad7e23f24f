"""Vectors: a list of as many numbers in every row, such as an embedding or a spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_numbers
from fathom.errors import SchemaError
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.kinds.moments import LARGEST, count_numbers, fit_numbers, merge_numbers, number_spec
from fathom.signals import NumberSpec, Ragged

__all__ = ["Vector"]

SHORTEST = 2


@KINDS.register("vector", packed=False, form="number", entry="scale", head="regress", rebuild="regress")
class Vector(Kind):
    """A list of numbers, as many in every row: an embedding, a spectrum.

    A missing row is NaN throughout. Its tensor has the form of D number columns, so that it takes their nets and heads.
    """

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        width = _width(column.type)
        if width is None and _is_variable(column.type):
            lengths = pc.unique(pc.list_value_length(column)).drop_null().to_pylist()
            width = lengths[0] if len(lengths) == 1 and lengths[0] >= SHORTEST else None
        return None if width is None else Claim(0.6, f"{width:,} numbers in each row")

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        width = _width(column.type)
        if width is None:
            width = next((len(cell) for cell in column.drop_null().slice(0, 1).to_pylist()), None)
        if width is None:
            return {"width": None, "rows": len(column)}
        return {"width": width, "rows": len(column), **count_numbers(_numbers(column, width), weight)}

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        rows = first["rows"] + second["rows"]
        for part, other in ((first, second), (second, first)):
            if part["width"] is None:
                missing = {} if other["width"] is None else {"missing": [m + part["rows"] for m in other["missing"]]}
                return {**other, "rows": rows, **missing}
        if first["width"] != second["width"]:
            raise SchemaError(f"one part of the rows holds {first['width']} numbers each, another {second['width']}")
        return {"width": first["width"], "rows": rows, **merge_numbers(first, second)}

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        if statistics["width"] is None:
            nothing = count_numbers(np.full((statistics["rows"], 1), np.nan), None)
            return {"width": None, **fit_numbers(nothing)}
        return {"width": statistics["width"], **fit_numbers(statistics)}

    @property
    def spec(self) -> NumberSpec:
        return number_spec(self.state)

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, D) float32."""
        values = _numbers(column, self.state["width"])
        return {"": torch.from_numpy((values - np.array(self.state["shift"])).astype(np.float32))}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N, D) float64."""
        assert isinstance(encoded, Tensor)
        return self.values({"value": encoded.numpy()})["value"]

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each (N, D), in the column's own unit."""
        shift = np.array(self.state["shift"])
        return {name: np.asarray(value, dtype=np.float64) + shift for name, value in prediction.items()}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, D), as lists of D numbers."""
        value = self.values(prediction)["value"]
        return {"": pa.FixedSizeListArray.from_arrays(pa.array(value.ravel()), value.shape[1])}


def _width(kind: pa.DataType) -> int | None:
    """How many numbers a cell of this type holds, where the type says it."""
    if isinstance(kind, pa.FixedShapeTensorType) and len(kind.shape) == 1 and not pa.types.is_uint8(kind.value_type):
        return int(kind.shape[0])
    if pa.types.is_fixed_size_list(kind) and holds_numbers(kind.value_type):
        return int(kind.list_size)
    return None


def _is_variable(kind: pa.DataType) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and holds_numbers(kind.value_type)


def _numbers(column: pa.ChunkedArray, width: int | None) -> np.ndarray:
    """(N, width) float64, at most LARGEST; missing and infinite as NaN, throughout a missing row.

    Raises:
        SchemaError: a row holds another number of numbers, or no list of numbers at all.
    """
    if _width(column.type) is None and not _is_variable(column.type):
        raise SchemaError(f"a list of numbers was expected in each row, not {column.type}")
    chunks, start = [np.empty((0, width or 1))], 0
    for chunk in column.chunks:
        chunks.append(_rows(chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk, width, start))
        start += len(chunk)
    values = np.concatenate(chunks)
    values[~np.isfinite(values)] = np.nan
    return np.clip(values, -LARGEST, LARGEST)


def _rows(lists: Any, width: int | None, start: int) -> np.ndarray:
    """(N, width) float64 of one chunk, which begins at row ``start``; Arrow's ``flatten`` leaves out missing rows."""
    lengths = pc.list_value_length(lists).fill_null(-1).to_numpy(zero_copy_only=False)
    present = lengths >= 0
    wrong = np.flatnonzero(present & (lengths != width))
    if len(wrong):
        row, fitted = int(wrong[0]), "no list" if width is None else f"{width:,}"
        raise SchemaError(
            f"row {start + row} holds {int(lengths[row]):,} numbers where the model was fitted on {fitted}"
        )
    values = np.full((len(lists), width or 1), np.nan)
    values[present] = (
        pc.cast(lists.flatten(), pa.float64(), safe=False).to_numpy(zero_copy_only=False).reshape(-1, width or 1)
    )
    return values
