"""What optimizers of our own share: groups of parameters, a state for each, and the way into a checkpoint and back.

torch.optim is left alone: the first optimizer that a process makes with it imports torch's compiler, which takes
longer than many a training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["Averaging", "Stepping", "tensors_of"]

Groups = list[dict[str, Any]]


class Stepping(ABC):
    """An optimizer with those methods of torch.optim.Optimizer that the engine uses.

    A parameter without a gradient stays as it is.

    Args:
        groups: parameters under ``params``, and what a group has otherwise than ``usual``.
        usual: the options of every group.
        moments: names of the tensors, of a parameter's shape, that are kept for it.
        counters: names of those options of a group that change with the steps.
    """

    def __init__(
        self, groups: Groups, usual: Mapping[str, Any], moments: tuple[str, ...], counters: tuple[str, ...] = ()
    ) -> None:
        self.param_groups: Groups = [{**usual, **group} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {
            parameter: {name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in moments}
            for group in self.param_groups
            for parameter in group["params"]
        }
        self._counters = counters

    def zero_grad(self) -> None:
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            trained: list[Tensor] = [parameter for parameter in group["params"] if parameter.grad is not None]
            if trained:
                gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
                self._move(group, trained, gradients)

    def state_dict(self) -> dict[str, Any]:
        counted = [{name: group[name] for name in self._counters} for group in self.param_groups]
        return {"state": list(self.state.values()), **({"groups": counted} if self._counters else {})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for own, saved in zip(self.state.values(), state_dict["state"], strict=True):
            for name, value in own.items():
                value.copy_(saved[name])
        for group, counted in zip(self.param_groups, state_dict.get("groups", []), strict=bool(self._counters)):
            group.update(counted)

    @abstractmethod
    def _move(self, group: dict[str, Any], trained: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the parameters of a group, in place; the gradients stay as they are."""

    def _held(self, name: str, trained: list[Tensor]) -> list[Tensor]:
        return [self.state[parameter][name] for parameter in trained]


class Averaging(Stepping):
    """An optimizer that evaluates other weights than those it updates."""

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside the block the parameters are those to evaluate and keep; behind it, to the bit, those to update."""
        parameters = list(self.state)
        updated = [parameter.detach().clone() for parameter in parameters]
        try:
            with torch.no_grad():
                self._average()
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, updated, strict=True):
                    parameter.copy_(value)

    @abstractmethod
    def _average(self) -> None:
        """Put the averages into the parameters."""


def tensors_of(groups: Groups) -> list[Tensor]:
    """The parameters of all groups."""
    return [parameter for group in groups for parameter in group["params"]]
