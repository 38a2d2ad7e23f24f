"""Layers of which every member has its own, over rows that stand there once for each member."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fathom.signals import SignalSpec

__all__ = ["MemberLinear", "output_layer"]


class MemberLinear(nn.Module):
    """M matrices side by side: the rows of member m pass the m-th.

    Args:
        members: M.
        in_features: width of what comes in.
        out_features: width of what goes out.
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.members, self.in_features, self.out_features = members, in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0  # as nn.Linear starts
        self.weight = nn.Parameter(torch.empty(members, in_features, out_features).uniform_(-bound, bound))
        # Flat, as every vector here: optimizers treat what has two dimensions as a matrix.
        self.bias = nn.Parameter(torch.empty(members * out_features).uniform_(-bound, bound))

    def forward(self, vector: Tensor) -> Tensor:
        """vector (M·B, in_features) to (M·B, out_features)."""
        rows = vector.unflatten(0, (self.members, -1))  # (M, B, in_features)
        return torch.baddbmm(self.bias.view(self.members, 1, -1), rows, self.weight).flatten(0, 1)

    def extra_repr(self) -> str:
        return f"members={self.members}, in_features={self.in_features}, out_features={self.out_features}"


def output_layer(state: SignalSpec, count: int) -> nn.Linear | MemberLinear:
    """From the vector of a state to ``count`` numbers a row: by a matrix of its own for each member.

    Source: TabM (Gorishniy et al. 2025, section 3.3), whose members share what stands below, but not their heads.
    """
    if state.members == 1:
        return nn.Linear(state.width, count)
    return MemberLinear(state.members, state.width, count)
