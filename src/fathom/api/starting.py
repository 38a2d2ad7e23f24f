"""A run that starts from another: its nets, its weights, and what its columns mean.

What a text's tokens, a picture's size or a column's scale and categories are is taken with the weights that learned
them; targets are fitted anew, but for texts, which share their tokenizer with those that come in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fathom.api.decoders import TABLE, decoder_of, reading_layout, reading_weights
from fathom.api.directory import MODEL, START
from fathom.api.published import FROM_HUB, is_published, place_in_hub, published
from fathom.column import form_of
from fathom.config import Config
from fathom.ensemble import Apart, joined_weights, member_weights
from fathom.errors import ConfigError, InputError, ModelError, listed
from fathom.kinds import KINDS
from fathom.layout import DEFAULT, DEFAULT_BODIES, Layout
from fathom.manifest import MANIFEST, as_json
from fathom.model import Model
from fathom.nets import NETS
from fathom.nets.token_embedding import TokenTable
from fathom.network import Network
from fathom.registry import Choice, options_of
from fathom.runtime import write_atomic
from fathom.schema import Column, Schema
from fathom.signals import Role, input_key, is_packed
from fathom.training.engine import Trainer

__all__ = ["Start", "start_of"]

Weights = Mapping[str, Tensor]
SAME_ANSWERS = ("values", "readings")  # of a target's state: what the outputs of its head stand for
FINE_TUNING = 5e-5  # the rate at which large pretrained weights are moved (Devlin et al. 2019, appendix A.3)
SAY_WHAT_MOVES = frozenset({"adapter", "freeze"})  # options of training by which those weights stay as they are


@dataclass(frozen=True)
class Start:
    """What a run starts from.

    Attributes:
        place: where that is, as it was named.
        schema: its columns.
        layout: its nets and heads.
        members: the weights of each of its members; none where a checkpoint of the run that starts holds them.
        tables: the names of its weights that are vectors of tokens, by what tells the tokenizer.
        rate: the learning rate that its weights want, where it is not that of the nets.
    """

    place: str
    schema: Schema
    layout: Layout
    members: Sequence[Weights] = ()
    tables: Mapping[str, str] | None = None
    rate: float | None = None

    @classmethod
    def of(cls, model: Model, place: str) -> Start:
        """What a model gives to another."""
        names = {name: table.tokenizer for name, table in _tables(model)}
        return cls(place, model.schema, model.layout, member_weights(model.network), {v: k for k, v in names.items()})

    @classmethod
    def of_published(cls, place: Path, name: str) -> Start:
        """What a checkpoint of others gives."""
        schema, layout, weights = published(place)
        tokenizer = next(iter([*schema.inputs().values(), *schema.targets().values()]))[1].tokenizer
        table = next(name for name in weights if name.endswith("table.weight") and "positions" not in name)
        return cls(name, schema, layout, (weights,), {tokenizer: table}, FINE_TUNING)

    @classmethod
    def again(cls, path: Path, place: str) -> Start:
        """What ``save`` kept.

        Raises:
            ModelError: the file is not as it was written.
        """
        try:
            tree = json.loads(path.read_text())
            schema, layout = Schema.from_state(tree["columns"]), Layout.from_state(tree["layout"])
            return cls(place, schema, layout, rate=None if (rate := tree.get("rate")) is None else float(rate))
        except InputError:
            raise
        except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not as fathom writes it ({error!r:.200})") from error

    def save(self, path: Path) -> None:
        """Keep all but the weights, so that a run that is taken up again needs nothing else."""
        write_atomic(path, as_json({"layout": self.layout.state(), "columns": self.schema.state(), "rate": self.rate}))

    def reading(self, schema: Schema) -> Start:
        """The same, or, of a language model where texts come in and none is asked for, its decoder as what reads."""
        decoder = decoder_of(self.layout)
        given, asked = ({column.kind.name for column in schema.of_role(role)} for role in (Role.INPUT, Role.TARGET))
        if decoder is None or not self.members or "text" not in given or "text" in asked:
            return self
        (column,) = self.schema.of_role(Role.TARGET)
        assert column.fitted is not None
        kind: Any = column.fitted
        weights = tuple(reading_weights(member, decoder) for member in self.members)
        layout = reading_layout(decoder, column.name, weights[0][TABLE].shape[1], kind.length)
        read = Schema((replace(column, role=Role.INPUT),))
        return Start(self.place, read, layout, weights, {kind.spec.tokenizer: TABLE}, self.rate)

    def given_to(self, schema: Schema) -> Schema:
        """Columns, not yet fitted, some of them with what those of this run are fitted to.

        Raises:
            ConfigError: an option was named of which that is not.
        """
        return Schema(tuple(self._continued(column) for column in schema.columns))

    def named(self, schema: Schema, asked: Config) -> Config:
        """The same, with the nets, the heads and the learning rate of this run where none was named."""
        kinds = {form_of(column) for column in schema.of_role(Role.INPUT)}
        own = {kind: Choice.of(net) for kind, net in self.layout.named(self.schema.inputs()).items()}
        own = {place: net for place, net in own.items() if place in kinds or place in DEFAULT_BODIES}
        net = asked.net
        if net is not None and net.name == DEFAULT and own:  # options of the net that is taken
            place = next((place for place in DEFAULT_BODIES if place in own), next(iter(own)))
            own[place], net = Choice(own[place].name, {**own[place].options, **net.options}), None
        on_all = net is not None and net.name in NETS.names() and NETS.get(net.name).facts["takes"] in DEFAULT_BODIES
        if on_all or not set(DEFAULT_BODIES).isdisjoint(asked.nets):
            own = {place: choice for place, choice in own.items() if place not in DEFAULT_BODIES}
        named = {place: _over(own.get(place), choice) for place, choice in asked.nets.items()}
        heads = {**self._heads(schema, asked), **asked.heads}
        return replace(asked, net=net, nets={**own, **named}, heads=heads, training=self._training(asked))

    def fill(self, model: Model) -> str:
        """Give a network the weights of the same name and shape.

        Returns:
            Which they were, in a line.

        Raises:
            ModelError: none is.
        """
        own = member_weights(model.network)
        names = self._names(model)
        found = []
        for number, weights in enumerate(own):
            theirs = self.members[number % len(self.members)]
            found.append({name: _taken(value, theirs.get(names.get(name, ""))) for name, value in weights.items()})
        first = {name: value for name, value in found[0].items() if value is not own[0][name]}
        if not first:
            raise ModelError(
                f"nothing of {self.place} fits this network: no weight of the same name has the same shape "
                f"(it has {listed(self.members[0], 3)}; here there are {listed(own[0], 3)})"
            )
        model.network.load_state_dict(joined_weights(model.network, found))
        return _words(self.place, first, own[0], model.network)

    def _continued(self, column: Column) -> Column:
        earlier = self._like(column)
        if earlier is None or earlier.fitted is None:
            return column
        facts = KINDS.get(column.kind.name).facts
        before = KINDS.explicit(earlier.kind)
        for name in facts.get("made_by", ()):
            if column.kind.options.get(name, before[name]) != before[name]:
                raise ConfigError(
                    f"column {column.name!r}: {name} = {column.kind.options[name]!r} was named, but {self.place} has "
                    f"{before[name]!r}, which its weights rely on; leave it out"
                )
        alone = facts.get("alone", {})
        options = {name: value for name, value in earlier.kind.options.items() if name not in alone}
        kind = Choice(column.kind.name, {**options, **column.kind.options})
        state = {name: value for name, value in earlier.fitted.state.items() if name not in facts.get("own", ())}
        return replace(column, kind=kind, fitted=KINDS.build(kind, state), fixed=True)

    def _like(self, column: Column) -> Column | None:
        """The column of this run whose meaning a new one has."""
        facts = KINDS.get(column.kind.name).facts
        roles = [Role.INPUT, Role.TARGET] if facts.get("shared") else [Role.INPUT]
        if column.role not in roles:
            return None
        alike = [other for other in self.schema.of_role(*roles) if other.kind.name == column.kind.name]
        named = [other for other in alike if other.name == column.name]
        return next(iter(named or ([] if column.packed else alike)), None)

    def _heads(self, schema: Schema, asked: Config) -> dict[str, Choice]:
        """The heads of this run for targets that are like its own, or with none for inputs that are."""
        if asked.head is not None:
            return {}
        targets = schema.of_role(Role.TARGET)
        theirs = {column.name: column for column in self.schema.of_role(Role.TARGET)}
        likes = {column.name: theirs.get(column.name) or self._like(column) for column in targets}
        alike = {c.name: like.name for c in targets if (like := likes[c.name]) and like.kind.name == c.kind.name}
        return {name: self.layout.heads[like] for name, like in alike.items() if like in self.layout.heads}

    def _training(self, asked: Config) -> Mapping[str, Any]:
        """What was asked of the training, with this run's rate."""
        usual: Choice = options_of(Trainer)["optimizer"].default
        named: Choice = asked.training.get("optimizer", usual)
        if self.rate is None or named.name != usual.name or not SAY_WHAT_MOVES.isdisjoint(asked.training):
            return asked.training
        return {**asked.training, "optimizer": Choice(named.name, {"lr": self.rate, **named.options})}

    def _names(self, model: Model) -> dict[str, str]:
        """The name of each weight of a network to that of the one of this run in the same place."""
        branches = self._branches(model.schema)
        numbers = {key: number for number, key in enumerate(self.layout.branches)}
        heads = {name: number for number, name in enumerate(self.layout.heads)}
        bodies = [net and net.options.get("causal", False) for net in (model.layout.body, self.layout.body)]
        places = {"body": "body"} if bodies[0] == bodies[1] else {}  # what looks back alone means something else
        for number, key in enumerate(model.layout.branches):
            if key in branches:
                places[f"branches.{number}"] = f"branches.{numbers[branches[key]]}"
        for number, name in enumerate(model.layout.heads):
            if (like := self._answering(name, model.schema, branches)) in heads:
                places[f"heads.{number}"] = f"heads.{heads[like]}"
        found = {name: moved for name in member_weights(model.network)[0] if (moved := _moved(name, places))}
        tables = {name: (self.tables or {}).get(table.tokenizer) for name, table in _tables(model)}
        return {**{name: place for name, place in tables.items() if place}, **found}

    def _branches(self, schema: Schema) -> dict[str, str]:
        """Each input of a network to that of this run that it is like."""
        packs = {key: key for key in schema.inputs() if is_packed(key) and key in self.schema.inputs()}
        alone = [column for column in schema.of_role(Role.INPUT) if not column.packed]
        likes = [(column, self._like(column)) for column in alone]
        known = self.layout.branches
        pairs = {input_key(column.name): input_key(like.name) for column, like in likes if like is not None}
        return packs | {key: like for key, like in pairs.items() if like in known}

    def _answering(self, name: str, schema: Schema, branches: Mapping[str, str]) -> str:
        """The head of this run whose answers stand for the same; nothing where there is none."""
        targets = {column.name: column for column in schema.of_role(Role.TARGET)}
        if name not in targets:
            return branches.get(name, "")
        mine = targets[name]
        if mine.fixed:  # a text, of the same tokens
            like = self._like(mine)
            return "" if like is None else like.name
        theirs = next((other for other in self.schema.of_role(Role.TARGET) if other.name == name), None)
        if theirs is None or theirs.kind.name != mine.kind.name or mine.fitted is None or theirs.fitted is None:
            return ""
        same = all(mine.fitted.state.get(key) == theirs.fitted.state.get(key) for key in SAME_ANSWERS)
        return name if same else ""


