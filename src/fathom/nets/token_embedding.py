"""Tokens of a text as vectors."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn

from fathom.nets import NETS
from fathom.nets.dropout import Dropout
from fathom.registry import Range
from fathom.signals import Ragged, Signal, SignalSpec, TextSpec

__all__ = ["FOR_RECURRENT", "SMALL", "TokenEmbedding", "TokenTable"]

SMALL = 0.02  # the deviation of a Transformer's first embeddings (Devlin et al. 2019; Radford et al. 2019)
FOR_RECURRENT = 0.1  # from smaller ones, layers that norm nothing learn little for hundreds of steps


class TokenTable(nn.Embedding):
    """A learned vector for each token; tables of the same tokenizer and width may be one.

    Args:
        spec: of the texts.
        width: of a vector.
        deviation: of its numbers at their start.
    """

    def __init__(self, spec: TextSpec, width: int, deviation: float = SMALL) -> None:
        super().__init__(spec.size, width)
        nn.init.normal_(self.weight, std=deviation)
        self.tokenizer = spec.tokenizer

    def shares_with(self, other: TokenTable) -> bool:
        """Whether both tables stand for the same tokens and have one shape."""
        return bool(self.tokenizer) and self.tokenizer == other.tokenizer and self.weight.shape == other.weight.shape


@NETS.register(
    "embedding",
    takes="text",
    gives=("tokens",),
    entry=True,
    exempt={"export": "how many tokens the longest text of a batch has is not known beforehand"},
)
class TokenEmbedding(nn.Module):
    """Each token as a learned vector, and what is learned of the column it stands in.

    Args:
        spec: of the texts.
        width: of a vector.
        dropout: share of the vectors' numbers that are silenced while training.
        deviation: of the vectors' numbers at their start; nets that norm nothing, as an LSTM, learn from larger ones.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        width: Annotated[int, Range(4, 4096, log=True)] = 128,
        dropout: Annotated[float, Range(0, 0.95)] = 0.0,
        deviation: Annotated[float, Range(1e-3, 1, log=True)] = SMALL,
    ) -> None:
        super().__init__()
        self.table = TokenTable(spec, width, deviation)
        self.column = nn.Parameter(torch.zeros(width))
        self.dropout = Dropout(dropout)
        self.gives = SignalSpec(width, ("tokens",))

    def forward(self, text: Ragged) -> Signal:
        """text, B ragged rows of T tokens at most, to tokens (B, T, width) and a mask (B, T), None if all have T."""
        vectors = Ragged(self.dropout(self.table(text.values) + self.column), text.offsets)
        tokens, mask = vectors.padded()
        # Nets are spared a mask that leaves nothing out; a graph knows no lengths.
        whole = not torch.compiler.is_compiling() and 0 < len(text.values) == mask.numel()
        return Signal(tokens=tokens, mask=None if whole else mask)
