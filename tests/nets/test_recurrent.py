"""Recurrent nets: the fused kernels against textbook cells, holes, empty rows, packed rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from fathom.nets import NETS
from fathom.nets.cells import elman_step, gru_step, lstm_step, unrolled, weights_of
from fathom.nets.recurrent import LSTM, Recurrent
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import SignalSpec

BATCH, TIME, WIDTH, HIDDEN = 6, 9, 5, 4
STEPS = {"rnn": elman_step, "lstm": lstm_step, "gru": gru_step}
CELL = pytest.mark.parametrize("cell", sorted(STEPS))


def built(cell: str, **options: object) -> Recurrent:
    with seeded(0):
        net = NETS.build(Choice(cell, {"width": HIDDEN, "dropout": 0.0, **options}), SignalSpec(WIDTH, ("tokens",)))
        for parameter in net.parameters():
            nn.init.normal_(parameter, std=0.5)
    return net.double()


def tokens(*, seed: int = 0) -> Tensor:
    return torch.randn(BATCH, TIME, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def holes() -> Tensor:
    """Masks with gaps, one of them whole, and one of a row without any token."""
    mask = torch.rand(BATCH, TIME, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[0], mask[1] = True, False
    return mask


def textbook(cell: str, net: Recurrent, row: Tensor) -> Tensor:
    """One row (T, D) of tokens that are all there, through all layers, step by step."""
    state = row.unsqueeze(0)
    for layer in net.layers:
        onward = unrolled(STEPS[cell], state, weights_of(layer)).hidden
        backward = unrolled(STEPS[cell], state.flip(1), weights_of(layer, backward=True)).hidden.flip(1)
        state = torch.cat([onward, backward], dim=2)
    return state[0]


@CELL
def test_a_kernel_gives_what_its_textbook_cell_gives(cell):
    net, x, mask = built(cell, layers=2), tokens(), holes()
    found = net(x, mask)
    for row in range(BATCH):
        there = mask[row]
        if there.any():
            assert_close(found.tokens[row, there], textbook(cell, net, x[row, there]), rtol=1e-9, atol=1e-9)
        assert found.tokens[row, ~there].eq(0).all()
    assert_close(net(x, None).tokens[0], textbook(cell, net, x[0]), rtol=1e-9, atol=1e-9)


@CELL
def test_gates_lie_between_0_and_1_and_make_the_state(cell):
    net, x = built(cell), tokens()
    steps = unrolled(STEPS[cell], x, weights_of(net.layers[0]))
    assert all(part.shape == (BATCH, TIME, HIDDEN) for part in steps)
    for name, part in steps._asdict().items():
        assert not name.endswith("gate") or ((part > 0) & (part < 1)).all()
    if cell == "lstm":
        before = torch.cat([torch.zeros(BATCH, 1, HIDDEN), steps.cell[:, :-1]], dim=1)
        assert_close(steps.cell, steps.forget_gate * before + steps.input_gate * steps.candidate)
        assert_close(steps.hidden, steps.output_gate * torch.tanh(steps.cell))
    if cell == "gru":
        before = torch.cat([torch.zeros(BATCH, 1, HIDDEN), steps.hidden[:, :-1]], dim=1)
        assert_close(steps.hidden, steps.update_gate * before + (1 - steps.update_gate) * steps.candidate)


@CELL
@pytest.mark.parametrize("both", [True, False])
def test_packed_rows_give_what_rectangles_give(cell, both):
    net, x, mask = built(cell, layers=2, both=both), tokens(), holes()
    assert_close(net._read_padded(x, mask), net._read_packed(x, mask), rtol=1e-9, atol=1e-9)
    assert_close(net._read_padded(x, None), net._read_packed(x, None), rtol=1e-9, atol=1e-9)


@CELL
@pytest.mark.parametrize("pool", ["max", "mean", "first", "last", "attention"])
def test_a_row_without_tokens_is_a_vector_of_zeros(cell, pool):
    net, x, mask = built(cell, pool=pool), tokens(), holes()
    assert net(x, mask).vector[1].eq(0).all()
    assert net(x, mask).vector[0].ne(0).any()
    nothing = net(x.requires_grad_(), torch.zeros_like(mask)).vector
    assert nothing.eq(0).all()
    assert net(x[:, :0], mask[:, :0]).vector.eq(0).all()


@CELL
def test_the_last_state_of_each_direction_is_the_one_behind_all_it_has_read(cell):
    net, x, mask = built(cell, pool="last"), tokens(), holes()
    found = net(x, mask)
    for row in range(BATCH):
        there = found.tokens[row, mask[row]]
        if len(there):
            assert_close(found.vector[row], torch.cat([there[-1, :HIDDEN], there[0, HIDDEN:]]))
    onward = built(cell, pool="last", both=False)(x, None)
    assert torch.equal(onward.vector, onward.tokens[:, -1])


@CELL
def test_weights_start_as_their_papers_say(cell):
    with seeded(0):
        net = NETS.build(Choice(cell, {"width": 16}), SignalSpec(8, ("tokens",)))
    weights = weights_of(net.layers[0])
    for gate in weights.hidden.chunk(net.gates):
        assert_close(gate @ gate.T, torch.eye(16), rtol=0, atol=1e-5)
    forgets = weights.input_bias.chunk(net.gates)
    assert [gate.mean().item() for gate in forgets] == ([0, 1, 0, 0] if isinstance(net, LSTM) else [0] * net.gates)
    assert weights.hidden_bias.eq(0).all()
