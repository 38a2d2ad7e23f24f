"""Numbers: their mean, a robust centre, or quantiles."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fathom.errors import ConfigError
from fathom.heads.head import HEADS, Head, for_members, over_members, row_weights
from fathom.nets.members import output_layer
from fathom.registry import Range
from fathom.signals import Loss, NumberSpec, Prediction, Ragged, Signal, SignalSpec

__all__ = ["Quantiles", "Regress"]


@HEADS.register("regress", target="number", needs="vector", metrics=("r2", "rmse", "mae", "mape"), stacks=True)
class Regress(Head):
    """One number, or each of several that travel together, on a standardised scale.

    Args:
        state: what the net gives.
        target: the numbers.
        estimate: "mean" is squared error; "robust" is Huber's loss (Huber 1964), which outliers move little.
        delta: in standard deviations, where Huber's loss turns from squared to linear.
    """

    mean: Tensor
    deviation: Tensor
    answer: Tensor

    def __init__(
        self,
        state: SignalSpec,
        target: NumberSpec,
        *,
        estimate: Literal["mean", "robust"] = "mean",
        delta: Annotated[float, Range(1e-3, 100, log=True)] = 1.0,
    ) -> None:
        super().__init__()
        self.output = output_layer(state, target.count)
        self.robust, self.delta = estimate == "robust", delta
        trivial = torch.tensor(target.centre if self.robust else target.mean, dtype=torch.float64)
        _register_scale(self, target)
        self.register_buffer("answer", trivial.float(), persistent=False)
        edges = torch.tensor(target.edges, dtype=torch.float64)  # (D, edges)
        gap = (edges - trivial[:, None]) / torch.tensor(target.deviation, dtype=torch.float64)[:, None]
        self.baseline_loss = float(_over_edges(self._cost(gap, torch.zeros_like(gap))).mean()) if self.robust else 1.0
        self.baseline_loss = self.baseline_loss or 1.0

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, count) in raw units, NaN where missing."""
        assert isinstance(target, Tensor) and signal.vector is not None
        truth = for_members((target - self.mean) / self.deviation, signal.members)
        guess = self.output(signal.vector)
        missing = torch.isnan(truth)
        cost = self._cost(guess, torch.where(missing, guess.detach(), truth))
        row_weight = row_weights(weight, signal.members)
        total = (cost if row_weight is None else cost * row_weight[:, None]).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        return _weigh(target, weight)

    def predict(self, signal: Signal) -> Prediction:
        """``value`` (B, count), in raw units."""
        assert signal.vector is not None
        return {"value": over_members(self.output(signal.vector), signal.members) * self.deviation + self.mean}

    def trivial(self, rows: int) -> Prediction:
        return {"value": self.answer.expand(rows, -1)}

    def _cost(self, guess: Tensor, truth: Tensor) -> Tensor:
        if self.robust:
            return F.huber_loss(guess, truth, reduction="none", delta=self.delta)
        return (guess - truth).square()


@HEADS.register(
    "quantiles",
    target="number",
    needs="vector",
    metrics=("pinball", "coverage", "r2", "rmse", "mae", "mape"),
    stacks=True,
    exempt=dict.fromkeys(
        ("blocks", "lists of three"),
        "quantiles are asked of one number; those of a vector's numbers would need two directions",
    ),
)
class Quantiles(Head):
    """Several quantiles of one number at once, in increasing order by construction.

    Source: the pinball loss of Koenker and Bassett (1978). The lowest quantile is a linear output; each next one
    adds a softplus, so that they cannot cross.

    Args:
        state: what the net gives.
        target: the number.
        levels: which quantiles, increasing; the middle one is the prediction.
    """

    mean: Tensor
    deviation: Tensor
    answer: Tensor
    levels: Tensor

    def __init__(
        self,
        state: SignalSpec,
        target: NumberSpec,
        *,
        levels: Annotated[tuple[float, ...], Range(1e-4, 1 - 1e-4)] = (0.05, 0.25, 0.5, 0.75, 0.95),
    ) -> None:
        super().__init__()
        if target.count != 1 or not levels or list(levels) != sorted(set(levels)):
            raise ConfigError(f"head quantiles needs one number and increasing levels; got {target.count} and {levels}")
        self.names = [f"q{level:g}" for level in levels]
        self.output = output_layer(state, len(levels))
        _register_scale(self, target)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        edges = torch.tensor(target.edges[0], dtype=torch.float64)
        answer = torch.quantile(edges, torch.tensor(levels, dtype=torch.float64))
        self.register_buffer("answer", answer.float(), persistent=False)
        gap = (edges[:, None] - answer) / target.deviation[0]
        self.baseline_loss = float(_over_edges(_pinball(gap, torch.tensor(levels)).sum(1))) or 1.0

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, 1) in raw units, NaN where missing."""
        assert isinstance(target, Tensor)
        truth = for_members((target - self.mean) / self.deviation, signal.members)
        gap = torch.nan_to_num(truth) - self._quantiles(signal)
        rows = torch.where(torch.isnan(truth[:, 0]), 0.0, _pinball(gap, self.levels).sum(1))
        row_weight = row_weights(weight, signal.members)
        total = (rows if row_weight is None else rows * row_weight).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        return _weigh(target, weight)

    def predict(self, signal: Signal) -> Prediction:
        """``value`` (B,), the middle quantile, and each quantile (B,) under its name, in raw units."""
        return self._named(over_members(self._quantiles(signal), signal.members) * self.deviation + self.mean)

    def trivial(self, rows: int) -> Prediction:
        return self._named(self.answer.expand(rows, -1))

    def _quantiles(self, signal: Signal) -> Tensor:
        assert signal.vector is not None
        first, steps = self.output(signal.vector).split([1, len(self.names) - 1], dim=1)
        return torch.cat([first, first + F.softplus(steps).cumsum(1)], dim=1)  # (M·B, Q)

    def _named(self, quantiles: Tensor) -> Prediction:
        named = {name: quantiles[:, q] for q, name in enumerate(self.names)}
        return {"value": quantiles[:, len(self.names) // 2], **named}


def _register_scale(head: Head, target: NumberSpec) -> None:
    head.register_buffer("mean", torch.tensor(target.mean), persistent=False)
    head.register_buffer("deviation", torch.tensor(target.deviation), persistent=False)


def _weigh(target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
    assert isinstance(target, Tensor)
    known = (~torch.isnan(target)).sum(1)
    return (known if weight is None else known * weight).sum()


def _over_edges(cost: Tensor) -> Tensor:
    """The mean over rows of a cost that is known at the edges, (..., edges) to (...), by the trapezoid rule.

    The two outermost edges are single rows, of which every step would otherwise count as many as of the others: a
    step to one of them counts as its inner end.
    """
    inner = cost[..., 1:-1]
    return (inner.sum(-1) + (inner[..., 0] + inner[..., -1]) / 2) / (inner.shape[-1] + 1)


def _pinball(gap: Tensor, levels: Tensor) -> Tensor:
    """level·gap where the truth lies above, (level - 1)·gap where below."""
    return torch.maximum(levels * gap, (levels - 1) * gap)
