"""BERT is that of the library whose checkpoints it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fathom.errors import ConfigError
from fathom.nets.bert import Bert, checkpoint_names, from_checkpoint
from fathom.runtime import seeded
from fathom.signals import SignalSpec

BATCH, TIME, WIDTH, DEPTH = 4, 9, 24, 3
MASK = torch.arange(TIME) < torch.tensor([[9], [5], [1], [7]])


def library(pooler: bool = True) -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=4, intermediate_size=4 * WIDTH,
        max_position_embeddings=16, initializer_range=0.3,
    )  # fmt: skip
    with seeded(0):
        theirs = transformers.BertModel(config, add_pooling_layer=pooler).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return theirs


def ours_of(theirs: Any, *, pooler: bool = True, before: str = "") -> Bert:
    net = Bert(SignalSpec(WIDTH, ("tokens",)), width=WIDTH, depth=DEPTH, heads=4, length=16, pooler=pooler).eval()
    tensors = {before + name: value for name, value in theirs.state_dict().items()}
    net.load_state_dict(from_checkpoint(tensors, DEPTH, pooler=pooler))
    return net


def embedded(theirs: Any, ids: Tensor) -> Tensor:
    return theirs.embeddings.word_embeddings(ids) + theirs.embeddings.token_type_embeddings(torch.zeros_like(ids))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("before", ["", "bert."])
def test_bert_is_that_of_the_library(masked, before):
    theirs = library()
    ids, mask = torch.randint(50, (BATCH, TIME), generator=torch.Generator().manual_seed(2)), MASK if masked else None
    with torch.no_grad():
        expected = theirs(ids, attention_mask=None if mask is None else mask.long())
        found = ours_of(theirs, before=before)(embedded(theirs, ids), mask)
    there = torch.ones_like(MASK) if mask is None else mask
    assert_close(found.tokens[there], expected.last_hidden_state[there], rtol=1e-5, atol=1e-5)
    assert_close(found.vector, expected.pooler_output, rtol=1e-5, atol=1e-5)


def test_without_a_pooler_the_vector_is_the_first_token():
    theirs = library(pooler=False)
    net = ours_of(theirs, pooler=False)
    found = net(torch.randn(BATCH, TIME, WIDTH), MASK)
    assert torch.equal(found.vector, found.tokens[:, 0])


def test_a_row_without_tokens_is_a_vector_of_zeros():
    net = ours_of(library())
    mask = MASK.clone()
    mask[1] = False
    vector = net(torch.randn(BATCH, TIME, WIDTH), mask).vector
    assert vector[1].eq(0).all()
    assert vector[0].ne(0).any()


def test_every_weight_has_one_name_in_a_checkpoint():
    theirs = {name for name, _ in library().named_parameters()}
    taken = [name for names in checkpoint_names(DEPTH).values() for name in names]
    assert len(taken) == len(set(taken))
    left = theirs - set(taken)
    assert left == {"embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"}


def test_a_checkpoint_that_lacks_a_weight_is_named():
    tensors = library().state_dict()
    with pytest.raises(ConfigError, match=r"holds no 'encoder.layer.3.attention.self.query.weight'"):
        from_checkpoint(tensors, DEPTH + 1)
