"""The head that writes: what it counts, measures and answers, with something coming in and without."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fathom.heads import HEADS
from fathom.heads import generate as module
from fathom.nets.token_embedding import TokenTable
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import Ragged, Signal, SignalSpec, TextSpec

SIZE, LENGTH, WIDTH, BEGIN, END = 12, 9, 16, 2, 3
SPEC = TextSpec(SIZE, 0, 1, BEGIN, END, 4, LENGTH, (0.0, 1, 5, 5, 0, 10, 20, 3, 3, 3, 3, 3), "digest")
ROWS = Ragged.of([torch.tensor(row, dtype=torch.int64) for row in ([2, 5, 6, 7, 3], [], [2, 3], [2, 6, 3])])
ALONE, TOKENS, VECTOR = SignalSpec(0, ()), SignalSpec(WIDTH, ("vector", "tokens")), SignalSpec(WIDTH)


def head(state: SignalSpec, **options):
    net = Choice("transformer", {"depth": 1, "width": WIDTH, "dropout": 0.0})
    with seeded(0):
        return HEADS.build(Choice("generate", {"net": net, **options}), state, SPEC).eval()


def signal(state: SignalSpec, rows: int = 4) -> Signal:
    draw = torch.Generator().manual_seed(1)
    vector = torch.randn(rows, state.width, generator=draw)
    tokens = torch.randn(rows, 3, WIDTH, generator=draw) if "tokens" in state.gives else None
    return Signal(vector, tokens, None if tokens is None else torch.ones(rows, 3, dtype=torch.bool))


@torch.no_grad()
def chances(one, state: SignalSpec, row: int) -> torch.Tensor:
    """The logarithms of the chances of a row's labels, the row by itself."""
    ids, whole = ROWS.values[ROWS.offsets[row] : ROWS.offsets[row + 1]], signal(state)
    alone = Signal(whole.vector[[row]], None if whole.tokens is None else whole.tokens[[row]])
    told = one.net(one.table(ids[None, :-1]), one.memory(alone)) @ one.table.weight.T
    return told[0].log_softmax(1).gather(1, ids[1:, None]).squeeze(1)


