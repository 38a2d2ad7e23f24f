"""Residual networks for tables."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, NETS, NORMS
from fathom.nets.dropout import Dropout
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["TabResNet"]


@NETS.register("tab_resnet", takes="vector", gives=("vector",), stacks=True)
class TabResNet(nn.Module):
    """Blocks of norm, matrix, activation and matrix, each added to what came in.

    Source: ResNet of Gorishniy et al. (2021, section 3.2).

    Args:
        spec: the vector that comes in.
        width: of the vector between blocks.
        depth: how many blocks.
        expansion: width inside a block, in widths.
        activation: inside each block, and behind the last.
        norm: before each block, and behind the last.
        dropout: share of units that are silenced inside each block while training.
        residual_dropout: the same behind each block.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        width: Annotated[int, Range(8, 2048, log=True)] = 192,
        depth: Annotated[int, Range(1, 16)] = 2,
        expansion: Annotated[float, Range(1, 4)] = 2.0,
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        norm: Annotated[Choice, NORMS] = Choice("batch"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.2,
        residual_dropout: Annotated[float, Range(0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        inside = int(width * expansion)
        self.first = nn.Linear(spec.width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                NORMS.build(norm, width, 1),
                nn.Linear(width, inside),
                ACTIVATIONS.build(activation),
                Dropout(dropout),
                nn.Linear(inside, width),
                Dropout(residual_dropout),
            )
            for _ in range(depth)
        )
        self.last = nn.Sequential(NORMS.build(norm, width, 1), ACTIVATIONS.build(activation))
        self.gives = SignalSpec(width)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to a vector (B, width)."""
        state = self.first(vector)
        for block in self.blocks:
            state = state + block(state)
        return Signal(vector=self.last(state))
