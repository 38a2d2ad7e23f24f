"""Where answers are worse than elsewhere: slices of rows that one or two conditions describe, found by search.

All conditions on single columns and all pairs of them are tried (Chung et al. 2020, Slice Finder, search alike), and
a slice is told only where chance would hardly show one so bad anywhere: by Welch's t-test (1947) of the rows' errors
inside and outside, corrected for every slice that was tried (Bonferroni), one for single conditions and one for pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from fathom.heads import METRICS
from fathom.heads.intervals import score
from fathom.heads.number_metrics import quantiles_of
from fathom.trust.answered import Answered
from fathom.trust.conditions import Coded
from fathom.trust.welch import FEWEST_ROWS, Errors, is_worse, moments, p_of, t_of

__all__ = ["Slice", "fewest_rows", "row_errors", "worst_slices"]

MOST_SLICES = 8
MOST_COLUMNS = 50
CHANCE = 0.01  # that a slice is told where none is worse
BEST_OF_PAIR, MOST_CANDIDATES = 3, 2000
NEW_SHARE = 0.5  # of a slice's rows that stand in none told before it

Conditions = tuple[tuple[int, int], ...]
"""One or two conditions, each the place of its column and its own place in that."""


@dataclass(frozen=True)
class Slice:
    """Rows of which answers are worse than of others.

    Attributes:
        where: its conditions.
        rows: how many rows it has.
        metric: a mean over rows that is worse here.
        value: of the slice.
        low: lower end of its 95 % interval.
        high: its upper end.
        elsewhere: the metric of all other rows.
    """

    where: str
    rows: int
    metric: str
    value: float
    low: float
    high: float
    elsewhere: float

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class _Candidate(NamedTuple):
    """A slice that chance hardly explains.

    Attributes:
        t: how far its mean error lies above that of the others, in standard errors.
        level: the p above which it would be chance.
        conditions: that it has.
    """

    t: float
    level: float
    conditions: Conditions


def fewest_rows(rows: int) -> int:
    """How many of N rows a slice must have."""
    return max(FEWEST_ROWS, int(np.sqrt(rows)))


def row_errors(answered: Answered) -> tuple[str, np.ndarray] | None:
    """A metric that is a mean over rows, and (N,) each row's part in it, more being worse; None where there is none."""
    answer, truth = answered.answer, answered.truth
    if answered.form == "classes":
        return "accuracy", (answered.guess != truth).astype(float)
    if answered.form == "labels":
        return "label_brier", np.square(answer["probability"] - truth[:, :-1]).mean(axis=1)
    if answered.form == "quantiles":
        gaps = [(float(name[1:]), truth.reshape(-1) - value) for name, value in quantiles_of(answer).items()]
        return "pinball", np.mean([np.maximum(level * gap, (level - 1) * gap) for level, gap in gaps], axis=0)
    if answered.form == "numbers":
        gaps_of_row = np.abs(answer["value"] - truth).reshape(len(truth), -1)
        return "mae", np.nanmean(gaps_of_row, axis=1)
    return None


def worst_slices(answered: Answered, columns: Sequence[Coded], *, seed: int = 0, most_rows: int) -> list[Slice]:
    """At most MOST_SLICES slices, the worst first, no two of them mostly the same rows.

    Args:
        answered: N rows.
        columns: each with the codes of all rows of the table; MOST_COLUMNS of more are drawn.
        seed: of what is drawn, and of the intervals.
        most_rows: on how many rows slices are looked for; that many of more are drawn.
    """
    found, generator = row_errors(answered), np.random.default_rng(seed)
    if found is None or len(answered) < 2 * FEWEST_ROWS or not np.ptp(found[1]) > 0:
        return []
    metric, error = found
    columns = [column.of_rows(answered.rows) for column in columns]
    if len(columns) > MOST_COLUMNS:
        columns = [columns[k] for k in np.sort(generator.choice(len(columns), MOST_COLUMNS, replace=False))]
    rows = np.arange(len(error))
    if len(rows) > most_rows:
        rows = np.sort(generator.choice(len(rows), most_rows, replace=False))
    errors = Errors(error - np.average(error, weights=answered.weights), answered.weights, answered.groups).of(rows)
    looked = [column.of_rows(rows) for column in columns]
    candidates = sorted(_candidates(looked, errors), reverse=True)[:MOST_CANDIDATES]
    chosen = _apart(candidates, looked, errors)
    told = [_told(answered, columns, one.conditions, metric, seed) for one in chosen]
    return sorted(told, key=lambda one: one.value, reverse=not METRICS.get(metric).facts["higher"])


