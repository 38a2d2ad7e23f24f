"""Schedule-free AdamW: the gradient is taken between a running average and the point that moves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fathom.training import OPTIMIZERS
from fathom.training.optimizers import Decay, Groups, LearningRate, Momentum, Optimizer, Share, decaying
from fathom.training.stepping import Averaging

__all__ = ["ScheduleFree"]

POWER = 2.0  # of the learning rate, by which a step weighs in the average
COUNTERS = {"steps": 0, "largest_lr": 0.0, "weight_sum": 0.0}


@OPTIMIZERS.register("schedule_free", decays=True, averages=True)
def schedule_free(
    groups: Groups,
    *,
    lr: LearningRate = 2.5e-3,
    beta1: Momentum = 0.9,
    beta2: Share = 0.999,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """AdamW whose averaged weights are evaluated, so that no schedule is needed (Defazio et al. 2024, algorithm 1)."""
    return ScheduleFree(decaying(groups, weight_decay), lr, beta1, beta2)


class ScheduleFree(Averaging):
    """Schedule-free AdamW.

    Source: Defazio et al. 2024, algorithm 1, with the gradient scaled as by Adam and each step weighing by the square
    of the largest learning rate so far, as the authors' package has it; the warm-up is the schedule's. The parameters
    hold y, where gradients are taken; z moves; x, their average, is what to evaluate: y = (1 - beta1) z + beta1 x.

    Args:
        groups: parameters under ``params``, and under ``weight_decay`` a decay, taken at y.
        lr: learning rate.
        beta1: how near to the average gradients are taken; above 0.
        beta2: decay of the second moment.
        eps: added to the root of the second moment.
    """

    def __init__(self, groups: Groups, lr: float, beta1: float, beta2: float, eps: float = 1e-8) -> None:
        usual = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": 0.0, **COUNTERS}
        super().__init__(groups, usual, ("z", "exp_avg_sq"), tuple(COUNTERS))
        for parameter, held in self.state.items():
            held["z"].copy_(parameter.detach())

    def _average(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.lerp_(self.state[parameter]["z"], 1 - 1 / group["betas"][0])

    def _move(self, group: dict[str, Any], trained: list[Tensor], gradients: list[Tensor]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        group["steps"] += 1
        group["largest_lr"] = max(lr, group["largest_lr"])
        weight = group["largest_lr"] ** POWER
        group["weight_sum"] += weight
        share = weight / group["weight_sum"] if weight else 0.0
        z, squares = self._held("z", trained), self._held("exp_avg_sq", trained)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        roots = torch._foreach_div(squares, 1 - beta2 ** group["steps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        directions = torch._foreach_div(gradients, roots)
        if group["weight_decay"]:
            torch._foreach_add_(directions, trained, alpha=group["weight_decay"])
        # Moves y as its two ends move, without x being kept.
        torch._foreach_lerp_(trained, z, share)
        torch._foreach_add_(trained, directions, alpha=lr * (beta1 * (1 - share) - 1))
        torch._foreach_add_(z, directions, alpha=-lr)
