"""Several networks that differ in their first weights, trained on the same batches and answering together.

Where all that learns are layers of rows, members are stacked: one network, one pass. Otherwise they stay apart.

Source: deep ensembles (Lakshminarayanan et al. 2017), without their adversarial examples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fathom.heads import HEADS
from fathom.layout import Layout, Specs
from fathom.nets import NETS
from fathom.nets.first_layer import FirstLayer
from fathom.nets.stacked import can_stack, stack_layers
from fathom.network import Network, steeper
from fathom.registry import Choice
from fathom.signals import Batch, Loss, Prediction, Signal

__all__ = ["Apart", "built_network", "joined_weights", "member_weights"]

Weights = Mapping[str, Tensor]


class Apart(nn.Module):
    """Members that are computed one after another: what a ``Network`` is to the engine, the model and whoever asks.

    Args:
        networks: of one layout.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        first = networks[0]
        self.gives = replace(first.gives, members=len(networks) * first.gives.members)
        self.head_names, self.whole_batch = first.head_names, first.whole_batch
        self._places = {f"member {k}": k for k in range(len(networks))}

    @property
    def heads(self) -> nn.ModuleList:
        """Those of the first member."""
        return self._members[0].heads

    @property
    def altered(self) -> frozenset[str]:
        """Inputs that augmentation alters in each batch."""
        return self._members[0].altered

    @altered.setter
    def altered(self, keys: frozenset[str]) -> None:
        for member in self._members:
            member.altered = keys

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Each member is a part, with an optimizer of its own."""
        return {name: list(self._members[place].parameters()) for name, place in self._places.items()}

    def forward(self, batch: Batch) -> Signal:
        """The members' vectors, (M·B, D)."""
        vectors = [vector for member in self._members if (vector := member(batch).vector) is not None]
        return Signal(vector=torch.cat(vectors), members=self.gives.members)

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        """Each head's loss: a member's share of the mean, with its own gradient, or of any other part the mean."""
        count = len(self._members)
        if part in self._places:
            losses = self._members[self._places[part]].loss(batch, part)
            return {name: loss._replace(total=steeper(loss.total / count, count)) for name, loss in losses.items()}
        found = [member.loss(batch, part) for member in self._members]
        totals = {name: torch.stack([losses[name].total for losses in found]).mean() for name in found[0]}
        return {name: loss._replace(total=totals[name]) for name, loss in found[0].items()}

    def weigh(self, batch: Batch, part: str) -> dict[str, Tensor]:
        """Each head's weight in a batch, which is the same for every member."""
        return self._members[0].weigh(batch, part)

    def prepared(self, tensors: Batch) -> Batch:
        """The tensors of all rows, with what entries that learn nothing make of them."""
        return self._members[0].prepared(tensors)

    def predict(
        self, batch: Batch, heads: Collection[str] | None = None, *, measured: bool = False
    ) -> dict[str, Prediction]:
        """Each head's prediction, the mean over members, of classes that of their probabilities."""
        found = [member.predict(batch, heads, measured=measured) for member in self._members]
        by_name: dict[str, Any] = dict(zip(self.head_names, self.heads, strict=True))
        return {name: by_name[name].combined([answers[name] for answers in found]) for name in found[0]}

    def trivial(self, rows: int) -> dict[str, Prediction]:
        """What each head would answer without looking at the input, where it has such an answer."""
        return self._members[0].trivial(rows)

    def first_layer(self) -> FirstLayer:
        """The first matrices of all members, each of which may keep other columns; see ``Network.first_layer``."""
        layers = [member.first_layer() for member in self._members]
        return replace(layers[0], weights=tuple(weight for layer in layers for weight in layer.weights))

    @property
    def _members(self) -> list[Network]:
        return list(self.networks)  # type: ignore[arg-type]


def built_network(inputs: Specs, targets: Specs, layout: Layout) -> Network | Apart:
    """The network of a layout, or as many as it has members, stacked where that can be done.

    Args:
        inputs: kind and spec of each input tensor.
        targets: kind and spec of each target.
        layout: which nets and heads, and how many members.
    """
    if layout.members == 1:
        return Network(inputs, targets, layout)
    networks = [Network(inputs, targets, layout) for _ in range(layout.members)]
    if layout.apart or not _can_be_stacked(networks[0], layout):
        return Apart(networks)
    stack_layers(networks)
    networks[0].become_stack(layout.members)
    return networks[0]


def member_weights(network: nn.Module) -> list[dict[str, Tensor]]:
    """A copy of the weights of each member, as a network alone has them."""
    if isinstance(network, Apart):
        return [weights for member in network.networks for weights in member_weights(member)]
    assert isinstance(network, Network)
    held = {name: value.clone() for name, value in network.state_dict().items()}
    if network.members == 1:
        return [held]
    return [{name: _of_member(value, k) for name, value in held.items()} for k in range(network.members)]


def joined_weights(network: nn.Module, members: Sequence[Weights]) -> dict[str, Tensor]:
    """The weights of a network of several members, from those that ``member_weights`` tells of each."""
    if isinstance(network, Apart):
        return {f"networks.{k}.{name}": value for k, own in enumerate(members) for name, value in own.items()}
    names = members[0]
    if len(members) == 1:
        return dict(names)
    stacked = [name for name, value in names.items() if value.dim()]  # a count of batches is one for all
    return {**names, **{name: torch.stack([own[name] for own in members]) for name in stacked}}


def _of_member(value: Tensor, member: int) -> Tensor:
    return value[member] if value.dim() else value


def _can_be_stacked(network: Network, layout: Layout) -> bool:
    """Whether all that learns says that it calls its layers as modules, and is made of such as can be stacked."""
    if not layout.branches or network.gives.members > 1:
        return False
    used: list[tuple[Choice, nn.Module]] = []
    for chain, choices in zip(network.branches, layout.branches.values(), strict=True):
        used += zip(choices, chain.nets, strict=True)  # type: ignore[arg-type]
    if layout.body is not None and network.body is not None:
        used.append((layout.body, network.body))
    facts = [NETS.get(choice.name).facts for choice, net in used if next(net.parameters(), None) is not None]
    facts += [HEADS.get(head.name).facts for head in layout.heads.values()]
    return all(found.get("stacks") for found in facts) and can_stack(network)
