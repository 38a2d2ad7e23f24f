"""A perceptron for tables with what makes it strong there."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, NETS
from fathom.nets.dropout import Dropout
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["RealMLP"]

USUAL_WIDTH = 256  # of inputs: where a matrix moves by the learning rate at each step, as one of nn.Linear does
PACE_OF_SCALES, PACE_OF_VECTORS = 96.0, 1.6  # their steps in those of that matrix: 6 and 0.1 of 1 in 16 / 256 ** 0.5
WAVES = {"name": "periodic", "version": "pbld", "width": 4, "frequencies": 16, "sigma": 0.1}


@NETS.register("realmlp", takes="vector", gives=("vector",), entries={"number": WAVES})
class RealMLP(nn.Module):
    """A perceptron that scales each feature, and whose parts learn at differing pace.

    Source: RealMLP of Holzmüller et al. (2024, section 3): a learned scale for each feature, neural tangent
    parametrization, activations of which each unit learns how much it bends, periodic embeddings of numbers ("pbld").
    Its factors on the learning rate are factors on the parameters, which under Adam is the same. Biases start as those
    of nn.Linear, not from the data.

    Args:
        spec: the vector that comes in.
        hidden: width of each layer.
        activation: after each layer; the paper has selu for categories and mish for numbers.
        dropout: share of units that are silenced while training.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        hidden: Annotated[tuple[int, ...], Range(1, 65_536, log=True)] = (256, 256, 256),
        activation: Annotated[Choice, ACTIVATIONS] = Choice("mish"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.15,
    ) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((spec.width,), 1 / PACE_OF_SCALES))
        layers: list[nn.Module] = []
        width = spec.width
        for features in hidden:
            layers += [TangentLinear(width, features), Bending(features, activation)]
            if dropout:
                layers.append(Dropout(dropout))
            width = features
        self.layers = nn.Sequential(*layers)
        self.gives = SignalSpec(width)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to a vector (B, hidden[-1])."""
        return Signal(vector=self.layers(vector * (self.scale * PACE_OF_SCALES)))


class TangentLinear(nn.Module):
    """A matrix that moves the less at each step, the more features come in.

    Source: neural tangent parametrization (Jacot et al. 2018, section 2), on that scale where USUAL_WIDTH features
    make it an ordinary layer.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.factor = math.sqrt(USUAL_WIDTH / max(1, in_features))
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / math.sqrt(USUAL_WIDTH))
        bound = 1 / math.sqrt(max(1, in_features))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound) / PACE_OF_VECTORS)

    def forward(self, vector: Tensor) -> Tensor:
        """vector (B, in_features) to (B, out_features)."""
        return torch.addmm(self.bias, vector, self.weight.mT, beta=PACE_OF_VECTORS, alpha=self.factor)


class Bending(nn.Module):
    """x + a·(activation(x) - x), a learned for each unit, at first 1."""

    def __init__(self, features: int, activation: Choice) -> None:
        super().__init__()
        self.activation = ACTIVATIONS.build(activation)
        self.bend = nn.Parameter(torch.full((features,), 1 / PACE_OF_VECTORS))

    def forward(self, vector: Tensor) -> Tensor:
        """vector (B, features) to the same shape."""
        bend = (self.bend * PACE_OF_VECTORS).to(vector.dtype)
        return torch.lerp(vector, self.activation(vector), bend)
