"""Encoders → fusion → heads: one nn.Module, built from specs and a layout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, unknown_name
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.nets import NETS
from fathom.registry import Choice, Entry
from fathom.signals import (
    WEIGHT,
    Batch,
    Loss,
    Prediction,
    Ragged,
    Signal,
    SignalSpec,
    batch_size,
    beside_key,
    entered_key,
    target_key,
)

__all__ = ["DEFAULT", "Layout", "Network", "choose_layout"]

DEFAULT_BODY = "mlp"
DEFAULT = "default"  # the name of a choice of which only options are given
SIGNAL_PARTS = ("vector", "tokens", "maps")
PREPARED_NUMBERS = 100_000_000  # an input that would take more numbers than this is entered batch by batch
ROWS_AT_ONCE = 8192

Specs = Mapping[str, tuple[str, Any]]
"""A tensor's or target's name to the name of its kind and its spec."""


@dataclass(frozen=True)
class Layout:
    """The nets and heads of a network, by name and options: what rebuilds it, beside the specs.

    Attributes:
        branches: for each input tensor the nets that it passes, one after another.
        body: the net on the joined vectors of all branches, or None where one branch goes straight to the heads.
        heads: for each target (or, with no target, each input tensor to be rebuilt) its head.
    """

    branches: Mapping[str, tuple[Choice, ...]]
    body: Choice | None
    heads: Mapping[str, Choice]

    def state(self) -> dict[str, Any]:
        """This layout as JSON, every default written out."""
        return {
            "branches": {key: [NETS.explicit(net) for net in chain] for key, chain in self.branches.items()},
            "body": None if self.body is None else NETS.explicit(self.body),
            "heads": {name: HEADS.explicit(head) for name, head in self.heads.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        branches = {key: tuple(map(NETS.checked, chain)) for key, chain in state["branches"].items()}
        body = None if state["body"] is None else NETS.checked(state["body"])
        return cls(branches, body, {name: HEADS.checked(head) for name, head in state["heads"].items()})


def choose_layout(
    inputs: Specs,
    targets: Specs,
    *,
    net: Choice | None = None,
    nets: Mapping[str, Choice] | None = None,
    heads: Mapping[str, Choice] | None = None,
) -> Layout:
    """Join nets and heads by what they take, give and need.

    Args:
        inputs: the input tensors of a batch.
        targets: the target columns; with none, every input is rebuilt.
        net: a net that goes where what it takes is found; one that takes a vector stands on all inputs as they are.
        nets: a net for each kind, or under "vector" the one on the joined vectors.
        heads: a head for each target, where it is not its kind's default.

    Raises:
        ConfigError: a name that does not exist, or nets and heads that do not fit.
    """
    chosen = {place: _named(net, _default_net(place)) for place, net in (nets or {}).items()}
    net = None if net is None else _named(net, _default_net(_main_place(inputs)))
    allowed = {*(kind for kind, _ in inputs.values()), *SIGNAL_PARTS}
    for place in chosen:
        if place not in allowed:
            raise ConfigError(unknown_name("place for a net:", place, sorted(allowed)))
    plain = False  # whether the branches stay as they are, because the net that was named stands on all of them
    head_net = None
    if net is not None:
        entry = NETS.get(net.name)
        plain = entry.facts["takes"] == "vector" and not nets
        if not inputs:
            head_net = net
        else:
            chosen |= dict.fromkeys(_places(entry, inputs), net)
    branches = {key: _chain(kind, chosen, plain=plain) for key, (kind, _) in inputs.items()}
    raw = any(NETS.get(chain[-1].name).facts.get("entry") for chain in branches.values())
    body = chosen.get("vector", Choice(DEFAULT_BODY) if raw or len(branches) > 1 else None)
    answered = {name: _head(name, kind, dict(heads or {}), head_net) for name, (kind, _) in targets.items()}
    for name in heads or {}:
        if name not in targets:
            raise ConfigError(unknown_name("target", name, targets))
    if not targets:
        answered = {key: Choice(_part_of(kind, "rebuild")) for key, (kind, _) in inputs.items()}
    if head_net is not None and all(head.options.get("net") != head_net for head in answered.values()):
        raise ConfigError(f"net {head_net.name!r} has no place: nothing comes in, and no head here holds a net")
    return Layout(branches, None if body is None else NETS.checked(body), answered)


class Network(nn.Module):
    """A network from the tensors of a batch to losses and predictions.

    Args:
        inputs: kind and spec of each input tensor.
        targets: kind and spec of each target.
        layout: which nets and heads.
    """

    def __init__(self, inputs: Specs, targets: Specs, layout: Layout) -> None:
        super().__init__()
        self.input_keys = tuple(layout.branches)
        self.branches = nn.ModuleList(_Chain(layout.branches[key], inputs[key][1]) for key in self.input_keys)
        state = _joined_spec([chain.gives for chain in self.branches])  # type: ignore[misc]
        self.body = None if layout.body is None else NETS.build(layout.body, state)
        self._body_takes = None if layout.body is None else NETS.get(layout.body.name).facts["takes"]
        if self.body is not None:
            state = _beyond_body(self.body.gives, state)
        self.gives: SignalSpec = state
        self._maps_pass_by = self.body is not None and bool(state.maps) and not self.body.gives.maps
        self.head_names = tuple(layout.heads)
        self.target_keys = tuple(target_key(name) if name in targets else name for name in layout.heads)
        specs = {**inputs, **targets}
        self.heads = nn.ModuleList(_built_head(layout.heads[name], state, specs[name][1]) for name in self.head_names)
        self.whole_batch = any(HEADS.get(head.name).facts.get("whole_batch") for head in layout.heads.values())

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """One part, trained by one optimizer: all parameters."""
        return {"network": list(self.parameters())}

    def forward(self, batch: Batch) -> Signal:
        """The state on which the heads stand, from the input tensors of a batch."""
        signals = [
            chain(batch.get(key), batch.get(entered_key(key)), batch.get(beside_key(key, "size")))
            for key, chain in zip(self.input_keys, self.branches, strict=True)
        ]
        signal = _joined(signals) if signals else self._nothing(batch)
        if self.body is None:
            return signal
        given = _passed(self.body, self._body_takes, signal)
        return replace(given, maps=signal.maps) if self._maps_pass_by else given

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        """Each head's loss, in units that make the heads' losses, each over its baseline, add up to their mean."""
        signal, weight = self(batch), batch.get(WEIGHT)
        return {
            name: head.loss(signal, batch[key], weight)._replace(unit=unit) for name, key, head, unit in self._answering
        }

    def weigh(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Each head's weight in a batch, as ``loss`` returns it, known from the targets alone."""
        weight, members = batch.get(WEIGHT), self.gives.members
        return {name: head.weigh_members(batch[key], weight, members) for name, key, head, _ in self._answering}

    def prepared(self, tensors: Batch) -> Batch:
        """The tensors of all rows, with what entries that learn nothing make of them: once, not every epoch."""
        ready = dict(tensors)
        for key, chain in zip(self.input_keys, self.branches, strict=True):
            assert isinstance(chain, _Chain)
            value = tensors[key]
            if chain.learns_at_entry or isinstance(value, Ragged) or len(value) * chain.entry_width > PREPARED_NUMBERS:
                continue
            with torch.no_grad():
                ready[entered_key(key)] = torch.cat([chain.entry(rows).vector for rows in value.split(ROWS_AT_ONCE)])
            if key not in self.target_keys:
                del ready[key]
        return ready

    def _nothing(self, batch: Batch) -> Signal:
        """What flows where nothing comes in: a vector of width 0, which tells a head how many rows to answer."""
        return Signal(vector=next(self.parameters()).new_zeros(batch_size(batch), 0))

    @property
    def _answering(self) -> list[tuple[str, str, Any, float]]:
        """Each head with the name of its answer, that of its target in a batch, and the unit of its loss."""
        heads: list[Any] = list(self.heads)
        units = [head.baseline_loss * len(heads) for head in heads]
        return list(zip(self.head_names, self.target_keys, heads, units, strict=True))

    def predict(self, batch: Batch, heads: Collection[str] | None = None) -> dict[str, Prediction]:
        """Each head's prediction, or that of the heads named, by the name of its target."""
        signal = self(batch)
        wanted = self.head_names if heads is None else heads
        return {name: head.predict(signal) for name, _, head, _ in self._answering if name in wanted}

    def trivial(self, rows: int) -> dict[str, Prediction]:
        """What each head would answer without looking at the input, where it has such an answer."""
        answers = {name: head.trivial(rows) for name, _, head, _ in self._answering}
        return {name: answer for name, answer in answers.items() if answer is not None}


