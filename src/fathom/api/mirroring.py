"""Whether pictures may be shown the other way round: a network that never saw one so is asked about some."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fathom.augment import AUGMENTS
from fathom.data.store import TensorStore
from fathom.registry import Choice
from fathom.runtime import seed_from, seeded, threads
from fathom.signals import WEIGHT, Batch, batch_size, to_device
from fathom.training.engine import Drawn
from fathom.training.plan import usual_batch_size
from fathom.training.update import Update

__all__ = ["FEWEST_ROWS", "MOST_STEPS", "Mirrored", "Probe", "mirrored"]

MOST_STEPS, WARMUP_STEPS = 300, 10
FEWEST_ROWS, MOST_ROWS, ROWS_AT_ONCE = 40, 2000, 256
FEWEST_OF_A_CLASS = 8
SMALLEST_WEIGHT = 1e-30
# A network that has learned less than this cannot tell; it may lose this share of what it learned, a class this much.
LEAST_SKILL = 0.2
MOST_LOST, MOST_LOST_BY_A_CLASS = 0.05, 0.25


@dataclass(frozen=True)
class Mirrored:
    """How a network that saw no flipped picture answers those of validation rows.

    Attributes:
        rows: how many were asked about, as they are and flipped.
        steps: of its training.
        skill: 1 minus its loss over that of the trivial answer.
        lost: the share of its skill that it lacks where they are flipped.
        error: the standard error of ``lost``.
        worst: the share that the class lacks that loses most, less its standard error; 0 where there are no classes.
        step_s: seconds of a step, by the median, for the first ones warm up; 0 where there was none.
    """

    rows: int
    steps: int
    skill: float
    lost: float
    error: float
    worst: float
    step_s: float = 0.0

    @property
    def earned(self) -> bool:
        """Whether flipped pictures are as good as others."""
        bearable = self.lost + self.error <= MOST_LOST and self.worst <= MOST_LOST_BY_A_CLASS
        return self.skill >= LEAST_SKILL and bearable

    @property
    def why(self) -> str:
        """The finding, to be said."""
        if self.skill < LEAST_SKILL:
            return f"{self.steps} steps taught too little to tell (skill {self.skill:.2f})"
        if self.worst > MOST_LOST_BY_A_CLASS:
            return f"mirrored, a class loses {self.worst:.0%} of its skill"
        return f"mirrored, {min(1.0, max(0.0, 1 - self.lost)):.0%} of its skill is left"


@dataclass(frozen=True)
class Probe:
    """What a probe is made on, and how long it may last.

    Attributes:
        draw: batches for training, of which none is flipped.
        samples: how many an epoch has.
        valid: asked about.
        pictures: the inputs that are flipped, by the names of their tensors, and their specs.
        classes: the name of a category target's tensor, or None.
        steps: of training, at most.
        seconds: of training, at most, or None.
        threads: of computation.
    """

    draw: Callable[[int], Drawn]
    samples: int
    valid: TensorStore
    pictures: Mapping[str, Any]
    classes: str | None = None
    steps: int = MOST_STEPS
    seconds: float | None = None
    threads: int = 1


def mirrored(network: nn.Module, probe: Probe, seed: int) -> Mirrored:
    """Train a copy of a network a little while, without flips, and ask it about flipped validation rows.

    Args:
        network: stays as it is.
        probe: on what, and how long.
        seed: decides all that is random.
    """
    twin: Any = copy.deepcopy(network)
    with threads(probe.threads), seeded(seed_from("mirroring", seed)):
        step_s = _train(twin, probe, seed)
        own, flipped, labels = _asked(twin.eval().requires_grad_(False), probe)
    found = _found(own, flipped, labels, len(step_s))
    return replace(found, step_s=statistics.median(step_s)) if step_s else found


def _train(twin: Any, probe: Probe, seed: int) -> list[float]:
    """Train until steps or seconds are over, the rate falling to zero by then; return the seconds of each step."""
    update = Update(twin, Choice("adamw"), seed=seed, clip_norm=1.0)
    batches = probe.draw(min(usual_batch_size(probe.samples, pictures=True), probe.samples))
    started, device = time.perf_counter(), next(twin.parameters()).device
    twin.train()
    seconds: list[float] = []
    for step in range(probe.steps):
        begun = time.perf_counter()
        passed = 0.0 if probe.seconds is None else (begun - started) / probe.seconds
        left = 1 - max(step / probe.steps, passed)
        if left <= 0:
            break
        update(to_device(next(batches), device), step, min(left, (step + 1) / WARMUP_STEPS))
        seconds.append(time.perf_counter() - begun)
    return seconds


def _asked(twin: Any, probe: Probe) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row (R,): its loss, that of it flipped, and its class, or 0."""
    flips = {key: AUGMENTS.build(Choice("flip", {"horizontal": 1.0}), spec) for key, spec in probe.pictures.items()}
    device = next(twin.parameters()).device
    rows = torch.linspace(0, len(probe.valid) - 1, min(len(probe.valid), MOST_ROWS)).long()
    found = []
    for part in rows.split(ROWS_AT_ONCE):
        batch = to_device(probe.valid.batch(part), device)
        draws = torch.zeros(len(part), 2, device=device)
        turned = {**batch, **{key: flip(batch[key], draws) for key, flip in flips.items()}}
        label = torch.zeros(len(part), 1) if probe.classes is None else batch[probe.classes]
        assert isinstance(label, Tensor)
        found.append(torch.stack([_row_losses(twin, batch), _row_losses(twin, turned), label[:, 0].to(device)]).cpu())
    own, flipped, labels = torch.cat(found, dim=1)
    return own, flipped, labels


def _row_losses(network: Any, batch: Batch) -> Tensor:
    """(B,) each row's loss, that of the trivial answer being 1; of a row without a target 0.

    A loss is a sum over rows of weight times loss, for any head: what it grows by with a row's weight is that row's.
    """
    weight = torch.ones(batch_size(batch), device=next(network.parameters()).device, requires_grad=True)
    rows = torch.zeros_like(weight, requires_grad=False)
    for loss in network.loss({**batch, WEIGHT: weight}, "network").values():
        (cost,) = torch.autograd.grad(loss.total, weight, retain_graph=True)
        (known,) = torch.autograd.grad(loss.weight, weight, retain_graph=True)
        if cost.sum() > 0:
            cost *= loss.total.detach() / cost.sum()  # members' gradients may be steeper than their loss
        rows += torch.where(known > 0, cost / known.clamp(min=SMALLEST_WEIGHT), 0.0) / loss.unit
    return rows


def _found(own: Tensor, flipped: Tensor, labels: Tensor, steps: int) -> Mirrored:
    known = (own != 0) | (flipped != 0)  # a row without a target costs nothing
    own, flipped, labels = own[known], flipped[known], labels[known]
    if len(own) < FEWEST_ROWS:
        return Mirrored(len(own), steps, 0.0, 0.0, 0.0, 0.0)
    skill = 1 - float(own.mean())
    learned = max(skill, LEAST_SKILL)
    lost, error = _mean_and_error(flipped - own)
    worst = 0.0
    for label in labels.unique():
        ours = labels == label
        if label > 0 and int(ours.sum()) >= FEWEST_OF_A_CLASS:
            mean, its_error = _mean_and_error((flipped - own)[ours])
            worst = max(worst, (mean - its_error) / learned)
    return Mirrored(len(own), steps, skill, lost / learned, error / learned, worst)


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))
