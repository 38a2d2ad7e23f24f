"""Adam by torch's fused kernel, without torch.optim.

What torch.optim does around the kernel costs a small network a sixth of every step, and the first optimizer that a
process makes imports torch's compiler, which takes longer than many a training.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["FusedAdam"]

MOMENTS = ("exp_avg", "exp_avg_sq")


class FusedAdam:
    """Adam (Kingma and Ba 2015, algorithm 1), or AdamW (Loshchilov and Hutter 2019, algorithm 2) with decay.

    It has those methods of torch.optim.Optimizer that the engine uses. A parameter without a gradient stays as it is.

    Args:
        groups: parameters under ``params``, and under ``weight_decay`` a decoupled decay, where a group has one.
        lr: learning rate.
        beta1: decay of the first moment.
        beta2: decay of the second moment.
        eps: added to the root of the second moment.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float, eps: float = 1e-8) -> None:
        usual = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": 0.0}
        self.param_groups = [{**usual, **group} for group in groups]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        self.state = {
            parameter: {"step": torch.zeros((), device=parameter.device)}
            | {name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in MOMENTS}
            for parameter in parameters
        }

    def zero_grad(self) -> None:
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            trained: list[torch.Tensor] = [parameter for parameter in group["params"] if parameter.grad is not None]
            if trained:
                self._step_group(group, trained)

    def state_dict(self) -> dict[str, Any]:
        return {"state": list(self.state.values())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for own, saved in zip(self.state.values(), state_dict["state"], strict=True):
            for name, value in own.items():
                value.copy_(saved[name])

    def _step_group(self, group: dict[str, Any], trained: list[torch.Tensor]) -> None:
        states = [self.state[parameter] for parameter in trained]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            trained,
            [parameter.grad for parameter in trained if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
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
