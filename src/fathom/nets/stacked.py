"""The layers of several equal nets as one layer, so that one matrix product does the work of all of them.

Every layer takes and gives rows of all members, (M·B, ...), and names its parameters as the layer that it stands for
does, the member first: what a layer holds is the stack of what the members' layers hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LAYERS", "Stacked", "can_stack", "own_dimensions", "stack_layers"]


class Stacked(nn.Parameter):
    """The parameters of M members in one tensor, (M, ...): each member's gradient, norm and shape are its own."""


def own_dimensions(parameter: nn.Parameter) -> int:
    """How many dimensions a parameter has in one member: 2 of a matrix, 1 of a bias."""
    return parameter.dim() - isinstance(parameter, Stacked)


class StackedLinear(nn.Module):
    """M matrices: ``nn.Linear`` of each member on its own rows."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.members = len(layers)
        self.weight = _stack([layer.weight for layer in layers])  # (M, out, in)
        self.bias = None if layers[0].bias is None else _stack([layer.bias for layer in layers])  # (M, out)

    def forward(self, rows: Tensor) -> Tensor:
        """rows (M·B, ..., D) to (M·B, ..., out)."""
        own, matrix = rows.reshape(self.members, -1, rows.shape[-1]), self.weight.transpose(1, 2)
        if self.bias is None:
            given = torch.bmm(own, matrix)
        else:
            given = torch.baddbmm(self.bias.unsqueeze(1), own, matrix)
        return given.view(*rows.shape[:-1], matrix.shape[2])


class StackedLayerNorm(nn.Module):
    """``nn.LayerNorm`` of each member."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.members, self.shape, self.eps = len(layers), layers[0].normalized_shape, layers[0].eps
        self.weight = _stack([layer.weight for layer in layers]) if layers[0].weight is not None else None
        self.bias = _stack([layer.bias for layer in layers]) if layers[0].bias is not None else None

    def forward(self, rows: Tensor) -> Tensor:
        """rows (M·B, ..., D), each brought to mean 0 and deviation 1."""
        normal = F.layer_norm(rows, self.shape, eps=self.eps).view(self.members, -1, *self.shape)
        if self.weight is not None:
            normal = normal * self.weight.unsqueeze(1)
        if self.bias is not None:
            normal = normal + self.bias.unsqueeze(1)
        return normal.view(rows.shape)


class StackedBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` of each member over its own rows; a batch norm still, for whoever looks for such."""

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        first = layers[0]
        super().__init__(first.num_features, first.eps, first.momentum, affine=False, track_running_stats=True)
        self.members = len(layers)
        for name in ("weight", "bias") if first.affine else ():
            self.register_parameter(name, _stack([getattr(layer, name) for layer in layers]))
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, torch.stack([getattr(layer, name) for layer in layers]))

    def forward(self, rows: Tensor) -> Tensor:
        """rows (M·B, D), each feature brought to mean 0 and deviation 1 over its member's rows."""
        assert self.running_mean is not None and self.running_var is not None
        features = rows.view(self.members, -1, self.num_features).transpose(0, 1).flatten(1)  # (B, M·D)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean over all batches since the statistics were cleared
            share = 1 / float(self.num_batches_tracked or 1)
        normal = F.batch_norm(
            features,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            None if self.weight is None else self.weight.flatten(),
            None if self.bias is None else self.bias.flatten(),
            self.training,
            share,
            self.eps,
        )
        return normal.view(-1, self.members, self.num_features).transpose(0, 1).reshape(rows.shape)


class StackedEmbedding(nn.Module):
    """``nn.Embedding`` of each member."""

    def __init__(self, layers: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.members, self.padding = len(layers), layers[0].padding_idx
        self.weight = _stack([layer.weight for layer in layers])  # (M, entries, D)

    def forward(self, index: Tensor) -> Tensor:
        """index (M·B, ...) int64 to (M·B, ..., D)."""
        entries = self.weight.shape[1]
        first = torch.arange(0, self.members * entries, entries, device=index.device)
        place = (index.view(self.members, -1) + first.unsqueeze(1)).view(index.shape)
        vectors = F.embedding(place, self.weight.flatten(0, 1))
        # What stands for nothing is neither seen nor learned.
        return vectors if self.padding is None else vectors * (index != self.padding).unsqueeze(-1)


LAYERS: dict[type[nn.Module], Callable[[Sequence[Any]], nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.LayerNorm: StackedLayerNorm,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.Embedding: StackedEmbedding,
}
"""What stands for the layers of several members, for each sort that learns and can be stacked.

What learns nothing, such as an activation or dropout, does to the rows of all members what it does to those of one.
"""


def stack_of_members(layers: Sequence[Any]) -> nn.Module:
    """The first of several layers with the parameters of all: a layer that asks its ``members`` how many it is."""
    for modules in zip(*(layer.modules() for layer in layers), strict=True):
        for name, _ in list(modules[0].named_parameters(recurse=False)):
            modules[0].register_parameter(name, _stack([getattr(module, name) for module in modules]))
            modules[0].members = len(layers)
    first: nn.Module = layers[0]
    return first


def can_stack(module: nn.Module) -> bool:
    """Whether every parameter of a module stands in a layer of a sort that can be stacked."""
    if type(module) in LAYERS:
        return True
    own = any(True for _ in module.parameters(recurse=False))
    return not own and all(can_stack(child) for child in module.children())


def stack_layers(modules: Sequence[nn.Module]) -> None:
    """Turn the first of several equal modules into their stack, layer by layer, in place."""
    assert can_stack(modules[0]), "whether a module can be stacked is asked before"
    _stack_children(modules)


def _stack_children(modules: Sequence[nn.Module]) -> None:
    for name, child in list(modules[0].named_children()):
        same = [module.get_submodule(name) for module in modules]
        if type(child) in LAYERS:
            modules[0].register_module(name, LAYERS[type(child)](same).train(child.training))
        else:
            _stack_children(same)


def _stack(parameters: Sequence[Tensor]) -> Stacked:
    return Stacked(torch.stack([parameter.detach() for parameter in parameters]))
