"""Nets for tables and embeddings of numbers against their authors' packages, on copied weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from fathom.nets.feature_tokens import FeatureTokens
from fathom.nets.ft_transformer import FTTransformer
from fathom.nets.inputs import Embed, Scale
from fathom.nets.members import MemberLinear
from fathom.nets.numbers import Periodic, PiecewiseEncoding, PiecewiseLinear, ScaledNumbers
from fathom.nets.tab_resnet import TabResNet
from fathom.nets.tabm import BatchEnsembleLinear, TabM
from fathom.runtime import seeded
from fathom.signals import CategorySpec, NumberSpec, SignalSpec

ROWS, FEATURES = 50, 5
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def fixed_seed():
    with seeded(0):
        yield


def numbers(columns: np.ndarray) -> NumberSpec:
    """The spec of columns (N, count), on a scale of 1."""
    edges = np.quantile(columns, np.linspace(0, 1, 65), axis=0).T
    count = columns.shape[1]
    return NumberSpec(
        count, (0.0,) * count, (1.0,) * count, (0.0,) * count, (1.0,) * count,
        tuple(map(tuple, edges)), (False,) * count,
    )  # fmt: skip


def rows() -> np.ndarray:
    """(N, count): plain numbers, few distinct ones, two, one of many equal ones."""
    draw = np.random.default_rng(0)
    return np.stack(
        [
            draw.normal(size=500),
            draw.integers(0, 4, 500),
            draw.integers(0, 2, 500),
            np.where(draw.random(500) < 0.7, 0, draw.exponential(size=500)),
            draw.uniform(-1, 1, 500),
        ],
        axis=1,
    )


def copy(own: Tensor, other: Tensor) -> None:
    with torch.no_grad():
        own.copy_(other.reshape(own.shape))


def perturbed(module: nn.Module) -> nn.Module:
    """A module of which no parameter is 0 or 1 any more."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def gradients(module: nn.Module, output: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("sharing", ["full", "mini", "none"])
def test_tabm_is_that_of_its_authors(sharing):
    tabm = pytest.importorskip("tabm")
    kind = {"full": "tabm", "mini": "tabm-mini", "none": "tabm-packed"}[sharing]
    theirs = perturbed(
        tabm.TabM(
            n_num_features=FEATURES, d_out=3, n_blocks=3, d_block=16, dropout=0.0, k=4, arch_type=kind,
            start_scaling_init=None if sharing == "none" else "normal",
        )
    )  # fmt: skip
    ours = TabM(SignalSpec(FEATURES), members=4, width=16, depth=3, sharing=sharing, dropout=0.0)
    head = MemberLinear(4, 16, 3)
    if sharing == "mini":
        copy(ours.first_scale, theirs.backbone.affine.weight)
    if sharing == "full":
        copy(ours.first_scale, theirs.backbone.blocks[0][0].r)
    for layer, block in zip(list(ours.layers)[::2], theirs.backbone.blocks, strict=True):
        copy(layer.weight, block[0].weight)
        copy(layer.bias, block[0].bias)
        if isinstance(layer, BatchEnsembleLinear):
            copy(layer.behind, block[0].s)
            if layer.before is not None:
                copy(layer.before, block[0].r)
    copy(head.weight, theirs.output.weight)
    copy(head.bias, theirs.output.bias)
    x = torch.randn(ROWS, FEATURES)
    expected = theirs(x)  # (B, M, 3)
    found = head(ours(x).vector).unflatten(0, (4, ROWS)).transpose(0, 1)
    assert_close(found, expected, **CLOSE)
    mine, other = gradients(ours, found), gradients(theirs, expected)
    first = ours.layers[0]
    assert_close(mine["layers.0.weight"], other["backbone.blocks.0.0.weight"], rtol=1e-4, atol=1e-4)
    if isinstance(first, BatchEnsembleLinear):
        assert_close(mine["first_scale"].view(4, -1), other["backbone.blocks.0.0.r"], rtol=1e-4, atol=1e-4)
        assert_close(mine["layers.0.behind"].view(4, -1), other["backbone.blocks.0.0.s"], rtol=1e-4, atol=1e-4)


