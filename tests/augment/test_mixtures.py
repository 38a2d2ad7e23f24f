"""Mixed samples: the distribution of their shares, and the loss of both targets, for any head, however it is cut."""

from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from torch import nn

from fathom.augment import AUGMENTS
from fathom.augment.batches import Augmentation
from fathom.layout import choose_layout
from fathom.model import Model
from fathom.registry import Choice
from fathom.schema import Schema
from fathom.signals import SHARE, WEIGHT, Batch, partner_key, target_key
from fathom.training.update import Update
from tests.augment.test_contract import number_spec, uniform

ROWS = 48
TARGETS = ("style", "price", "tags")


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_of_mixup_are_beta_folded_at_a_half(alpha):
    one = AUGMENTS.build(Choice("mixup", {"alpha": alpha}), number_spec(3))
    share = one.share(uniform(20_000, 1)).numpy().astype(float)
    found = np.where(uniform(20_000, 1, seed=1)[:, 0].numpy() < 0.5, share, 1 - share)
    assert share.min() >= 0.5
    at = np.linspace(0.02, 0.98, 25)  # float32 has no more room next to 1
    below = np.array([(found < point).mean() for point in at])
    assert np.abs(below - stats.beta(alpha, alpha).cdf(at)).max() < 0.012
    assert np.abs(below - stats.beta(1.2 * alpha, alpha).cdf(at)).max() > 0.012


def example(*, weighted: bool) -> tuple[nn.Module, Batch]:
    """A network with three sorts of heads, and a batch whose samples are mixed."""
    draw = np.random.default_rng(0)
    table = pa.table(
        {
            "x": draw.normal(size=ROWS),
            "y": draw.normal(size=ROWS),
            "style": pa.array(draw.choice(["a", "b", "c"], ROWS), mask=draw.random(ROWS) < 0.3),
            "price": pa.array(draw.normal(size=ROWS), mask=draw.random(ROWS) < 0.2),
            "tags": [list(draw.choice(["p", "q", "r"], n, replace=False)) for n in draw.integers(1, 3, ROWS)],
            "importance": draw.uniform(0.5, 2, ROWS),
        }
    )
    roles = {"importance": "weight" if weighted else "ignore"}
    schema = Schema.infer(table, list(TARGETS), kinds={"tags": "multilabel"}, roles=roles).fit(table)
    net = Choice("mlp", {"hidden": (16,), "dropout": 0.0})
    network = Model(schema, choose_layout(schema.inputs(), schema.targets(), net=net)).network
    mix = Augmentation([Choice("mixup", {"alpha": 2.0})], schema.inputs(), [target_key(name) for name in TARGETS], 0)
    return network, mix(schema.encode(table).batch(torch.arange(ROWS)), 0)


def with_targets_of(batch: Batch, partner: bool, share: torch.Tensor) -> Batch:
    """The same inputs, with the targets of the samples or of their partners, each weighted by a share."""
    keys = [target_key(name) for name in TARGETS]
    targets = {key: batch[partner_key(key) if partner else key] for key in keys}
    weight = batch.get(partner_key(WEIGHT) if partner else WEIGHT, torch.ones(ROWS))
    inputs = {key: value for key, value in batch.items() if not key.startswith("partner/") and key != SHARE}
    return {**inputs, **targets, WEIGHT: weight * share}


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_both_targets_by_their_shares(weighted):
    network, batch = example(weighted=weighted)
    share = batch[SHARE]
    assert 0.5 < share.min() < share.max() < 1
    network.requires_grad_(False)
    mixed = network.loss(batch, "network")
    own = network.loss(with_targets_of(batch, False, share), "network")
    partner = network.loss(with_targets_of(batch, True, 1 - share), "network")
    for name, weight in network.weigh(batch, "network").items():
        assert float(mixed[name].total) == pytest.approx(float(own[name].total + partner[name].total), rel=1e-5)
        assert float(mixed[name].weight) == pytest.approx(float(own[name].weight + partner[name].weight), rel=1e-5)
        assert float(mixed[name].weight) == pytest.approx(float(weight), rel=1e-6)
        assert float(mixed[name].total) != pytest.approx(float(own[name].total), rel=1e-2)
        assert mixed[name].unit == own[name].unit


def test_the_loss_is_the_cross_entropy_with_the_mixed_label():
    network, batch = example(weighted=False)
    network.requires_grad_(False)
    own, partner = batch["target/style"][:, 0], batch["partner/target/style"][:, 0]
    known = (own > 0) & (partner > 0)
    share = batch[SHARE][known, None]
    label = share * nn.functional.one_hot(own[known] - 1, 3) + (1 - share) * nn.functional.one_hot(
        partner[known] - 1, 3
    )
    rows = {key: value[known] for key, value in batch.items() if isinstance(value, torch.Tensor)}
    head = network.heads[network.head_names.index("style")]
    expected = nn.functional.cross_entropy(head.output(network(rows).vector), label, reduction="sum")
    pairs = [(own, batch[SHARE]), (partner, 1 - batch[SHARE])]
    found = sum(head.loss(network(rows), y[known][:, None], s[known]).total for y, s in pairs)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pieces", [2, 4])
def test_micro_batches_of_mixed_samples_give_the_gradient_of_the_whole(pieces, weighted):
    network, batch = example(weighted=weighted)
    whole, cut = (gradient(network, batch, count) for count in (1, pieces))
    assert whole.norm() > 0.1
    assert (cut - whole).abs().max() < 1e-6
    unmixed = {key: value for key, value in batch.items() if not key.startswith("partner/") and key != SHARE}
    assert (gradient(network, unmixed, 1) - whole).abs().max() > 1e-3


def gradient(network: nn.Module, batch: Batch, pieces: int) -> torch.Tensor:
    module = copy.deepcopy(network)
    before = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
    Update(module, Choice("sgd", {"lr": 1.0, "momentum": 0.0}), seed=0, accumulate=pieces)(batch, 0, 1.0)
    return before - nn.utils.parameters_to_vector(module.parameters()).detach()