class _Chain(nn.Module):
    """The nets that one input passes, the first of which takes its tensor and each other a part of a Signal."""

    def __init__(self, choices: tuple[Choice, ...], spec: Any) -> None:
        super().__init__()
        nets: list[Any] = []
        for choice in choices:
            nets.append(NETS.build(choice, nets[-1].gives if nets else spec))
        self.nets = nn.ModuleList(nets)
        self._takes = [NETS.get(choice.name).facts["takes"] for choice in choices]
        self._first_is_entry = bool(NETS.get(choices[0].name).facts.get("entry"))
        self.gives: SignalSpec = nets[-1].gives

    @property
    def entry(self) -> Any:
        return self.nets[0]

    @property
    def learns_at_entry(self) -> bool:
        """Whether the first net is more than a fixed function from its tensor to a vector."""
        plain = self._first_is_entry and self.entry.gives.gives == ("vector",)
        return not plain or next(self.entry.parameters(), None) is not None

    @property
    def entry_width(self) -> int:
        return int(self.entry.gives.width)

    def forward(self, value: Tensor | Ragged | None, entered: Tensor | None, frame: Tensor | None) -> Signal:
        """One input's signal.

        Args:
            value: a tensor of the input's kind, (B, ...); None where ``entered`` is given.
            entered: (B, D), what the entry makes of it, where that was computed before.
            frame: (B, 2), the size of the picture it came from.
        """
        signal: Signal = self.entry(value) if entered is None else Signal(vector=entered)
        for net, takes in zip(list(self.nets)[1:], self._takes[1:], strict=True):
            signal = _passed(net, takes, signal)
        return signal if frame is None else replace(signal, frame=frame)


