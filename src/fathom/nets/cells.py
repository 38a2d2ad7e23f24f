"""Recurrent cells step by step, with every gate to be seen: what torch's fused kernels compute in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

__all__ = [
    "CellWeights",
    "ElmanStep",
    "GRUStep",
    "LSTMStep",
    "elman_step",
    "gru_step",
    "lstm_step",
    "unrolled",
    "weights_of",
]


class CellWeights(NamedTuple):
    """What a cell has learned; where it has several gates, their rows stand one below the other, in torch's order.

    Attributes:
        input: (gates·H, D).
        hidden: (gates·H, H).
        input_bias: (gates·H,).
        hidden_bias: (gates·H,).
    """

    input: Tensor
    hidden: Tensor
    input_bias: Tensor
    hidden_bias: Tensor


class ElmanStep(NamedTuple):
    """What a step of a plain cell leaves: (B, H)."""

    hidden: Tensor


class LSTMStep(NamedTuple):
    """What a step of long short-term memory leaves, and its gates, (B, H) each."""

    hidden: Tensor
    cell: Tensor
    input_gate: Tensor
    forget_gate: Tensor
    output_gate: Tensor
    candidate: Tensor


class GRUStep(NamedTuple):
    """What a step of a gated unit leaves, and its gates, (B, H) each."""

    hidden: Tensor
    reset_gate: Tensor
    update_gate: Tensor
    candidate: Tensor


Step = TypeVar("Step", ElmanStep, LSTMStep, GRUStep)


def elman_step(x: Tensor, before: ElmanStep | None, weights: CellWeights) -> ElmanStep:
    """h' = tanh(W x + U h + b) (Elman 1990).

    Args:
        x: (B, D).
        before: the step before, or None at the start.
        weights: of one gate.
    """
    hidden = _start(x, weights, 1) if before is None else before.hidden
    return ElmanStep(torch.tanh(_seen(x, weights) + _recalled(hidden, weights)))


def lstm_step(x: Tensor, before: LSTMStep | None, weights: CellWeights) -> LSTMStep:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b), c' = f·c + i·g, h' = o·tanh(c'), where each has its own W, U
    and b.

    Args:
        x: (B, D).
        before: the step before, or None at the start.
        weights: of input gate, forget gate, candidate and output gate.
    """
    start = _start(x, weights, 4)
    hidden, cell = (start, start) if before is None else (before.hidden, before.cell)
    i, f, g, o = (_seen(x, weights) + _recalled(hidden, weights)).chunk(4, dim=1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    cell = f * cell + i * g
    return LSTMStep(o * torch.tanh(cell), cell, i, f, o, g)


def gru_step(x: Tensor, before: GRUStep | None, weights: CellWeights) -> GRUStep:
    """Gated recurrent unit (Cho et al. 2014, equations 5 to 8).

    r, z = σ(W x + U h + b), n = tanh(W x + b + r·(U h + b')), h' = z·h + (1 - z)·n, where each has its own W, U and b.
    The paper has U (r·h) in n; with the gate behind the matrix, as torch and cuDNN have it, one product serves all.

    Args:
        x: (B, D).
        before: the step before, or None at the start.
        weights: of reset gate, update gate and candidate.
    """
    hidden = _start(x, weights, 3) if before is None else before.hidden
    (r, z, n), (r_back, z_back, n_back) = (
        part.chunk(3, dim=1) for part in (_seen(x, weights), _recalled(hidden, weights))
    )
    r, z = torch.sigmoid(r + r_back), torch.sigmoid(z + z_back)
    n = torch.tanh(n + r * n_back)
    return GRUStep(z * hidden + (1 - z) * n, r, z, n)


def unrolled(step: Callable[[Tensor, Any, CellWeights], Step], tokens: Tensor, weights: CellWeights) -> Step:
    """A cell along a sequence: what each step leaves, with its gates.

    Args:
        step: one of the steps above.
        tokens: (B, T, D), at least one.
        weights: of the cell.

    Returns:
        The steps, each of whose parts is (B, T, H).
    """
    steps: list[Step] = []
    for x in tokens.unbind(1):
        steps.append(step(x, steps[-1] if steps else None, weights))
    return type(steps[0])(*(torch.stack(parts, dim=1) for parts in zip(*steps, strict=True)))


def weights_of(layer: nn.RNNBase, *, backward: bool = False) -> CellWeights:
    """The weights of one of torch's layers, onward or, where it reads both ways, backward."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return CellWeights(*(getattr(layer, f"{name}_l0{'_reverse' if backward else ''}") for name in names))


def _start(x: Tensor, weights: CellWeights, gates: int) -> Tensor:
    return x.new_zeros(x.shape[0], weights.hidden.shape[0] // gates)


def _seen(x: Tensor, weights: CellWeights) -> Tensor:
    return nn.functional.linear(x, weights.input, weights.input_bias)


def _recalled(hidden: Tensor, weights: CellWeights) -> Tensor:
    return nn.functional.linear(hidden, weights.hidden, weights.hidden_bias)
