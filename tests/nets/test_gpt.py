"""GPT-2 as published: the same logits from the same weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fathom.nets.decoder import DecoderSpec
from fathom.nets.gpt import GPT, from_gpt2

SIZE = 50


def published(seed: int, width: int, depth: int, heads: int, length: int):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    shape = {"n_positions": length, "n_embd": width, "n_layer": depth, "n_head": heads}
    config = transformers.GPT2Config(vocab_size=SIZE, initializer_range=0.2, **shape)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():  # norms and biases start where a mistake in their order would not show
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return theirs


def ours(theirs, width: int, depth: int, heads: int, length: int) -> tuple[torch.Tensor, GPT]:
    table, weights = from_gpt2(theirs.state_dict())
    net = GPT(DecoderSpec(length), width=width, depth=depth, heads=heads).eval()
    net.load_state_dict(weights)
    return table, net


@pytest.mark.parametrize("shape", [(32, 2, 4, 16), (24, 3, 2, 10), (8, 1, 1, 5)], ids=str)
def test_published_weights_give_the_published_logits(shape):
    theirs = published(0, *shape)
    table, net = ours(theirs, *shape)
    ids = torch.randint(SIZE, (3, shape[3]), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(ids).logits
        found = F.linear(net(F.embedding(ids, table), None), table)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.5  # a sum that is nearly 0 would show nothing


def test_every_weight_is_taken_and_one_that_lacks_is_named():
    shape = (16, 2, 2, 8)
    theirs = published(0, *shape).state_dict()
    table, weights = from_gpt2({name.removeprefix("transformer."): value for name, value in theirs.items()})
    taken = table.numel() + sum(value.numel() for value in weights.values())
    assert taken == sum(v.numel() for n, v in theirs.items() if n != "lm_head.weight")
    del theirs["transformer.h.1.mlp.c_fc.weight"]
    with pytest.raises(KeyError, match=r"h\.1\.mlp\.c_fc\.weight"):
        from_gpt2(theirs)
