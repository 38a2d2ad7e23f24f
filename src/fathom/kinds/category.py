"""Categories: one of a known set of values."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import coded, holds_single_values, holds_text
from fathom.errors import SchemaError, first_line
from fathom.kinds.counts import bounded
from fathom.kinds.kind import KINDS, UNSEEN, Claim, Kind, Statistics
from fathom.registry import Range
from fathom.signals import CategorySpec, Ragged

__all__ = ["Category"]

MAX_WHOLE_NUMBER_CLASSES = 20
MANY = 64  # distinct values: beyond, each has a learned vector, for which a few rows are not enough
RARE = 5
OTHER = "of other values"
TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}


@KINDS.register("category", packed=True, entry="embed", head="classify", rebuild="rebuild_categories")
class Category(Kind):
    """One value of a set that training rows have: a colour, a country, yes or no.

    Missing, and a value that training never saw, are index 0. Where training rows have rare values, those are one
    value together, "other", and so are values never seen.

    Args:
        state: what ``fit`` returned.
        rare: values of less weight than this many rows are "other"; 0 has none.
        hash: into how many buckets values fall by a hash of theirs, instead of being told apart; 0 is none.
    """

    def __init__(
        self,
        state: Statistics,
        *,
        rare: Annotated[int, Range(0, 1_000_000)] = 0,
        hash: Annotated[int, Range(0, 10_000_000)] = 0,
    ) -> None:
        super().__init__(_in_buckets(state, hash) if hash else _without_rare(state, rare))
        self._buckets = hash
        self._known = pa.array(self.state["values"], pa.int64() if hash else self._type)

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if pa.types.is_dictionary(column.type) or pa.types.is_boolean(column.type):
            return Claim(0.7, "yes or no" if pa.types.is_boolean(column.type) else "a set of values")
        if holds_text(column.type):
            distinct = pc.count_distinct(column).as_py()
            return _claim_of_many(column, distinct) if distinct > MANY and not target else Claim(0.5, _words(distinct))
        if not (target and pa.types.is_integer(column.type)):
            return None
        distinct = pc.count_distinct(column).as_py()
        few = distinct <= MAX_WHOLE_NUMBER_CLASSES and distinct < 0.1 * len(column)
        return Claim(0.6, f"{distinct} distinct whole numbers") if few else None

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        column = _plain(column)
        weights = np.ones(len(column)) if weight is None else np.asarray(weight, dtype=np.float64)
        codes, values = coded(column)
        totals = np.bincount(codes + 1, weights=weights, minlength=len(values) + 1)
        pairs = zip(values.to_pylist(), totals[1:].tolist(), strict=True)
        seen = {value: total for value, total in pairs if total > 0}
        return _statistics(str(column.type), seen, 0.0, float(totals[0]))

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        totals = dict(zip(first["values"], first["counts"], strict=True))
        for value, total in zip(second["values"], second["counts"], strict=True):
            totals[value] = totals.get(value, 0.0) + total
        other, missing = first["other"] + second["other"], first["missing"] + second["missing"]
        return _statistics(_common_type(first, second), totals, other, missing)

    @property
    def spec(self) -> CategorySpec:
        counts = (*self.state["counts"], *([self.state["other"]] if self._has_other else []))
        return CategorySpec(1, (len(counts),), (counts,))

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, 1) int64; UNSEEN is (N,) bool, true where there is a value that training never saw, if any."""
        cells = self._cast(_plain(column))
        index = pc.index_in(_hashed(cells, self._buckets) if self._buckets else cells, value_set=self._known)
        codes = np.concatenate([_codes(chunk) for chunk in index.chunks] or [np.empty(0, np.int64)])
        unseen = pc.is_valid(cells).to_numpy() & (codes < 0)
        if self._has_other:
            codes, unseen = np.where(unseen, len(self._known), codes), np.zeros_like(unseen)
        known: dict[str, Tensor | Ragged] = {"": torch.from_numpy(codes + 1).unsqueeze(1)}
        return {**known, UNSEEN: torch.from_numpy(unseen)} if unseen.any() else known

    def unknown(self, column: pa.ChunkedArray) -> np.ndarray:
        cells = self._cast(_plain(column))
        if self._buckets:  # whatever comes falls into one
            return np.zeros(len(cells), bool)
        strange: np.ndarray = pc.invert(pc.is_in(cells, value_set=self._known)).to_numpy(zero_copy_only=False)
        return strange & cells.is_valid().to_numpy(zero_copy_only=False)

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) int64, -1 where missing or never seen."""
        assert isinstance(encoded, Tensor)
        return encoded.squeeze(1).numpy() - 1

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``probability`` (N, K): the likeliest value, null for other ones, and ``probability <value>`` for each."""
        probability = prediction["probability"]
        if not probability.shape[1]:
            return {"": pa.nulls(len(probability), self._type)}
        values = pa.concat_arrays([self._known, pa.nulls(int(self._has_other), self._known.type)])
        columns = {"": values.take(pa.array(probability.argmax(axis=1)))}
        names = [*self.state["values"], *([OTHER] if self._has_other else [])]
        return columns | {f"probability {name}": pa.array(probability[:, k]) for k, name in enumerate(names)}

    @property
    def _has_other(self) -> bool:
        """Whether training rows hold values that are not told apart."""
        return bool(self.state.get("other", 0) > 0)

    @property
    def _type(self) -> pa.DataType:
        return TYPES.get(self.state["type"], pa.string())

    def _cast(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if column.type == self._type:
            return column
        try:
            return pc.cast(column, self._type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(f"{self._type} values were expected, as in training: {first_line(error)}") from error


def _codes(chunk: pa.Array) -> np.ndarray:
    return chunk.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


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
    if not holds_single_values(kind):
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


def _statistics(kind: str, totals: Mapping[Any, float], other: float, missing: float) -> Statistics:
    kept, dropped = bounded(totals)
    values = sorted(kept)
    counts = [kept[value] for value in values]
    return {"type": kind, "values": values, "counts": counts, "other": other + dropped, "missing": missing}


def _words(distinct: int) -> str:
    return f"{distinct:,} distinct strings"


def _claim_of_many(column: pa.ChunkedArray, distinct: int) -> Claim:
    """The claim on so many strings that those of few rows would be learned by heart."""
    counts = np.asarray(pc.value_counts(column.drop_null()).field("counts"))
    rare = int((counts < RARE).sum())
    if not rare:
        return Claim(0.5, _words(distinct))
    return Claim(0.5, f"{_words(distinct)}, {rare:,} of them in fewer than {RARE} rows: other", {"rare": RARE})


def _without_rare(state: Statistics, rare: int) -> Statistics:
    """The state in which the rare values are other ones, unless all are."""
    pairs = list(zip(state["values"], state["counts"], strict=True))
    kept = [(value, count) for value, count in pairs if count >= rare]
    if not kept or len(kept) == len(pairs):
        return state
    other = state["other"] + sum(count for _, count in pairs if count < rare)
    return {**state, "values": [value for value, _ in kept], "counts": [count for _, count in kept], "other": other}


def _in_buckets(state: Statistics, buckets: int) -> Statistics:
    """The state in which the values are the numbers of all buckets; a state that has been so already is the same."""
    if state.get("buckets") == buckets:
        return state
    totals = np.full(buckets, state["other"] / buckets)  # no more is known of values that were not counted
    for value, count in zip(state["values"], state["counts"], strict=True):
        totals[_bucket(value, buckets)] += count
    return {**state, "buckets": buckets, "values": list(range(buckets)), "counts": totals.tolist(), "other": 0.0}


def _hashed(cells: pa.ChunkedArray, buckets: int) -> pa.ChunkedArray:
    """Each value's bucket."""
    codes = pc.dictionary_encode(cells.combine_chunks())
    found = pa.array([_bucket(value, buckets) for value in codes.dictionary.to_pylist()], pa.int64())
    return pa.chunked_array([found.take(codes.indices)])


def _bucket(value: Any, buckets: int) -> int:
    """The bucket of a value, the same in every process (Weinberger et al. 2009; Python's own hash differs)."""
    text = str(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") % buckets
