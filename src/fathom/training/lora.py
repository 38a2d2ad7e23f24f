"""Low-rank changes of frozen matrices, learned in their place and added to them at the end."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, listed
from fathom.registry import Range
from fathom.training import ADAPTERS
from fathom.training.freezing import depths_of, matching

__all__ = ["Adapted", "LowRank"]


class LowRank(nn.Module):
    """A matrix that stays as it is, beside a product of two small ones that learns.

    Args:
        plain: the layer with the matrix.
        rank: how many columns the one and rows the other has.
        scale: of their product.
    """

    def __init__(self, plain: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.plain, self.scale = plain, scale
        self.down = nn.Parameter(plain.weight.new_empty(rank, plain.in_features))
        self.up = nn.Parameter(plain.weight.new_zeros(plain.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, rows: Tensor) -> Tensor:
        """rows (..., D) to (..., out)."""
        changed: Tensor = self.plain(rows) + (rows @ self.down.mT) @ (self.scale * self.up).mT
        return changed

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The layer, with the change in its matrix."""
        self.plain.weight += self.scale * self.up @ self.down
        return self.plain


class Adapted:
    """What was put into a module for its training.

    Args:
        module: what is trained.
        layers: the names of those that stand in the place of others.
    """

    def __init__(self, module: nn.Module, layers: tuple[str, ...] = ()) -> None:
        self._module, self._layers = module, layers

    def merge(self) -> None:
        """Leave the module as plain as it was, with all that was learned."""
        for name in self._layers:
            layer = self._module.get_submodule(name)
            assert isinstance(layer, LowRank)
            self._module.set_submodule(name, layer.merged())


@ADAPTERS.register("none")
def none(module: nn.Module) -> Adapted:
    """All parameters learn by themselves."""
    return Adapted(module)


@ADAPTERS.register("lora")
def lora(
    module: nn.Module,
    *,
    rank: Annotated[int, Range(1, 1024, log=True)] = 8,
    alpha: Annotated[float, Range(0.01, 10_000, log=True)] = 16.0,
    on: tuple[str, ...] = ("attention",),
) -> Adapted:
    """LoRA: matrices stay, and products of two small ones beside them learn; heads learn as ever, all else stays.

    What is saved is the plain network: the products are added to the matrices. Source: Hu et al. 2022, section 4.1.

    Args:
        module: what is trained.
        rank: of the products.
        alpha: a product counts alpha / rank times.
        on: names of the layers that get one, or runs of them between dots, stars standing for anything.

    Raises:
        ConfigError: no layer is called so.
    """
    depths = depths_of(module)
    linear = {name: layer for name, layer in module.named_modules() if type(layer) is nn.Linear}
    below = {name: layer for name, layer in linear.items() if depths[f"{name}.weight"] > 0}
    found = tuple(dict.fromkeys(name for pattern in on for name in matching(below, pattern)))
    if not found:
        raise ConfigError(f"adapter lora.on = {list(on)} fits no matrix below the heads (there are {listed(below, 6)})")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(depths[name] == 0)
    for name in found:
        module.set_submodule(name, LowRank(below[name], rank, alpha / rank))
    return Adapted(module, found)
