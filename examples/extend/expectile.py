"""A head in one file: a number for which too little costs more than too much, or less."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from fathom.heads.head import HEADS, Head, for_members, over_members, row_weights
from fathom.nets.members import output_layer
from fathom.registry import Range
from fathom.signals import Loss, NumberSpec, Prediction, Ragged, Signal, SignalSpec

ITERATIONS = 100


@HEADS.register("expectile", target="number", needs="vector", metrics=("r2", "rmse", "mae"), stacks=True)
class Expectile(Head):
    """The expectile of a number (Newey and Powell 1987, equation 2.4): squared error, weighed by its sign.

    Args:
        state: what the net gives.
        target: the number.
        level: the weight of answers that are too low; that of those too high is 1 less it. A half is the mean.
    """

    mean: Tensor
    deviation: Tensor
    answer: Tensor

    def __init__(
        self, state: SignalSpec, target: NumberSpec, *, level: Annotated[float, Range(0.01, 0.99)] = 0.8
    ) -> None:
        super().__init__()
        self.level = level
        self.output = output_layer(state, target.count)
        self.register_buffer("mean", torch.tensor(target.mean), persistent=False)
        self.register_buffer("deviation", torch.tensor(target.deviation), persistent=False)
        rows = (torch.tensor(target.edges) - self.mean[:, None]) / self.deviation[:, None]  # (D, edges)
        trivial = torch.zeros(target.count, 1)
        for _ in range(ITERATIONS):  # each is the weighted mean of all, by the weights that the last one gives
            weights = self._weights(rows - trivial)
            trivial = (weights * rows).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        self.register_buffer("answer", trivial[:, 0] * self.deviation + self.mean, persistent=False)
        self.baseline_loss = float(self._cost(rows - trivial).mean()) or 1.0

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, count) in raw units, NaN where missing."""
        assert isinstance(target, Tensor) and signal.vector is not None
        truth = for_members((target - self.mean) / self.deviation, signal.members)
        guess = self.output(signal.vector)
        cost = self._cost(torch.where(torch.isnan(truth), guess.detach(), truth) - guess)
        of_rows = row_weights(weight, signal.members)
        total = (cost if of_rows is None else cost * of_rows[:, None]).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Tensor)
        known = (~torch.isnan(target)).sum(1)
        return (known if weight is None else known * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``value`` (B, count), in raw units."""
        assert signal.vector is not None
        return {"value": over_members(self.output(signal.vector), signal.members) * self.deviation + self.mean}

    def trivial(self, rows: int) -> Prediction:
        return {"value": self.answer.expand(rows, -1)}

    def _cost(self, gap: Tensor) -> Tensor:
        return self._weights(gap) * gap.square()

    def _weights(self, gap: Tensor) -> Tensor:
        return torch.where(gap > 0, self.level, 1 - self.level)
