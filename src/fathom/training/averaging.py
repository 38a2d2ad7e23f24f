"""Averages of weights by name: what is evaluated and kept where that is not what is updated.

Fact: ``holds`` says that the average takes the place of the cool-down: the rate stays, and the steps in which it would
fall are those that are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from fathom.registry import Range
from fathom.signals import to_device
from fathom.training import AVERAGES

__all__ = ["Average"]

BATCHES_FOR_STATISTICS = 50


class Average:
    """None: the weights that are updated are those that are kept. What other averages start from.

    Args:
        module: what is trained; it must keep its tensors from now on.
        draw: gives training batches from the start of their order; see ``engine.Drawn``.
    """

    def __init__(self, module: Any, draw: Callable[[], Any]) -> None:
        self._module, self._draw = module, draw
        held = {value.data_ptr(): value for value in module.state_dict().values() if value.is_floating_point()}
        self._tensors = [value for value in held.values() if value.numel()]  # tied ones once
        self._means: list[Tensor] = []
        self._count = 0

    def follow(self, *, ending: bool) -> None:
        """Take the weights after an update in.

        Args:
            ending: whether it is one of the last steps, in which the rate falls or would fall.
        """

    def forget(self) -> None:
        """Start again, from the weights that the module now has."""
        self._means, self._count = [], 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside the block the module has its average weights, if there are any yet."""
        if not self._means:
            yield
            return
        with torch.no_grad():
            updated = [value.clone() for value in self._tensors]
            torch._foreach_copy_(self._tensors, self._means)
            self._recalibrate()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._tensors, updated)

    def state(self) -> dict[str, Any]:
        return {"count": self._count, "means": self._means}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` gave."""
        saved = list(zip(self._tensors, state["means"], strict=True)) if state["means"] else []
        self._means = [torch.empty_like(own).copy_(mean) for own, mean in saved]
        self._count = int(state["count"])

    def _recalibrate(self) -> None:
        """Renew what depends on the weights and is no mean of what it was with others."""

    def _take(self, share: float) -> None:
        """Move the means by that share of the way to the weights."""
        if self._means:
            with torch.no_grad():
                torch._foreach_lerp_(self._means, self._tensors, share)
        else:
            self._means = [value.clone() for value in self._tensors]
        self._count += 1


@AVERAGES.register("none", holds=False)
class NoAverage(Average):
    """The weights after the last update, or the best that validation saw."""


@AVERAGES.register("ema", holds=False)
class MovingAverage(Average):
    """A mean over steps in which each counts ``decay`` times as much as the next, as Polyak and Juditsky 1992 motivate.

    While there are few steps the decay is smaller, (1 + t) / (10 + t), so that the first weights are soon forgotten.
    Statistics of batch norms are averaged alike. Source: Kingma and Ba 2015, section 7.2; the warm-up is TensorFlow's.

    Args:
        decay: of a step's weight from one step to the next.
    """

    def __init__(
        self,
        module: Any,
        draw: Callable[[], Any],
        *,
        decay: Annotated[float, Range(0, 0.99999)] = 0.99,
    ) -> None:
        super().__init__(module, draw)
        self._decay = decay

    def follow(self, *, ending: bool) -> None:
        self._take(1 - min(self._decay, (1 + self._count) / (10 + self._count)))


@AVERAGES.register("swa", holds=True)
class TailAverage(Average):
    """The mean over all of the last steps, the rate staying as it was (Izmailov et al. 2018, algorithm 1).

    They are the share ``training.cooldown`` of all steps, or those after validation stopped improving. What differs
    from the paper: every step counts, not one an epoch. Batch norms get the statistics of the average weights, from
    some batches, with all else as when predicting.
    """

    def follow(self, *, ending: bool) -> None:
        if ending:
            self._take(1 / (self._count + 1))

    def _recalibrate(self) -> None:
        norms: list[Any] = [layer for layer in self._module.modules() if isinstance(layer, _BatchNorm)]
        norms = [layer for layer in norms if layer.running_mean is not None]
        if not norms:
            return
        training, usual = (
            self._module.training,
            [(layer.momentum, layer.num_batches_tracked.clone()) for layer in norms],
        )
        self._module.eval()
        for layer in norms:
            layer.train()
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
        batches = self._draw()
        for batch in islice(batches, min(batches.per_epoch, BATCHES_FOR_STATISTICS)):
            for part in self._module.parts:
                self._module.loss(to_device(batch, self._tensors[0].device), part)
        for layer, (momentum, count) in zip(norms, usual, strict=True):
            layer.momentum = momentum
            layer.num_batches_tracked.copy_(count)
        self._module.train(training)