def test_tabm_starts_as_that_of_its_authors():
    """One draw a column and member; all other scales 1, and biases alike."""
    net = TabM(SignalSpec(6, columns=(0, 0, 0, 1, 1, 2)), members=3, sharing="full", start="signs")
    scales = net.first_scale.view(3, 6)
    assert torch.equal(scales[:, [0, 0, 0, 3, 3, 5]], scales)
    assert torch.equal(scales.abs(), torch.ones(3, 6))
    for layer in list(net.layers)[::3]:
        assert layer.behind.eq(1).all()
        assert layer.before is None or layer.before.eq(1).all()
        assert len(layer.bias.view(3, -1).unique(dim=0)) == 1


def edges_of(scaled: ScaledNumbers, spec: NumberSpec) -> list[Tensor]:
    """Edges as the authors' package takes them."""
    return [row.float() for row in scaled.edges(spec, 16)]


@pytest.mark.filterwarnings("ignore:The .*-th feature has just two bin edges")
def test_the_piecewise_linear_encoding_is_that_of_its_authors():
    package = pytest.importorskip("rtdl_num_embeddings")
    table = rows()
    spec = numbers(table)
    ours = PiecewiseEncoding(spec, bins=16)
    edges = edges_of(ours.scaled, spec)
    assert [len(edges[0]), len(edges[2])] == [17, 2]
    theirs = package.PiecewiseLinearEncoding(edges)
    x = torch.from_numpy(np.vstack([table[:40], table.min(0) - 0.4, table.max(0) + 0.6])).float()
    assert_close(ours(x).vector, theirs(ours.scaled(x)), **CLOSE)


