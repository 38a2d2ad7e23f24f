"""How much a model leans on each column: what its score loses when the column's cells are shuffled among the rows.

Source: Breiman (2001, section 10), on rows that the model did not learn from, as Fisher, Rudin and Dominici (2019)
have it for any model. Of two columns that tell the same, each may seem to matter little: the other one is still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from fathom.data.store import TensorStore
from fathom.heads import METRICS
from fathom.heads.scoring import Judged
from fathom.heads.weightings import resamples
from fathom.model import Model
from fathom.resampling import resampled_together
from fathom.schema import Column, Schema
from fathom.signals import Role, pack_key
from fathom.trust.thinning import drawn

__all__ = ["MOST_COLUMNS", "Importance", "importances"]

MOST_ROWS, MOST_COLUMNS = 2000, 60
MOST_ANSWERS = 120_000  # of rows, shuffled again and again: many columns are looked at on fewer rows
REPEATS, RESAMPLES = 3, 200
DECIMALS = 12  # beyond, sums of the same numbers differ by their order


@dataclass(frozen=True)
class Importance:
    """What shuffling one column costs.

    Attributes:
        column: which one.
        metric: what is lost, the mean over the heads that quote it first.
        drop: how much worse it becomes, the mean over several shuffles.
        low: lower end of its 95 % interval, by resampling rows.
        high: its upper end.
    """

    column: str
    metric: str
    drop: float
    low: float
    high: float


def importances(
    model: Model, table: pa.Table, rows: np.ndarray, *, seed: int = 0
) -> tuple[list[Importance], tuple[str, ...]]:
    """The importance of each input column, the largest first, and the columns that were too many to be looked at.

    Args:
        model: with targets; where no input column holds plain values there is no importance.
        table: rows with every input and target.
        rows: (N,) int64, those that have a target; MOST_ROWS of more are drawn, or fewer where columns are many.
        seed: of the rows, the shuffles and the intervals.
    """
    columns = model.schema.of_role(Role.INPUT)
    if not any(column.packed for column in columns):
        return [], ()
    generator = np.random.default_rng(seed)
    most = min(MOST_ROWS, MOST_ANSWERS // (REPEATS * min(len(columns), MOST_COLUMNS)))
    table = table.take(pa.array(drawn(rows, most, generator)))
    judged, samples = model.judged(table)
    quoted = {name: model.metrics_of(name)[0] for name in judged}
    weights = _weightings(model.schema, table, samples, judged, generator)
    store = model.schema.encode(table, targets=False)
    before = {name: _metric(quoted[name], one, one.answer, weights) for name, one in judged.items()}
    found: list[Importance] = []
    for column in columns[:MOST_COLUMNS]:
        shuffles = _shuffles(model.schema, table, store, column, generator)
        after = _after(model, shuffles, quoted, judged, weights)
        found += _told(column.name, quoted, before, after)
    left_out = tuple(column.name for column in columns[MOST_COLUMNS:])
    return sorted(found, key=lambda one: one.drop, reverse=True), left_out


def _weightings(
    schema: Schema, table: pa.Table, samples: np.ndarray, judged: Mapping[str, Judged], generator: np.random.Generator
) -> np.ndarray:
    """(1 + R, S): the rows as they are, and resamples of them."""
    weight = next(iter(judged.values())).weight
    plain = np.ones(len(samples)) if weight is None else weight
    groups = resampled_together(schema, table, samples)
    return np.concatenate([plain[None], *resamples(RESAMPLES, plain, groups, generator)])


def _metric(name: str, judged: Judged, answer: Mapping[str, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(1 + R,) a metric of the rows that have the target, more being better."""
    known = judged.known
    if not known.any():
        return np.full(len(weights), np.nan)
    picked = {key: value[known] for key, value in answer.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        values: np.ndarray = METRICS.get(name).factory(judged.truth[known], picked, weights[:, known])
    return values if METRICS.get(name).facts["higher"] else -values


def _after(
    model: Model,
    shuffles: Iterator[TensorStore],
    quoted: Mapping[str, str],
    judged: Mapping[str, Judged],
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """The metric of each head, (1 + R,), the mean over shuffles."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in judged}
    for store in shuffles:
        for name, answer in model.answers(store, list(judged)).items():
            kind = model.schema.answered(name, store)
            values = answer if kind is None else kind.values(answer)
            found[name].append(_metric(quoted[name], judged[name], values, weights))
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def _shuffles(
    schema: Schema, table: pa.Table, store: TensorStore, column: Column, generator: np.random.Generator
) -> Iterator[TensorStore]:
    """All inputs, again and again with one column's cells in another order."""
    alone = Schema((column,)).encode(table, targets=False).tensors
    start = 0
    if column.packed:
        before = [c for c in schema.of_role(Role.INPUT) if c.kind.name == column.kind.name]
        before = before[: before.index(column)]
        start = sum(_width(c, table) for c in before)
    for _ in range(REPEATS):
        order = torch.from_numpy(generator.permutation(table.num_rows))
        moved = TensorStore(alone).batch(order)
        tensors = dict(store.tensors)
        for key in alone:
            tensors[key] = _with_columns(tensors[key], moved[key], start) if column.packed else moved[key]
        yield store.holding(tensors)


def _with_columns(whole: Any, part: Any, start: int) -> torch.Tensor:
    """(N, D) with some of its columns in the place of others."""
    changed: torch.Tensor = whole.clone()
    changed[:, start : start + part.shape[1]] = part
    return changed


def _width(column: Column, table: pa.Table) -> int:
    """How many numbers a cell takes in the tensor in which columns of its kind travel."""
    tensor: Any = Schema((column,)).encode(table.slice(0, 1), targets=False).tensors[pack_key(column.kind.name)]
    return int(tensor.shape[1])


def _told(
    column: str, quoted: Mapping[str, str], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> Iterator[Importance]:
    for metric in dict.fromkeys(quoted.values()):
        heads = [name for name, first in quoted.items() if first == metric]
        drops = np.mean([before[name] - after[name] for name in heads], axis=0)
        known = drops[1:][np.isfinite(drops[1:])]
        low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
        if np.isfinite(drops[0]):
            yield Importance(
                column, metric, *(float(np.round(value, DECIMALS) + 0.0) for value in (drops[0], low, high))
            )
