"""Muon for the matrices inside a network, AdamW for the rest.

torch.optim.Muon takes matrices alone, one after another, and multiplies in bfloat16, which most processors do slowly;
here kernels are matrices too, matrices of one shape go through one batched product, and numbers keep their type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

import torch
from torch import Tensor

from fathom.registry import Range
from fathom.training import OPTIMIZERS
from fathom.training.optimizers import Decay, Groups, LearningRate, Optimizer, Share, adam_by_kernel, decaying
from fathom.training.stepping import Stepping

__all__ = ["Muon", "orthogonalized"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7
ADAMS_ROOT_MEAN_SQUARE = 0.2


@OPTIMIZERS.register("muon", decays=True, hidden=True)
def muon(
    groups: Groups,
    *,
    lr: LearningRate = 1e-3,
    momentum: Share = 0.95,
    iterations: Annotated[int, Range(1, 20)] = 5,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """Orthogonalized momentum for hidden matrices (Jordan et al. 2024), AdamW for embeddings, outputs and vectors.

    One learning rate serves both: a matrix's step is scaled to the root mean square of Adam's (Liu et al. 2025).
    """
    decayed = decaying(groups, weight_decay)
    hidden = [group for group in decayed if group.get("hidden", group["decays"])]
    others = [group for group in decayed if not group.get("hidden", group["decays"])]
    own = Muon(hidden, lr, momentum, iterations)
    return Beside(own, adam_by_kernel(others, lr, beta1, beta2)) if others else own


class Muon(Stepping):
    """Muon, for matrices and kernels.

    Source: Jordan et al. 2024, with Nesterov's momentum and their coefficients; the step's size as in Liu et al. 2025,
    equation 4. A kernel (C, C', ...) is a matrix (C, C' · ...).

    Args:
        groups: parameters under ``params``, under ``weight_decay`` a decoupled decay, and ``stacked`` where they are
            (M, ...), a matrix for each of M members.
        lr: learning rate.
        momentum: decay of the gradient's running mean.
        iterations: of Newton and Schulz.
    """

    def __init__(self, groups: Groups, lr: float, momentum: float, iterations: int) -> None:
        usual = {"lr": lr, "momentum": momentum, "iterations": iterations, "weight_decay": 0.0, "stacked": False}
        super().__init__(groups, usual, ("momentum_buffer",))

    def _move(self, group: dict[str, Any], trained: list[Tensor], gradients: list[Tensor]) -> None:
        momenta, lr = self._held("momentum_buffer", trained), group["lr"]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        looking_ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        steps = _of_one_shape_at_once(looking_ahead, group["iterations"], leading=1 if group["stacked"] else 0)
        if group["weight_decay"]:
            torch._foreach_mul_(trained, 1 - lr * group["weight_decay"])
        torch._foreach_add_(trained, steps, alpha=-lr)


class Beside:
    """Two optimizers, each of parameters of its own, as one.

    Args:
        first: an optimizer.
        second: another.
    """

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self._both = (first, second)

    @property
    def param_groups(self) -> Groups:
        return [group for optimizer in self._both for group in optimizer.param_groups]

    @property
    def state(self) -> dict[Tensor, dict[str, Tensor]]:
        return {parameter: held for optimizer in self._both for parameter, held in optimizer.state.items()}

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        for optimizer in self._both:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return {"both": [optimizer.state_dict() for optimizer in self._both]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for optimizer, saved in zip(self._both, state_dict["both"], strict=True):
            optimizer.load_state_dict(saved)


def orthogonalized(matrices: Tensor, iterations: int) -> Tensor:
    """Matrices (N, A, B) with every singular value brought near 1, by Newton and Schulz (Jordan et al. 2024)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    found = matrices.mT.contiguous() if tall else matrices
    found = found / torch.linalg.matrix_norm(found, keepdim=True).clamp(min=EPS)
    for _ in range(iterations):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found


def _of_one_shape_at_once(tensors: Sequence[Tensor], iterations: int, *, leading: int) -> list[Tensor]:
    """Steps of the size of Adam's along each tensor, its leading dimensions being so many matrices."""
    steps = list(tensors)
    places = sorted(range(len(tensors)), key=lambda k: tuple(tensors[k].shape))
    for shape, alike in groupby(places, key=lambda k: tuple(tensors[k].shape)):
        among = list(alike)
        matrices = torch.stack([tensors[k] for k in among]).reshape(-1, shape[leading], math.prod(shape[leading + 1 :]))
        size = ADAMS_ROOT_MEAN_SQUARE * math.sqrt(max(matrices.shape[1:]))
        found = orthogonalized(matrices, iterations).mul_(size).reshape(len(among), *shape)
        for k, step in zip(among, found, strict=True):
            steps[k] = step
    return steps
