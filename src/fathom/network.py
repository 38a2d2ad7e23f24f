"""Encoders → fusion → heads: one nn.Module, built from specs and a layout."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.fusion import joined, joined_spec, joined_tokens, joined_tokens_spec
from fathom.heads import HEADS
from fathom.layout import SIGNAL_PARTS, Layout, Specs
from fathom.nets import NETS
from fathom.nets.first_layer import FirstLayer, first_matrix
from fathom.nets.token_embedding import TokenTable
from fathom.registry import Choice
from fathom.signals import (
    Batch,
    Loss,
    Prediction,
    Ragged,
    Signal,
    SignalSpec,
    batch_size,
    beside_key,
    entered_key,
    hidden_key,
    is_packed,
    target_key,
    weighted_targets,
)

__all__ = ["Network", "steeper"]

PREPARED_NUMBERS = 100_000_000  # an input that would take more numbers than this is entered batch by batch
ROWS_AT_ONCE = 8192


class Network(nn.Module):
    """A network from the tensors of a batch to losses and predictions.

    Args:
        inputs: kind and spec of each input tensor.
        targets: kind and spec of each target.
        layout: which nets and heads.

    Attributes:
        altered: inputs that augmentation alters in each batch, so that nothing is computed of them once and for all.
    """

    altered: frozenset[str] = frozenset()

    def __init__(self, inputs: Specs, targets: Specs, layout: Layout) -> None:
        super().__init__()
        self.input_keys = tuple(layout.branches)
        self.branches = nn.ModuleList(_Chain(layout.branches[key], inputs[key][1]) for key in self.input_keys)
        self._body_takes = None if layout.body is None else NETS.get(layout.body.name).facts["takes"]
        join = joined_tokens_spec if self._body_takes == "tokens" else joined_spec
        state = join([chain.gives for chain in self.branches])  # type: ignore[misc]
        self.body = None if layout.body is None else NETS.build(layout.body, state)
        if self.body is not None:
            state = _beyond_body(self.body.gives, state)
        self.gives: SignalSpec = state
        self._maps_pass_by = self.body is not None and bool(state.maps) and not self.body.gives.maps
        self.head_names = tuple(layout.heads)
        self.target_keys = tuple(_asked_key(name, head, targets) for name, head in layout.heads.items())
        specs = {**inputs, **targets}
        self.heads = nn.ModuleList(_built_head(layout.heads[name], state, specs[name][1]) for name in self.head_names)
        _share_tables(self)
        self.whole_batch = any(HEADS.get(head.name).facts.get("whole_batch") for head in layout.heads.values())
        self._coarse = {name for name, head in layout.heads.items() if HEADS.get(head.name).facts.get("bfloat16")}
        self.members = 1  # of a stack

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """One part, trained by one optimizer: all parameters."""
        return {"network": list(self.parameters())}

    def become_stack(self, members: int) -> None:
        """Let the rows of each of ``members`` members pass, now that the layers that learn have been stacked.

        Losses are then the mean of the members', but the gradient of each is its own, as if it were alone.
        """
        for chain in self.branches:
            assert isinstance(chain, _Chain)
            chain.become_stack(members)
        self.members, self.gives = members, replace(self.gives, members=members)

    def forward(self, batch: Batch) -> Signal:
        """The state on which the heads stand, from the input tensors of a batch."""
        signals = {
            key: chain(batch.get(key), batch.get(entered_key(key)), batch.get(beside_key(key, "size")))
            for key, chain in zip(self.input_keys, self.branches, strict=True)
        }
        join = joined_tokens if self._body_takes == "tokens" else joined
        signal = join(signals) if signals else self._nothing(batch)
        if self.body is None:
            return signal
        given = _passed(self.body, self._body_takes, signal)
        return replace(given, maps=signal.maps) if self._maps_pass_by else given

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        """Each head's loss, in units that make the heads' losses, each over its baseline, add up to their mean.

        Of mixed samples it is that of their own targets and that of their partners', each by its share. Nets may be
        asked to compute in bfloat16, by ``torch.autocast``; of heads only those whose fact says that they bear it do.
        """
        signal, found = self(batch), {}
        for name, key, head, unit in self._answering:
            losses = [_loss(head, signal, *asked, name in self._coarse) for asked in weighted_targets(batch, key)]
            loss = reduce(_added, losses)._replace(unit=unit)
            found[name] = loss if self.members == 1 else loss._replace(total=steeper(loss.total, self.members))
        return found

    def weigh(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Each head's weight in a batch, as ``loss`` returns it, known from the targets alone."""
        members, found = self.gives.members, {}
        for name, key, head, _ in self._answering:
            weights = [head.weigh_members(target, weight, members) for target, weight in weighted_targets(batch, key)]
            found[name] = reduce(torch.add, weights)
        return found

    def prepared(self, tensors: Batch) -> Batch:
        """The tensors of all rows, with what entries make of them without learning: once, not every epoch."""
        ready = dict(tensors)
        for key, chain in zip(self.input_keys, self.branches, strict=True):
            assert isinstance(chain, _Chain)
            value = tensors[key]
            if key in self.altered or chain.learns_at_entry or isinstance(value, Ragged):
                continue
            if len(value) * chain.fixed_width > PREPARED_NUMBERS:
                continue
            with torch.no_grad():
                ready[entered_key(key)] = torch.cat([chain.fixed(rows) for rows in value.split(ROWS_AT_ONCE)])
            if key not in self.target_keys:
                del ready[key]
        return ready

    def first_layer(self) -> FirstLayer:
        """The matrix that meets the vector of all inputs, and which column each of its features comes of.

        Raises:
            ConfigError: there is no such matrix, or a net does not tell the columns apart.
        """
        origins: list[tuple[str, int]] = []
        columns: list[int] = []
        for key, chain in zip(self.input_keys, self.branches, strict=True):
            assert isinstance(chain, _Chain)
            places = chain.columns(key)
            columns += [len(origins) + place for place in places]
            origins += [(key, place) for place in range(max(places, default=-1) + 1)]
        body = self.body if self._body_takes == "vector" else None
        matrix = None if body is None else first_matrix(body, len(columns))
        if body is None or (matrix is None and body.gives.width != len(columns)):
            raise ConfigError("training.group_l1 needs a net that stands on all inputs as one vector (use net mlp)")
        found = [matrix] if matrix is not None else [first_matrix(head, len(columns)) for head in self.heads]
        weights = tuple(weight for weight in found if weight is not None)
        return FirstLayer(weights, torch.tensor(columns, device=weights[0].device), tuple(origins))

    def _nothing(self, batch: Batch) -> Signal:
        """What flows where nothing comes in: a vector of width 0, which tells a head how many rows to answer."""
        return Signal(vector=next(self.parameters()).new_zeros(batch_size(batch), 0))

    @property
    def _answering(self) -> list[tuple[str, str, Any, float]]:
        """Each head with the name of its answer, that of its target in a batch, and the unit of its loss."""
        named: Any = zip(self.head_names, self.target_keys, self.heads, strict=True)
        return [(name, key, head, head.baseline_loss * len(self.heads)) for name, key, head in named]

    def predict(
        self, batch: Batch, heads: Collection[str] | None = None, *, measured: bool = False
    ) -> dict[str, Prediction]:
        """Each head's prediction, or that of the heads named, by the name of its target.

        Args:
            batch: the inputs, and where it is to be ``measured`` the targets.
            heads: whose prediction is asked for; None is all.
            measured: whether it is to be what metrics take.
        """
        signal = self(batch)
        asked = [(name, key, head) for name, key, head, _ in self._answering if heads is None or name in heads]
        if measured:
            return {name: head.measured(signal, batch[key]) for name, key, head in asked}
        return {name: head.predict(signal) for name, _, head in asked}

    def trivial(self, rows: int) -> dict[str, Prediction]:
        """What each head would answer without looking at the input, where it has such an answer."""
        answers = {name: head.trivial(rows) for name, _, head, _ in self._answering}
        return {name: answer for name, answer in answers.items() if answer is not None}


