"""What the tokens of a sentence ask of one another, computed again for this sentence alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fathom.heads.generate import Generate
from fathom.heads.writing import Writer
from fathom.model import Model
from fathom.nets.attention import CrossAttention, SelfAttention
from fathom.nets.decoder_recurrent import AdditiveAttention
from fathom.network import Network
from fathom.signals import Batch, Ragged, Signal, target_key
from fathom.trust.sentences import MOST_TOKENS, Sentence, first_member, label_of, pieces_of, resting, text_columns

__all__ = ["Attention", "Part", "attention_of"]

Part = Literal["encoder", "decoder", "crossing"]


@dataclass(frozen=True)
class Attention:
    """What the tokens of a sentence ask in one layer.

    Attributes:
        layer: its name in the network.
        part: who asks whom: the tokens that come in each other, those told those before, or those coming in.
        asking: the Q tokens that ask, as they are read; of those that cross, what is told by it.
        asked: the T tokens that are asked.
        shares: (heads, Q, T) how much each takes of each.
    """

    layer: str
    part: Part
    asking: tuple[str, ...]
    asked: tuple[str, ...]
    shares: np.ndarray


def attention_of(model: Model, sentence: Sentence) -> list[Attention]:
    """Every attention of a model's network, of an ensemble the first member's, in the order in which it is computed.

    A decoder that has something to ask tells its own likeliest answer; a language model the sentence.

    Args:
        model: whose network it is.
        sentence: passes it.
    """
    network, found = first_member(model), dict[str, list[Tensor]]()
    with resting(network), torch.inference_mode():
        told = {name: _told(head, network(sentence.batch), sentence.batch, name) for name, head in _writing(network)}
        with ExitStack() as hooks:
            for name, module in network.named_modules():
                if isinstance(module, SelfAttention | CrossAttention | AdditiveAttention):
                    hooks.callback(module.register_forward_hook(_keeping(found, name)).remove)
            signal = network(sentence.batch)
            for name, head in _writing(network):
                head.loss(signal, told[name], None)
    return [
        _named(model, network, sentence, told, layer, _joined(network.get_submodule(layer), parts))
        for layer, parts in found.items()
    ]


def _writing(network: Network) -> list[tuple[str, Generate]]:
    pairs = zip(network.head_names, network.heads, strict=True)
    return [(name, head) for name, head in pairs if isinstance(head, Generate)]


def _told(head: Generate, signal: Signal, batch: Batch, name: str) -> Ragged:
    """The text that a head tells, one row of begin, tokens, end."""
    if not head.asks:
        own = batch[target_key(name)]
        assert isinstance(own, Ragged)
        return own
    first, end = head.begun(1), head.spec.end
    writer = Writer(head.teller(signal, 1, MOST_TOKENS), first, end=end, never=head.never)
    written = [first.flatten().cpu()]
    while len(written) < MOST_TOKENS - 1 and not writer.ended.all():
        written.append(writer.step())
    if not writer.ended.all():
        written.append(torch.tensor([end]))
    row = Ragged.of([torch.cat(written)])
    return Ragged(row.values.to(first.device), row.offsets.to(first.device))


def _keeping(found: dict[str, list[Tensor]], name: str) -> Callable[..., None]:
    def keep(module: Any, given: tuple[Any, ...], output: Tensor) -> None:
        found.setdefault(name, []).append(module.shares(*given[:3])[0])

    return keep


def _joined(module: nn.Module, parts: list[Tensor]) -> np.ndarray:
    """(heads, Q, T) of what was kept: all at once, or of additive attention one token after another."""
    shares = torch.stack(parts).unsqueeze(0) if isinstance(module, AdditiveAttention) else parts[0]
    found: np.ndarray = shares.float().cpu().numpy()
    return found


def _named(
    model: Model, network: Network, sentence: Sentence, told: dict[str, Ragged], layer: str, shares: np.ndarray
) -> Attention:
    asking, asked = shares.shape[1:]
    if not layer.startswith("heads."):
        return Attention(layer, "encoder", *(label_of(network, sentence, layer, asked),) * 2, shares)
    name = network.head_names[int(layer.split(".")[1])]
    pieces = pieces_of(text_columns(model)[target_key(name)], told[name].values)
    if isinstance(network.get_submodule(layer), SelfAttention):
        return Attention(layer, "decoder", *(pieces[:asking],) * 2, shares)
    return Attention(layer, "crossing", pieces[1 : 1 + asking], label_of(network, sentence, "body", asked), shares)
