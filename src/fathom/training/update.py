"""One update of the weights: losses, gradients, penalties, clipping, the optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, Diverged
from fathom.registry import Choice
from fathom.runtime import seed_from
from fathom.signals import Batch, Loss, batch_size, split_batch
from fathom.training import OPTIMIZERS
from fathom.training.optimizers import Optimizer, parameter_groups

__all__ = ["Trainable", "Update"]

SMALLEST_WEIGHT = 1e-30
EXPLODED = 1e8  # times what the trivial answer costs


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
        module: Any,
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
        self.module = module
        self._needs_two_rows = any(isinstance(layer, nn.BatchNorm1d) for layer in module.modules())
        self._device = next(module.parameters()).device
        self._seed, self._accumulate, self._clip_norm, self._l1, self._l2 = seed, accumulate, clip_norm, l1, l2
        parts = self.module.parts.items()
        self._parts = {name: _Part(part, optimizer, penalized=l1 + l2 > 0) for name, part in parts}

    def __call__(self, batch: Batch, step: int, factor: float) -> float:
        """Update every part once.

        Args:
            batch: what is learned from.
            step: the number of this update, from 0.
            factor: of each optimizer's learning rate, at this step.

        Returns:
            The sum of the parts' losses, a unit of weight, before the update.

        Raises:
            Diverged: a loss exploded, or it or a gradient is NaN or infinite; that part's weights are untouched.
            ConfigError: a batch norm is given a single row.
        """
        seed = seed_from("dropout", self._seed, step)
        torch.default_generator.manual_seed(seed)
        if self._device.type != "cpu":  # its dropout draws from a generator of its own
            torch.get_device_module(self._device).manual_seed(seed)
        return sum(self._update_part(name, batch, step, factor) for name in self._parts)

    def state(self) -> dict[str, Any]:
        return {name: part.optimizer.state_dict() for name, part in self._parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.restore(state[name])

    def _update_part(self, name: str, batch: Batch, step: int, factor: float) -> float:
        part = self._parts[name]
        part.forget_gradients()
        value = self._backward(name, batch, step)
        if self._l1 or self._l2:
            self._penalize(part.matrices)
        self._check_and_clip(part.gradients(), step)
        part.step(factor)
        return value

    def _backward(self, part: str, batch: Batch, step: int) -> float:
        """Add up the gradient of each head's total over its weight, the weight being that of the whole batch."""
        whole = None if self._accumulate == 1 else self.module.weigh(batch, part)
        value = 0.0
        for piece in [batch] if whole is None else split_batch(batch, self._accumulate):
            if self._needs_two_rows and batch_size(piece) == 1:
                raise ConfigError(
                    "batch norm needs two rows at least: use another norm, a larger batch or no accumulate"
                )
            losses = self.module.loss(piece, part)
            weights = [loss.weight for loss in losses.values()] if whole is None else [whole[head] for head in losses]
            terms = [loss.total / _divisor(w, loss.unit) for loss, w in zip(losses.values(), weights, strict=True)]
            objective = terms[0] if len(terms) == 1 else torch.stack(terms).sum()
            value += objective.item()
            if not value < EXPLODED:
                named = [head for head, term in zip(losses, terms, strict=True) if not term.item() < EXPLODED]
                raise Diverged(_divergence(f"the loss of {', '.join(named) or part} is {value}", step))
            objective.backward()
        return value

    def _penalize(self, matrices: list[nn.Parameter]) -> None:
        for matrix in matrices:
            if matrix.grad is not None:
                matrix.grad.add_(matrix.detach(), alpha=self._l2).add_(matrix.detach().sign(), alpha=self._l1)

    def _check_and_clip(self, gradients: list[Tensor], step: int) -> None:
        norm = math.hypot(*torch.stack(torch._foreach_norm(gradients)).tolist())
        if not math.isfinite(norm):
            raise Diverged(_divergence(f"the gradient's norm is {norm}", step))
        if 0 < self._clip_norm < norm:
            torch._foreach_mul_(gradients, self._clip_norm / norm)


class _Part:
    """The parameters of one part, and their optimizer."""

    def __init__(self, parameters: Iterable[nn.Parameter], optimizer: Choice, *, penalized: bool) -> None:
        groups = parameter_groups(parameters, apart=penalized or OPTIMIZERS.get(optimizer.name).facts["decays"])
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self.matrices = [parameter for group in groups if group["decays"] for parameter in group["params"]]
        self.optimizer: Optimizer = OPTIMIZERS.build(optimizer, groups)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]

    def restore(self, state: dict[str, Any]) -> None:
        """Take an optimizer's state up, each moment laid out in memory as its parameter: fused kernels rely on it."""
        self.optimizer.load_state_dict(state)
        for parameter, held in self.optimizer.state.items():
            for key, value in held.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    like = torch.empty_like(parameter.detach(), dtype=value.dtype, device=value.device)
                    held[key] = like.copy_(value)

    def forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def step(self, factor: float) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()


def _divisor(weight: Tensor, unit: float) -> float | Tensor:
    """Weight times unit; a little where nothing in the batch has any weight, for the total is 0 then."""
    if weight.device.type == "cpu":
        return max(float(weight), SMALLEST_WEIGHT) * unit
    return weight.clamp(min=SMALLEST_WEIGHT) * unit  # no wait for the device


def _divergence(what: str, step: int) -> str:
    return (
        f"training diverged at step {step}: {what}; the weights are as before that step. "
        "Try a lower learning rate (--set optimizer.lr=...) or clipping (--set training.clip_norm=1)"
    )
