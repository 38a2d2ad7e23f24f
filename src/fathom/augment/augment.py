"""What an augmentation is: a function of a batch's pictures, or numbers, and of a few uniform draws a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fathom.errors import ConfigError, unknown_name
from fathom.registry import Choice, Registry

__all__ = ["AUGMENTS", "AUTO", "NONE", "Augment", "Mix", "as_given", "between", "chosen", "explicit"]

AUTO, NONE = "auto", "none"

AUGMENTS = Registry("augmentation", "fathom.augment")
"""Facts of an augmentation: ``takes`` (the kinds of the inputs that it alters), ``mirrors`` (it shows samples the
other way round, which not all data bears) and ``several`` (false where it takes one input a sample, no more)."""


class Augment(ABC):
    """Alters each sample by itself: ``Augment(spec, *, options)``, spec being the ImageSpec of the pictures.

    Attributes:
        num_draws: how many uniform numbers a sample's alteration is drawn from.
    """

    num_draws: int

    @abstractmethod
    def __call__(self, pictures: Tensor, draws: Tensor) -> Tensor:
        """Altered pictures, of the shape, dtype and range given.

        Args:
            pictures: (B, C, H, W) uint8, or floating, in 0 to 255.
            draws: (B, num_draws) float32 in [0, 1).
        """


class Mix(ABC):
    """Mixes each sample with another of its batch, and the targets alike: ``Mix(spec, *, options)``.

    Which other one depends on the batch; all else on the sample alone.

    Attributes:
        num_draws: how many uniform numbers a sample's mixture is drawn from.
    """

    num_draws: int

    @abstractmethod
    def share(self, draws: Tensor) -> Tensor:
        """(B,) float32, how much of a mixture is the sample's own; its partner has the rest.

        Args:
            draws: (B, num_draws) float32 in [0, 1).
        """

    @abstractmethod
    def __call__(self, own: Tensor, partner: Tensor, draws: Tensor) -> Tensor:
        """Mixtures, of the shape, dtype and range given.

        Args:
            own: (B, ...) of the samples.
            partner: (B, ...) of each one's partner.
            draws: (B, num_draws) float32 in [0, 1).
        """


def as_given(values: Tensor, given: Tensor) -> Tensor:
    """Computed pixels (float32, in 0 to 255 but for rounding) in the dtype of the given ones."""
    if given.dtype == torch.uint8:
        values = values.round()
    return values.clamp(0, 255).to(given.dtype)


def between(draws: Tensor, low: float, high: float) -> Tensor:
    """Uniform in [0, 1) as uniform in [low, high)."""
    return low + (high - low) * draws


def chosen(value: Any) -> tuple[Choice, ...]:
    """Augmentations as people write them: "auto", "none", "shift,flip", or a list of names and tables with a name.

    Raises:
        ConfigError: an unknown name or option, or AUTO or NONE among others.
    """
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    choices = tuple(map(Choice.of, value if isinstance(value, list | tuple) else [value]))
    alone = next((choice for choice in choices if choice.name in (AUTO, NONE)), None)
    if alone is not None:
        if len(choices) > 1 or alone.options:
            raise ConfigError(f"augment = {alone.name!r} stands alone, without options or other augmentations")
        return () if alone.name == NONE else (alone,)
    known = AUGMENTS.names()
    for choice in choices:
        if choice.name not in known:
            raise ConfigError(unknown_name(AUGMENTS.what, choice.name, [*known, AUTO, NONE]))
    return tuple(map(AUGMENTS.checked, choices))


def explicit(choices: Sequence[Choice]) -> Any:
    """What ``chosen`` reads as these choices, every default written out."""
    if any(choice.name == AUTO for choice in choices):
        return AUTO
    return [AUGMENTS.explicit(choice) for choice in choices] if choices else NONE
