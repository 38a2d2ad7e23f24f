"""What a recurrent net does along a sentence: how far its gates open, and how far back its gradient reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fathom.heads.generate import Generate
from fathom.model import Model
from fathom.nets.cells import elman_step, gru_step, lstm_step, unrolled, weights_of
from fathom.nets.decoder_recurrent import GRUDecoder, LSTMDecoder
from fathom.nets.recurrent import GRU, LSTM, RNN, Recurrent
from fathom.network import Network
from fathom.runtime import seed_from
from fathom.signals import SignalSpec, target_key
from fathom.trust.sentences import Sentence, first_member, label_of, resting

__all__ = ["Gates", "Reach", "gates_of", "reach", "reaches_of"]

STEPS: Mapping[type[nn.RNNBase], Callable[..., Any]] = {nn.RNN: elman_step, nn.LSTM: lstm_step, nn.GRU: gru_step}
DIRECTIONS = 16  # along which a gradient is taken
FRESH: Mapping[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}  # what stands beside


@dataclass(frozen=True)
class Gates:
    """The first layer of a recurrent net along a sentence, as it reads onward.

    Attributes:
        layer: the net's name in the network.
        tokens: as they are read.
        gates: each gate's mean over its units, in 0 to 1, at each token.
        memory: the norm of what it remembers behind each token: an LSTM's cell, else the state.
    """

    layer: str
    tokens: tuple[str, ...]
    gates: Mapping[str, tuple[float, ...]]
    memory: tuple[float, ...]


@dataclass(frozen=True)
class Reach:
    """How much the last state of a recurrent layer depends on the token k places before it.

    Attributes:
        net: what it is called: "rnn", "lstm" or "gru".
        learned: whether it is the network's own; else one as wide, as it starts, on the same tokens.
        norms: of the gradient, for k from 0; the mean of the logarithms over sentences.
    """

    net: str
    learned: bool
    norms: tuple[float, ...]


@dataclass(frozen=True)
class _Reading:
    """Tokens (1, T, D) as they come to torch's layer of a net, and which of them are there."""

    name: str
    layer: nn.RNNBase
    tokens: Tensor
    mask: Tensor | None

    @property
    def there(self) -> Tensor:
        """The tokens that are there, (1, T, D)."""
        return self.tokens if self.mask is None else self.tokens[:, self.mask[0]]


def gates_of(model: Model, sentence: Sentence) -> Gates | None:
    """The gates along a sentence; None where no net reads token after token.

    Args:
        model: of an ensemble the first member is looked at, of several such nets the first.
        sentence: passes it.
    """
    network = first_member(model)
    reading = _reading(network, sentence)
    if reading is None or not reading.there.shape[1]:
        return None
    with torch.inference_mode():
        steps = unrolled(STEPS[type(reading.layer)], reading.there, weights_of(reading.layer))._asdict()
    means = {name: _plain(value[0].mean(1)) for name, value in steps.items() if name.endswith("gate")}
    memory = _plain(steps.get("cell", steps["hidden"])[0].norm(dim=1))
    return Gates(reading.name, _labels(network, sentence, reading), means, memory)


def reaches_of(model: Model, sentences: Sequence[Sentence]) -> list[Reach]:
    """How far back the first recurrent layer of a network learns, as it reads onward; beside it others at their start.

    Args:
        model: of an ensemble the first member is looked at, of several recurrent nets the first.
        sentences: over which the mean is taken; the shortest says for how many places.

    Returns:
        Of its own layer, then of each sort of layer as it starts; nothing where no net reads token after token.
    """
    network = first_member(model)
    readings = [found for sentence in sentences if (found := _reading(network, sentence)) is not None]
    texts = [reading.there for reading in readings]
    if not min((text.shape[1] for text in texts), default=0):
        return []
    own = readings[0].layer
    fresh = {name: _fresh(kind, own) for name, kind in FRESH.items()}
    return [
        Reach(type(own).__name__.lower(), True, _mean_reach(own, texts)),
        *(Reach(name, False, _mean_reach(layer, texts)) for name, layer in fresh.items()),
    ]


def _fresh(kind: type[Recurrent], like: nn.RNNBase) -> nn.RNNBase:
    """A layer of another sort, as wide as one that has learned, as it starts."""
    weight = next(like.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from("fresh"))
        net = kind(SignalSpec(like.input_size, ("tokens",)), width=like.hidden_size, both=False)
    layer: Any = net.layers[0]
    return layer.to(weight)


def _mean_reach(layer: nn.RNNBase, texts: Sequence[Tensor]) -> tuple[float, ...]:
    shortest = min(text.shape[1] for text in texts)
    rows = [reach(layer, text)[:shortest] for text in texts]
    return _plain(torch.stack(rows).clamp(min=1e-30).log().mean(0).exp())


def reach(layer: nn.RNNBase, tokens: Tensor) -> Tensor:
    """The norm of the gradient of a layer's last state by each token, the last first.

    It is the root of the mean square over random directions of the state, in expectation the Frobenius norm of the
    Jacobian (Hutchinson 1990).

    Args:
        layer: of torch.
        tokens: (1, T, D).

    Returns:
        (T,).
    """
    draws = torch.Generator().manual_seed(seed_from("reach"))
    along = torch.randn(DIRECTIONS, layer.hidden_size, generator=draws).to(tokens)
    with torch.enable_grad():
        copies = tokens.detach().clone().repeat(DIRECTIONS, 1, 1).requires_grad_()
        last = unrolled(STEPS[type(layer)], copies, weights_of(layer)).hidden[:, -1]
        (gradient,) = torch.autograd.grad((last * along).sum(), copies)
    return gradient.square().sum(2).mean(0).sqrt().flip(0)


def _reading(network: Network, sentence: Sentence) -> _Reading | None:
    """What the first recurrent net reads."""
    found: list[_Reading] = []
    with resting(network), torch.no_grad(), ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, Recurrent):
                hooks.callback(module.register_forward_pre_hook(_keeping(found, name)).remove)
            elif isinstance(module, LSTMDecoder | GRUDecoder) and module.attention is None:
                hooks.callback(module.first.register_forward_pre_hook(_keeping(found, name)).remove)
        signal = network(sentence.batch)
        for name, head in zip(network.head_names, network.heads, strict=True):
            if isinstance(head, Generate) and not head.asks:
                head.loss(signal, sentence.batch[target_key(name)], None)
    return found[0] if found else None


def _keeping(found: list[_Reading], name: str) -> Callable[..., None]:
    def keep(module: Any, given: tuple[Any, ...]) -> None:
        own = isinstance(module, Recurrent)
        layer, mask = (module.layers[0], given[1]) if own else (module, None)
        found.append(_Reading(name, layer, given[0], mask))

    return keep


def _labels(network: Network, sentence: Sentence, reading: _Reading) -> tuple[str, ...]:
    count = reading.there.shape[1]
    if not reading.name.startswith("heads."):
        return label_of(network, sentence, reading.name, count)
    name = network.head_names[int(reading.name.split(".")[1])]
    return sentence.pieces[target_key(name)][:count]


def _plain(values: Tensor) -> tuple[float, ...]:
    return tuple(values.float().tolist())
