"""Moments: the time that has passed, as a number."""

from __future__ import annotations

import torch
from torch import Tensor

from fathom.heads.head import HEADS, Head
from fathom.heads.regress import Regress
from fathom.signals import DatetimeSpec, Loss, Prediction, Ragged, Signal, SignalSpec

__all__ = ["RegressTime"]

SECONDS_A_DAY = 86_400


@HEADS.register("regress_time", target="datetime", needs="vector", metrics=("r2", "rmse", "mae"), stacks=True)
class RegressTime(Head):
    """The days since the earliest training row, of one moment or of several that travel together; squared error.

    Args:
        state: what the net gives.
        target: the moments.
    """

    days: Tensor

    def __init__(self, state: SignalSpec, target: DatetimeSpec) -> None:
        super().__init__()
        self.number = Regress(state, target.elapsed)
        self.register_buffer("days", torch.tensor(target.places), persistent=False)
        self.baseline_loss = self.number.baseline_loss

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, sum of 2 + parts), NaN where missing."""
        return self.number.loss(signal, self.truth(target), weight)

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        return self.number.weigh(self.truth(target), weight)

    def predict(self, signal: Signal) -> Prediction:
        """``value`` (B, count), in days since the earliest training row's midnight."""
        return self.number.predict(signal)

    def trivial(self, rows: int) -> Prediction | None:
        return self.number.trivial(rows)

    def truth(self, target: Tensor | Ragged) -> Tensor:
        """(B, count) in days since the earliest training row's midnight."""
        assert isinstance(target, Tensor)
        return target.index_select(1, self.days) + target.index_select(1, self.days + 1) / SECONDS_A_DAY
