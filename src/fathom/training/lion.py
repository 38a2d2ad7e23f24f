"""Lion: every weight moves by the learning rate, to the side that momentum says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fathom.training import OPTIMIZERS
from fathom.training.optimizers import Decay, Groups, LearningRate, Optimizer, Share, decaying
from fathom.training.stepping import Stepping

__all__ = ["Lion"]


@OPTIMIZERS.register("lion", decays=True)
def lion(
    groups: Groups,
    *,
    lr: LearningRate = 2e-4,
    beta1: Share = 0.9,
    beta2: Share = 0.99,
    weight_decay: Decay = 0.05,
) -> Optimizer:
    """Steps of equal size by the sign of a momentum (Chen et al. 2023, algorithm 2), smaller than Adam's."""
    return Lion(decaying(groups, weight_decay), lr, beta1, beta2)


class Lion(Stepping):
    """Lion (Chen et al. 2023, algorithm 2).

    Args:
        groups: parameters under ``params``, and under ``weight_decay`` a decoupled decay.
        lr: learning rate.
        beta1: share of the momentum in what gives the sign.
        beta2: decay of the momentum.
    """

    def __init__(self, groups: Groups, lr: float, beta1: float, beta2: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": (beta1, beta2), "weight_decay": 0.0}, ("exp_avg",))

    def _move(self, group: dict[str, Any], trained: list[Tensor], gradients: list[Tensor]) -> None:
        momenta, (beta1, beta2) = self._held("exp_avg", trained), group["betas"]
        signs = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(signs)
        if group["weight_decay"]:
            torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(trained, signs, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)
