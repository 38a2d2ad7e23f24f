"""An evaluation in full: beside the scores each class, where answers are worst, mistakes, and what columns matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.heads import HEADS
from fathom.heads.scoring import Judged, Metric
from fathom.model import Model, Scores
from fathom.resampling import resampled_together
from fathom.signals import Role
from fathom.trust.answered import Answered, answered_of
from fathom.trust.classes import ClassScores, confusion, scores_by_class
from fathom.trust.conditions import coded_columns
from fathom.trust.curves import calibration_curve, operating_points, precision_recall_curve, roc_curve
from fathom.trust.importance import Importance, importances
from fathom.trust.mistakes import Mistake, worst_mistakes
from fathom.trust.residuals import residuals
from fathom.trust.slices import Slice, fewest_rows, worst_slices
from fathom.trust.truncation import Truncation, truncations

__all__ = ["Answers", "EvaluatedTarget", "Evaluation", "evaluated"]

MOST_ROWS = 20_000
Answers = tuple[Mapping[str, Judged], np.ndarray]
ALWAYS = ("kind", "metrics", "slices", "mistakes")  # as JSON, even where there are none


@dataclass(frozen=True)
class EvaluatedTarget:
    """One target, or one input that was rebuilt; what does not apply is empty.

    Attributes:
        kind: of the target.
        metrics: by name, the one to quote first.
        classes: each class, or label, against the rest.
        confusion: ``classes``, and ``counts`` of the rows of each class that are given each.
        operating_points: of two classes, what thresholds cost.
        curves: ``roc``, ``precision_recall`` and ``calibration``, each as points.
        residuals: ``truth``, ``prediction`` and ``quantiles`` of truth minus prediction.
        slices: where answers are worse than elsewhere, the worst first.
        mistakes: the rows furthest from the truth.
        cut: each column of texts of which some were too long, and what that cost.
    """

    kind: str
    metrics: Mapping[str, Metric]
    classes: Sequence[ClassScores] = ()
    confusion: Mapping[str, Any] | None = None
    operating_points: Sequence[Mapping[str, float]] = ()
    curves: Mapping[str, Any] | None = None
    residuals: Mapping[str, Any] | None = None
    slices: Sequence[Slice] = ()
    mistakes: Sequence[Mistake] = ()
    cut: Sequence[Truncation] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; keys that do not apply are left out."""
        metrics = {name: metric.plain() for name, metric in self.metrics.items()}
        fields = asdict(self) | {"metrics": metrics, "classes": [one.plain() for one in self.classes]}
        return {name: value for name, value in fields.items() if value or name in ALWAYS}


@dataclass(frozen=True)
class Evaluation:
    """A model on rows that have the targets.

    Attributes:
        rows: how many were given.
        targets: each target, or input that was rebuilt.
        importance: what shuffling each column costs, the largest first.
        left_out: columns too many to be shuffled.
    """

    rows: int
    targets: Mapping[str, EvaluatedTarget]
    importance: Sequence[Importance] = ()
    left_out: Sequence[str] = ()

    @property
    def scores(self) -> Scores:
        """The metrics alone, as ``Model.evaluate`` returns them."""
        return {name: dict(target.metrics) for name, target in self.targets.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        found: dict[str, Any] = _finite(
            {
                "rows": self.rows,
                "targets": {name: target.plain() for name, target in self.targets.items()},
                "importance": [asdict(one) for one in self.importance],
                **({"left_out": list(self.left_out)} if self.left_out else {}),
            }
        )
        return found


def evaluated(
    model: Model,
    table: pa.Table,
    *,
    linear: Model | None = None,
    seed: int = 0,
    private: bool = False,
    most_rows: int = MOST_ROWS,
    numbers: np.ndarray | None = None,
    answers: Answers | None = None,
) -> Evaluation:
    """Score a model on rows that have the targets, and find out where and by what it is wrong.

    Args:
        model: trained.
        table: rows with every input and target column.
        linear: the linear model of the same schema, to stand beside.
        seed: of all that is drawn: resamples, shuffles, rows where there are many.
        private: whether to leave out what shows single rows: mistakes, and the points of residuals.
        most_rows: on how many rows slices are looked for.
        numbers: (N,) what each row is called; None for its place in the table.
        answers: what ``Model.judged`` gave to the table, where that is known.

    Raises:
        SchemaError: no row has a target.
    """
    judged, rows = answers or model.judged(table, linear)
    scores = model.scores_on(table, judged, rows, seed=seed)
    groups = resampled_together(model.schema, table, rows)
    asked = [name for name in judged if name in model.targets]
    by_target = {name: answered_of(model, name, judged[name], rows, groups) for name in asked}
    columns = list(coded_columns(model.schema, table, fewest_rows(table.num_rows))) if by_target else []
    targets = {}
    for name, metrics in scores.items():
        parts = {}
        if name in by_target:
            parts = _parts(by_target[name], seed=seed, private=private)
            parts["slices"] = worst_slices(by_target[name], columns, seed=seed, most_rows=most_rows)
            parts["cut"] = truncations(model, table, name, judged[name], rows)
            parts["mistakes"] = [] if private else worst_mistakes(model, by_target[name], table, numbers)
        targets[name] = EvaluatedTarget(_kind(model, name), metrics, **parts)
    known = [answered.rows for answered in by_target.values()]
    importance, left_out = importances(model, table, np.unique(np.concatenate(known)), seed=seed) if known else ([], ())
    return Evaluation(table.num_rows, targets, importance, left_out)


def _kind(model: Model, name: str) -> str:
    """The kind of a target, or of the inputs that a head rebuilds."""
    kinds = {column.name: column.kind.name for column in model.schema.of_role(Role.TARGET)}
    return kinds.get(name) or str(HEADS.get(model.layout.heads[name].name).facts["target"])


def _parts(answered: Answered, *, seed: int, private: bool) -> dict[str, Any]:
    """What only targets of some forms have."""
    if answered.form == "labels":
        return {"classes": scores_by_class(answered), "curves": {"calibration": calibration_curve(answered)}}
    if answered.form == "classes":
        curves = {"calibration": calibration_curve(answered)}
        two = len(answered.classes) == 2
        if two:
            curves = {"roc": roc_curve(answered), "precision_recall": precision_recall_curve(answered), **curves}
        return {
            "classes": scores_by_class(answered),
            "confusion": confusion(answered),
            "operating_points": operating_points(answered) if two else [],
            "curves": {name: points for name, points in curves.items() if points},
        }
    if answered.form in ("numbers", "quantiles") and answered.truth.size == len(answered):
        found = residuals(answered, seed=seed)
        return {"residuals": {**found, "truth": [], "prediction": []} if private else found}
    return {}


def _finite(value: Any) -> Any:
    """The same with None in the place of numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
