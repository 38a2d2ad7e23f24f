"""Categories: one of a known set of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.errors import SchemaError
from fathom.kinds.kind import KINDS, UNSEEN, Claim, Kind, Statistics
from fathom.signals import CategorySpec, Ragged

__all__ = ["Category"]

MAX_WHOLE_NUMBER_CLASSES = 20
TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}


@KINDS.register("category", packed=True, entry="embed", head="classify", rebuild="rebuild_categories")
class Category(Kind):
    """One of the values seen in training; missing and never seen are index 0."""

    def __init__(self, state: Statistics) -> None:
        super().__init__(state)
        self._known = pa.array(self.state["values"], self._type)

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if pa.types.is_dictionary(column.type) or pa.types.is_boolean(column.type):
            return Claim(0.7, "yes or no" if pa.types.is_boolean(column.type) else "a set of values")
        distinct = pc.count_distinct(column).as_py() if _is_scalar(column.type) else 0
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return Claim(0.5, f"{distinct:,} distinct strings")
        few = distinct <= MAX_WHOLE_NUMBER_CLASSES and distinct < 0.1 * len(column)
        if target and few and pa.types.is_integer(column.type):
            return Claim(0.6, f"{distinct} distinct whole numbers")
        return None

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        column = _plain(column)
        weights = np.ones(len(column)) if weight is None else np.asarray(weight, dtype=np.float64)
        codes = pc.dictionary_encode(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
        codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
        index = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        totals = np.bincount(index + 1, weights=weights, minlength=len(codes.dictionary) + 1)
        pairs = sorted(zip(codes.dictionary.to_pylist(), totals[1:].tolist(), strict=True))
        seen = [(value, total) for value, total in pairs if total > 0]
        return _statistics(str(column.type), dict(seen), float(totals[0]))

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        totals = dict(zip(first["values"], first["counts"], strict=True))
        for value, total in zip(second["values"], second["counts"], strict=True):
            totals[value] = totals.get(value, 0.0) + total
        return _statistics(_common_type(first, second), totals, first["missing"] + second["missing"])

    @property
    def spec(self) -> CategorySpec:
        return CategorySpec(1, (len(self.state["values"]),), (tuple(self.state["counts"]),))

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, 1) int64; UNSEEN is (N,) bool, true where there is a value that training never saw, if any."""
        cells = self._cast(_plain(column))
        index = pc.index_in(cells, value_set=self._known)
        codes = np.concatenate([_codes(chunk) for chunk in index.chunks] or [np.empty(0, np.int64)])
        known: dict[str, Tensor | Ragged] = {"": torch.from_numpy(codes + 1).unsqueeze(1)}
        unseen = torch.from_numpy(pc.is_valid(cells).to_numpy() & (codes < 0))
        return {**known, UNSEEN: unseen} if unseen.any() else known

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) int64, -1 where missing or never seen."""
        assert isinstance(encoded, Tensor)
        return encoded.squeeze(1).numpy() - 1

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``probability`` (N, K): the likeliest value, and one column a class ``probability <value>``."""
        probability = prediction["probability"]
        if not len(self._known):
            return {"": pa.nulls(len(probability), self._type)}
        columns = {"": self._known.take(pa.array(probability.argmax(axis=1)))}
        for k, value in enumerate(self.state["values"]):
            columns[f"probability {value}"] = pa.array(probability[:, k])
        return columns

    @property
    def _type(self) -> pa.DataType:
        return TYPES.get(self.state["type"], pa.string())

    def _cast(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if column.type == self._type:
            return column
        try:
            return pc.cast(column, self._type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise SchemaError(f"{self._type} values were expected, as in training: {reason}") from error


def _codes(chunk: pa.Array) -> np.ndarray:
    return chunk.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _is_scalar(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in one of the few types that JSON keeps: string, int64, double, bool."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    kind = column.type
    if pa.types.is_integer(kind):
        return pc.cast(column, pa.int64())
    if pa.types.is_floating(kind):
        doubles = pc.add(pc.cast(column, pa.float64()), 0.0)  # -0.0 is the value 0.0, though Arrow tells them apart
        return pc.if_else(pc.is_nan(doubles), pa.scalar(None, pa.float64()), doubles)
    if kind in TYPES.values():
        return column
    if not _is_scalar(kind):
        raise SchemaError(f"a column of {kind} cannot be a category")
    return pc.cast(column, pa.string())


def _common_type(first: Statistics, second: Statistics) -> str:
    """The type of the values of both; a part without values has the type of the other."""
    kinds = {part["type"] for part in (first, second) if part["values"]} or {first["type"]}
    if kinds == {"int64", "double"}:
        return "double"
    if len(kinds) > 1:
        raise SchemaError(f"one part of the rows holds {first['type']}, another {second['type']}")
    return str(kinds.pop())


def _statistics(kind: str, totals: dict[Any, float], missing: float) -> Statistics:
    values = sorted(totals)
    return {"type": kind, "values": values, "counts": [totals[value] for value in values], "missing": missing}