def start_of(asked: Config, directory: Path | None = None) -> Start | None:
    """What a run was asked to start from, if anything.

    Args:
        asked: the run.
        directory: of a run that is taken up again: what its checkpoint holds is not read a second time.

    Raises:
        ModelError: it cannot be loaded.
    """
    if asked.start is None:
        return None
    if directory is not None and (directory / START).exists() and (directory / "checkpoints").exists():
        return Start.again(directory / START, asked.start)
    place = place_in_hub(asked.start.removeprefix(FROM_HUB)) if asked.start.startswith(FROM_HUB) else Path(asked.start)
    if is_published(place):
        return Start.of_published(place, asked.start)
    return Start.of(Model.load(place if (place / MANIFEST).is_file() else place / MODEL), asked.start)


def _tables(model: Model) -> list[tuple[str, TokenTable]]:
    network = model.network
    modules = network.named_modules() if isinstance(network, Network) else ()
    return [(f"{name}.weight", module) for name, module in modules if isinstance(module, TokenTable)]


def _over(before: Choice | None, named: Choice) -> Choice:
    """A choice of which only options were named, as one of what is taken."""
    if before is None or named.name != DEFAULT:
        return named
    return Choice(before.name, {**before.options, **named.options})


def _moved(name: str, places: Mapping[str, str]) -> str | None:
    """A weight's name in another network, by where its part stands there."""
    for here, there in places.items():
        if name.startswith(f"{here}."):
            return there + name[len(here) :]
    return None


def _taken(own: Tensor, other: Tensor | None) -> Tensor:
    return own if other is None or other.shape != own.shape else other.to(own.dtype)


def _words(place: str, taken: Weights, own: Weights, network: nn.Module) -> str:
    first = network.networks[0] if isinstance(network, Apart) else network
    tied = dict(first.named_parameters(remove_duplicate=False)).keys() - dict(first.named_parameters()).keys()
    distinct = [name for name in own if name not in tied]
    here = [name for name in distinct if name in taken]
    rest = [".".join(name.split(".")[:2]) for name in distinct if name not in taken]
    numbers = (sum(own[name].numel() for name in names) for names in (here, distinct))
    words = " of ".join(f"{number:,}" for number in numbers)
    new = f"; new: {listed(dict.fromkeys(rest))}" if rest else ""
    return f"taken from {place}: {len(here)} of {len(distinct)} tensors ({words} numbers){new}"
