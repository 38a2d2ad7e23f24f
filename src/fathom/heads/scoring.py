"""How good answers are: a head's metrics with their intervals, beside the linear model and the trivial answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.intervals import scores
from fathom.heads.over_texts import references

__all__ = ["Judged", "Metric", "Scores", "metrics_of", "plain_metric"]

Answer = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A score on given rows, with its 95 % interval, beside the linear model and the trivial answer."""

    value: float
    low: float
    high: float
    linear: float | None = None
    trivial: float | None = None

    def plain(self) -> dict[str, float | None]:
        """As JSON holds it; what is not a number is null."""
        return {
            name: None if value is None or not math.isfinite(value) else value for name, value in asdict(self).items()
        }

    @classmethod
    def restored(cls, fields: Mapping[str, Any]) -> Metric:
        """What ``plain`` gave, or earlier versions, which wrote NaN."""
        beside = {name: None if fields.get(name) is None else float(fields[name]) for name in ("linear", "trivial")}
        value, low, high = (np.nan if fields[n] is None else float(fields[n]) for n in ("value", "low", "high"))
        return cls(value, low, high, beside["linear"], beside["trivial"])


Scores = dict[str, dict[str, Metric]]


@dataclass(frozen=True)
class Judged:
    """What a head answers to N samples, and what would be right.

    Attributes:
        truth: (N,) or (N, D), as metrics take it; of texts (N,) objects, None where missing.
        weight: (N,) sample weights, or None.
        answer: arrays of N rows.
        linear: the answer of the linear model, or None.
    """

    truth: np.ndarray
    weight: np.ndarray | None
    answer: Answer
    linear: Answer | None = None

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: which samples have a truth."""
        if self.truth.dtype.kind == "O":
            return np.array([cell is not None and len(references(cell)) > 0 for cell in self.truth], bool)
        if self.truth.dtype.kind in "iu":
            return self.truth >= 0 if self.truth.ndim == 1 else np.ones(len(self.truth), bool)
        present = ~np.isnan(self.truth)
        return present if self.truth.ndim == 1 else present.reshape(len(self.truth), -1).any(axis=1)

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """The samples of several, one after another."""
        if len(parts) == 1:
            return parts[0]
        weights = [part.weight for part in parts if part.weight is not None]
        linear = [part.linear for part in parts if part.linear is not None]
        return cls(
            np.concatenate([part.truth for part in parts]),
            np.concatenate(weights) if weights else None,
            _joined([part.answer for part in parts]),
            _joined(linear) if linear else None,
        )


def metrics_of(
    names: Sequence[str], judged: Judged, trivial: Answer | None, groups: np.ndarray | None, *, seed: int
) -> dict[str, Metric]:
    """Metrics with their intervals, and what the other answers score.

    Args:
        names: registered metrics, the one to quote first.
        judged: the samples; those without truth do not count.
        trivial: the answer that does not look at the inputs, arrays of N rows, or None.
        groups: (N,) int64; samples of one group are resampled together, or None.
        seed: of the resampling.

    Returns:
        Each metric by its name; those after the first that say nothing of such samples are left out.
    """
    known = judged.known
    truth, weight = judged.truth[known], _pick(judged.weight, known)  # once: what is counted of texts is kept by them
    answer, linear, plain = (_of_rows(one, known) for one in (judged.answer, judged.linear, trivial))
    assert answer is not None
    found = {}
    for name, one in scores(names, truth, answer, weight, _pick(groups, known), seed=seed).items():
        if name == names[0] or np.isfinite(one.value):
            beside = (_beside(name, truth, other, weight) for other in (linear, plain))
            found[name] = Metric(one.value, one.low, one.high, *beside)
    return found


def plain_metric(name: str, judged: Judged, answer: Answer) -> float:
    """A metric of any answer to the samples, without its interval."""
    known = judged.known
    picked = {key: value[known] for key, value in answer.items()}
    return _value(name, judged.truth[known], picked, _pick(judged.weight, known))


def _beside(name: str, truth: np.ndarray, answer: Answer | None, weight: np.ndarray | None) -> float | None:
    """A metric of an answer to stand beside, or None where it says nothing of it: a lead has no probability."""
    value = np.nan if answer is None else _value(name, truth, answer, weight)
    return None if np.isnan(value) else value


def _value(name: str, truth: np.ndarray, answer: Answer, weight: np.ndarray | None) -> float:
    ones = np.ones((1, len(truth))) if weight is None else weight[None]
    return float(METRICS.get(name).factory(truth, answer, ones)[0])


def _of_rows(answer: Answer | None, rows: np.ndarray) -> Answer | None:
    return None if answer is None else {key: value[rows] for key, value in answer.items()}


def _joined(answers: Sequence[Answer]) -> Answer:
    return {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}


def _pick(array: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[rows]