def _places(entry: Entry, inputs: Specs) -> list[str]:
    """Where a net fits: kinds that it takes itself or behind an entry, or the joined vectors."""
    takes = entry.facts["takes"]
    if takes == "vector":
        return ["vector"]
    kinds = {kind for kind, _ in inputs.values()}
    fitting = [kind for kind in kinds if takes == kind or _entry_giving(kind, takes) is not None]
    if not fitting:
        others = sorted(other.name for other in NETS if other.facts["takes"] in (*kinds, "vector"))
        raise ConfigError(
            f"net {entry.name!r} takes {takes}, which the data does not hold (nets that fit: {', '.join(others)})"
        )
    return fitting


def _named(choice: Choice, default: str) -> Choice:
    """A choice of which only options were given, as one of the default."""
    return Choice(default, choice.options) if choice.name == DEFAULT else choice


def _main_place(inputs: Specs) -> str:
    """Where a net is that is not named: the kind of the first input that has a net of its own, else on all of them."""
    return next((kind for kind, _ in inputs.values() if KINDS.get(kind).facts.get("net")), "vector")


def _default_net(place: str) -> str:
    if place in SIGNAL_PARTS:
        return DEFAULT_BODY
    return str(KINDS.get(place).facts.get("net") or _part_of(place, "entry"))


def _part_of(kind: str, fact: str) -> str:
    """The net or head that a kind names for a place in the network.

    Raises:
        ConfigError: the kind cannot have that place.
    """
    name = KINDS.get(kind).facts.get(fact)
    if name is None:
        place = {"entry": "come in", "head": "be asked for", "rebuild": "be rebuilt"}[fact]
        raise ConfigError(f"columns of kind {kind!r} cannot {place}; give them another role")
    return str(name)


