"""What a head is: the last part of a network, with its loss, its prediction and its trivial answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from fathom.registry import Registry
from fathom.signals import Loss, Prediction, Ragged, Signal

__all__ = ["HEADS", "METRICS", "Head"]

HEADS = Registry("head", "fathom.heads")
"""Facts of a head: ``target`` (the kind that it answers), ``needs`` (the part of a Signal that it stands on, or
None), ``metrics`` (names, the first being the one to quote), ``probabilities`` (of what it gives some: "classes" or
"labels"), ``hides`` (it answers an input, parts of which are hidden from the net), ``bfloat16`` (its products may be
computed in it, and those of a net that it holds), ``whole_batch`` (its loss is no sum over rows) and ``stacks`` (it
calls its layers as modules, row by row, so that those of several members can be stacked)."""

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)

METRICS = Registry("metric", "fathom.heads")


class Head(nn.Module, ABC):
    """Built from what stands before it and the spec of its target: ``Head(state, target, *, options)``.

    Attributes:
        baseline_loss: the loss, a unit of weight, of always giving the trivial answer; above 0. Losses of several
            heads are divided by it, and skill is measured from it.
        quoted: the metric to quote first, where that is not the first that is registered.
    """

    baseline_loss: float = 1.0
    quoted: str | None = None

    @abstractmethod
    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """Sum the loss over rows (and members).

        Args:
            signal: the state, of M·B rows.
            target: (B, ...) as the target's kind encodes it; a missing one counts nothing.
            weight: (B,) sample weights, (M, B) where each member has its own, or None where every row counts 1.
        """

    @abstractmethod
    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        """() the weight that ``loss`` will return, for one member: known before anything is computed."""

    def weigh_members(self, target: Tensor | Ragged, weight: Tensor | None, members: int) -> Tensor:
        """() the weight of a batch whose rows stand there once for each member."""
        if weight is not None and weight.dim() == 2:
            return self.weigh(target, weight.sum(0))
        once = self.weigh(target, weight)
        return once if members == 1 else once * members

    @abstractmethod
    def predict(self, signal: Signal) -> Prediction:
        """Tensors of (B, ...), averaged over members."""

    def measured(self, signal: Signal, target: Tensor | Ragged) -> Prediction:
        """What metrics take, (B, ...): the prediction, and what only the truth shows, as how likely it was told."""
        return self.predict(signal)

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        """The prediction of several such heads together: the mean of theirs."""
        return {key: torch.stack([prediction[key] for prediction in predictions]).mean(0) for key in predictions[0]}

    def tempered(self, prediction: Prediction, temperature: float) -> Prediction:
        """The prediction with its probabilities made even (above 1) or sharp (below 1); here there are none."""
        return prediction

    def truth(self, target: Tensor | Ragged) -> Tensor:
        """What the prediction of columns that travel together is measured against, (B, ...)."""
        assert isinstance(target, Tensor)
        return target

    def trivial(self, rows: int) -> Prediction | None:
        """What to answer without looking at the input, (rows, ...), or None where there is no such answer."""
        return None


def for_members(value: MaybeTensor, members: int) -> MaybeTensor:
    """Repeat (B, ...) for each of M members, to (M·B, ...)."""
    return value if value is None or members == 1 else value.repeat(members, *[1] * (value.dim() - 1))


def row_weights(weight: Tensor | None, members: int) -> Tensor | None:
    """The weights of the rows of all members, (M·B,), from (B,) or (M, B); None where every row counts 1."""
    return weight.flatten() if weight is not None and weight.dim() == 2 else for_members(weight, members)


def token_total(costs: Tensor, rows: Tensor, weight: Tensor | None, members: int) -> Tensor:
    """() the costs (L,) of tokens that stand in rows (L,) of M·B, each times the weight of its row."""
    of_rows = row_weights(weight, members)
    return costs.sum() if of_rows is None else (costs * of_rows[rows]).sum()


def over_members(value: Tensor, members: int) -> Tensor:
    """The mean of (M·B, ...) over members, (B, ...)."""
    return value if members == 1 else value.view(members, -1, *value.shape[1:]).mean(0)
