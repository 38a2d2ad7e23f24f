"""Matrices of shares, and lines over tokens, as drawings whose words the templates write, and escape.

Only numbers enter what is made here. A drawing's unit is a tenth of the side of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fathom.trust.attention import Attention

__all__ = ["CELL", "Heat", "Lines", "heats", "lines_of"]

CELL = 10
LABEL = 62  # for the words beside a drawing
HEIGHT = 90  # of lines
LEVELS = 12  # of strength that are told apart
MOST_LAYERS, MOST_HEADS = 6, 8


@dataclass(frozen=True)
class Heat:
    """A matrix of shares: who asks, from above, and who is asked, from the left.

    Attributes:
        title: what it shows.
        rows: the tokens that ask.
        columns: those that are asked.
        levels: for each strength, a share of the strongest, the path of all cells that have it.
        most: the strongest share.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    levels: Sequence[tuple[float, str]]
    most: float

    @classmethod
    def of(cls, title: str, attention: Attention, shares: np.ndarray) -> Heat:
        """The heat of (Q, T) shares."""
        most = float(shares.max())
        steps = np.rint(shares / max(most, 1e-30) * LEVELS).astype(int)
        levels = [(step / LEVELS, _cells(steps == step)) for step in range(1, LEVELS + 1) if (steps == step).any()]
        return cls(title, attention.asking, attention.asked, levels, most)


@dataclass(frozen=True)
class Lines:
    """Values in 0 to 1 over tokens.

    Attributes:
        tokens: from left to right.
        lines: by name the points of each.
        most: what the last line, which is not in 0 to 1, is divided by.
    """

    tokens: Sequence[str]
    lines: Mapping[str, str]
    most: float


def heats(attentions: Sequence[Attention], part: str) -> list[Heat]:
    """What is drawn of the attentions of one part: the mean over heads of each layer, then each head of the last.

    Of more layers than MOST_LAYERS the first and the last are drawn; what crosses is drawn once, as the mean of all.
    """
    own = [one for one in attentions if one.part == part and min(one.shares.shape[1:]) > 1]
    if not own:
        return []
    if part == "crossing":
        return [Heat.of("mean of all layers and heads", own[-1], np.mean([one.shares.mean(0) for one in own], axis=0))]
    places = [place for place in range(len(own)) if min(place, len(own) - 1 - place) < MOST_LAYERS // 2]
    found = [Heat.of(f"layer {place + 1} of {len(own)}", own[place], own[place].shares.mean(0)) for place in places]
    last = own[-1]
    if len(last.shares) == 1:
        return found
    heads = enumerate(last.shares[:MOST_HEADS], 1)
    return found + [Heat.of(f"layer {len(own)}, head {number}", last, shares) for number, shares in heads]


def lines_of(tokens: Sequence[str], gates: Mapping[str, Sequence[float]], memory: Sequence[float]) -> Lines:
    """Gates, and the norm of what is remembered as a share of its largest."""
    most = max(memory, default=0.0)
    values = {**gates, "memory": [value / most if most else 0.0 for value in memory]}
    return Lines(tokens, {name: _points(line) for name, line in values.items()}, most)


def _cells(chosen: np.ndarray) -> str:
    places = np.argwhere(chosen).tolist()
    return "".join(f"M{CELL * column} {CELL * row}h{CELL}v{CELL}h-{CELL}z" for row, column in places)


def _points(values: Sequence[float]) -> str:
    return " ".join(f"{CELL * (k + 0.5):g},{HEIGHT * (1 - value):.1f}" for k, value in enumerate(values))