@pytest.mark.parametrize("state", [ALONE, TOKENS, VECTOR], ids=["alone", "tokens", "vector"])
def test_the_loss_is_the_sum_over_the_labels_of_all_rows(state):
    one = head(state)
    expected = -sum(float(chances(one, state, row).detach().sum()) for row in (0, 2, 3))
    loss = one.loss(signal(state), ROWS, None)
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(loss.weight) == 4 + 1 + 2
    with torch.inference_mode():
        assert float(one.loss(signal(state), ROWS, None).total) == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_rows_that_all_lack_a_text_weighs_nothing():
    one, nothing = head(TOKENS), Ragged(torch.empty(0, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    loss = one.loss(signal(TOKENS, 3), nothing, None)
    assert (float(loss.total.detach()), float(loss.weight)) == (0, 0)
    loss.total.backward()


@pytest.mark.parametrize("state", [ALONE, TOKENS], ids=["alone", "tokens"])
def test_what_is_measured_is_how_the_true_text_was_told(state, monkeypatch):
    one = head(state, label_smoothing=0.3, most_tokens=4)
    whole = one.measured(signal(state), ROWS)
    for row in (0, 2, 3):
        assert float(whole["nll"][row]) == pytest.approx(-float(chances(one, state, row).sum()), rel=1e-5)
    assert whole["nll"][1] == 0
    assert whole["tokens"].tolist() == [4, 0, 1, 2]
    assert whole["told"].shape == (4, LENGTH)
    assert whole["told"][3].tolist() == [6, *[END] * (LENGTH - 1)]
    assert ("ids" in whole) == (state is TOKENS)  # a language model has nothing to answer
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 2 * SIZE)
    assert torch.allclose(one.measured(signal(state), ROWS)["nll"], whole["nll"], atol=1e-5)


def test_right_counts_the_tokens_that_were_likeliest():
    one = head(ALONE)
    told = one.net(one.table(torch.tensor([[BEGIN]])), None).detach() @ one.table.weight.detach().T
    likeliest = int(told.argmax())
    rows = Ragged.of([torch.tensor([BEGIN, likeliest]), torch.tensor([BEGIN, (likeliest + 1) % SIZE])])
    assert one.measured(signal(ALONE, 2), rows)["right"].tolist() == [1, 0]


def test_the_trivial_loss_is_the_entropy_of_what_is_told():
    counts = torch.tensor(SPEC.counts)
    counts[BEGIN] = 0
    assert head(ALONE).baseline_loss == pytest.approx(float(torch.special.entr(counts / counts.sum()).sum()), rel=1e-5)


def test_the_output_is_the_table_of_tokens_and_one_with_that_of_what_comes_in():
    one = head(TOKENS)
    assert [name for name, p in one.named_parameters() if p.shape == (SIZE, WIDTH)] == ["table.weight"]
    assert one.table.shares_with(TokenTable(SPEC, WIDTH))


def test_an_answer_is_at_most_a_little_longer_than_those_learned_from():
    longest = {None: head(TOKENS).most_tokens, 5: head(TOKENS, most_tokens=5).most_tokens}
    assert longest == {None: LENGTH, 5: 5}
    for known, most in ((6, 6), (LENGTH + 1, LENGTH)):
        one = HEADS.build(Choice("generate"), TOKENS, replace(SPEC, longest=known))
        assert one.most_tokens == most


def test_answers_are_quoted_by_what_is_written_and_a_language_model_by_what_is_told():
    assert (head(TOKENS).quoted, head(VECTOR).quoted, head(ALONE).quoted) == ("bleu", "bleu", None)


@pytest.mark.parametrize("beams", [1, 3])
def test_an_answer_holds_nothing_that_no_text_holds(beams):
    ids = head(TOKENS, beams=beams, most_tokens=6).predict(signal(TOKENS))["ids"]
    assert ids.shape == (4, 6)
    assert not {0, BEGIN, 4} & set(ids.flatten().tolist())


def test_it_learns_to_repeat_what_comes_in():
    draw = torch.Generator().manual_seed(0)
    said = torch.randint(5, SIZE, (64, 4), generator=draw)
    rows = Ragged.of([torch.tensor([BEGIN, *row, END]) for row in said.tolist()])
    with seeded(0):
        one, table = head(SignalSpec(WIDTH, ("tokens",)), most_tokens=6), torch.randn(SIZE, WIDTH)
    places = F.one_hot(torch.arange(4), WIDTH) * 3.0
    state = Signal(tokens=table[said] + places)
    optimizer = torch.optim.Adam(one.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = one.loss(state, rows, None)
        (loss.total / loss.weight).backward()
        optimizer.step()
    right = (one.predict(state)["ids"][:, :4] == said).all(1).float().mean()
    assert right > 0.9
    masked = Signal(tokens=state.tokens, mask=torch.zeros(64, 4, dtype=torch.bool))
    assert (one.predict(masked)["ids"][:, :4] == said).all(1).float().mean() < 0.2


def test_of_several_networks_the_answer_that_most_give_counts():
    def given(ids: list[int], nll: float) -> dict[str, torch.Tensor]:
        return {"ids": torch.tensor([ids]), "nll": torch.tensor([nll]), "right": torch.tensor([1.0])}

    found = head(TOKENS).combined([given([5, 3], 1.0), given([6, 3], 2.0), given([6, 3], 3.0)])
    assert found["ids"].tolist() == [[6, 3]]
    assert float(found["nll"]) == pytest.approx(-math.log((math.exp(-1) + math.exp(-2) + math.exp(-3)) / 3))


@pytest.mark.parametrize("state", [ALONE, TOKENS], ids=["alone", "tokens"])
def test_a_decoder_computes_coarsely_where_it_is_asked_to_and_its_loss_is_float32(state):
    one = head(state).train()
    exact = one.loss(signal(state), ROWS, None).total
    with torch.autocast("cpu", torch.bfloat16):
        coarse = one.loss(signal(state), ROWS, None).total
        assert one._logits(torch.randn(2, WIDTH)).dtype == torch.bfloat16
    assert coarse.dtype == torch.float32
    assert coarse.item() != exact.item()
    assert coarse.item() == pytest.approx(exact.item(), rel=0.02)
    coarse.backward()
    gradients = [parameter.grad for parameter in one.parameters() if parameter.grad is not None]
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in gradients)
