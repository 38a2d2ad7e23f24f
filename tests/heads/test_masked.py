"""The head that tells hidden tokens."""

from __future__ import annotations

import math

import pytest
import torch

from fathom.errors import ConfigError
from fathom.heads.masked import Masked
from fathom.layout import choose_layout
from fathom.registry import Choice
from fathom.signals import NOT_HIDDEN, CategorySpec, Ragged, Signal, SignalSpec, TextSpec

WIDTH = 8
SPEC = TextSpec(12, 0, 1, 2, 3, 4, 6, counts=(0, 0, 9, 9, 0, 1, 1, 1, 1, 1, 1, 1))
LABELS = Ragged.of([torch.tensor([-1, 5, -1, 7]), torch.tensor([], dtype=torch.int64), torch.tensor([-1, 9])])


def head(**options) -> Masked:
    torch.manual_seed(0)
    return Masked(SignalSpec(WIDTH, ("tokens",)), SPEC, **options)


def state(time: int = 4) -> Signal:
    mask = torch.tensor([[True] * 4, [False] * 4, [True, True, False, False]])
    return Signal(tokens=torch.randn(3, time, WIDTH, generator=torch.Generator().manual_seed(1)), mask=mask[:, :time])


def test_only_what_was_hidden_costs():
    one, signal = head(), state()
    loss = one.loss(signal, LABELS, None)
    logits = one._logits(signal.tokens).log_softmax(2)
    expected = -(logits[0, 1, 5] + logits[0, 3, 7] + logits[2, 1, 9])
    assert torch.allclose(loss.total, expected)
    assert float(loss.weight) == 3 == float(one.weigh(LABELS, None))


def test_rows_weigh_what_they_are_said_to():
    one, signal, weight = head(), state(), torch.tensor([2.0, 5.0, 0.5])
    logits = one._logits(signal.tokens).log_softmax(2)
    expected = -(2 * (logits[0, 1, 5] + logits[0, 3, 7]) + 0.5 * logits[2, 1, 9])
    assert torch.allclose(one.loss(signal, LABELS, weight).total, expected)
    assert float(one.weigh(LABELS, weight)) == 4.5


def test_a_batch_in_which_nothing_is_hidden_costs_nothing():
    labels = Ragged(torch.full_like(LABELS.values, NOT_HIDDEN), LABELS.offsets)
    loss = head().loss(state(), labels, None)
    assert (loss.total.item(), loss.weight.item()) == (0.0, 0.0)


def test_the_baseline_tells_each_word_by_its_share():
    assert head().baseline_loss == pytest.approx(math.log(7))


def test_answers_end_where_texts_do():
    ids = head().predict(state())["ids"]
    assert ids.shape == (3, SPEC.length)
    assert (ids[1] == SPEC.end).all()
    assert (ids[2, 2:] == SPEC.end).all()


def test_a_net_with_other_states_is_refused():
    with pytest.raises(ConfigError, match="a state for each token that comes in, and no other"):
        head().loss(state(time=3), LABELS, None)


def test_it_stands_on_one_text_that_comes_in_alone():
    text, other = ("text", SPEC), ("category", CategorySpec(1, (3,), ((1.0, 1.0, 1.0),)))
    named = {"net": Choice("transformer", {"width": 128})}
    found = choose_layout({"input/t": text}, {}, heads={"input/t": Choice("masked")}, **named)
    assert found.heads == {"input/t": Choice("masked")}
    with pytest.raises(ConfigError, match="one column comes in, not 2"):
        choose_layout({"input/t": text, "pack/category": other}, {}, heads={"input/t": Choice("masked")}, **named)
    with pytest.raises(ConfigError, match="no column is asked for"):
        choose_layout({"pack/category": other}, {"y": text}, heads={"y": Choice("masked")})
