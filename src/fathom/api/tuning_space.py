"""What a study varies: which net, its options, the optimizer's, the batch; read from the registries."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from fathom.api.fitting import layout_for
from fathom.api.tuning_options import Dimension, Suggest, Tuned, tuned
from fathom.api.wishes import with_wishes
from fathom.config import Config
from fathom.errors import ConfigError, unknown_name
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.layout import Layout
from fathom.model import SKILL
from fathom.nets import NETS
from fathom.registry import Choice, Option, Range, Registry, options_of
from fathom.schema import Schema
from fathom.training import OPTIMIZERS, SCHEDULES
from fathom.training.engine import Trainer
from fathom.training.plan import SMALLEST_BATCH, usual_batch_size

__all__ = ["Place", "Space", "as_said", "space_for"]

NUMBER = "number"
# What is searched without a word beside nets and their sizes: what pays within a few dozen trials.
USUAL = {
    "net": ("hidden", "channels", "dense", "blocks", "width", "depth", "dropout"),
    "optimizer": ("lr", "weight_decay"),
    "training": ("batch_size",),
    "head": ("label_smoothing",),
}
NAMED_BY_TRAINING: dict[str, Registry] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class Place:
    """Where a thing is chosen by name, and the options of each that may stand there.

    Attributes:
        name: as ``--set`` calls it: "net", "nets.number", "optimizer"; "training" and "head" hold options alone.
        paths: where its choice stands in a config; none for the engine's own options.
        base: what stands there where nothing is tuned.
        chooser: which of several stands there, or None where that is settled.
        options: each name to its options that are searched, and how.
    """

    name: str
    paths: tuple[tuple[str, ...], ...]
    base: Choice
    chooser: Dimension | None
    options: Mapping[str, Mapping[str, Tuned]]

    def named(self) -> Iterator[str]:
        """Whatever is searched here, as a person names it, each option once."""
        if self.chooser is not None:
            yield self.name
        yield from dict.fromkeys(f"{self.name}.{option}" for searched in self.options.values() for option in searched)

    def drawn(self, suggest: Suggest) -> Choice:
        """What stands here, from a value for each axis that has a say."""
        name = self.base.name if self.chooser is None else str(suggest(self.chooser))
        before = self.base.options if name == self.base.name else {}
        values = {option: how.value(suggest) for option, how in self.options.get(name, {}).items()}
        return Choice(name, {**before, **values})


@dataclass(frozen=True)
class Space:
    """All that a study varies.

    Attributes:
        said: the config of a run in which nothing is tuned, as plain data.
        places: where something varies.
    """

    said: Mapping[str, Any]
    places: tuple[Place, ...]

    @property
    def names(self) -> list[str]:
        """Whatever is varied, as ``--space`` has it."""
        return [key for place in self.places for key in place.named()]

    def config(self, suggest: Suggest) -> dict[str, Any]:
        """The config of one trial, which holds what differs from the defaults."""
        config = copy.deepcopy(dict(self.said))
        for place in self.places:
            choice = place.drawn(suggest)
            for *outer, last in place.paths:
                table = config
                for key in outer:
                    table = table.setdefault(key, {})
                table[last] = choice.plain()
            if not place.paths:
                config["training"] = {**config.get("training", {}), **choice.options}
        return config

    def plain(self) -> dict[str, Any]:
        """The config of the defaults, with a word for all that varies; None where that is not known beforehand."""
        return self.config(lambda axis: axis.default if axis.default is not None or not axis.whole else _default(axis))

    def starts(self) -> list[dict[str, Any]]:
        """Values to begin with: the defaults, then those of each other net."""
        starts = [self._defaults({})]
        for place in self.places:
            if place.name == "net" and place.chooser is not None:
                others = [name for name in place.chooser.choices if name != place.base.name]
                starts += [self._defaults({place.chooser.key: name}) for name in others]
        return starts

    def _defaults(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}

        def take(dimension: Dimension) -> Any:
            value = chosen.get(dimension.key, dimension.default)
            if value is not None:
                values[dimension.key] = value
                return value
            return _default(dimension)

        self.config(take)
        return values


def _default(dimension: Dimension) -> Any:
    if dimension.default is not None:
        return dimension.default
    return dimension.choices[0] if dimension.choices else dimension.low


def as_said(asked: Config) -> dict[str, Any]:
    """What a config says beside the defaults, as plain data of which ``Config.of`` makes the same."""
    default = Config()
    return {
        item.name: _plain(getattr(asked, item.name))
        for item in fields(Config)
        if getattr(asked, item.name) != getattr(default, item.name)
    }


def space_for(schema: Schema, asked: Config, rows: int, names: Iterable[str] = ()) -> Space:
    """What is varied for a network on these columns.

    Args:
        schema: fitted on the training rows.
        asked: what is said is kept, unless ``names`` has it.
        rows: how many rows are learned from.
        names: what to vary, as ``--space`` has it: "net", "net.hidden", "optimizer.lr=1e-4..1e-2"; none takes what
            pays within a few dozen trials.

    Raises:
        ConfigError: a name is unknown, or says values that the option cannot have.
    """
    wanted = dict(_wanted(name) for name in names)
    places = _places(schema, asked, rows, wanted)
    every = [key for place in places for key in _known(place)]
    for name in wanted:
        if name not in every:
            raise ConfigError(unknown_name("name in the space:", name, dict.fromkeys(every)))
        if asked.monitor == SKILL and name.startswith("head."):
            raise ConfigError(
                f"{name} changes the loss by which skill is measured; have a metric judge (--set monitor=log_loss)"
            )
    found = [place for place in (_narrowed(place, asked, wanted) for place in places) if any(place.named())]
    left = [key for place in found for key in _known(place)]
    for name in wanted:
        if name not in left:
            owner = name.rpartition(".")[0]
            raise ConfigError(f"{name} in the space has a say only where {owner} is chosen; add what chooses it")
    if not found:
        raise ConfigError(f"nothing is left to tune; name something with --space (allowed: {', '.join(every[:12])})")
    return Space(as_said(asked), tuple(found))


def _wanted(name: str) -> tuple[str, str | None]:
    key, given, values = name.partition("=")
    return key.strip(), values.strip() if given else None


def _places(schema: Schema, asked: Config, rows: int, wanted: Mapping[str, str | None]) -> list[Place]:
    """Every place with all that can be varied there."""
    layout = layout_for(schema, asked, rows)
    asked = with_wishes(asked, layout)
    trainer = options_of(Trainer)
    found = [_net_place(schema, asked, layout, rows, wanted), *_entry_places(schema, asked, layout, wanted)]
    for name, registry in NAMED_BY_TRAINING.items():
        base = asked.training.get(name, trainer[name].default)
        found.append(_place(name, (("training", name),), base, registry.names(), registry, wanted))
    training = {name: option for name, option in trainer.items() if name not in NAMED_BY_TRAINING}
    batch = asked.training.get("batch_size") or usual_batch_size(rows)
    # Batches below the smallest that is ever chosen take long, and gain nothing.
    smallest = Range(min(batch, SMALLEST_BATCH), rows, log=True)
    training["batch_size"] = replace(training["batch_size"], range=smallest)
    own = Choice("", {**asked.training, "batch_size": batch})
    found.append(Place("training", (), Choice(""), None, {"": _searched("training", "", training, own, wanted)}))
    return found + _head_places(layout, wanted)


def _net_place(schema: Schema, asked: Config, layout: Layout, rows: int, wanted: Mapping[str, str | None]) -> Place:
    """The net that ``--net`` would name: that of the first kind with a net of its own, else the one on all columns."""
    inputs = schema.inputs()
    main = next((key for key, (kind, _) in inputs.items() if KINDS.get(kind).facts.get("net")), None)
    place = "vector" if main is None else inputs[main][0]
    base = layout.body if main is None else layout.branches[main][-1]
    if base is None:  # one branch alone
        base = next(iter(layout.branches.values()))[-1]
    path = ("nets", place) if place in asked.nets else ("net",)
    settled = place in asked.nets or (asked.net is not None and "net" not in wanted)
    names = [base.name] if settled else [name for name in _fitting(schema, asked, place, rows) if name != base.name]
    return _place("net", (path,), base, [base.name, *names] if not settled else names, NETS, wanted)


def _fitting(schema: Schema, asked: Config, place: str, rows: int) -> list[str]:
    """The nets that could stand there and have something to vary."""
    found = []
    for net in NETS:
        aside = place != "vector" and net.facts["takes"] == "vector"  # a picture is not taken apart into numbers
        if net.facts.get("entry") or aside or not net.options:
            continue
        try:
            layout = layout_for(schema, Config.of({**as_said(asked), "net": net.name}), rows)
        except ConfigError:
            continue
        needs = {HEADS.get(head.name).facts["needs"] for head in layout.heads.values()}
        standing = [choice.name for choice in [*_last(layout), layout.body] if choice is not None]
        if net.name in standing and needs <= set(net.facts["gives"]):
            found.append(net.name)
    return found


def _last(layout: Layout) -> list[Choice]:
    return [chain[-1] for chain in layout.branches.values()]


def _entry_places(schema: Schema, asked: Config, layout: Layout, wanted: Mapping[str, str | None]) -> list[Place]:
    """How numbers come in, where they do and each kind comes in by an entry."""
    kinds = {kind: key for key, (kind, _) in schema.inputs().items()}
    if NUMBER not in kinds or any(KINDS.get(kind).facts.get("net") for kind in kinds):
        return []
    base = layout.branches[kinds[NUMBER]][-1]
    gives = NETS.get(base.name).facts["gives"]
    names = [net.name for net in NETS if net.facts.get("entry") and net.facts["takes"] == NUMBER]
    names = [name for name in names if NETS.get(name).facts["gives"] == gives] if NUMBER not in asked.nets else []
    return [_place(f"nets.{NUMBER}", (("nets", NUMBER),), base, names or [base.name], NETS, wanted)]


def _head_places(layout: Layout, wanted: Mapping[str, str | None]) -> list[Place]:
    """Each head, under one name."""
    found = []
    for name in dict.fromkeys(head.name for head in layout.heads.values()):
        targets = [target for target, head in layout.heads.items() if head.name == name]
        base = layout.heads[targets[0]]
        found.append(_place("head", tuple(("heads", target) for target in targets), base, [name], HEADS, wanted))
    return found


def _place(
    name: str,
    paths: tuple[tuple[str, ...], ...],
    base: Choice,
    names: Iterable[str],
    registry: Registry,
    wanted: Mapping[str, str | None],
) -> Place:
    values = wanted.get(name)
    choices = tuple(names) if values is None else tuple(word.strip() for word in values.split("|"))
    for word in choices:
        registry.get(word)
    start = base.name if base.name in choices else None
    chooser = Dimension(name, start, choices=choices) if len(choices) > 1 else None
    options = {
        choice: _searched(
            name, choice, registry.get(choice).options, base if choice == base.name else Choice(choice), wanted
        )
        for choice in dict.fromkeys((base.name, *choices))
    }
    return Place(name, paths, base, chooser, options)


def _searched(
    place: str, name: str, options: Mapping[str, Option], base: Choice, wanted: Mapping[str, str | None]
) -> dict[str, Tuned]:
    """Every option that can be searched, each under the key ``place.name.option``."""
    found = {}
    for option in options.values():
        full = ".".join(filter(None, (place, name, option.name)))
        said = wanted.get(full) or wanted.get(f"{place}.{option.name}")
        how = tuned(full, option, base.options.get(option.name, option.default), said)
        if how is not None:
            found[option.name] = how
    return found


def _known(place: Place) -> list[str]:
    """Whatever ``--space`` may name here: an option of every thing in the place, or of one."""
    own = [f"{place.name}.{name}.{option}" for name, searched in place.options.items() if name for option in searched]
    return [*place.named(), *own]


def _narrowed(place: Place, asked: Config, wanted: Mapping[str, str | None]) -> Place:
    """The place with what was wanted, or with what is usual where nothing was named."""
    if wanted:
        chooser = place.chooser if place.name in wanted else None
        chosen = {
            name: {
                option: how
                for option, how in searched.items()
                if {f"{place.name}.{option}", f"{place.name}.{name}.{option}"} & wanted.keys()
            }
            for name, searched in place.options.items()
        }
    else:
        chooser = place.chooser if place.name in ("net", f"nets.{NUMBER}") else None
        chosen = {
            name: {option: how for option, how in searched.items() if _usual(place, name, option, how, asked)}
            for name, searched in place.options.items()
        }
    kept = chosen if chooser is not None else {place.base.name: chosen[place.base.name]}
    return Place(place.name, place.paths, place.base, chooser, kept)


def _usual(place: Place, name: str, option: str, how: Tuned, asked: Config) -> bool:
    """Whether an option is varied without a word: it is in a list, or a size or rate of a net that nobody set."""
    if place.name == "training":
        return option in USUAL["training"] and not asked.training.get(option)
    if option in _set_by_hand(place, asked):
        return False
    if place.name == "head":
        # Skill is measured by the head's own loss: what changes that is judged by a metric, or not at all.
        return option in USUAL["head"] and asked.monitor != SKILL
    if place.name not in USUAL or how.base in (0, ()):
        return False
    known = set(USUAL[place.name]) & place.options[name].keys()
    # Of a net that has none of the usual sizes whatever is a number is one.
    return option in known or (not known and (how.form != "plain" or not how.dimensions[0].choices))


def _set_by_hand(place: Place, asked: Config) -> set[str]:
    """The options that were said, and that stay so."""
    choices = [asked.net, asked.head, *asked.nets.values(), *asked.heads.values()]
    choices += [value for value in asked.training.values() if isinstance(value, Choice)]
    return {
        option for choice in choices if choice is not None and choice.name in _names(place) for option in choice.options
    }


def _names(place: Place) -> tuple[str, ...]:
    return (place.base.name, "default")


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return {"name": value.name, **{key: _plain(item) for key, item in value.options.items()}}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
