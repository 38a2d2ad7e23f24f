"""Activations by name, each an nn.Module that keeps its input's shape.

A softmax is none of these: it belongs to the head that answers with probabilities.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS
from fathom.registry import Range

__all__ = ["SquaredReLU"]


@ACTIVATIONS.register("sigmoid")
def sigmoid() -> nn.Module:
    """1 / (1 + exp(-x)); saturates, so deep stacks of it train slowly."""
    return nn.Sigmoid()


@ACTIVATIONS.register("tanh")
def tanh() -> nn.Module:
    """tanh(x); centred, but saturates too."""
    return nn.Tanh()


@ACTIVATIONS.register("relu")
def relu() -> nn.Module:
    """max(0, x)."""
    return nn.ReLU()


@ACTIVATIONS.register("relu6")
def relu6() -> nn.Module:
    """max(0, x), at most 6 (Krizhevsky 2010)."""
    return nn.ReLU6()


@ACTIVATIONS.register("relu2")
def relu2() -> nn.Module:
    """max(0, x)² (So et al. 2021, section 4.2)."""
    return SquaredReLU()


@ACTIVATIONS.register("leaky_relu")
def leaky_relu(*, slope: Annotated[float, Range(0, 1)] = 0.01) -> nn.Module:
    """x where positive, slope·x where negative."""
    return nn.LeakyReLU(slope)


@ACTIVATIONS.register("elu")
def elu(*, alpha: Annotated[float, Range(0, 10)] = 1.0) -> nn.Module:
    """x where positive, alpha·(exp(x) - 1) where negative (Clevert et al. 2016)."""
    return nn.ELU(alpha)


@ACTIVATIONS.register("gelu")
def gelu(*, approximate: Literal["none", "tanh"] = "none") -> nn.Module:
    """x·Φ(x) (Hendrycks and Gimpel 2016)."""
    return nn.GELU(approximate)


@ACTIVATIONS.register("silu")
def silu() -> nn.Module:
    """x·sigmoid(x) (Elfwing et al. 2018; also called swish)."""
    return nn.SiLU()


@ACTIVATIONS.register("selu")
def selu() -> nn.Module:
    """1.051·x where positive, 1.758·(exp(x) - 1) where negative (Klambauer et al. 2017, equation 2)."""
    return nn.SELU()


@ACTIVATIONS.register("mish")
def mish() -> nn.Module:
    """x·tanh(log(1 + exp(x))) (Misra 2020)."""
    return nn.Mish()


class SquaredReLU(nn.Module):
    """The square of a rectifier."""

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape."""
        return torch.relu(x).square()
