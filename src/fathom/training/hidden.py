"""Which weights are matrices inside a network, and not its embeddings or its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import nn

from fathom.heads.head import Head
from fathom.nets.stacked import StackedLinear

__all__ = ["hidden_matrices"]


def hidden_matrices(module: nn.Module) -> set[nn.Parameter]:
    """The weights of linear layers and convolutions that no head holds.

    Embeddings, scales and what members have of their own are no matrix products; a kernel that sees one channel alone
    is no matrix.

    Source: the advice of Jordan et al. 2024 for Muon, which leaves first and last layers to AdamW. Here a first layer
    counts as hidden: it takes scaled numbers, not a language's one-hot words.
    """
    outputs = {parameter for layer in module.modules() if isinstance(layer, Head) for parameter in layer.parameters()}
    return {weight for weight in _products(module) if weight not in outputs}


def _products(module: nn.Module) -> Iterator[nn.Parameter]:
    for layer in module.modules():
        whole = isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.groups == 1
        if whole or isinstance(layer, nn.Linear | StackedLinear):
            yield cast(nn.Parameter, layer.weight)
