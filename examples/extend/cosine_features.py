"""A net in one file: what comes in, as waves."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import Signal, SignalSpec


@NETS.register("cosine_features", takes="vector", gives=("vector",))
class CosineFeatures(nn.Module):
    """Random Fourier features (Rahimi and Recht 2007, algorithm 1), whose frequencies are learned further.

    Args:
        spec: the vector that comes in.
        width: how many waves.
    """

    def __init__(self, spec: SignalSpec, *, width: Annotated[int, Range(1, 65_536)] = 512) -> None:
        super().__init__()
        self.project = nn.Linear(spec.width, width)
        self.gives = SignalSpec(width)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to a vector (B, width)."""
        return Signal(vector=torch.cos(self.project(vector)))
