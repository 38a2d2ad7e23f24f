"""Optimizers by name: torch's own, or its fused kernel alone where it has one, from groups of parameters.

``weight_decay`` is decoupled (Loshchilov and Hutter 2019) and spares biases and norms; the coupled penalties L1 and
L2 are the engine's. Facts: ``decays`` says that the optimizer treats matrices otherwise than biases, ``hidden`` that it
treats matrices inside the network otherwise than embeddings and outputs, ``averages`` that other weights than those it
updates are to be evaluated and kept, ``full_batch`` that each step sees all rows and looks at the loss as often as it
needs to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import torch
from torch import nn

from fathom.nets.stacked import Stacked, own_dimensions
from fathom.registry import Range
from fathom.training import OPTIMIZERS
from fathom.training.fused import FusedAdam

__all__ = ["Optimizer", "parameter_groups", "scaled_groups"]

# The engine puts a number in the place of "auto": no optimizer ever sees it.
if TYPE_CHECKING:
    LearningRate = float
else:
    LearningRate = Annotated[float | Literal["auto"], Range(1e-6, 10, log=True)]
Decay = Annotated[float, Range(0, 1)]
Share = Annotated[float, Range(0, 0.999999)]
Momentum = Annotated[float, Range(0.01, 0.999999)]
Groups = list[dict[str, Any]]


class Optimizer(Protocol):
    """What the engine asks of an optimizer; torch's own have it all."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    @property
    def state(self) -> Any: ...  # parameter to its moments

    def step(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def parameter_groups(
    parameters: Iterable[nn.Parameter], *, apart: bool, hidden: Collection[nn.Parameter] | None = None
) -> Groups:
    """What an optimizer is given.

    Args:
        parameters: those of one part; frozen ones are left out.
        apart: matrices and kernels, which decay, in one group, and vectors and scalars (biases, norms), which do not,
            in another; else all in one.
        hidden: matrices to be kept apart from all others, and those of members, which are ``stacked``, from these.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not apart:
        return [{"params": trained, "decays": True}]
    matrices = [parameter for parameter in trained if own_dimensions(parameter) >= 2]
    groups: Groups = [{"params": matrices, "decays": True}]
    if hidden is not None:
        others = [parameter for parameter in matrices if parameter not in hidden]
        groups = [
            {"params": [p for p in matrices if p in hidden and isinstance(p, Stacked) is stacked], "stacked": stacked}
            for stacked in (False, True)
        ]
        groups = [{**group, "decays": True, "hidden": True} for group in groups]
        groups.append({"params": others, "decays": True, "hidden": False})
    vectors = [parameter for parameter in trained if own_dimensions(parameter) < 2]
    groups.append({"params": vectors, "decays": False})
    return [group for group in groups if group["params"]]


def scaled_groups(groups: Groups, scales: Mapping[nn.Parameter, float]) -> Groups:
    """The groups cut by what the learning rate of parameters is multiplied by, which each has as its ``scale``."""
    found: Groups = []
    for group in groups:
        by_scale: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_scale.setdefault(scales.get(parameter, 1.0), []).append(parameter)
        found += [{**group, "params": own, "scale": scale} for scale, own in sorted(by_scale.items(), reverse=True)]
    return found


@OPTIMIZERS.register("sgd", decays=False)
def sgd(groups: Groups, *, lr: LearningRate = 0.05, momentum: Share = 0.9, nesterov: bool = True) -> Optimizer:
    """Stochastic gradient descent with momentum, Nesterov's by default (Sutskever et al. 2013)."""
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=_fused(groups))


@OPTIMIZERS.register("rmsprop", decays=False)
def rmsprop(groups: Groups, *, lr: LearningRate = 1e-3, smoothing: Share = 0.99, momentum: Share = 0.0) -> Optimizer:
    """Steps divided by a running root mean square of the gradient (Tieleman and Hinton 2012)."""
    return torch.optim.RMSprop(groups, lr=lr, alpha=smoothing, momentum=momentum)


@OPTIMIZERS.register("adam", decays=False)
def adam(groups: Groups, *, lr: LearningRate = 1e-3, beta1: Share = 0.9, beta2: Share = 0.999) -> Optimizer:
    """Adaptive moment estimation (Kingma and Ba 2015, algorithm 1)."""
    return adam_by_kernel(groups, lr, beta1, beta2)


@OPTIMIZERS.register("adamw", decays=True)
def adamw(
    groups: Groups,
    *,
    lr: LearningRate = 1e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""
    return adam_by_kernel(decaying(groups, weight_decay), lr, beta1, beta2)


@OPTIMIZERS.register("nadam", decays=True)
def nadam(
    groups: Groups,
    *,
    lr: LearningRate = 1e-3,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """AdamW with Nesterov's momentum (Dozat 2016, algorithm 2)."""
    return torch.optim.NAdam(
        decaying(groups, weight_decay), lr=lr, betas=(beta1, beta2), decoupled_weight_decay=True, foreach=True
    )


@OPTIMIZERS.register("adagrad", decays=False)
def adagrad(groups: Groups, *, lr: LearningRate = 0.01) -> Optimizer:
    """Steps divided by the root of the sum of all squared gradients (Duchi et al. 2011, figure 1)."""
    return torch.optim.Adagrad(groups, lr=lr, foreach=True)


def decaying(groups: Groups, weight_decay: float) -> Groups:
    """The groups with their decay: that of matrices, and none for vectors."""
    return [{**group, "weight_decay": weight_decay if group["decays"] else 0.0} for group in groups]


def adam_by_kernel(groups: Groups, lr: float, beta1: float, beta2: float) -> Optimizer:
    """Adam with decoupled decay: by the fused kernel, where the device has it."""
    if _fused(groups):
        return FusedAdam(groups, lr, beta1, beta2)
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), weight_decay=0.0)


def _fused(groups: Groups) -> bool:
    """Whether one kernel can update all parameters: they are floating and on a device that has it."""
    return all(
        torch.is_floating_point(parameter) and parameter.device.type in ("cpu", "cuda")
        for group in groups
        for parameter in group["params"]
    )
