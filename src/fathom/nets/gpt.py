"""GPT-2: the decoder, and how its published weights are named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import DECODERS
from fathom.nets.decoder import WIDTH, Decoder, DecoderSpec, Memory, usual_dropout
from fathom.nets.decoder_blocks import Asked, Blocks
from fathom.nets.dropout import Dropout
from fathom.registry import Choice, Range

__all__ = ["GPT", "from_gpt2"]

DEVIATION = 0.02

NAMES = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.query_key_value",
    "attn.c_proj": "attention.out",
    "ln_2": "perceptron_norm",
    "mlp.c_fc": "inside",
    "mlp.c_proj": "outside",
}
"""Each part of a published block to that of ours."""


@DECODERS.register("gpt", bfloat16=True)
class GPT(Decoder):
    """GPT-2's blocks: learned places, a norm before each part, tanh's GELU.

    Source: Radford et al. (2019, section 2.3), as published: width 768, depth 12, heads 12 is its smallest. Published
    weights fit it (``from_gpt2``). Where something comes in, each block asks it after its own tokens.

    Args:
        spec: of what stands around it.
        width: of the tokens; where it is not said, that of the tokens that come in, else 128.
        depth: how many blocks.
        heads: of each attention; they divide the width.
        dropout: share of tokens and of what each part adds that is silenced while training; as in `transformer`.
    """

    def __init__(
        self,
        spec: DecoderSpec,
        *,
        width: Annotated[int | None, Range(8, 8192, log=True)] = None,
        depth: Annotated[int, Range(1, 96, log=True)] = 4,
        heads: Annotated[int, Range(1, 128, log=True)] = 4,
        dropout: Annotated[float | None, Range(0, 0.95)] = None,
    ) -> None:
        super().__init__()
        self.width, self.window = width or spec.memory or WIDTH, spec.length
        dropout = usual_dropout(spec) if dropout is None else dropout
        gelu = Choice("gelu", {"approximate": "tanh"})
        options = {"depth": depth, "heads": heads, "inside": 4 * self.width}
        self.blocks = Blocks(self.width, spec.memory, **options, dropout=dropout, activation=gelu)
        self.places = nn.Parameter(torch.empty(spec.length, self.width))
        self.dropout = Dropout(dropout)
        self._draw(depth)

    def forward(self, tokens: Tensor, memory: Memory | None) -> Tensor:
        """tokens (B, T, width), at most as many as there are places, to (B, T, width)."""
        return self.blocks(self.dropout(tokens + self.places[: tokens.shape[1]]), memory)

    def start(self, rows: int, memory: Memory | None, capacity: int) -> Asked:
        return self.blocks.start(memory, capacity)

    def step(self, tokens: Tensor, written: Asked) -> Tensor:  # type: ignore[override]
        """Further tokens (B, T, width) to (B, T, width)."""
        first = written.length
        return self.blocks.step(self.dropout(tokens + self.places[first : first + tokens.shape[1]]), written)

    def _draw(self, depth: int) -> None:
        """The first weights, smaller where many blocks add to one sum (section 2.3)."""
        nn.init.normal_(self.places, std=DEVIATION)
        for name, parameter in self.blocks.named_parameters():
            if parameter.dim() == 2:
                adds = name.endswith(("out.weight", "outside.weight"))
                nn.init.normal_(parameter, std=DEVIATION / math.sqrt(2 * depth) if adds else DEVIATION)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


def from_gpt2(weights: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Published weights, by the names of ``transformers``, as ours.

    Args:
        weights: of a GPT-2, with or without the prefix ``transformer.``; its matrices are (in, out).

    Returns:
        The table of tokens (V, D), and the state of a ``GPT``.

    Raises:
        KeyError: a weight is not there.
    """
    known = {name.removeprefix("transformer."): value for name, value in weights.items()}
    found = {"places": known["wpe.weight"]}
    found |= {f"blocks.norm.{part}": known[f"ln_f.{part}"] for part in ("weight", "bias")}
    depth = 1 + max(int(name.split(".")[1]) for name in known if name.startswith("h."))
    for block in range(depth):
        for theirs, ours in NAMES.items():
            weight, bias = (known[f"h.{block}.{theirs}.{part}"] for part in ("weight", "bias"))
            found[f"blocks.blocks.{block}.{ours}.weight"] = weight.mT.contiguous() if weight.dim() == 2 else weight
            found[f"blocks.blocks.{block}.{ours}.bias"] = bias
    return known["wte.weight"], found
