"""Augmentations in a row: seeded, whatever cuts batches, resumed where they stood, and refused in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from fathom.augment import AUGMENTS
from fathom.augment.batches import Augmentation, Augmented
from fathom.data.store import Batches, TensorStore
from fathom.errors import ConfigError
from fathom.registry import Choice
from fathom.signals import SAMPLE, SHARE, WEIGHT, Batch, Ragged, partner_key, weighted_targets
from tests.augment.test_contract import number_spec, picture_spec

ROWS = 30
X, Y, LABELS = "input/x", "target/y", "target/labels"
CPU = torch.device("cpu")


def store(*, weighted: bool = False) -> TensorStore:
    draw = torch.Generator().manual_seed(0)
    tensors: Batch = {
        X: torch.randint(0, 256, (ROWS, 3, 8, 9), dtype=torch.uint8, generator=draw),
        Y: torch.arange(1, ROWS + 1)[:, None],
        LABELS: Ragged.of([torch.full((i % 3,), i) for i in range(ROWS)]),
    }
    return TensorStore({**tensors, WEIGHT: torch.rand(ROWS, generator=draw)} if weighted else tensors)


def augmentation(*names: str, seed: int = 0, inputs: dict[str, Any] | None = None) -> Augmentation:
    inputs = {X: ("image", picture_spec(3, 8, 9))} if inputs is None else inputs
    return Augmentation([Choice(name) for name in names], inputs, [Y, LABELS], seed)


def drawn(names: Sequence[str], size: int = 10, seed: int = 0, *, weighted: bool = False) -> Augmented:
    return Augmented(Batches(store(weighted=weighted), size, seed=seed), augmentation(*names, seed=seed), CPU)


def epoch_of(batches: Augmented) -> torch.Tensor:
    """The pictures of one epoch, by sample."""
    found = torch.empty(ROWS, 3, 8, 9, dtype=torch.uint8)
    for _ in range(batches.per_epoch):
        batch = next(batches)
        found[batch[SAMPLE]] = batch[X]
    return found


SINGLE = ("shift", "flip", "crop", "rotate", "colour", "cutout")


@pytest.mark.parametrize("names", [[name] for name in SINGLE] + [list(SINGLE)], ids="+".join)
def test_a_sample_is_altered_alike_however_batches_are_cut(names):
    whole, cut = drawn(names, size=ROWS), drawn(names, size=7)
    for _ in range(2):
        assert (epoch_of(whole).int() - epoch_of(cut)).abs().max() <= 1  # vectorized sums may round otherwise


@pytest.mark.parametrize("name", [*SINGLE, "mixup", "cutmix"])
def test_the_seed_and_the_epoch_decide(name):
    batches, again, other = drawn([name]), drawn([name]), drawn([name], seed=1)
    first, second = epoch_of(batches), epoch_of(batches)
    assert torch.equal(first, epoch_of(again))
    assert not torch.equal(first, second)
    assert not torch.equal(first, epoch_of(other))


def test_the_same_augmentation_twice_draws_twice():
    once, twice = (epoch_of(drawn(names)) for names in (["cutout"], ["cutout", "cutout"]))
    assert (once != twice).flatten(1).any(1).sum() > ROWS // 2


def test_all_pictures_of_a_sample_are_altered_alike():
    spec = picture_spec(3, 8, 9)
    both = augmentation("shift", "flip", inputs={"a": ("image", spec), "b": ("image", spec)})
    pixels = store().tensors[X]
    batch = both({"a": pixels, "b": pixels, Y: torch.ones(ROWS, 1), SAMPLE: torch.arange(ROWS)}, 0)
    assert torch.equal(batch["a"], batch["b"])
    assert not torch.equal(batch["a"], pixels)


@pytest.mark.parametrize("place", range(7))
def test_a_place_that_is_restored_gives_the_same_batches(place):
    names = ["shift", "mixup"]
    batches, resumed = drawn(names), drawn(names)
    for _ in range(place):
        next(batches)
    resumed.restore(batches.state())
    for _ in range(5):
        ours, theirs = next(batches), next(resumed)
        assert batches.epoch == resumed.epoch
        assert all(torch.equal(ours[key], theirs[key]) for key in (X, Y, SHARE, partner_key(Y)))


def test_each_sample_has_one_partner_and_is_one():
    batch = next(drawn(["mixup"], size=ROWS))
    own, partner = batch[Y][:, 0], batch[partner_key(Y)][:, 0]
    assert sorted(partner.tolist()) == sorted(own.tolist())
    assert (own != partner).all()
    labels = batch[partner_key(LABELS)]
    assert labels.lengths.tolist() == [(int(i) - 1) % 3 for i in partner]
    assert WEIGHT not in batch
    assert partner_key(WEIGHT) not in batch


def test_partners_depend_on_which_samples_are_there_and_not_on_their_order():
    mix, whole = augmentation("mixup"), store()
    rows = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))
    batch, shuffled = mix(whole.batch(torch.arange(ROWS)), 4), mix(whole.batch(rows), 4)
    for key in (X, SHARE, partner_key(Y)):
        assert torch.equal(batch[key][rows], shuffled[key])


def test_the_mixture_is_that_of_the_pictures_by_the_share():
    batch, whole = next(drawn(["mixup"], size=ROWS)), store().tensors
    own, partner = (whole[X][batch[key][:, 0] - 1].float() for key in (Y, partner_key(Y)))
    share = batch[SHARE][:, None, None, None]
    assert torch.allclose(share * own + (1 - share) * partner, batch[X].float(), atol=0.51)


def test_each_target_counts_by_its_share_and_its_own_weight():
    batch, weights = next(drawn(["mixup"], size=ROWS, weighted=True)), store(weighted=True).tensors[WEIGHT]
    (own, ours), (partner, theirs) = weighted_targets(batch, Y)
    assert torch.equal(own, batch[Y])
    assert torch.allclose(ours, batch[SHARE] * weights[own[:, 0] - 1])
    assert torch.allclose(theirs, (1 - batch[SHARE]) * weights[partner[:, 0] - 1])


def test_a_single_sample_is_mixed_with_itself():
    one = store().batch(torch.tensor([4]))
    mixed = augmentation("mixup")(one, 0)
    assert torch.equal(mixed[X], one[X])
    assert torch.equal(mixed[partner_key(Y)], one[Y])


PICTURE, NUMBER = ("image", picture_spec(3, 8, 9)), ("number", number_spec(2))


@pytest.mark.parametrize(
    ("names", "inputs", "words"),
    [
        (["shift"], {"n": NUMBER}, "takes image, but what comes in is number (augmentations that fit: mixup)"),
        (["flip"], {}, "but what comes in is nothing"),
        (["mixup"], {"x": PICTURE, "c": ("category", None)}, "mixes all inputs of two samples, which category"),
        (["cutmix"], {"x": PICTURE, "n": NUMBER}, "which number cannot be"),
        (["cutmix"], {"x": PICTURE, "z": PICTURE}, "takes one input a sample, not 2"),
        (["cutmix", "mixup"], {"x": PICTURE}, "'cutmix' and 'mixup' both mix samples"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(names, inputs, words):
    with pytest.raises(ConfigError) as refusal:
        augmentation(*names, inputs=inputs)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_mixing_needs_a_target():
    with pytest.raises(ConfigError, match="there is none"):
        Augmentation([Choice("mixup")], {"x": PICTURE}, [], 0)


def test_every_augmentation_has_a_name_that_fits_some_input():
    for entry in AUGMENTS:
        augmentation(entry.name)
