"""Many perceptrons in one, for tables: members that share their matrices, and differ by vectors."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, NETS
from fathom.nets.dropout import Dropout
from fathom.nets.members import MemberLinear
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["TabM"]

# Finer bins than the entry's own, in shorter vectors, so that the first matrix stays small.
BENDS = {"name": "piecewise_linear", "bins": 48, "width": 8}


@NETS.register(
    "tabm",
    takes="vector",
    gives=("vector",),
    entries={"number": BENDS},
    rates={"adamw": 4e-3},
    average="ema",
    bfloat16=True,
)
class TabM(nn.Module):
    """Perceptrons trained at once, each of which scales the shared layers' inputs and outputs in its own way.

    Source: Gorishniy et al. (2025, section 3), after BatchEnsemble (Wen et al. 2020). Every head has a matrix for each
    member, learns from each member's answer by itself, and predicts the mean of all.

    Args:
        spec: the vector that comes in.
        members: how many perceptrons.
        width: of each layer.
        depth: how many layers.
        sharing: "full" scales before and behind each layer and has biases for each member, "mini" scales what comes
            in and shares all layers, "none" is members without anything in common.
        start: of the first scales: "normal" draws them, "signs" draws 1 or -1; one for each column.
        activation: after each layer.
        dropout: share of units that are silenced while training, for each member others.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        members: Annotated[int, Range(2, 64, log=True)] = 8,
        width: Annotated[int, Range(16, 2048, log=True)] = 256,
        depth: Annotated[int, Range(1, 8)] = 3,
        sharing: Literal["full", "mini", "none"] = "mini",
        start: Literal["normal", "signs"] = "normal",
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
    ) -> None:
        super().__init__()
        self.members = members
        scales = None if sharing == "none" else _started(spec, members, start)
        # In mini it is the only parameter that members have of their own; in full the first layer's.
        self.first_scale = None if scales is None else nn.Parameter(scales)
        layers: list[nn.Module] = []
        for k in range(depth):
            inside = width if k else spec.width
            if sharing == "none":
                layers.append(MemberLinear(members, inside, width))
            elif sharing == "mini":
                layers.append(nn.Linear(inside, width))
            else:
                layers.append(BatchEnsembleLinear(members, inside, width, scales_inputs=k > 0))
            layers.append(ACTIVATIONS.build(activation))
            if dropout:
                layers.append(Dropout(dropout))
        self.layers = nn.Sequential(*layers)
        self.gives = SignalSpec(width, members=members)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to a vector (M·B, width)."""
        rows = vector.expand(self.members, *vector.shape)  # (M, B, D)
        if self.first_scale is not None:
            rows = rows * self.first_scale.view(self.members, 1, -1)
        return Signal(vector=self.layers(rows.flatten(0, 1)), members=self.members)


class BatchEnsembleLinear(nn.Module):
    """One matrix for all members, each of which scales what comes in and what goes out, and has its own bias.

    Source: Wen et al. (2020, equation 5). Scales start at 1 and biases alike, so that members differ by their first
    scales only (TabM, section 3.3).

    Args:
        members: M.
        in_features: width of what comes in.
        out_features: width of what goes out.
        scales_inputs: whether inputs are scaled here.
    """

    def __init__(self, members: int, in_features: int, out_features: int, *, scales_inputs: bool) -> None:
        super().__init__()
        self.members, self.in_features, self.out_features = members, in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        self.before = nn.Parameter(torch.ones(members * in_features)) if scales_inputs else None
        self.behind = nn.Parameter(torch.ones(members * out_features))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound).repeat(members))

    def forward(self, vector: Tensor) -> Tensor:
        """vector (M·B, in_features) to (M·B, out_features)."""
        if self.before is not None:
            vector = (vector.unflatten(0, (self.members, -1)) * self.before.view(self.members, 1, -1)).flatten(0, 1)
        shared = (vector @ self.weight.mT).unflatten(0, (self.members, -1))  # (M, B, out_features)
        behind, bias = (value.view(self.members, 1, -1) for value in (self.behind, self.bias))
        return torch.addcmul(bias, shared, behind).flatten(0, 1)


def _started(spec: SignalSpec, members: int, start: str) -> Tensor:
    """(M·D,) first scales: one draw for each member and column, for all features that come of the column."""
    columns = torch.tensor(spec.columns or range(spec.width), dtype=torch.int64)
    drawn = torch.randn(members, len(columns))  # more than there are columns
    if start == "signs":
        drawn = drawn.sign()
    return drawn.index_select(1, columns).flatten()
