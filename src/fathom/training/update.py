"""One update of the weights: losses, gradients, penalties, clipping, the optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, Diverged
from fathom.nets.first_layer import FirstLayer
from fathom.nets.stacked import Stacked
from fathom.registry import Choice
from fathom.runtime import keep_freed_memory, seed_from
from fathom.signals import Batch, Loss, batch_size, split_batch
from fathom.training import OPTIMIZERS
from fathom.training.clipping import clip
from fathom.training.freezing import scales_of
from fathom.training.hidden import hidden_matrices
from fathom.training.optimizers import parameter_groups, scaled_groups
from fathom.training.proximal import shrink, shrink_groups

__all__ = ["Trainable", "Update"]

SMALLEST_WEIGHT = 1e-30
SAME_LOSS = 1e-5  # relatively
TOO_FAR = 1e30  # what a line search is told of weights whose loss is no number
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
        l1_proximal: times the learning rate, how far each number of a matrix moves towards zero after a step.
        group_l1: likewise of all that a column has in the first layer, by the root of how much that is.
        layer_decay: what the learning rate is multiplied by for each layer between a parameter and the heads.
        bfloat16: whether products may be computed in that precision; weights, gradients of weights and the optimizer's
            state are float32 all the same (Micikevicius et al. 2018, section 3.1).

    Raises:
        ConfigError: a loss needs the whole batch, which is to be cut; or proximal steps do not suit the optimizer.
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
        l1_proximal: float = 0.0,
        group_l1: float = 0.0,
        layer_decay: float = 1.0,
        bfloat16: bool = False,
    ) -> None:
        if accumulate > 1 and module.whole_batch:
            raise ConfigError("a head's loss needs the whole batch; training.accumulate must be 1")
        keep_freed_memory()
        self.module = module
        self._needs_two_rows = any(isinstance(layer, nn.BatchNorm1d) for layer in module.modules())
        self._device = next(module.parameters()).device
        self._computing = partial(torch.autocast, self._device.type, torch.bfloat16) if bfloat16 else nullcontext
        self._seed, self._accumulate, self._clip_norm, self._l1, self._l2 = seed, accumulate, clip_norm, l1, l2
        self._l1_proximal, self._group_l1 = l1_proximal, group_l1
        facts = OPTIMIZERS.get(optimizer.name).facts
        self._looks_again = bool(facts.get("full_batch"))
        if (l1_proximal or group_l1) and (self._looks_again or facts.get("averages")):
            raise ConfigError(
                f"optimizer {optimizer.name} has no step that training.l1_proximal or group_l1 could follow (use adamw)"
            )
        hidden = hidden_matrices(module) if facts.get("hidden") else None
        apart = facts["decays"] or any((l1, l2, l1_proximal))
        parts = self.module.parts.items()
        scales = scales_of(module, layer_decay) if layer_decay != 1 else {}
        self._parts = {name: _Part(part, optimizer, scales, apart=apart, hidden=hidden) for name, part in parts}
        self._first: FirstLayer | None = module.first_layer() if group_l1 else None
        firsts = () if self._first is None else self._first.weights
        self._firsts = {name: [first for first in firsts if part.holds(first)] for name, part in self._parts.items()}

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
        self._seed_dropout(step)
        return sum(self._update_part(name, batch, step, factor) for name in self._parts)

    def state(self) -> dict[str, Any]:
        return {name: part.optimizer.state_dict() for name, part in self._parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.restore(state[name])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside the block the module has the weights to evaluate and keep: an optimizer may update others.

        Such an optimizer declares the fact ``averages``, and has a context manager ``averaged()`` that puts its average
        weights into its parameters and, at the end, the very bits that were there back.
        """
        with ExitStack() as stack:
            for part in self._parts.values():
                if part.averages:
                    stack.enter_context(part.optimizer.averaged())
            yield

    def _seed_dropout(self, step: int) -> None:
        seed = seed_from("dropout", self._seed, step)
        torch.default_generator.manual_seed(seed)
        if self._device.type != "cpu":  # its dropout draws from a generator of its own
            torch.get_device_module(self._device).manual_seed(seed)

    def _update_part(self, name: str, batch: Batch, step: int, factor: float) -> float:
        part = self._parts[name]
        if self._looks_again:
            return self._search(name, batch, step, factor)
        value = self._look(name, batch, step)
        part.step(factor)
        if self._l1_proximal:
            shrink(part.matrices, part.rate * self._l1_proximal)
        if self._first is not None:
            shrink_groups(self._firsts[name], self._first, part.rate * self._group_l1)
        return value

    def _look(self, name: str, batch: Batch, step: int) -> float:
        """The loss of a part, and beside its parameters the gradient of it and of its penalties."""
        part = self._parts[name]
        part.forget_gradients()
        value = self._backward(name, batch, step)
        if self._l1 or self._l2:
            self._penalize(part.matrices)
        # A clipped gradient would no longer be that of the loss, which a line search relies on.
        norm = clip(part.gradients(), 0.0 if self._looks_again else self._clip_norm, stacked=part.stacked)
        if not math.isfinite(norm):
            raise Diverged(_divergence(f"the gradient's norm is {norm}", step))
        return value

    def _search(self, name: str, batch: Batch, step: int, factor: float) -> float:
        """One step of an optimizer that looks at the loss again and again, with the same dropout."""
        part = self._parts[name]
        if step == 0:
            self._refuse_chance(name, batch)
        before = [parameter.detach().clone() for parameter in part.parameters]
        values: list[float] = []

        def look() -> float:
            self._seed_dropout(step)
            try:
                values.append(self._look(name, batch, step))
            except Diverged:
                if not values:
                    raise
                part.forget_gradients()
                return TOO_FAR  # a line search that went astray comes back
            return values[-1] + self._penalty(part.matrices)

        part.step(factor, look)
        if not all(bool(parameter.isfinite().all()) for parameter in part.parameters):
            with torch.no_grad():
                torch._foreach_copy_(part.parameters, before)
            raise Diverged(_divergence("a line search found no finite weights", step))
        return values[0]

    def _refuse_chance(self, name: str, batch: Batch) -> None:
        """Compare two looks at one batch.

        Raises:
            ConfigError: they differ.
        """
        totals = []
        for draw in (0, 1):
            self._seed_dropout(draw)
            with torch.no_grad():
                totals.append(sum(float(loss.total) for loss in self.module.loss(batch, name).values()))
        if not math.isclose(*totals, rel_tol=SAME_LOSS):
            raise ConfigError("optimizer lbfgs needs a loss without chance: switch dropout off (--set net.dropout=0)")

    def _backward(self, part: str, batch: Batch, step: int) -> float:
        """Add up the gradient of each head's total over its weight, the weight being that of the whole batch."""
        whole = None if self._accumulate == 1 else self.module.weigh(batch, part)
        value = 0.0
        for piece in [batch] if whole is None else split_batch(batch, self._accumulate):
            if self._needs_two_rows and batch_size(piece) == 1:
                raise ConfigError(
                    "batch norm needs two rows at least: use another norm, a larger batch or no accumulate"
                )
            with self._computing():
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

    def _penalty(self, matrices: list[nn.Parameter]) -> float:
        """What ``_penalize`` adds the gradient of."""
        if not (self._l1 or self._l2):
            return 0.0
        parts = [self._l1 * m.detach().abs().sum() + self._l2 / 2 * m.detach().square().sum() for m in matrices]
        return float(sum(parts))


