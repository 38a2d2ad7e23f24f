"""One row on its way through a network and back, as a person reads it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from fathom.cli.text import bold, number
from fathom.trust.walk import Passed, Walk
from fathom.typeset import aligned, one_line, width

__all__ = ["plain", "told"]

LONGEST_NAME = 32
MOST_PIECES = 64
BACKWARDS = """\
weights: norm of the loss's gradient by the layer's weights; output: by what the layer gives; sgd and the like: how far
one step moves the weights, as a share of what they are."""


def plain(walk: Walk, row: int) -> dict[str, Any]:
    """As JSON holds it."""
    return {"row": row, **asdict(walk)}


def told(walk: Walk, row: int) -> str:
    """The row, the way forward, the answer and its loss, the way back, and what steps come to."""
    parts = [bold(f"row {row}"), _pairs(walk.cells), *_tokens(walk)]
    parts += ["", bold("forward: what each layer gives"), *map(_passed, walk.layers)]
    parts += ["", bold("answer, truth, loss"), _pairs(walk.answer), _pairs(_named("truth", walk.truth))]
    parts += [_pairs(_losses(walk)), "", bold("backward: from the loss to the inputs"), _backward(walk)]
    parts += [textwrap.indent(textwrap.fill(BACKWARDS, width() - 2), "  "), "", bold("one step by this row alone")]
    return "\n".join([*parts, _pairs(_steps(walk))])


def _passed(layer: Passed) -> str:
    figures = (layer.mean, layer.deviation, layer.low, layer.high)
    mean, deviation, low, high = map(number, figures)
    head = f"  {_short(layer.name)}  {layer.what} ({', '.join(map(str, layer.shape))})"
    body = f"mean {mean}, deviation {deviation}, {low} to {high}, {layer.zeros:.0%} zeros"
    more = " ..." if math.prod(layer.shape) > len(layer.first) else ""
    values = " ".join(map(number, layer.first)) + more
    return f"{head}\n{textwrap.indent(textwrap.fill(f'{body}: {values}', width() - 6), '      ')}"


def _tokens(walk: Walk) -> Iterator[str]:
    """The pieces of each text, a bar between them."""
    for name, pieces in walk.tokens.items():
        shown = one_line("|".join(pieces[:MOST_PIECES])) + (" …" if len(pieces) > MOST_PIECES else "")
        yield f"  {_short(name)}, {len(pieces):,} tokens"
        yield textwrap.indent(textwrap.fill(shown, width() - 6), "      ")


def _losses(walk: Walk) -> Iterator[tuple[str, str]]:
    for name, loss in walk.losses.items():
        known = "unknown: the row has no such value" if loss is None else f"{number(loss)} (1: the trivial answer's)"
        yield f"loss {name}", known


def _backward(walk: Walk) -> str:
    head = ("  layer", "weights", "output", *(step.optimizer for step in walk.steps))
    rows = [
        (f"  {_short(layer.name)}", _maybe(layer.gradient), _maybe(layer.gradient_given), *_moves(walk, layer.name))
        for layer in reversed(walk.layers)
        if layer.gradient is not None or layer.gradient_given is not None
    ]
    return aligned([head, *rows])


def _moves(walk: Walk, layer: str) -> Iterator[str]:
    for step in walk.steps:
        yield _maybe(step.moved.get(layer))


def _steps(walk: Walk) -> Iterator[tuple[str, str]]:
    yield "loss before", number(walk.loss)
    for step in walk.steps:
        yield f"after {step.optimizer} at {step.rate:g}", number(step.loss)


def _named(what: str, values: dict[str, str]) -> dict[str, str]:
    return {f"{what} of {name}": value for name, value in values.items()}


def _pairs(pairs: dict[str, str] | Iterable[tuple[str, str]]) -> str:
    listed = list(pairs.items() if isinstance(pairs, dict) else pairs)
    return aligned([(f"  {_short(name)}", value or "unknown") for name, value in listed])


def _maybe(value: float | None) -> str:
    return "" if value is None else number(value)


def _short(name: str) -> str:
    """A name by its end, which tells layers apart."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
