"""What ails a network, in words, from the samples of its layers: ``diagnostics`` takes them, nothing else is known.

Bounds are far from anything that networks which learn were seen to do, and must be passed in most samples: a warning
that comes with healthy runs is soon read by nobody.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Symptom", "symptoms"]

FEWEST_SAMPLES = 3
VANISHED, EXPLODED = 1e-4, 1e3  # of the last layer's gradient
LARGE_GRADIENT = 1e3  # for a loss of which the trivial answer costs 1
MOST_DEAD, MOST_SATURATED = 0.8, 0.5
FROZEN, LARGE_UPDATE = 1e-6, 0.1

Records = Sequence[Mapping[str, Any]]
Figures = dict[str, float]
"""Of each layer that has it, in the order of the network."""
Ill = list[tuple[str, float]]
"""Layers with their figure, the worst first."""

CALMER = "a lower learning rate (--set optimizer.lr=...)"
NORMS = "a norm (--set net.norm=layer, or batch)"
RESIDUAL = "residual connections (--net tab_resnet for tables, resnet for pictures)"
FASTER = "a higher learning rate (--set optimizer.lr=..., or auto)"
RESCALED = "an optimizer that rescales gradients (--set optimizer.name=adamw)"
LEAKY = "an activation that lets negative numbers through (--set net.activation=leaky_relu)"
RECTIFIED = "relu in place of sigmoid or tanh (--set net.activation=relu)"
STARTED = "the usual first weights (--set net.initialization=he, or xavier for sigmoid and tanh)"


@dataclass(frozen=True)
class Symptom:
    """Something that ails a network.

    Attributes:
        layer: where it is worst.
        name: what it is called: vanishing, exploding, dying, saturated, frozen, or large updates.
        words: a sentence that says it all, and what may help.
    """

    layer: str
    name: str
    words: str


def symptoms(records: Records) -> tuple[Symptom, ...]:
    """What ails a network, the worst layer of each symptom; nothing where there are too few samples to tell.

    Args:
        records: lines of ``depths.jsonl``, in order.
    """
    if len(records) < FEWEST_SAMPLES:
        return ()
    late = records[len(records) // 2 :]
    checks = (_gradients(records), _useless_units(late), _updates(records))
    return tuple(symptom for found in checks for symptom in found)


def _gradients(records: Records) -> Iterator[Symptom]:
    gradients = _typical(records, "gradient", moved=True)
    if not gradients:
        return
    last = list(gradients.values())[-1]
    shares = {layer: gradient / last for layer, gradient in gradients.items()}
    vanished, exploded = _below(shares, VANISHED), _above(shares, EXPLODED)
    yield from _told("vanishing", vanished, "its gradient is {:.0e} of the last layer's", NORMS, RESIDUAL, RECTIFIED)
    remedies = (CALMER, NORMS, "clipping (--set training.clip_norm=1)", STARTED)
    if exploded:
        yield from _told("exploding", exploded, "its gradient is {:.0e} times the last layer's", *remedies)
    else:
        large = _above(gradients, LARGE_GRADIENT)
        yield from _told("exploding", large, "the norm of its gradient is {:.0e}", *remedies)


def _useless_units(records: Records) -> Iterator[Symptom]:
    dead = _above(_typical(records, "dead"), MOST_DEAD)
    yield from _told("dying", dead, "{:.0%} of its units are silent in every row", CALMER, LEAKY, NORMS)
    saturated = _above(_typical(records, "saturated"), MOST_SATURATED)
    saying = "{:.0%} of its units stand at a bound in every row"
    yield from _told("saturated", saturated, saying, NORMS, STARTED, RECTIFIED)


def _updates(records: Records) -> Iterator[Symptom]:
    moves, saying = _typical(records, "update", moved=True), "a step moves its weights by {:.0e} of what they are"
    yield from _told("frozen", _below(moves, FROZEN), saying, FASTER, RESCALED)
    yield from _told("large updates", _above(moves, LARGE_UPDATE), saying, CALMER)


def _told(name: str, ill: Ill, saying: str, *remedies: str) -> Iterator[Symptom]:
    """One symptom, of the worst layer; none where none is ill."""
    if ill:
        (layer, figure), *rest = ill
        others = f" (and {len(rest)} more)" if rest else ""
        yield Symptom(layer, name, f"{layer}{others}: {saying.format(figure)}: {name}; try {_either(remedies)}")


def _below(figures: Figures, bound: float) -> Ill:
    return sorted((item for item in figures.items() if item[1] < bound), key=lambda item: item[1])


def _above(figures: Figures, bound: float) -> Ill:
    return sorted((item for item in figures.items() if item[1] > bound), key=lambda item: -item[1])


def _typical(records: Records, figure: str, *, moved: bool = False) -> Figures:
    """The median of a figure, of the layers that have it.

    Args:
        records: what is looked at.
        figure: which.
        moved: whether only samples count in which the layer had a gradient: the vector of a missing number has none
            where the batch lacks none.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        for layer, figures in record["layers"].items():
            if figures[figure] is not None and (figures["gradient"] > 0 or not moved):
                found.setdefault(layer, []).append(figures[figure])
    return {layer: statistics.median(values) for layer, values in found.items()}


def _either(remedies: Sequence[str]) -> str:
    return remedies[0] if len(remedies) == 1 else f"{', '.join(remedies[:-1])}, or {remedies[-1]}"