def _asked_key(name: str, head: Choice, targets: Specs) -> str:
    """The batch's name for what a head is to answer: a target, an input, or what was hidden of it."""
    hides = HEADS.get(head.name).facts.get("hides")
    return target_key(name) if name in targets else hidden_key(name) if hides else name


def steeper(total: Tensor, times: int) -> Tensor:
    """The same number with ``times`` the gradient."""
    if total.requires_grad:
        total.register_hook(lambda gradient: gradient * times)
    return total


class _Chain(nn.Module):
    """The nets that one input passes, the first of which takes its tensor and each other a part of a Signal."""

    def __init__(self, choices: tuple[Choice, ...], spec: Any) -> None:
        super().__init__()
        nets: list[Any] = []
        for choice in choices:
            nets.append(NETS.build(choice, nets[-1].gives if nets else spec))
        self.nets = nn.ModuleList(nets)
        self._takes = [NETS.get(choice.name).facts["takes"] for choice in choices]
        facts = NETS.get(choices[0].name).facts
        self._first_is_entry, self._has_fixed_part = bool(facts.get("entry")), bool(facts.get("fixed"))
        self.gives: SignalSpec = nets[-1].gives
        self.members, self._learns_apart = 1, False

    @property
    def entry(self) -> Any:
        return self.nets[0]

    @property
    def learns_at_entry(self) -> bool:
        """Whether the first net has no part that is a fixed function from its tensor to a vector."""
        if self._has_fixed_part:
            return False
        plain = self._first_is_entry and self.entry.gives.gives == ("vector",)
        return not plain or next(self.entry.parameters(), None) is not None

    def fixed(self, value: Tensor) -> Tensor:
        """What the first net makes of its tensor without learning, (B, D)."""
        found: Tensor = self.entry.fixed(value) if self._has_fixed_part else self.entry(value).vector
        return found

    @property
    def fixed_width(self) -> int:
        """How many numbers a row of ``fixed`` holds; beside a learned part it is the tensor's own row, scaled."""
        return int(self.entry.gives.width)

    def become_stack(self, members: int) -> None:
        """Give the rows of each member; what learns is given them so, anything else computes them once."""
        self.members, self._learns_apart = members, next(self.parameters(), None) is not None

    def columns(self, key: str) -> tuple[int, ...]:
        """Of each feature that the input tensor ``key`` becomes, the place of its column there.

        Raises:
            ConfigError: columns travel together, and the nets do not tell them apart.
        """
        if not is_packed(key):
            return (0,) * self.gives.width
        if not self.gives.columns:
            raise ConfigError(
                f"training.group_l1 cannot tell the columns of {key!r} apart behind {type(self.nets[-1]).__name__} "
                "(name another net for that kind, as in nets.number=scale)"
            )
        return self.gives.columns

    def forward(self, value: Tensor | Ragged | None, entered: Tensor | None, frame: Tensor | None) -> Signal:
        """One input's signal.

        Args:
            value: a tensor of the input's kind, (B, ...); None where ``entered`` is given.
            entered: (B, D), what ``fixed`` makes of it, where that was computed before.
            frame: (B, 2), the size of the picture it came from.
        """
        if self._learns_apart:
            value, entered = _repeated(value, self.members), _repeated(entered, self.members)
        signal: Signal
        if entered is None:
            signal = self.entry(value)
        else:
            signal = self.entry.learned(entered) if self._has_fixed_part else Signal(vector=entered)
        for net, takes in zip(list(self.nets)[1:], self._takes[1:], strict=True):
            signal = _passed(net, takes, signal)
        if self.members > 1:
            signal = replace(signal, members=self.members) if self._learns_apart else signal.repeated(self.members)
        return signal if frame is None else replace(signal, frame=frame)


