"""How good answers are: a head's metrics with their intervals, beside the linear model and the trivial answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.intervals import scores
from fathom.heads.over_texts import references

__all__ = ["Judged", "Metric", "Scores", "metrics_of", "plain_metric"]

Answer = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A score on given rows, with its 95 % interval, beside the linear model and the trivial answer.

    Attributes:
        trivial_is: which answer that is, where several are known.
    """

    value: float
    low: float
    high: float
    linear: float | None = None
    trivial: float | None = None
    trivial_is: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; what is not a number is null."""
        fields = asdict(self)
        said = fields.pop("trivial_is")
        numbers = {
            name: value if value is not None and math.isfinite(value) else None for name, value in fields.items()
        }
        return numbers if said is None else {**numbers, "trivial_is": said}

    @classmethod
    def restored(cls, fields: Mapping[str, Any]) -> Metric:
        """What ``plain`` gave, or earlier versions, which wrote NaN."""
        beside = {name: None if fields.get(name) is None else float(fields[name]) for name in ("linear", "trivial")}
        value, low, high = (np.nan if fields[n] is None else float(fields[n]) for n in ("value", "low", "high"))
        return cls(value, low, high, beside["linear"], beside["trivial"], fields.get("trivial_is"))


Scores = dict[str, dict[str, Metric]]


@dataclass(frozen=True)
class Judged:
    """What a head answers to N samples, and what would be right.

    Attributes:
        truth: (N,) or (N, D), as metrics take it; of texts (N,) objects, None where missing.
        weight: (N,) sample weights, or None.
        answer: arrays of N rows.
        linear: the answer of the linear model, or None.
        texts: where a text is answered, the texts that came in, (N,) each, by column.
    """

    truth: np.ndarray
    weight: np.ndarray | None
    answer: Answer
    linear: Answer | None = None
    texts: Mapping[str, np.ndarray] = field(default_factory=dict)

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
            _joined([part.texts for part in parts]),
        )


def metrics_of(
    names: Sequence[str], judged: Judged, trivial: Mapping[str, Answer], groups: np.ndarray | None, *, seed: int
) -> dict[str, Metric]:
    """Metrics with their intervals, and what the other answers score.

    Args:
        names: registered metrics, the one to quote first.
        judged: the samples; those without truth do not count.
        trivial: answers that need no learning, arrays of N rows, by what they are ("" where there is one alone); the
            best of them stands beside.
        groups: (N,) int64; samples of one group are resampled together, or None.
        seed: of the resampling.

    Returns:
        Each metric by its name; those after the first that say nothing of such samples are left out.
    """
    known = judged.known
    truth, weight = judged.truth[known], _pick(judged.weight, known)  # once: what is counted of texts is kept by them
    answer, linear = _of_rows(judged.answer, known), judged.linear and _of_rows(judged.linear, known)
    plain = {said: _of_rows(one, known) for said, one in trivial.items()}
    found = {}
    for name, one in scores(names, truth, answer, weight, _pick(groups, known), seed=seed).items():
        if name == names[0] or np.isfinite(one.value):
            beside = _beside(name, truth, linear, weight), *_best(name, truth, plain, weight)
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


def _best(
    name: str, truth: np.ndarray, answers: Mapping[str, Answer], weight: np.ndarray | None
) -> tuple[float | None, str | None]:
    """A metric of the answer of which it is best, and which that is, where it has a name."""
    values = {said: _beside(name, truth, answer, weight) for said, answer in answers.items()}
    known = {said: value for said, value in values.items() if value is not None}
    if not known:
        return None, None
    best = (max if METRICS.get(name).facts["higher"] else min)(known, key=lambda said: known[said])
    return known[best], best or None


def _value(name: str, truth: np.ndarray, answer: Answer, weight: np.ndarray | None) -> float:
    ones = np.ones((1, len(truth))) if weight is None else weight[None]
    return float(METRICS.get(name).factory(truth, answer, ones)[0])


def _of_rows(answer: Answer, rows: np.ndarray) -> Answer:
    return {key: value[rows] for key, value in answer.items()}


def _joined(answers: Sequence[Answer]) -> Answer:
    return {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}


def _pick(array: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[rows]