def _chain(kind: str, chosen: Mapping[str, Choice], *, plain: bool) -> tuple[Choice, ...]:
    """The nets that a tensor of a kind passes: the one that was named, or the kind's own."""
    choice = NETS.checked(chosen.get(kind) or Choice(_part_of(kind, "entry") if plain else _default_net(kind)))
    takes = NETS.get(choice.name).facts["takes"]
    if takes == kind:
        return (choice,)
    entry = _entry_giving(kind, takes)
    if entry is None:
        fitting = sorted(other.name for other in NETS if other.facts["takes"] == kind)
        raise ConfigError(f"net {choice.name!r} takes {takes}, not {kind} (nets that do: {', '.join(fitting)})")
    return (Choice(entry), choice)


def _entry_giving(kind: str, part: str) -> str | None:
    """The name of an entry that brings a kind's tensor into the form of a part of a Signal."""
    found = (net.name for net in NETS if net.facts.get("entry") and net.facts["takes"] == kind)
    return next((name for name in found if part in NETS.get(name).facts["gives"]), None)


def _head(name: str, kind: str, heads: dict[str, Choice], net: Choice | None) -> Choice:
    default = _part_of(kind, "head")
    choice = HEADS.checked(_named(heads.get(name) or Choice(default), default))
    entry = HEADS.get(choice.name)
    if entry.facts["target"] != kind:
        fitting = sorted(head.name for head in HEADS if head.facts["target"] == kind)
        raise ConfigError(
            f"head {choice.name!r} answers {entry.facts['target']}, but {name!r} is of kind {kind} "
            f"(heads that fit: {', '.join(fitting)})"
        )
    if net is not None and "net" in entry.options and "net" not in choice.options:
        return HEADS.checked(Choice(choice.name, {**choice.options, "net": net}))
    return choice


def _built_head(choice: Choice, state: SignalSpec, spec: Any) -> nn.Module:
    needs = HEADS.get(choice.name).facts["needs"]
    if needs is not None and needs not in state.gives:
        fitting = sorted(
            net.name for net in NETS if needs in net.facts["gives"] and net.facts["takes"] not in SIGNAL_PARTS
        )
        raise ConfigError(
            f"head {choice.name!r} needs {needs}, which this network does not give it "
            f"(nets that give them: {', '.join(fitting) or 'none'})"
        )
    head: nn.Module = HEADS.build(choice, state, spec)
    return head


def _passed(net: nn.Module, takes: str | None, signal: Signal) -> Signal:
    """A signal through a net that takes one part of it."""
    if takes == "vector":
        given = net(signal.vector)
    elif takes == "tokens":
        given = net(signal.tokens, signal.mask)
    else:
        given = net(signal.maps)
    if signal.members == 1 and signal.frame is None:
        return given
    return replace(given, members=given.members * signal.members, frame=signal.frame)


def _beyond_body(body: SignalSpec, state: SignalSpec) -> SignalSpec:
    """What heads stand on behind a body: what it gives, and the maps, which pass it by if it has as many members."""
    given = replace(body, members=body.members * state.members)
    if "maps" not in state.gives or "maps" in body.gives or body.members > 1:
        return given
    return replace(given, gives=(*given.gives, "maps"), maps=state.maps)


def _joined(signals: list[Signal]) -> Signal:
    """The signals of all branches as one: vectors side by side; maps and tokens of the first that has them."""
    if len(signals) == 1:
        return signals[0]
    members = max(signal.members for signal in signals)
    signals = [signal.repeated(members) for signal in signals]
    vectors = [signal.vector for signal in signals if signal.vector is not None]
    tokens = next((signal for signal in signals if signal.tokens is not None), Signal())
    maps = next((signal for signal in signals if signal.maps), Signal())
    vector = torch.cat(vectors, dim=1) if vectors else None
    return Signal(vector, tokens.tokens, tokens.mask, maps.maps, members, maps.frame)


def _joined_spec(specs: list[SignalSpec]) -> SignalSpec:
    if len(specs) == 1:
        return specs[0]
    return SignalSpec(
        width=sum(spec.width for spec in specs if "vector" in spec.gives),
        gives=tuple(part for part in SIGNAL_PARTS if any(part in spec.gives for spec in specs)),
        maps=next((spec.maps for spec in specs if spec.maps), ()),
        members=max((spec.members for spec in specs), default=1),
    )
