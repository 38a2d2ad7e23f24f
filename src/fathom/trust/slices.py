"""Where answers are worse than elsewhere: slices of rows that one or two conditions describe, found by search.

All conditions on single columns and all pairs of them are tried, as Slice Finder does (Chung et al. 2020), each by
Welch's t-test of the rows' errors inside and outside. Of so many some look bad by chance: the false discovery rate is
controlled (Benjamini and Hochberg 1995), for single conditions and for pairs. Where no slice is bad, that is the chance
that any is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fathom.heads import METRICS
from fathom.heads.intervals import score
from fathom.heads.number_metrics import quantiles_of
from fathom.trust.answered import Answered
from fathom.trust.conditions import Coded
from fathom.trust.thinning import drawn
from fathom.trust.welch import FEWEST_ROWS, Errors, Tested, contrasted, is_worse, moments, p_of

__all__ = ["Slice", "fewest_rows", "row_errors", "worst_slices"]

MOST_SLICES = 8
MOST_COLUMNS = 50
CHANCE = 0.02
LIKELY = 2.0  # t from which on p is looked up
STANDARD_ERRORS = 3.0  # by which a slice may be less bad than it looks: so few rows do not go before many
FEWEST_CUT = 0.1  # of the rows of one condition that the other must leave out
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


class _Candidate(NamedTuple):
    """A slice that chance hardly explains.

    Attributes:
        excess: how far its mean error lies above that of the others, at least.
        level: the p above which it might be chance.
        conditions: that it has.
    """

    excess: float
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
    columns = [columns[k] for k in drawn(np.arange(len(columns)), MOST_COLUMNS, generator)]
    rows = drawn(np.arange(len(error)), most_rows, generator)
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
    singles: dict[tuple[int, ...], Tested] = {}
    pairs: dict[tuple[int, ...], Tested] = {}
    for k, column in enumerate(columns):
        sums = _ranged(moments(column.codes, column.count + 1, errors), column, axis=1)
        singles[k,] = contrasted(sums, total, fewest)
    for (i, one), (j, other) in combinations(enumerate(columns), 2):
        both = one.codes * (other.count + 1) + other.codes
        cells = moments(both, (one.count + 1) * (other.count + 1), errors)
        cells = cells.reshape(len(cells), one.count + 1, other.count + 1)
        pairs[i, j] = contrasted(_ranged(_ranged(cells, one, axis=1), other, axis=2), total, fewest)
    grouped = errors.groups is not None
    yield from _passing(singles, None, grouped=grouped)
    yield from _passing(pairs, BEST_OF_PAIR, grouped=grouped)


def _passing(tried: Mapping[tuple[int, ...], Tested], most: int | None, *, grouped: bool) -> Iterator[_Candidate]:
    """Of each column, or pair of columns, at most so many conditions that pass the level of all that were tried.

    Rows of a group are alike, so that this level is too lax for them. What passes is tested by groups after that, and
    must be unlikely for as many as were tried (Bonferroni).
    """
    count = sum(int(np.isfinite(found.t).sum()) for found in tried.values())
    level = _level(list(tried.values()), count)
    tested_later = CHANCE / max(1, count) if grouped else level
    for places, found in tried.items():
        likely = np.argwhere(np.nan_to_num(found.t, nan=0.0) > LIKELY)
        t, freedom, excess = (values[tuple(likely.T)] for values in found)
        least = excess * (1 - STANDARD_ERRORS / t)
        passing = np.flatnonzero(p_of(t, freedom) <= level)
        for k in passing[np.argsort(-least[passing], kind="stable")][:most]:
            named = zip(places, map(int, likely[k]), strict=True)
            yield _Candidate(float(least[k]), tested_later, tuple(named))


def _level(tried: Sequence[Tested], count: int) -> float:
    """Up to which p slices pass, so that but a share CHANCE of those is chance (Benjamini and Hochberg 1995)."""
    likely = [np.nan_to_num(found.t, nan=0.0) > LIKELY for found in tried]
    p = [p_of(found.t[rows], found.freedom[rows]) for rows, found in zip(likely, tried, strict=True)]
    ordered = np.sort(np.concatenate(p)) if p else np.empty(0)
    bounds = CHANCE * np.arange(1, len(ordered) + 1) / max(1, count)
    return float(bounds[ordered <= bounds].max(initial=0.0))


def _apart(candidates: Sequence[_Candidate], columns: Sequence[Coded], errors: Errors) -> list[_Candidate]:
    """Those that are bad beyond the rows of the better ones, and of a pair those of which each condition counts.

    What is bad seldom ends where a range does: rows of the next ranges count as told, or they would be told again, as
    the same slice at other bounds.
    """
    told, chosen = np.zeros(len(errors.error), bool), []
    for one in candidates:
        held = _held(columns, one.conditions)
        new = held & ~told
        if new.sum() < NEW_SHARE * held.sum() or not is_worse(new, ~told, errors, one.level):
            continue
        if len(one.conditions) == 1 or all(
            _counts(new, _held(columns, (each,)) & ~told, errors) for each in one.conditions
        ):
            chosen.append(one)
            told |= _held(columns, one.conditions, beyond=1)
        if len(chosen) == MOST_SLICES:
            break
    return chosen


def _counts(rows: np.ndarray, wider: np.ndarray, errors: Errors) -> bool:
    """Whether a slice is worse than the rest of what one of its conditions alone describes."""
    return rows.sum() <= (1 - FEWEST_CUT) * wider.sum() and is_worse(rows, wider, errors, CHANCE / MOST_CANDIDATES)


def _ranged(sums: np.ndarray, column: Coded, axis: int) -> np.ndarray:
    """Sums of codes, along an axis, as sums of the column's conditions."""
    reached = np.insert(sums.cumsum(axis=axis), 0, 0.0, axis=axis)
    return reached.take(column.last + 1, axis=axis) - reached.take(column.first, axis=axis)


def _held(columns: Sequence[Coded], conditions: Conditions, beyond: int = 0) -> np.ndarray:
    parts = [columns[place].holds(condition, beyond) for place, condition in conditions]
    held: np.ndarray = np.logical_and.reduce(parts)
    return held


def _told(answered: Answered, columns: Sequence[Coded], conditions: Conditions, metric: str, seed: int) -> Slice:
    """A slice with its metric on all rows."""
    rows = _held(columns, conditions)
    inside, outside = answered.picked(rows), answered.picked(~rows)
    here = score(metric, inside.truth, inside.answer, inside.weight, inside.groups, seed=seed)
    there = float(METRICS.get(metric).factory(outside.truth, outside.answer, outside.weights[None])[0])
    where = " and ".join(columns[place].told(condition) for place, condition in conditions)
    return Slice(where, len(inside), metric, here.value, here.low, here.high, there)
