"""What a decoder is: a net that tells one token after another, inside a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from fathom.nets.token_embedding import SMALL

__all__ = ["WIDTH", "Decoder", "DecoderSpec", "Memory", "Written"]

WIDTH = 128
"""Of tokens where neither an option nor what comes in says it."""


@dataclass(frozen=True)
class DecoderSpec:
    """What a decoder is built from.

    Attributes:
        length: the most tokens of a row that it learns from.
        memory: width of the tokens that come in, or None where nothing does.
    """

    length: int
    memory: int | None = None


class Memory(NamedTuple):
    """What a decoder may ask: the tokens of an encoder.

    Attributes:
        tokens: (B, S, D).
        mask: (B, S) bool, true where a token stands, or None where all do.
    """

    tokens: Tensor
    mask: Tensor | None


class Written(Protocol):
    """What a decoder keeps of the tokens so far, and of its memory, so that each further one costs the same."""

    def select(self, rows: Tensor) -> None:
        """Keep the rows named by (B,) int64, in that order, some perhaps more than once."""


class Decoder(nn.Module, ABC):
    """Built from what stands around it: ``Decoder(spec, *, options)``.

    Token t of what it gives depends on tokens up to t alone, so that a whole row is learned from at once; ``step``
    gives the same one piece after another.

    Attributes:
        width: D of the tokens that it takes and gives.
        window: the most tokens that it looks at together, or None where it looks at all that ever were.
        deviation: of the numbers in the table of tokens at its start.
    """

    width: int
    window: int | None
    deviation: float = SMALL

    @abstractmethod
    def forward(self, tokens: Tensor, memory: Memory | None) -> Tensor:
        """tokens (B, T, D) from the first on, at least one, to (B, T, D)."""

    @abstractmethod
    def start(self, rows: int, memory: Memory | None, capacity: int) -> Written:
        """What ``step`` goes on from, before the first token of each row; it is asked for ``capacity`` at most."""

    @abstractmethod
    def step(self, tokens: Tensor, written: Written) -> Tensor:
        """Further tokens (B, T, D), at least one, which ``written`` takes up, to (B, T, D)."""


def usual_dropout(spec: DecoderSpec) -> float:
    """The dropout of a decoder of attention where none is named."""
    return 0.0 if spec.memory is None else 0.1
