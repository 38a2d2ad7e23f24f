"""Adam by torch's fused kernel, without torch.optim.

What torch.optim does around the kernel costs a small network a sixth of every step, and the first optimizer that a
process makes imports torch's compiler, which takes longer than many a training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fathom.training.stepping import Stepping

__all__ = ["FusedAdam"]


class FusedAdam(Stepping):
    """Adam (Kingma and Ba 2015, algorithm 1), or AdamW (Loshchilov and Hutter 2019, algorithm 2) with decay.

    Args:
        groups: parameters under ``params``, and under ``weight_decay`` a decoupled decay, where a group has one.
        lr: learning rate.
        beta1: decay of the first moment.
        beta2: decay of the second moment.
        eps: added to the root of the second moment.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float, eps: float = 1e-8) -> None:
        usual = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": 0.0}
        super().__init__(groups, usual, ("exp_avg", "exp_avg_sq"))
        for parameter, held in self.state.items():
            held["step"] = torch.zeros((), device=parameter.device)

    def _move(self, group: dict[str, Any], trained: list[Tensor], gradients: list[Tensor]) -> None:
        steps = self._held("step", trained)
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            trained,
            gradients,
            self._held("exp_avg", trained),
            self._held("exp_avg_sq", trained),
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
