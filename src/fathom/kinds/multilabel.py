"""Sets of labels: lists of strings, or strings in which a sign divides the labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_text, holds_words
from fathom.errors import SchemaError
from fathom.kinds.counts import bounded, most_frequent
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.registry import Range
from fathom.signals import MultilabelSpec, Ragged

__all__ = ["Multilabel", "labels_of"]

SEPARATORS = ("|", ";", ",", "/", " ")
PLAIN_SEPARATORS = SEPARATORS[:3]  # the others divide too much else: dates, names, sentences
LIST, WHOLE = "list", "none"  # the readings of a column of lists, and of strings that are one label each
SAMPLED_CELLS = 1000
MOST_CELLS = 0.5
MOST_TWICE = 0.01  # of all mentions, in their own list: more are sequences, as of words or of their tags
MOST_NEW = 0.3  # of all mentions of labels: what stands in the cells repeats
SHORT = r"^\S+( \S+){0,2}$"


@KINDS.register("multilabel", packed=False, entry="label_bag", head="multilabel", rebuild="multilabel")
class Multilabel(Kind):
    """A set of labels, none to many in a row: the tags of a picture, the topics of a text.

    The labels are those of training rows. An empty list is a set, null is missing.

    Args:
        state: what ``fit`` returned.
        separator: what divides the labels of a string; "auto" takes the first of | ; , that occurs.
        most: how many labels are told apart; the rarer ones are as if never seen.
    """

    def __init__(
        self,
        state: Statistics,
        *,
        separator: Literal["auto", "|", ";", ",", "/", " "] = "auto",
        most: Annotated[int, Range(1, 100_000, log=True)] = 1000,
    ) -> None:
        self._reading = _chosen(state["readings"], separator)
        found = state["readings"].get(self._reading) or state["readings"][WHOLE]
        kept = most_frequent(dict(zip(found["labels"], found["counts"], strict=True)), most)
        self._fitted = _sorted(kept, found["fewest"])
        super().__init__({**state, "readings": {self._reading: self._fitted}})
        self._known = pa.array(self._fitted["labels"], pa.string())

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if holds_words(column.type):
            labels, rows = _labels(column, LIST)
            count = len(labels.unique())
            is_set = 0 < count <= MOST_NEW * len(labels) and not _repeat_themselves(labels, rows)
            return Claim(0.8, f"sets of {count:,} labels") if is_set else None
        if not holds_text(column.type):
            return None
        few = column.slice(0, SAMPLED_CELLS)
        for separator in PLAIN_SEPARATORS:
            if _is_plainly_divided(few, separator) and _is_plainly_divided(column, separator):
                count = len(_labels(column, separator)[0].unique())
                return Claim(0.7, f"sets of {count:,} labels, divided by {separator}", {"separator": separator})
        return None

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        weights = np.ones(len(column)) if weight is None else np.asarray(weight, dtype=np.float64)
        present = np.asarray(pc.is_valid(column))
        names = _possible(column) if present.any() else []
        return {
            "rows": float(weights[present].sum()),
            "missing": int((~present).sum()),
            "readings": {name: _counted(column, name, weights, present) for name in names},
        }

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        parts = [part["readings"] for part in (first, second) if part["readings"]]
        if len({LIST in part for part in parts}) > 1:
            raise SchemaError("one part of the rows holds lists, another strings")
        names = dict.fromkeys(name for part in parts for name in part)
        return {
            "rows": first["rows"] + second["rows"],
            "missing": first["missing"] + second["missing"],
            # Where a sign does not occur at all, each string is one label.
            "readings": {name: _merged([part.get(name) or part[WHOLE] for part in parts]) for name in names},
        }

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        return {**statistics, "readings": statistics["readings"] or {WHOLE: _sorted({}, 0)}}

    @property
    def spec(self) -> MultilabelSpec:
        counts, fewest = self._fitted["counts"], self._fitted["fewest"]
        return MultilabelSpec(tuple(counts), self.state["rows"], fewest, self.state["missing"] > 0)

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is N rows of int64: labels from 1, in order and each once; K + 1 was never seen, 0 is missing."""
        labels, rows = _labels(column, self._reading)
        coded = labels.dictionary_encode()
        place = pc.index_in(coded.dictionary, value_set=self._known)
        known = np.asarray(place.fill_null(-1)).astype(np.int64) + 1
        # Labels never seen stay apart until each stands once in its row.
        beyond = len(self._known) + 1
        number = np.where(known > 0, known, beyond + np.arange(len(known)))
        pairs = _distinct(rows, number[np.asarray(coded.indices)])
        absent = np.flatnonzero(~np.asarray(pc.is_valid(column)))
        every_row = np.concatenate([pairs[:, 0], absent])
        values = np.concatenate([np.minimum(pairs[:, 1], beyond), np.zeros(len(absent), np.int64)])
        values = values[np.argsort(every_row, kind="stable")]
        offsets = np.concatenate([[0], np.bincount(every_row, minlength=len(column)).cumsum()]).astype(np.int64)
        return {"": Ragged(torch.from_numpy(values), torch.from_numpy(offsets))}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N, K + 1) float32: 1 for a label, and how many were never seen; NaN in a row that is missing."""
        assert isinstance(encoded, Ragged)
        table = np.zeros((len(encoded), len(self._known) + 2), np.float32)
        rows = np.repeat(np.arange(len(encoded)), encoded.lengths.numpy())
        np.add.at(table, (rows, encoded.values.numpy()), 1)
        return np.where(table[:, :1] > 0, np.float32(np.nan), table[:, 1:])

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``chosen`` (N, K) as lists, or as strings where the column holds strings; ``probability`` (N, K) by label."""
        chosen = np.asarray(prediction["chosen"]).astype(bool)
        rows, labels = np.nonzero(chosen)
        offsets = np.concatenate([[0], np.bincount(rows, minlength=len(chosen)).cumsum()]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), self._known.take(pa.array(labels, pa.int64())))
        joint = self._reading if self._reading in SEPARATORS else "|"
        columns = {"": lists if self._reading == LIST else pc.binary_join(lists, joint)}
        for k, label in enumerate(self._fitted["labels"]):
            columns[f"probability {label}"] = pa.array(prediction["probability"][:, k])
        return columns


