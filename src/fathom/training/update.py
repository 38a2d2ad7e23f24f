"""One update of the weights: losses, gradients, penalties, clipping, the optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, Diverged
from fathom.registry import Choice
from fathom.runtime import seed_from
from fathom.signals import Batch, Loss, split_batch
from fathom.training import OPTIMIZERS
from fathom.training.optimizers import parameter_groups

__all__ = ["Trainable", "Update"]


class Trainable(Protocol):
    """What the engine asks of a module; it knows nothing else of it."""

    parts: Mapping[str, list[nn.Parameter]]
    whole_batch: bool

    def loss(self, batch: Batch, part: str) -> Mapping[str, Loss]: ...

    def weigh(self, batch: Batch, part: str) -> Mapping[str, Tensor]: ...


class Update:
    """Updates a module's parts, each by its own optimizer.

    Args:
        module: what is trained.
        optimizer: the optimizer of every part.
        seed: with the step's number, all that decides dropout.
        accumulate: micro-batches that a batch is cut into; the gradient is that of the whole.
        clip_norm: the largest norm of a part's gradient; 0 leaves it as it is.
        l1: times the sum of absolute values of matrices, added to the loss.
        l2: times half the sum of their squares, added to the loss.

    Raises:
        ConfigError: a loss needs the whole batch, which is to be cut.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Choice,
        *,
        seed: int,
        accumulate: int = 1,
        clip_norm: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        if accumulate > 1 and module.whole_batch:
            raise ConfigError("a head's loss needs the whole batch; training.accumulate must be 1")
        self.module: Any = module
        self._seed, self._accumulate, self._clip_norm, self._l1, self._l2 = seed, accumulate, clip_norm, l1, l2
        self._parts = {name: [p for p in part if p.requires_grad] for name, part in self.module.parts.items()}
        self._optimizers = {
            name: OPTIMIZERS.build(optimizer, parameter_groups(part)) for name, part in self._parts.items()
        }
        self._rates = {name: [group["lr"] for group in made.param_groups] for name, made in self._optimizers.items()}
        self._penalized = {name: [p for p in part if p.dim() >= 2] for name, part in self._parts.items()}

    def __call__(self, batch: Batch, step: int, factor: float) -> float:
        """Update every part once.

        Args:
            batch: what is learned from.
            step: the number of this update, from 0.
            factor: of each optimizer's learning rate, at this step.

        Returns:
            The sum of the parts' losses, a unit of weight, before the update.

        Raises:
            Diverged: a loss or a gradient is NaN or infinite; that part's weights are untouched.
        """
        torch.default_generator.manual_seed(seed_from("dropout", self._seed, step))
        return sum(self._update_part(name, batch, step, factor) for name in self._parts)

    def state(self) -> dict[str, Any]:
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[name])

    def _update_part(self, name: str, batch: Batch, step: int, factor: float) -> float:
        optimizer, parameters = self._optimizers[name], self._parts[name]
        optimizer.zero_grad()
        value = self._backward(name, batch, step)
        self._penalize(self._penalized[name])
        self._check_and_clip(parameters, step)
        for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
            group["lr"] = rate * factor
        optimizer.step()
        return value

    def _backward(self, part: str, batch: Batch, step: int) -> float:
        """Add up the gradient of each head's total over its weight, the weight being that of the whole batch."""
        whole = None if self._accumulate == 1 else self.module.weigh(batch, part)
        value = 0.0
        for piece in [batch] if whole is None else split_batch(batch, self._accumulate):
            losses = self.module.loss(piece, part)
            terms = [loss.total / _positive(loss.weight if whole is None else whole[h]) for h, loss in losses.items()]
            objective = terms[0] if len(terms) == 1 else torch.stack(terms).sum()
            value += objective.item()
            if not math.isfinite(value):
                named = [head for head, term in zip(losses, terms, strict=True) if not math.isfinite(term.item())]
                raise Diverged(_divergence(f"the loss of {', '.join(named) or part} is {value}", step))
            objective.backward()
        return value

    def _penalize(self, parameters: list[nn.Parameter]) -> None:
        with torch.no_grad():
            for parameter in parameters if self._l1 or self._l2 else ():
                if parameter.grad is not None:
                    parameter.grad.add_(parameter, alpha=self._l2).add_(parameter.sign(), alpha=self._l1)

    def _check_and_clip(self, parameters: list[nn.Parameter], step: int) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = math.hypot(*torch.stack(torch._foreach_norm(gradients)).tolist())
        if not math.isfinite(norm):
            raise Diverged(_divergence(f"the gradient's norm is {norm}", step))
        if 0 < self._clip_norm < norm:
            torch._foreach_mul_(gradients, self._clip_norm / norm)


def _positive(weight: Tensor) -> Tensor:
    """The weight, or 1 where nothing in the batch has any (the total is 0 then)."""
    return torch.where(weight > 0, weight, 1)


def _divergence(what: str, step: int) -> str:
    return (
        f"training diverged at step {step}: {what}; the weights are as before that step. "
        "Try a lower learning rate (--set optimizer.lr=...) or clipping (--set training.clip_norm=1)"
    )
