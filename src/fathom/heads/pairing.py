"""Whether one answer is better than another on the same rows, or the difference is within noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from fathom.heads.answer_metrics import exactly
from fathom.heads.head import METRICS
from fathom.heads.scoring import Judged
from fathom.heads.weightings import resamples

__all__ = ["SIGNIFICANT", "Comparison", "Difference", "compared"]

RESAMPLES = 2000
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """How much the second of two answers scores above the first.

    Attributes:
        first: which answer, counted from 0.
        second: which other.
        value: the second's metric minus the first's.
        low: lower end of the 95 % interval, by resampling the rows that both answered.
        high: its upper end.
        p: the chance of such a difference, or a larger one, between equals; Holm's (1979) over all pairs of a metric.
        test: "mcnemar", McNemar's exact test (1947) of rows that one has right and the other wrong, or "bootstrap",
            the share of resamples on the other side of 0, twice.
    """

    first: int
    second: int
    value: float
    low: float
    high: float
    p: float
    test: str

    @property
    def significant(self) -> bool:
        return self.p < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """A metric of each answer, and the differences of all pairs."""

    metric: str
    values: tuple[float, ...]
    differences: tuple[Difference, ...]

    def better(self, difference: Difference) -> int | None:
        """Which of a pair is better, or None where the difference is within noise."""
        if not difference.significant or difference.value == 0:
            return None
        grows = METRICS.get(self.metric).facts["higher"]
        return difference.second if (difference.value > 0) == grows else difference.first


def compared(
    names: Sequence[str], answers: Sequence[Judged], groups: np.ndarray | None, *, seed: int = 0
) -> list[Comparison]:
    """Compare several answers to the same rows by each of several metrics.

    Args:
        names: of the metrics.
        answers: two at least, each with the truth as its model encodes it; rows that one of them does not know the
            truth of do not count.
        groups: (N,) int64; rows of one group are resampled together, or None.
        seed: of the resampling.
    """
    known = np.logical_and.reduce([one.known for one in answers])
    picked = [_of_rows(one, known) for one in answers]
    units = np.arange(int(known.sum())) if groups is None else np.unique(groups[known], return_inverse=True)[1]
    weight = picked[0].weight
    whole = np.ones((1, len(units))) if weight is None else weight[None]
    values = _metrics(names, picked, whole)[:, :, 0]  # (answers, metrics)
    drawn = _resampled(names, picked, whole, units, np.random.default_rng(seed))
    plain = groups is None and weight is None
    found = []
    for k, name in enumerate(names):
        if k > 0 and not np.isfinite(values[:, k]).any():
            continue  # it says nothing of such rows
        pairs = [
            _difference(i, j, values[:, k], drawn[:, k], _discordant(name, picked[i], picked[j]) if plain else None)
            for i, j in combinations(range(len(answers)), 2)
        ]
        found.append(Comparison(name, tuple(map(float, values[:, k])), _holm(pairs)))
    return found


def _of_rows(one: Judged, rows: np.ndarray) -> Judged:
    weight = None if one.weight is None else one.weight[rows]
    return Judged(one.truth[rows], weight, {key: value[rows] for key, value in one.answer.items()})


def _metrics(names: Sequence[str], answers: Sequence[Judged], weights: np.ndarray) -> np.ndarray:
    """(answers, metrics, R)"""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(
            [[METRICS.get(name).factory(one.truth, one.answer, weights) for name in names] for one in answers]
        )


def _resampled(
    names: Sequence[str],
    answers: Sequence[Judged],
    whole: np.ndarray,
    units: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """(answers, metrics, R) on the same resamples."""
    weightings = resamples(RESAMPLES, whole[0], units, generator)
    return np.concatenate([_metrics(names, answers, weighting) for weighting in weightings], axis=2)


def _difference(
    first: int, second: int, values: np.ndarray, drawn: np.ndarray, discordant: tuple[int, int] | None
) -> Difference:
    gaps = drawn[second] - drawn[first]
    gaps = gaps[np.isfinite(gaps)]
    value = float(values[second] - values[first])
    if len(gaps) == 0:
        return Difference(first, second, value, np.nan, np.nan, 1.0, "bootstrap")
    low, high = (float(end) for end in np.quantile(gaps, [0.025, 0.975]))
    if discordant is None:
        beyond = min(np.count_nonzero(gaps <= 0), np.count_nonzero(gaps >= 0))
        return Difference(first, second, value, low, high, min(1.0, 2 * (beyond + 1) / (len(gaps) + 1)), "bootstrap")
    return Difference(first, second, value, low, high, _mcnemar(*discordant), "mcnemar")


def _discordant(name: str, one: Judged, other: Judged) -> tuple[int, int] | None:
    """How many rows only the first has right, and how many only the second; None of what is not right or wrong."""
    first, second = (_right(name, found) for found in (one, other))
    if first is None or second is None:
        return None
    return int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))


def _right(name: str, one: Judged) -> np.ndarray | None:
    """(N,) bool: which rows are right, where the metric is the share of those."""
    if name == "accuracy":
        right: np.ndarray = one.answer["probability"].argmax(axis=1) == one.truth
        return right
    if name == "exact_match" and "text" in one.answer:
        return exactly(one.truth, one.answer["text"])
    return None


def _mcnemar(only_first: int, only_second: int) -> float:
    from scipy.stats import binomtest

    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def _holm(pairs: Sequence[Difference]) -> tuple[Difference, ...]:
    """The same with p as it is where the largest of several differences was looked for."""
    least, adjusted = 0.0, list(pairs)
    for rank, k in enumerate(np.argsort([pair.p for pair in pairs], kind="stable")):
        least = max(least, min(1.0, (len(pairs) - rank) * pairs[k].p))
        adjusted[k] = replace(pairs[k], p=least)
    return tuple(adjusted)
