"""Feed-forward networks: linear and multilayer perceptron."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.nets.dropout import Dropout
from fathom.nets.initialization import initialize
from fathom.registry import Choice, Range
from fathom.signals import Signal, SignalSpec

__all__ = ["MLP", "Linear", "dense_stack"]


@NETS.register("linear", takes="vector", gives=("vector",))
class Linear(nn.Module):
    """Nothing between inputs and head, whose one matrix makes the whole a linear (or logistic) regression."""

    def __init__(self, spec: SignalSpec) -> None:
        super().__init__()
        self.gives = SignalSpec(spec.width)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D), unchanged."""
        return Signal(vector=vector)


@NETS.register("mlp", takes="vector", gives=("vector",), rates={"adamw": 3e-3}, average="ema", stacks=True)
class MLP(nn.Module):
    """Multilayer perceptron: each layer a matrix, a norm, an activation and dropout.

    Args:
        spec: the vector that comes in.
        hidden: width of each layer.
        activation: after each layer.
        norm: before each activation.
        dropout: share of units that are silenced while training (Srivastava et al. 2014).
        initialization: how the matrices start.
    """

    def __init__(
        self,
        spec: SignalSpec,
        *,
        hidden: Annotated[tuple[int, ...], Range(1, 65_536, log=True)] = (256, 128),
        activation: Annotated[Choice, ACTIVATIONS] = Choice("relu"),
        norm: Annotated[Choice, NORMS] = Choice("none"),
        dropout: Annotated[float, Range(0, 0.95)] = 0.1,
        initialization: Annotated[Choice, INITIALIZATIONS] = Choice("he"),
    ) -> None:
        super().__init__()
        self.layers = dense_stack(spec.width, hidden, activation, norm, dropout)
        initialize(self, initialization, activation)
        self.gives = SignalSpec(hidden[-1] if hidden else spec.width)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to a vector (B, hidden[-1])."""
        return Signal(vector=self.layers(vector))


def dense_stack(width: int, hidden: tuple[int, ...], activation: Choice, norm: Choice, dropout: float) -> nn.Sequential:
    """The layers of a perceptron, from (B, width) to (B, hidden[-1])."""
    layers: list[nn.Module] = []
    for features in hidden:
        layers.append(nn.Linear(width, features))
        if norm.name != "none":
            layers.append(NORMS.build(norm, features, 1))
        layers.append(ACTIVATIONS.build(activation))
        if dropout:
            layers.append(Dropout(dropout))
        width = features
    return nn.Sequential(*layers)
