"""Metrics of texts as numbers a row, and a formula over their sums: so that many weightings cost little more than one.

Truth is an object array (N,): a text, or a list of texts any of which is right, or None where missing. The prediction
holds texts under ``text``. See ``metrics`` for what a metric takes.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["as_texts", "counted", "harmonic", "over_texts", "overlap", "references"]

Values = Mapping[str, np.ndarray]
Count = Callable[[Sequence[str], str], Sequence[float] | np.ndarray]
Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]
TextMetric = Callable[[np.ndarray, Values, np.ndarray], np.ndarray]

_COUNTED: dict[tuple[Count, int, int], np.ndarray] = {}


def as_texts(cells: Iterable[str | Sequence[str] | None]) -> np.ndarray:
    """(N,) object array of texts, or of lists of texts, which numpy alone would turn into a table."""
    listed = list(cells)
    texts = np.empty(len(listed), dtype=object)
    for row, cell in enumerate(listed):
        texts[row] = cell
    return texts


def references(cell: str | Sequence[str]) -> Sequence[str]:
    """The texts any of which is right."""
    return (cell,) if isinstance(cell, str) else cell


def over_texts(count: Count) -> Callable[[Formula], TextMetric]:
    """Make a metric of a formula over sums; it is NaN where a prediction has no texts.

    Args:
        count: takes the references of a row and its answer, and gives S numbers. They are kept as long as the arrays
            of truth and texts are, which nobody may change meanwhile.

    Returns:
        A decorator of a formula, which takes the weight of all rows (R,) and the weighted sums (R, S), to (R,).
    """

    def metric_of(formula: Formula) -> TextMetric:
        @functools.wraps(formula)
        def metric(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
            if "text" not in prediction:
                return np.full(len(weight), np.nan)
            return formula(weight.sum(axis=1), weight @ counted(count, truth, prediction["text"]))

        return metric

    return metric_of


def overlap(truth: Counter[Any], answer: Counter[Any]) -> tuple[int, int, int]:
    """How much is in both, in the truth, and in the answer."""
    both = sum(min(count, truth[part]) for part, count in answer.items() if part in truth)  # faster than &
    return both, truth.total(), answer.total()


def harmonic(both: int, true: int, answered: int) -> float:
    """The harmonic mean of precision and recall; 1 where there was nothing to find and nothing was found."""
    return 2 * both / (true + answered) if true + answered else 1.0


def counted(count: Count, truth: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """(N, S) the numbers of each row: once for all metrics that share them and all weightings."""
    key = (count, id(truth), id(texts))
    if key not in _COUNTED:
        rows = zip(truth, texts, strict=True)
        _COUNTED[key] = np.array([count(references(cell), answer) for cell, answer in rows], dtype=float)
        for array in (truth, texts):
            weakref.finalize(array, _COUNTED.pop, key, None).atexit = False
    return _COUNTED[key]
