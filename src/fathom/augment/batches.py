"""Augmentations in a row, applied to each batch as it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fathom.augment.augment import AUGMENTS, Augment, Mix
from fathom.augment.draws import uniforms
from fathom.errors import ConfigError, listed
from fathom.registry import Choice, Entry
from fathom.runtime import default_device, seed_from
from fathom.signals import SAMPLE, SHARE, WEIGHT, Batch, Ragged, partner_key, to_device

__all__ = ["Augmentation", "Augmented"]

Inputs = Mapping[str, tuple[str, Any]]
"""The name of each input tensor to the name of its kind and its spec."""


@dataclass(frozen=True)
class _Built:
    """An augmentation for the inputs that it alters.

    Attributes:
        name: no other one's; draws depend on it.
        by_input: the augmentation, built for the spec of each input.
        num_draws: a sample.
    """

    name: str
    by_input: Mapping[str, Any]
    num_draws: int

    @property
    def first(self) -> Any:
        return next(iter(self.by_input.values()))


class Augmentation:
    """Alters a batch by one augmentation after another, mixing samples last.

    A sample's draws depend on the seed, the epoch and its number alone, however batches are cut; all pictures of a
    sample are altered alike. With whom it is mixed depends on which samples are in the batch, not on their order.

    Args:
        choices: names and options, applied in this order.
        inputs: the network's.
        targets: the names of the targets' tensors; those of mixed samples travel beside, with the shares.
        seed: decides all draws.

    Raises:
        ConfigError: an augmentation takes none of the inputs, or mixes what cannot be mixed.
    """

    def __init__(self, choices: Sequence[Choice], inputs: Inputs, targets: Collection[str], seed: int) -> None:
        self._targets, self._seed = tuple(targets), seed
        built = [_built(choice, _numbered(choices, place), inputs) for place, choice in enumerate(choices)]
        mixing = [one for one in built if isinstance(one.first, Mix)]
        self._singles = [one for one in built if isinstance(one.first, Augment)]
        self._mix = mixing[0] if mixing else None
        for one in mixing:
            _check_mixing(one, mixing, inputs, self._targets)
        self.altered = frozenset(key for one in built for key in one.by_input)

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """The batch with its inputs altered; of mixed samples also the partner's targets and weights, and the shares.

        Args:
            batch: with SAMPLE, and the tensors of ``altered`` as their kinds encode them.
            epoch: how often all samples were drawn before.
        """
        found = dict(batch)
        for one in self._singles:
            draws = self._draws("augment", one, batch, epoch)
            for key, augment in one.by_input.items():
                found[key] = augment(found[key], draws)
        return found if self._mix is None else self._mixed(self._mix, found, epoch)

    def _mixed(self, mix: _Built, batch: Batch, epoch: int) -> Batch:
        draws = self._draws("augment", mix, batch, epoch)
        partner = self._partners(batch, epoch)
        found = {**batch, SHARE: mix.first.share(draws)}
        for key, one in mix.by_input.items():
            found[key] = one(batch[key], _selected(batch[key], partner), draws)
        for key in (*self._targets, *([WEIGHT] if WEIGHT in batch else [])):
            found[partner_key(key)] = _selected(batch[key], partner)
        return found

    def _partners(self, batch: Batch, epoch: int) -> Tensor:
        """(B,) int64, each sample's partner's place: the next one in a drawn order, the first after the last."""
        sample = _samples(batch)
        drawn = uniforms(seed_from("partner", self._seed, epoch), sample, 1)[:, 0]
        # Equal draws are possible, so that the sample's number decides between them.
        places = torch.argsort(sample, stable=True)
        places = places[torch.argsort(drawn[places], stable=True)]
        partner = torch.empty_like(places)
        partner[places] = places.roll(-1)
        return partner

    def _draws(self, purpose: str, one: _Built, batch: Batch, epoch: int) -> Tensor:
        return uniforms(seed_from(purpose, one.name, self._seed, epoch), _samples(batch), one.num_draws)


class Augmented:
    """Batches without end, each altered; see ``data.store.Batches``.

    Args:
        batches: what is altered.
        augmentation: how.
        device: where they are altered, and come from then; None takes the accelerator, where there is one.
    """

    def __init__(
        self, batches: Any, augmentation: Callable[[Batch, int], Batch], device: torch.device | None = None
    ) -> None:
        self._batches, self._augmentation = batches, augmentation
        self._device = default_device() if device is None else device
        self.per_epoch = batches.per_epoch

    @property
    def epoch(self) -> float:
        return self._batches.epoch

    def state(self) -> dict[str, Any]:
        held: dict[str, Any] = self._batches.state()
        return held

    def restore(self, state: Mapping[str, Any]) -> None:
        self._batches.restore(state)

    def __iter__(self) -> Augmented:
        return self

    def __next__(self) -> Batch:
        epoch = int(self._batches.epoch)  # a whole number where the next batch begins an epoch
        batch = next(self._batches)
        if self._device.type != "cpu":
            batch = to_device(batch, self._device)
        return self._augmentation(batch, epoch)


def _built(choice: Choice, name: str, inputs: Inputs) -> _Built:
    entry = AUGMENTS.get(choice.name)
    specs = {key: spec for key, (kind, spec) in inputs.items() if kind in entry.facts["takes"]}
    if not specs:
        kinds = sorted({kind for kind, _ in inputs.values()})
        fitting = [other.name for other in AUGMENTS if set(other.facts["takes"]) & set(kinds)]
        raise ConfigError(
            f"augmentation {choice.name!r} takes {_kinds(entry)}, but what comes in is {listed(kinds) or 'nothing'} "
            f"(augmentations that fit: {', '.join(fitting) or 'none'})"
        )
    by_input = {key: AUGMENTS.build(choice, spec) for key, spec in specs.items()}
    return _Built(name, by_input, next(iter(by_input.values())).num_draws)


def _check_mixing(one: _Built, mixing: Sequence[_Built], inputs: Inputs, targets: Sequence[str]) -> None:
    name = one.name.partition("#")[0]
    entry = AUGMENTS.get(name)
    others = sorted({kind for key, (kind, _) in inputs.items() if key not in one.by_input})
    if len(mixing) > 1:
        raise ConfigError(f"augmentations {_names(mixing)} both mix samples; name one of them")
    if others:
        raise ConfigError(
            f"augmentation {name!r} mixes all inputs of two samples, which {listed(others)} cannot be "
            f"(it takes {_kinds(entry)}); leave it out, or those columns (--role COLUMN=ignore)"
        )
    if len(one.by_input) > 1 and not entry.facts.get("several", True):
        raise ConfigError(f"augmentation {name!r} takes one input a sample, not {len(one.by_input)}; mixup takes all")
    if not targets:
        raise ConfigError(f"augmentation {name!r} mixes targets, and there is none; leave it out")


def _names(built: Sequence[_Built]) -> str:
    return " and ".join(repr(one.name.partition("#")[0]) for one in built)


def _kinds(entry: Entry) -> str:
    return " or ".join(entry.facts["takes"])


def _numbered(choices: Sequence[Choice], place: int) -> str:
    """A choice's name, with a number where it is not the first of that name."""
    name = choices[place].name
    before = sum(other.name == name for other in choices[:place])
    return f"{name}#{before}" if before else name


def _samples(batch: Batch) -> Tensor:
    sample = batch[SAMPLE]
    assert isinstance(sample, Tensor)
    return sample


def _selected(value: Tensor | Ragged, rows: Tensor) -> Tensor | Ragged:
    return value.select(rows) if isinstance(value, Ragged) else value.index_select(0, rows)