@pytest.mark.filterwarnings("ignore:The .*-th feature has just two bin edges")
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("version", ["A", "B"])
def test_piecewise_linear_embeddings_are_those_of_their_authors(version, relu):
    package = pytest.importorskip("rtdl_num_embeddings")
    table = rows()
    spec = numbers(table)
    ours = PiecewiseLinear(spec, width=7, bins=16, version=version, relu=relu)
    theirs = perturbed(
        package.PiecewiseLinearEmbeddings(edges_of(ours.fixed.scaled, spec), 7, activation=relu, version=version)
    )
    copy(ours.bends, theirs.linear.weight)
    copy(ours.bias, theirs.linear.bias if version == "A" else theirs.linear0.bias)
    if version == "B":
        copy(ours.line, theirs.linear0.weight)
    x = torch.from_numpy(table[:ROWS]).float()
    found, expected = ours(x).vector, theirs(ours.fixed(x)).flatten(1)
    assert_close(found, expected, **CLOSE)
    mine, other = gradients(ours, found), gradients(theirs, expected)
    assert_close(mine["bends"], other["linear.weight"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("version", ["plr", "lite"])
def test_periodic_embeddings_are_those_of_their_authors(version):
    package = pytest.importorskip("rtdl_num_embeddings")
    table = rows()
    ours = Periodic(numbers(table), width=7, frequencies=9, sigma=0.5, version=version)
    theirs = perturbed(package.PeriodicEmbeddings(FEATURES, 7, n_frequencies=9, lite=version == "lite"))
    copy(ours.frequency, theirs.periodic.weight)
    copy(ours.mix, theirs.linear.weight.mT if version == "lite" else theirs.linear.weight)
    copy(ours.bias, theirs.linear.bias)
    x = torch.from_numpy(table[:ROWS]).float()
    assert_close(ours(x).vector, theirs(ours.fixed(x)).flatten(1), **CLOSE)


def test_the_residual_net_is_that_of_its_authors():
    package = pytest.importorskip("rtdl_revisiting_models")
    theirs = perturbed(
        package.ResNet(
            d_in=FEATURES, d_out=None, n_blocks=3, d_block=16, d_hidden_multiplier=2.0, dropout1=0.0, dropout2=0.0
        )
    )
    ours = TabResNet(SignalSpec(FEATURES), width=16, depth=3, dropout=0.0)
    ours.first.load_state_dict(theirs.input_projection.state_dict())
    for own, other in zip(ours.blocks, theirs.blocks, strict=True):
        for mine, layer in zip(own, other, strict=True):
            mine.load_state_dict(layer.state_dict())
    x = torch.randn(ROWS, FEATURES)
    with torch.no_grad():
        expected = torch.relu(nn.BatchNorm1d(16)(theirs(x)))  # behind the last block the authors' output begins so
        assert_close(ours(x).vector, expected, **CLOSE)


@pytest.mark.parametrize("training", [True, False])
def test_the_transformer_of_columns_is_that_of_its_authors(training):
    package = pytest.importorskip("rtdl_revisiting_models")
    sizes, width = (3, 8), 16
    theirs = perturbed(
        package.FTTransformer(
            n_cont_features=FEATURES, cat_cardinalities=list(sizes), d_out=4, n_blocks=3, d_block=width,
            attention_n_heads=4, attention_dropout=0.0, ffn_d_hidden_multiplier=1.5, ffn_dropout=0.0,
            residual_dropout=0.0,
        )
    ).train(training)  # fmt: skip
    spec = numbers(rows())
    scale, embed = Scale(spec), Embed(CategorySpec(2, sizes, tuple((1.0,) * size for size in sizes)))
    tokens = [FeatureTokens(entry.gives, width=width) for entry in (scale, embed)]
    copy(tokens[0].weight, theirs.cont_embeddings.weight)
    copy(tokens[0].bias, theirs.cont_embeddings.bias)
    copy(tokens[1].weight, torch.cat([table.weight for table in theirs.cat_embeddings.embeddings]))
    copy(tokens[1].bias, theirs.cat_embeddings.bias)
    ours = FTTransformer(
        SignalSpec(width, ("tokens",)), width=width, depth=3, heads=4, expansion=1.5, attention_dropout=0.0, dropout=0.0
    ).train(training)
    copy_blocks(ours, theirs)
    head = theirs.backbone.output.linear
    x, categories = (
        torch.from_numpy(rows()[:ROWS]).float(),
        torch.stack([torch.randint(0, k, (ROWS,)) for k in sizes], 1),
    )
    scaled, known = scale(x).vector, embed(categories + 1).vector
    joined = torch.cat([tokens[0](scaled).tokens, tokens[1](known).tokens], dim=1)
    for mask in (None, torch.ones(joined.shape[:2], dtype=torch.bool)):
        assert_close(head(ours(joined, mask).vector), theirs(scaled, categories), **CLOSE)


def copy_blocks(ours: FTTransformer, theirs: Any) -> None:
    copy(ours.own, theirs.cls_embedding.weight)
    for k, (own, other) in enumerate(zip(ours.blocks, theirs.backbone.blocks, strict=True)):
        attention = other["attention"]
        if k:
            own.norm.load_state_dict(other["attention_normalization"].state_dict())
        own.query.load_state_dict(attention.W_q.state_dict())
        copy(own.key_value.weight, torch.cat([attention.W_k.weight, attention.W_v.weight]))
        copy(own.key_value.bias, torch.cat([attention.W_k.bias, attention.W_v.bias]))
        own.out.load_state_dict(attention.W_out.state_dict())
        own.perceptron_norm.load_state_dict(other["ffn_normalization"].state_dict())
        own.gated.load_state_dict(other["ffn"].linear1.state_dict())
        own.back.load_state_dict(other["ffn"].linear2.state_dict())
    ours.last.load_state_dict(theirs.backbone.output.normalization.state_dict())


def test_attention_with_dropout_is_the_same_attention():
    """Below dropout attention is written out; with none silenced it is what the kernel gives."""
    net = FTTransformer(SignalSpec(16, ("tokens",)), width=16, heads=4, attention_dropout=1e-9, dropout=0.0)
    tokens, mask = torch.randn(ROWS, 6, 16), torch.rand(ROWS, 6) < 0.7
    assert_close(net.train()(tokens, mask).vector, net.eval()(tokens, mask).vector, **CLOSE)


def test_waves_of_pbld_are_those_of_the_paper():
    table = rows()
    net = Periodic(numbers(table), width=4, frequencies=3, version="pbld")
    x = torch.from_numpy(table[:ROWS]).float()
    z, found = net.fixed(x), net(x).vector.view(ROWS, FEATURES, 4)
    for j in range(FEATURES):
        frequency, phase = net.frequency.view(FEATURES, 3)[j], net.phase.view(FEATURES, 3)[j]
        waves = torch.cos(2 * torch.pi * frequency * z[:, j : j + 1] + phase)
        assert_close(found[:, j, 1:], waves @ net.mix[j] + net.bias.view(FEATURES, 3)[j], **CLOSE)
        assert_close(found[:, j, 0], z[:, j])