class _Part:
    """The parameters of one part, and their optimizer."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: Choice,
        scales: Mapping[nn.Parameter, float],
        *,
        apart: bool,
        hidden: Collection[nn.Parameter] | None,
    ) -> None:
        self.averages = bool(OPTIMIZERS.get(optimizer.name).facts.get("averages", False))
        groups = scaled_groups(parameter_groups(parameters, apart=apart, hidden=hidden), scales)
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.matrices = [parameter for group in groups if group["decays"] for parameter in group["params"]]
        self.stacked = all(isinstance(parameter, Stacked) for parameter in self.parameters)
        self.optimizer: Any = OPTIMIZERS.build(optimizer, groups)
        self._rates = [group["lr"] * group.get("scale", 1.0) for group in self.optimizer.param_groups]

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def holds(self, parameter: nn.Parameter) -> bool:
        return any(parameter is own for own in self.parameters)

    def restore(self, state: dict[str, Any]) -> None:
        """Take an optimizer's state up, each moment laid out in memory as its parameter: fused kernels rely on it."""
        self.optimizer.load_state_dict(state)
        for parameter, held in self.optimizer.state.items():
            for key, value in held.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    like = torch.empty_like(parameter.detach(), dtype=value.dtype, device=value.device)
                    held[key] = like.copy_(value)

    def forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def step(self, factor: float, *look: Callable[[], float]) -> None:
        """Move the parameters, by an optimizer that looks at the loss itself if it is given how."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step(*look)


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