def _candidates(columns: Sequence[Coded], errors: Errors) -> Iterator[_Candidate]:
    """Every single condition and the best pairs of each two columns that pass the test."""
    rows = len(errors.error)
    total, fewest = moments(np.zeros(rows, np.int64), 1, errors)[:, 0], fewest_rows(rows)
    singles, pairs = [], []
    for k, column in enumerate(columns):
        sums = _ranged(moments(column.codes, column.count + 1, errors), column, axis=1)
        singles.append(((k,), t_of(sums, total, fewest)))
    for (i, one), (j, other) in combinations(enumerate(columns), 2):
        both = one.codes * (other.count + 1) + other.codes
        cells = moments(both, (one.count + 1) * (other.count + 1), errors)
        cells = cells.reshape(len(cells), one.count + 1, other.count + 1)
        pairs.append(((i, j), t_of(_ranged(_ranged(cells, one, axis=1), other, axis=2), total, fewest)))
    for tried, most in ((singles, None), (pairs, BEST_OF_PAIR)):
        level = CHANCE / 2 / max(1, sum(int(np.isfinite(t).sum()) for _, (t, _) in tried))
        for places, (t, freedom) in tried:
            yield from _passing(places, t, freedom, level, most)


def _passing(
    places: tuple[int, ...], t: np.ndarray, freedom: np.ndarray, level: float, most: int | None
) -> Iterator[_Candidate]:
    """The conditions on given columns that pass a level, at most so many."""
    likely = np.argwhere(np.nan_to_num(t, nan=0.0) > 2)
    likely = likely[p_of(t[tuple(likely.T)], freedom[tuple(likely.T)]) < level]
    best = likely[np.argsort(-t[tuple(likely.T)], kind="stable")][:most]
    for condition in best:
        named = zip(places, map(int, condition), strict=True)
        yield _Candidate(float(t[tuple(condition)]), level, tuple(named))


def _apart(candidates: Sequence[_Candidate], columns: Sequence[Coded], errors: Errors) -> list[_Candidate]:
    """Those that are bad beyond the rows of the better ones, and of a pair those of which each condition counts."""
    told, chosen = np.zeros(len(errors.error), bool), []
    for one in candidates:
        held = _held(columns, one.conditions)
        new = held & ~told
        if new.sum() < NEW_SHARE * held.sum() or not is_worse(new, ~told, errors, one.level):
            continue
        wider = [_held(columns, (condition,)) & ~told for condition in one.conditions]
        if len(wider) == 1 or all(is_worse(new, rows, errors, one.level) for rows in wider):
            chosen.append(one)
            told |= held
        if len(chosen) == MOST_SLICES:
            break
    return chosen


def _ranged(sums: np.ndarray, column: Coded, axis: int) -> np.ndarray:
    """Sums of codes, along an axis, as sums of the column's conditions."""
    reached = np.insert(sums.cumsum(axis=axis), 0, 0.0, axis=axis)
    return reached.take(column.last + 1, axis=axis) - reached.take(column.first, axis=axis)


def _held(columns: Sequence[Coded], conditions: Conditions) -> np.ndarray:
    held: np.ndarray = np.logical_and.reduce([columns[place].holds(condition) for place, condition in conditions])
    return held


def _told(answered: Answered, columns: Sequence[Coded], conditions: Conditions, metric: str, seed: int) -> Slice:
    """A slice with its metric on all rows."""
    rows = _held(columns, conditions)
    inside, outside = answered.picked(rows), answered.picked(~rows)
    here = score(metric, inside.truth, inside.answer, inside.weight, inside.groups, seed=seed)
    there = float(METRICS.get(metric).factory(outside.truth, outside.answer, outside.weights[None])[0])
    where = " and ".join(columns[place].told(condition) for place, condition in conditions)
    return Slice(where, len(inside), metric, here.value, here.low, here.high, there)
