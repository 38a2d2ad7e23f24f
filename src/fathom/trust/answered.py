"""What a head answered to the rows that have its target, in the form that the parts of an evaluation take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fathom.heads import HEADS
from fathom.heads.number_metrics import quantiles_of
from fathom.heads.scoring import Answer, Judged
from fathom.model import Model

__all__ = ["Answered", "answered_of"]


@dataclass(frozen=True)
class Answered:
    """One target of the rows that have it.

    Attributes:
        name: the target.
        form: "classes", "labels", "quantiles", "numbers", "texts" that were written, those "found" in what came in, or
            "other", of which only metrics are known.
        classes: the names of the K classes or labels.
        truth: (N,) or (N, D), as metrics take it.
        answer: arrays of N rows.
        weight: (N,) sample weights, or None.
        rows: (N,) int64, the row of the table that each is.
        groups: (N,) int64, which are resampled together, or None.
    """

    name: str
    form: str
    classes: tuple[str, ...]
    truth: np.ndarray
    answer: Answer
    weight: np.ndarray | None
    rows: np.ndarray
    groups: np.ndarray | None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def weights(self) -> np.ndarray:
        """(N,) float64, 1 where rows have no weights."""
        return np.ones(len(self)) if self.weight is None else self.weight

    @cached_property
    def guess(self) -> np.ndarray:
        """(N,) int64, the likeliest class."""
        found: np.ndarray = self.answer["probability"].argmax(axis=1)
        return found

    def picked(self, rows: np.ndarray) -> Answered:
        """Some of the rows.

        Args:
            rows: (N,) bool, or int64 numbers of rows.
        """
        return replace(
            self,
            truth=self.truth[rows],
            answer={key: value[rows] for key, value in self.answer.items()},
            weight=None if self.weight is None else self.weight[rows],
            rows=self.rows[rows],
            groups=None if self.groups is None else self.groups[rows],
        )


def answered_of(model: Model, name: str, judged: Judged, rows: np.ndarray, groups: np.ndarray | None) -> Answered:
    """The rows of one head that have its target and a weight.

    Args:
        model: whose head it is.
        name: of the head.
        judged: what it answered to S samples.
        rows: (S,) the row of each sample.
        groups: (S,) which samples are resampled together, or None.
    """
    form = _form(model, name, judged)
    classes = _names(model, name, judged) if form in ("classes", "labels") else ()
    whole = Answered(name, form, classes, judged.truth, judged.answer, judged.weight, rows, groups)
    return whole.picked(judged.known if judged.weight is None else judged.known & (judged.weight > 0))


def _form(model: Model, name: str, judged: Judged) -> str:
    of = HEADS.get(model.layout.heads[name].name).facts.get("probabilities")
    if of is not None:
        return str(of)
    if quantiles_of(judged.answer):
        return "quantiles"
    if "text" in judged.answer:
        return "found" if "chance" in judged.answer else "texts"
    return "numbers" if "value" in judged.answer and judged.truth.ndim <= 2 else "other"


def _names(model: Model, name: str, judged: Judged) -> tuple[str, ...]:
    """The classes or labels as predictions name them."""
    kind = model.schema.answered(name)
    assert kind is not None
    columns = kind.decode({key: value[:0] for key, value in judged.answer.items()})
    return tuple(column.removeprefix("probability ") for column in columns if column)