def labels_of(column: pa.ChunkedArray, separator: str = "auto") -> tuple[pa.Array, np.ndarray]:
    """The labels of all rows one after another, and the row of each; ``separator`` as in the kind's options."""
    return _labels(column, _chosen(_possible(column), separator))


def _chosen(readings: Collection[str], separator: str) -> str:
    """How the column is read: lists are lists, strings are divided as it was said or as their signs show."""
    if LIST in readings:
        return LIST
    if separator != "auto":
        return separator
    return next((name for name in PLAIN_SEPARATORS if name in readings), next(iter(readings)))


def _possible(column: pa.ChunkedArray) -> list[str]:
    """The readings of a column: lists, or strings as they are and divided by each sign that occurs."""
    if holds_words(column.type):
        return [LIST]
    if not holds_text(column.type):
        raise SchemaError(f"lists of labels, or strings of them, were expected, not {column.type}")
    return [WHOLE, *(sign for sign in SEPARATORS if pc.any(pc.match_substring(column, sign)).as_py())]


def _labels(column: pa.ChunkedArray, reading: str) -> tuple[pa.Array, np.ndarray]:
    """The labels of all rows one after another, without blanks around them, and the row of each."""
    kind = column.type
    if pa.types.is_null(kind):
        return pa.array([], pa.string()), np.empty(0, np.int64)
    if not (holds_words(kind) or (holds_text(kind) and reading != LIST)):
        raise SchemaError(f"{'lists of labels' if reading == LIST else 'sets of labels'} were expected, not {kind}")
    cells = column.combine_chunks()
    if holds_text(kind) and reading == WHOLE:
        labels, rows = cells.drop_null(), pc.indices_nonzero(cells.is_valid())
    else:
        lists = cells if holds_words(kind) else pc.split_pattern(cells, reading)
        labels, rows = pc.list_flatten(lists), pc.list_parent_indices(lists)
    labels = pc.utf8_trim_whitespace(labels.cast(pa.string()))
    filled = pc.not_equal(labels, "").fill_null(False)
    return labels.filter(filled), np.asarray(rows.filter(filled)).astype(np.int64)


def _distinct(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(pairs, 2) each row with each of its labels once, in order."""
    return np.unique(np.stack([rows, labels], axis=1), axis=0)


def _repeat_themselves(labels: pa.Array, rows: np.ndarray) -> bool:
    """Whether lists name what they hold more than once, as no set does."""
    codes = np.asarray(labels.dictionary_encode().indices)
    return len(_distinct(rows, codes)) < (1 - MOST_TWICE) * len(codes)


def _counted(column: pa.ChunkedArray, reading: str, weights: np.ndarray, present: np.ndarray) -> dict[str, Any]:
    """In how many rows each label stands, and how many a row has at least."""
    labels, rows = _labels(column, reading)
    coded = labels.dictionary_encode()
    pairs = _distinct(rows, np.asarray(coded.indices).astype(np.int64))
    totals = np.bincount(pairs[:, 1], weights=weights[pairs[:, 0]], minlength=len(coded.dictionary))
    seen = {label: total for label, total in zip(coded.dictionary.to_pylist(), totals.tolist(), strict=True) if total}
    lengths = np.bincount(pairs[:, 0], minlength=len(column))[present & (weights > 0)]
    return _sorted(bounded(seen)[0], int(lengths.min(initial=len(seen))))


def _merged(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    totals: dict[str, float] = {}
    for part in parts:
        for label, total in zip(part["labels"], part["counts"], strict=True):
            totals[label] = totals.get(label, 0.0) + total
    return _sorted(bounded(totals)[0], min(part["fewest"] for part in parts))


def _sorted(totals: Mapping[str, float], fewest: int) -> dict[str, Any]:
    labels = sorted(totals)
    return {"labels": labels, "counts": [totals[label] for label in labels], "fewest": fewest}


def _is_plainly_divided(column: pa.ChunkedArray, separator: str) -> bool:
    """Whether a sign plainly divides sets of labels, and not names, places, sentences or numbers.

    Most cells hold it, sets differ in size and name no label twice, labels are short words that repeat over rows, and
    those behind the sign are also found before it: in "Berlin, Germany" each place in the cell has words of its own.
    """
    cells = column.drop_null()
    if not len(cells) or not np.asarray(pc.match_substring(cells, separator)).mean() > MOST_CELLS:
        return False
    labels, rows = _labels(cells, separator)
    coded = labels.dictionary_encode()
    words, codes = coded.dictionary, np.asarray(coded.indices)
    first = np.r_[True, np.diff(rows) != 0][: len(rows)]
    return bool(
        len(words) <= MOST_NEW * len(codes)
        and pc.all(pc.match_substring_regex(words, SHORT)).as_py()
        and not pc.all(pc.match_substring_regex(words, "^[0-9.+-]*$")).as_py()
        and len(_distinct(rows, codes)) == len(codes)
        and len(np.unique(np.bincount(rows, minlength=len(cells)))) > 1
        and np.isin(codes[~first], codes[first]).mean() > MOST_CELLS
    )
