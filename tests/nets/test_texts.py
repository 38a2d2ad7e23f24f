"""Nets for texts: the bag's runs and means, the convolutions' windows, the transformer's order and positions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from fathom.errors import ConfigError
from fathom.nets import NETS
from fathom.nets.bag import Bag, hashed_runs
from fathom.nets.sequences import Pooling, compacted, scattered
from fathom.nets.textcnn import TextCNN
from fathom.nets.transformer import BlockPlan, Perceptron
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import Ragged, SignalSpec, TextSpec

BATCH, TIME, WIDTH = 5, 8, 8
SPEC = TextSpec(size=40, pad=0, unknown=1, begin=2, end=3, mask=4, length=64)
TEXTS = 100
COUNTS = [0.0, 0.0, float(TEXTS), float(TEXTS), 0.0, 0.0, 0.0, 150.0, 20.0, 1.0, *[0.0] * 30]
COUNTED = replace(SPEC, counts=tuple(COUNTS))
ROWS = [[2, 7, 8, 9, 3], [], [2, 3], [2, 8, 7, 9, 3], [2, 7, 8, 7, 8, 3]]
TEXT = Ragged.of([torch.tensor(row, dtype=torch.int64) for row in ROWS])
SEQUENCE_NETS = pytest.mark.parametrize("name", ["textcnn", "rnn", "lstm", "gru", "transformer", "bert"])


def tokens() -> Tensor:
    return torch.randn(BATCH, TIME, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def holes() -> Tensor:
    mask = torch.rand(BATCH, TIME, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[0], mask[1] = True, False
    return mask


def built(name: str, **options: object) -> nn.Module:
    with seeded(0):
        return NETS.build(Choice(name, options), SignalSpec(WIDTH, ("tokens",))).double().eval()


def test_equal_runs_have_equal_numbers_and_none_crosses_a_row():
    runs = hashed_runs(TEXT, 3)
    first = TEXT.offsets.tolist()
    assert runs.shape == (len(TEXT.values), 2)
    for length in (2, 3):
        found: dict[tuple[int, ...], int] = {}
        for row, start in zip(ROWS, first, strict=False):
            for k in range(len(row)):
                number = int(runs[start + k, length - 2])
                if k + length > len(row):
                    assert number == -1
                else:
                    assert number >= 0
                    assert found.setdefault(tuple(row[k : k + length]), number) == number
        assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("pool", ["root", "mean", "sum"])
@pytest.mark.parametrize("ngrams", [1, 2, 4])
@pytest.mark.parametrize("idf", [False, True])
def test_a_bag_is_the_weighted_sum_of_its_vectors(ngrams, pool, idf):
    net = Bag(COUNTED, width=6, ngrams=ngrams, ngram_width=3, buckets=50, idf=idf, pool=pool)
    found = net(TEXT).vector
    runs = hashed_runs(TEXT, ngrams) if ngrams > 1 else torch.empty(len(TEXT.values), 0, dtype=torch.int64)
    rarest = 1 + math.log(1 + TEXTS)
    for row, (start, end) in enumerate(zip(TEXT.offsets[:-1].tolist(), TEXT.offsets[1:].tolist(), strict=True)):
        tokens, weights = TEXT.values[start:end].tolist(), []
        vector = torch.zeros(net.gives.width)
        for place, token in enumerate(tokens):
            run = 0.0
            for length in range(1, min(ngrams, len(tokens) - place) + 1):
                share = (1 + TEXTS) / (1 + min(TEXTS, COUNTS[tokens[place + length - 1]]))
                run += math.log(share) if idf else 0.0
                weights.append(min(1 + run, rarest))
                if length == 1:
                    vector[:6] += weights[-1] * net.table[token].detach()
                else:
                    own = runs[start + place, length - 2] % 50
                    vector[6:] += weights[-1] * net.runs[own].detach()
        size = {"sum": 1.0, "mean": sum(weights), "root": sum(weight**2 for weight in weights) ** 0.5}[pool]
        assert_close(found[row], vector / (size or 1))
    assert found[1].eq(0).all()


def test_a_bag_whose_tokens_were_not_counted_weighs_all_alike():
    with seeded(0):
        told = Bag(SPEC, idf=True)(TEXT).vector
    with seeded(0):
        assert_close(told, Bag(SPEC, idf=False)(TEXT).vector)


def test_pairs_tell_the_order_of_tokens_and_single_ones_do_not():
    alone, pairs = (Bag(SPEC, ngrams=ngrams)(TEXT).vector for ngrams in (1, 2))
    assert_close(alone[0], alone[3])
    assert not torch.allclose(pairs[0], pairs[3])


def test_a_bag_of_no_texts_at_all():
    nothing = Ragged(torch.empty(0, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    assert Bag(SPEC, ngrams=3)(nothing).vector.eq(0).all()


def test_filters_see_the_windows_of_their_width():
    net, x, mask = built("textcnn", width=WIDTH, widths=[2, 3], filters=4), tokens(), holes()
    found = net(x, mask)
    for row in range(BATCH):
        there = x[row, mask[row]]
        answers = []
        for layer, before, behind in ((net.filters[0], 0, 1), (net.filters[1], 1, 1)):
            wide = torch.cat([x.new_zeros(before, WIDTH), there, x.new_zeros(behind, WIDTH)])
            windows = [wide[k : k + before + behind + 1] for k in range(len(there))]
            answers.append([torch.einsum("td,odt->o", window, layer.weight) + layer.bias for window in windows])
        for k, parts in enumerate(zip(*answers, strict=True)):
            assert_close(found.tokens[row, mask[row]][k], torch.relu(torch.cat(parts)))
        if len(there):
            assert_close(found.vector[row], found.tokens[row, mask[row]].amax(0))


def test_a_text_may_be_shorter_than_a_filter():
    net = TextCNN(SignalSpec(WIDTH, ("tokens",)), widths=(7,))
    assert net(torch.randn(2, 1, WIDTH), None).vector.shape == (2, 100)


@SEQUENCE_NETS
def test_holes_change_nothing(name):
    net, x, mask = built(name), tokens(), holes()
    found = net(x, mask)
    for row in range(BATCH):
        there = mask[row]
        if there.any():
            alone = net(x[row : row + 1, there], None)
            assert_close(found.vector[row], alone.vector[0], rtol=1e-9, atol=1e-9)
            assert_close(found.tokens[row, there], alone.tokens[0], rtol=1e-9, atol=1e-9)


@SEQUENCE_NETS
@pytest.mark.parametrize("training", [True, False])
def test_a_row_without_tokens_is_a_vector_of_zeros(name, training):
    net, x, mask = built(name).train(training), tokens().requires_grad_(), holes()
    signal = net(x, mask)
    assert signal.vector[1].eq(0).all()
    (signal.vector.square().sum() + signal.tokens[mask].square().sum()).backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    assert net(x[:, :0], mask[:, :0]).vector.eq(0).all()


@SEQUENCE_NETS
def test_the_order_of_tokens_counts(name):
    net, x = built(name), tokens()
    assert not torch.allclose(net(x, None).vector, net(x.flip(1), None).vector, rtol=1e-4)


@pytest.mark.parametrize("how", ["mean", "max", "first", "last"])
def test_pooling_takes_what_is_there(how):
    x, mask = tokens(), holes()
    by_hand = {
        "mean": lambda t: t.mean(0),
        "max": lambda t: t.amax(0),
        "first": lambda t: t[0],
        "last": lambda t: t[-1],
    }
    found = Pooling(how, WIDTH)(x, mask)
    for row in range(BATCH):
        if mask[row].any():
            assert_close(found[row], by_hand[how](x[row, mask[row]]))


def test_pooling_by_attention_is_a_mean_with_weights():
    x, mask = tokens(), holes()
    pool = Pooling("attention", WIDTH).double()
    for row in (0, 2, 3, 4):
        there = x[row, mask[row]]
        weights = pool.score(there).softmax(0)
        assert_close(pool(x, mask)[row], (weights * there).sum(0))


@pytest.mark.parametrize("how", ["mean", "max", "first", "last", "attention"])
def test_pooling_without_a_mask_takes_all(how):
    x, pool = tokens(), Pooling(how, WIDTH).double()
    assert_close(pool(x, None), pool(x, torch.ones(BATCH, TIME, dtype=torch.bool)))


@SEQUENCE_NETS
def test_no_mask_is_one_that_leaves_nothing_out(name):
    net, x = built(name), tokens()
    given, masked = net(x, None), net(x, torch.ones(BATCH, TIME, dtype=torch.bool))
    assert_close(given.vector, masked.vector)
    assert_close(given.tokens, masked.tokens)


@pytest.mark.parametrize(
    ("lengths", "masked"), [((3, 3, 3), False), ((3, 1, 2), True), ((0, 3, 3), True), ((0, 0), True)]
)
def test_only_texts_of_one_length_are_embedded_without_a_mask(lengths, masked):
    signal = NETS.build(Choice("embedding"), SPEC)(Ragged.of([torch.full((length,), 7) for length in lengths]))
    assert (signal.mask is not None) == masked
    assert signal.tokens.shape[:2] == (len(lengths), max(lengths))


def test_tokens_without_holes_stay_where_they_are():
    x, mask = tokens(), torch.arange(TIME) < torch.tensor([[TIME], [0], [1], [5], [2]])
    compact, there, origin = compacted(x, mask)
    assert origin is None
    assert torch.equal(there, mask)
    assert torch.equal(compact, x * mask.unsqueeze(2))
    assert torch.equal(scattered(compact, origin), compact)


def test_compacted_tokens_come_back():
    x, mask = tokens(), holes()
    compact, there, origin = compacted(x, mask)
    for row in range(BATCH):
        assert torch.equal(compact[row, there[row]], x[row, mask[row]])
    assert_close(scattered(compact, origin), x * mask.unsqueeze(2))


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("gated", [True, False])
def test_a_transformer_learns_with_each_of_its_options(positions, norm, gated):
    net = built("transformer", positions=positions, norm=norm, gated=gated, attention_dropout=0.2, width=16).train()
    net(tokens(), holes()).vector.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    flipped = [net.eval()(x, None).vector for x in (tokens(), tokens().flip(1))]
    assert not torch.allclose(*flipped, rtol=1e-4)


def test_a_gated_perceptron_is_that_of_its_paper_and_no_larger():
    plan = BlockPlan(24, 2, activation=Choice("silu"), gated=True)
    net, plain = Perceptron(plan), Perceptron(BlockPlan(24, 2))
    x = torch.randn(3, 24)
    gate, value = (x @ net.into.weight.T + net.into.bias).chunk(2, dim=1)
    assert_close(net(x), (gate * torch.sigmoid(gate) * value) @ net.out.weight.T + net.out.bias)
    sizes = [sum(parameter.numel() for parameter in module.parameters()) for module in (net, plain)]
    assert 0.95 < sizes[0] / sizes[1] < 1.05


def test_rotary_heads_of_odd_width_are_named():
    with pytest.raises(ConfigError, match="4 heads of width 12 have an odd number each"):
        built("transformer", positions="rotary", width=12)
