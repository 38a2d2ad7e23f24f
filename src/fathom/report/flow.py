"""The network as a drawing shows it: what comes in, the nets that it passes, where they meet, and the heads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from fathom.ensemble import Apart
from fathom.heads import HEADS
from fathom.model import Model
from fathom.nets import NETS
from fathom.registry import Choice
from fathom.report.words import titled
from fathom.signals import Role, is_packed
from fathom.specs import SignalSpec
from fathom.trust.layers import Layer, layers_of

__all__ = ["Branch", "Flow", "Stage", "flow_of"]

PLACE = re.compile(r"(?:networks\.\d+\.)?(branches\.\d+\.nets\.\d+|body|heads\.\d+)(?:\.|$)")


@dataclass(frozen=True)
class Stage:
    """A net or a head.

    Attributes:
        name: as it is registered.
        about: for a head, its target.
        options: its options with their values, in words.
        gives: the shape of what it gives, in words.
        layers: those of its layers that hold parameters, of the first member where members are apart.
        parameters: how many it holds, those of all members.
        operations: floating-point operations for one row, of all members.
    """

    name: str
    about: str
    options: str
    gives: str
    layers: tuple[Layer, ...]
    parameters: int
    operations: int


@dataclass(frozen=True)
class Branch:
    """One input tensor and the nets that it passes, one after another."""

    kind: str
    columns: tuple[str, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Flow:
    """A whole network.

    Attributes:
        branches: one for each input tensor.
        fused: what the branches give together, in words; empty where there is but one.
        body: the net on all of them together, if there is one.
        heads: one for each target.
        layers: all layers.
        members: how many such networks answer together.
        parameters: how many there are in all.
        operations: floating-point operations for one row, in all.
    """

    branches: tuple[Branch, ...]
    fused: str
    body: Stage | None
    heads: tuple[Stage, ...]
    layers: tuple[Layer, ...]
    members: int
    parameters: int
    operations: int


def flow_of(model: Model) -> Flow:
    """A model's network, taken apart."""
    layers, layout = layers_of(model), model.layout
    network: Any = model.network.networks[0] if isinstance(model.network, Apart) else model.network
    by_place = _by_place(layers)
    branches = []
    for k, (key, chain) in enumerate(layout.branches.items()):
        nets = network.branches[k].nets
        stages = [
            _stage(NETS.explicit(choice), by_place.get(f"branches.{k}.nets.{j}", ()), _gives(nets[j].gives))
            for j, choice in enumerate(chain)
        ]
        kind, columns = _columns(model, key)
        branches.append(Branch(kind, columns, tuple(stages)))
    body = None
    if layout.body is not None:
        body = _stage(NETS.explicit(layout.body), by_place.get("body", ()), _gives(network.body.gives))
    heads = tuple(
        _stage(HEADS.explicit(choice), by_place.get(f"heads.{k}", ()), "", titled(name))
        for k, (name, choice) in enumerate(layout.heads.items())
    )
    return Flow(
        tuple(branches),
        _fused([chain.gives for chain in network.branches]),
        body,
        heads,
        layers,
        layout.members,
        _count(model.network),
        sum(layer.operations or 0 for layer in layers),
    )


def _by_place(layers: Sequence[Layer]) -> dict[str, tuple[Layer, ...]]:
    """The layers of each net and head, in all members."""
    found: dict[str, tuple[Layer, ...]] = {}
    for layer in layers:
        place = PLACE.match(layer.name)
        if place is not None:
            found[place[1]] = (*found.get(place[1], ()), layer)
    return found


def _stage(choice: Mapping[str, Any], layers: Sequence[Layer], gives: str, about: str = "") -> Stage:
    options = ", ".join(f"{key} {_plain(value)}" for key, value in choice.items() if key != "name")
    learning = [layer for layer in layers if layer.parameters]
    first = learning[0].name.partition(".branches")[0] if learning else ""
    apart = first.startswith("networks.")
    shown = [layer for layer in learning if not apart or layer.name.startswith("networks.0.")]
    return Stage(
        str(choice["name"]),
        about,
        options,
        gives,
        tuple(shown),
        sum(layer.parameters for layer in layers),
        sum(layer.operations or 0 for layer in layers),
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name"))
    if isinstance(value, Choice):
        return value.name
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _columns(model: Model, key: str) -> tuple[str, tuple[str, ...]]:
    """The kind of an input tensor, and the columns that travel in it."""
    kind = model.schema.inputs()[key][0]
    names = [
        column.name
        for column in model.schema.of_role(Role.INPUT)
        if (column.kind.name == key.removeprefix("pack/") if is_packed(key) else key == f"input/{column.name}")
    ]
    return kind, tuple(names)


def _gives(spec: SignalSpec) -> str:
    """``vector (40)``, ``tokens (T, 32)``, ``maps (64, 128 channels)``: what flows on, for one row of one member."""
    parts = {
        "vector": f"vector ({spec.width:,})",
        "tokens": f"tokens (T, {spec.width:,})",
        "maps": f"maps ({', '.join(str(channels) for channels, _ in spec.maps)} channels)",
    }
    return ", ".join(parts[part] for part in spec.gives)


def _fused(specs: Sequence[SignalSpec]) -> str:
    if len(specs) < 2:
        return ""
    width = sum(spec.width for spec in specs if "vector" in spec.gives)
    return f"vector ({width:,})" if width else f"tokens (T, {specs[0].width:,})"


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
