"""How weights start, by name."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from fathom.nets import INITIALIZATIONS
from fathom.registry import Choice

__all__ = ["initialize"]

# What torch.nn.init.calculate_gain knows; the smooth rectifiers are close enough to relu at their start.
Nonlinearity = Literal["sigmoid", "tanh", "relu"]
GAINS: dict[str, Nonlinearity] = {"sigmoid": "sigmoid", "tanh": "tanh"}


@INITIALIZATIONS.register("xavier")
def xavier(weight: Tensor, nonlinearity: Nonlinearity, *, uniform: bool = True) -> None:
    """Variance 2 / (inputs + outputs), times the activation's gain (Glorot and Bengio 2010, equation 16)."""
    gain = nn.init.calculate_gain(nonlinearity)
    (nn.init.xavier_uniform_ if uniform else nn.init.xavier_normal_)(weight, gain)


@INITIALIZATIONS.register("he")
def he(weight: Tensor, nonlinearity: Nonlinearity, *, uniform: bool = False) -> None:
    """Variance 2 / inputs for rectifiers (He et al. 2015, equation 10)."""
    (nn.init.kaiming_uniform_ if uniform else nn.init.kaiming_normal_)(weight, nonlinearity=nonlinearity)


@INITIALIZATIONS.register("orthogonal")
def orthogonal(weight: Tensor, nonlinearity: Nonlinearity) -> None:
    """An orthogonal matrix, times the activation's gain (Saxe et al. 2014)."""
    nn.init.orthogonal_(weight, nn.init.calculate_gain(nonlinearity))


def initialize(module: nn.Module, choice: Choice, activation: Choice) -> None:
    """Start every weight matrix and kernel of a module as ``choice`` says, and every bias of those layers at 0."""
    nonlinearity = GAINS.get(activation.name, "relu")
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            INITIALIZATIONS.build(choice, layer.weight, nonlinearity)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
