"""The matrix that meets the inputs, and which column each of its features comes of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets.members import MemberLinear
from fathom.nets.stacked import StackedLinear

__all__ = ["FirstLayer", "columns_of", "first_matrix"]


@dataclass(frozen=True)
class FirstLayer:
    """What a network does first with the vector of all inputs.

    Attributes:
        weights: (..., out, D) each: of the body, or of every head where there is none.
        columns: (D,) int64, for each feature the place of its column in ``origins``.
        origins: for each column the name of its tensor in a batch, and its place there.
    """

    weights: tuple[nn.Parameter, ...]
    columns: Tensor
    origins: tuple[tuple[str, int], ...]

    @property
    def sizes(self) -> Tensor:
        """(columns,) how many features come of each."""
        return torch.bincount(self.columns, minlength=len(self.origins))

    def norms(self, weight: Tensor) -> Tensor:
        """The norm of what each column has in a weight (..., out, D), to (..., columns)."""
        squares = weight.detach().square().sum(-2)  # (..., D)
        found = squares.new_zeros(*squares.shape[:-1], len(self.origins))
        return found.index_add(-1, self.columns, squares).sqrt()

    def used(self) -> list[tuple[str, int]]:
        """The columns that have any weight that is not zero."""
        total = torch.stack([self.norms(weight).reshape(-1, len(self.origins)).sum(0) for weight in self.weights]).sum(
            0
        )
        return [origin for origin, norm in zip(self.origins, total.tolist(), strict=True) if norm > 0]


def first_matrix(module: nn.Module, width: int) -> nn.Parameter | None:
    """The weight (..., out, D) of the first layer in a module, or None where it has no layer.

    Raises:
        ConfigError: that layer is not one matrix on a vector of that width.
    """
    layers = (layer for layer in module.modules() if isinstance(layer, nn.Linear | StackedLinear | MemberLinear))
    found = next(layers, None)
    if found is None and not any(parameter.dim() > 1 for parameter in module.parameters()):
        return None
    if found is None or isinstance(found, MemberLinear) or found.weight.shape[-1] != width:
        raise ConfigError("training.group_l1 needs a net whose first layer is one matrix on all inputs (use net mlp)")
    weight = found.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def columns_of(widths: Sequence[int]) -> tuple[int, ...]:
    """For features that stand there column by column, so many of each, the column of each."""
    return tuple(column for column, width in enumerate(widths) for _ in range(width))
