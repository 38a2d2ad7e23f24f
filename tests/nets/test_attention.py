"""Attention and positions: torch's own, the papers' formulas, and that a cache changes nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fathom.errors import ConfigError
from fathom.nets.attention import Cache, CrossAttention, SelfAttention, attend, seen_by_all
from fathom.nets.positions import LearnedPositions, places_of, rotation, sinusoids, turned
from fathom.runtime import seeded

BATCH, TIME, WIDTH, HEADS = 3, 7, 12, 3
MASK = torch.arange(TIME) < torch.tensor([[7], [4], [1]])


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_torch(ours: SelfAttention | CrossAttention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double()
    parts = [ours.query_key_value] if isinstance(ours, SelfAttention) else [ours.query, ours.key_value]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_that_of_torch(causal):
    ours, state = SelfAttention(WIDTH, HEADS, causal=causal).double(), drawn(BATCH, TIME, WIDTH)
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1) if causal else None
    expected, _ = of_torch(ours)(state, state, state, key_padding_mask=~MASK, attn_mask=later)
    assert_close(ours(state, seen_by_all(MASK)), expected)
    assert_close(ours(state), of_torch(ours)(state, state, state, attn_mask=later)[0])


def test_cross_attention_is_that_of_torch():
    ours, state, memory = (
        CrossAttention(WIDTH, WIDTH, HEADS).double(),
        drawn(BATCH, 2, WIDTH),
        drawn(BATCH, TIME, WIDTH),
    )
    expected, _ = of_torch(ours)(state, memory, memory, key_padding_mask=~MASK)
    assert_close(ours(state, ours.remember(memory), seen_by_all(MASK)), expected)


@pytest.mark.parametrize("steps", [(1,) * TIME, (3, 1, 3), (7,)])
def test_a_cache_gives_what_the_whole_sequence_gives(steps):
    net, state = SelfAttention(WIDTH, HEADS, causal=True).double(), drawn(BATCH, TIME, WIDTH)
    turn = rotation(places_of(state, None), WIDTH // HEADS, torch.float64)
    cache, found, first = Cache(TIME), [], 0
    for count in steps:
        piece = slice(first, first + count)
        found.append(net(state[:, piece], turn=(turn[0][:, :, piece], turn[1][:, :, piece]), cache=cache))
        first += count
    assert_close(torch.cat(found, dim=1), net(state, turn=turn))


def test_a_cache_follows_the_beams_and_is_never_overfull():
    net, state = SelfAttention(WIDTH, HEADS, causal=True).double(), drawn(BATCH, 3, WIDTH)
    cache, rows = Cache(3), torch.tensor([2, 0, 2, 2])
    net(state[:, :2], cache=cache)
    cache.select(rows)
    assert_close(net(state[rows, 2:], cache=cache), net(state)[rows, 2:])
    with pytest.raises(AssertionError, match="a cache of 3 tokens was given 4"):
        net(state[rows, 2:], cache=cache)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_dropout_is_the_same_attention(causal, masked):
    """Below dropout attention is written out; with none silenced it is what the kernel gives, nothing seen too."""
    query, key, value = (drawn(BATCH, HEADS, TIME, 4, seed=seed) for seed in range(3))
    seen = seen_by_all(MASK.clone()) if masked else None
    if seen is not None:
        seen[2] = False
    dropping = nn.Dropout(1e-9)
    given = [attend(query, key, value, seen, causal=causal, dropout=d) for d in (dropping, nn.Dropout(0.0))]
    assert_close(given[0], given[1])
    assert not masked or given[0][2].eq(0).all()
    assert not torch.allclose(
        attend(query, key, value, dropout=nn.Dropout(0.5)), attend(query, key, value, dropout=nn.Dropout(0.0))
    )


def test_a_processor_attends_in_float32_where_products_are_coarse():
    query, key, value = torch.randn(3, 2, 2, 5, 4).unbind(0)
    exact = attend(query, key, value, causal=True, dropout=nn.Dropout(0.0))
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(query, key, value, causal=True, dropout=nn.Dropout(0.0))
        rounded = attend(query.bfloat16(), key.bfloat16(), value.bfloat16(), causal=True, dropout=nn.Dropout(0.0))
    assert found.dtype == rounded.dtype == torch.float32
    assert_close(found, exact)


def test_heads_that_do_not_divide_the_width_are_named():
    with pytest.raises(ConfigError, match="width 12 is not divided by 5 heads"):
        SelfAttention(12, 5)


def test_only_tokens_that_are_there_count_as_places():
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    assert places_of(drawn(3, 4, 2), mask).tolist() == [[0, 1, 1, 2], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert places_of(drawn(3, 4, 2), None).tolist() == [[0, 1, 2, 3]]


def test_sinusoids_are_those_of_the_paper():
    places, width = torch.tensor([[0, 1, 17]]), 6
    found = sinusoids(places, width, torch.float64)
    for place in range(3):
        for i in range(width // 2):
            angle = int(places[0, place]) / 10_000 ** (2 * i / width)
            assert found[0, place, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[0, place, width // 2 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert sinusoids(places, 5).shape == (1, 3, 5)


def test_turned_queries_and_keys_know_only_their_distance():
    query, key = drawn(1, 1, 1, 8, seed=1), drawn(1, 1, 1, 8, seed=2)

    def product(first: int, second: int) -> float:
        turns = [rotation(torch.tensor([[place]]), 8, torch.float64) for place in (first, second)]
        return float((turned(query, turns[0]) * turned(key, turns[1])).sum())

    assert product(3, 5) == pytest.approx(product(103, 105), rel=1e-4)
    assert product(3, 5) != pytest.approx(product(3, 6), rel=1e-2)
    assert product(0, 0) == pytest.approx(float((query * key).sum()))


def test_places_beyond_the_last_learned_one_share_its_vector():
    with seeded(0):
        net = LearnedPositions(4, 6)
    found = net(torch.tensor([[0, 3, 4, 9]]))
    assert torch.equal(found[0, 1], found[0, 2])
    assert torch.equal(found[0, 1], found[0, 3])
    assert not torch.equal(found[0, 0], found[0, 1])
