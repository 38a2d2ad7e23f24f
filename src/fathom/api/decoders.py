"""A language model as what reads: its decoder's blocks are those of a transformer that looks back alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fathom.heads import HEADS
from fathom.layout import Layout
from fathom.registry import Choice
from fathom.signals import input_key

__all__ = ["TABLE", "decoder_of", "reading_layout", "reading_weights"]

GELU = {"name": "gelu", "approximate": "tanh"}
OF_GPT = {"positions": "learned", "activation": GELU, "expansion": 4.0}  # what a ``gpt`` is and has no options for
NAMES = {
    r"blocks\.norm\.": "last.",
    r"blocks\.(blocks\.\d+)\.inside\.": r"\1.perceptron.into.",
    r"blocks\.(blocks\.\d+)\.outside\.": r"\1.perceptron.out.",
    r"blocks\.(blocks\.\d+)\.": r"\1.",
    r"places(\.table\.weight)?$": "placing.learned.table.weight",
}
"""The beginning of a decoder's weight to that of an encoder's; the first that fits."""

TABLE = "branches.0.nets.0.table.weight"


def decoder_of(layout: Layout) -> Mapping[str, Any] | None:
    """The decoder of attention of a language model, with every option; None of any other network."""
    if layout.branches or len(layout.heads) != 1:
        return None
    (head,) = layout.heads.values()
    net: Mapping[str, Any] = HEADS.explicit(head).get("net", {}) if head.name == "generate" else {}
    return net if net.get("name") in ("transformer", "gpt") else None


def reading_layout(decoder: Mapping[str, Any], column: str, width: int, length: int) -> Layout:
    """Nets that make of a text the states that the decoder makes of it.

    Args:
        decoder: what ``decoder_of`` gave.
        column: that holds the text.
        width: of the decoder's tokens.
        length: how many places it knows.
    """
    known = ("depth", "heads", "expansion", "positions", "activation")
    options = {name: decoder[name] for name in known if name in decoder}
    options |= OF_GPT if decoder["name"] == "gpt" else {}
    options |= {"activation": Choice.of(options["activation"]), "width": width, "length": length, "causal": True}
    body = Choice("transformer", options)
    return Layout({input_key(column): (Choice("embedding", {"width": width}),)}, body, {})


def reading_weights(weights: Mapping[str, Tensor], decoder: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a language model by the names of such nets.

    Args:
        weights: of which the head's are ``heads.0.*``.
        decoder: what ``decoder_of`` gave.
    """
    table = weights["heads.0.table.weight"]
    found = {TABLE: table, "branches.0.nets.0.column": table.new_zeros(table.shape[1])}
    for name, value in weights.items():
        if name.startswith("heads.0.net."):
            found[f"body.{_renamed(name.removeprefix('heads.0.net.'))}"] = value
    if decoder.get("positions") == "sinusoidal":
        found["body.placing.scale"] = torch.ones((), dtype=table.dtype)  # a decoder adds them as they are
    return found


def _renamed(name: str) -> str:
    for pattern, ours in NAMES.items():
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", ours, name)
    return name
