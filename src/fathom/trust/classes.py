"""How well each class is told apart, and which are taken for which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fathom.heads.rank_metrics import precision_area, roc_area
from fathom.trust.answered import Answered

__all__ = ["NEVER_SEEN", "OTHERS", "ClassScores", "confusion", "scores_by_class"]

MOST_CLASSES = 20
OTHERS = "others"
NEVER_SEEN = "never seen in training"


@dataclass(frozen=True)
class ClassScores:
    """One class, or one label, against the rest; NaN where there is nothing to tell it by.

    Attributes:
        name: of the class.
        rows: how many have it.
        precision: the share of the rows given it that have it.
        recall: the share of the rows that have it that are given it.
        f1: their harmonic mean.
        auc: area under the ROC curve of its probability.
        average_precision: area under precision and recall of its probability.
    """

    name: str
    rows: int
    precision: float
    recall: float
    f1: float
    auc: float
    average_precision: float

    def plain(self) -> dict[str, Any]:
        fields = dict(vars(self))
        return {"class": fields.pop("name"), **fields}


def scores_by_class(answered: Answered) -> list[ClassScores]:
    """Each class, or label, that training knew; rows count by their weights."""
    return [_scored(answered, name, *parts) for name, parts in zip(answered.classes, _parts(answered), strict=True)]


def confusion(answered: Answered) -> dict[str, Any]:
    """How many rows of each class are given which one, and the names of the classes; a row is a truth.

    Beyond MOST_CLASSES classes those stay that are most often confused, and the others are one together.
    """
    names = list(answered.classes)
    if (answered.truth == len(names)).any():
        names.append(NEVER_SEEN)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (answered.truth, answered.guess), 1)
    if len(names) > MOST_CLASSES:
        wrong = counts - np.diag(np.diag(counts))
        order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[: MOST_CLASSES - 1]
        kept = np.sort(order)
        place = np.full(len(names), len(kept))
        place[kept] = np.arange(len(kept))
        joined = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
        np.add.at(joined, (place[:, None], place[None, :]), counts)
        names, counts = [*(names[k] for k in kept), OTHERS], joined
    return {"classes": names, "counts": counts.tolist()}


def _parts(answered: Answered) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each class: which rows have it and which are given it, (N,) bool each, and its probability."""
    probability = answered.answer["probability"]
    for k in range(len(answered.classes)):
        if answered.form == "labels":
            yield answered.truth[:, k] > 0, answered.answer["chosen"][:, k].astype(bool), probability[:, k]
        else:
            yield answered.truth == k, answered.guess == k, probability[:, k]


def _scored(answered: Answered, name: str, has: np.ndarray, given: np.ndarray, probability: np.ndarray) -> ClassScores:
    weight = answered.weights
    hits, having, named = (float(weight @ rows) for rows in (has & given, has, given))
    known, both = bool(has.any()), bool(has.any() and not has.all())
    return ClassScores(
        name,
        int(has.sum()),
        hits / named if named else np.nan,
        hits / having if having else np.nan,
        2 * hits / (named + having) if named + having else np.nan,
        float(roc_area(has, probability, weight[None])[0]) if both else np.nan,
        float(precision_area(has, probability, weight[None])[0]) if known else np.nan,
    )