def _repeated(value: Any, members: int) -> Any:
    """An input's rows, once for each member."""
    if isinstance(value, Ragged):
        return value.select(torch.arange(len(value), device=value.offsets.device).repeat(members))
    return value if value is None else value.repeat(members, *[1] * (value.dim() - 1))


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


def _share_tables(network: nn.Module) -> None:
    """Give tables of the same tokens and shape one weight: what comes in, and what is answered."""
    tables: list[TokenTable] = []
    for module in network.modules():
        if isinstance(module, TokenTable):
            twin = next((table for table in tables if table.shares_with(module)), None)
            if twin is not None:
                module.weight = twin.weight
            tables.append(module)


def _loss(head: Any, signal: Signal, target: Tensor | Ragged, weight: Tensor | None, coarse: bool) -> Any:
    """A head's loss, in float32 whatever nets are asked to compute in, unless it may be ``coarse`` too."""
    device = next(head.parameters()).device.type
    if coarse or not torch.is_autocast_enabled(device):
        return head.loss(signal, target, weight)
    with torch.autocast(device, enabled=False):
        return head.loss(signal.float(), target, weight)


def _added(loss: Loss, other: Loss) -> Loss:
    return Loss(loss.total + other.total, loss.weight + other.weight)


def _passed(net: nn.Module, takes: str | None, signal: Signal) -> Signal:
    """A signal through a net that takes one part of it."""
    if takes == "vector":
        given = net(signal.vector)
    elif takes == "tokens":
        given = replace(net(signal.tokens, signal.mask), parts=signal.parts)
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
