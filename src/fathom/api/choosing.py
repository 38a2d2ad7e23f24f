"""net = "auto": which network a table, or pictures, get where nobody names one, and why.

The rule for tables was made on bike sharing (hours), white wine, COMPAS, bank marketing, German credit, Titanic, Adult
and California housing, by rows held out within their training rows; docs/benchmarks.md has what it does on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fathom.config import Config
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.layout import DEFAULT
from fathom.model import SKILL
from fathom.nets import NETS
from fathom.nets.convnet import SMALLEST_SIDE
from fathom.registry import Choice, options_of
from fathom.schema import Schema
from fathom.signals import ImageSpec, Role
from fathom.training import OPTIMIZERS
from fathom.training.budget import DEFAULT_SECONDS, Budget
from fathom.training.engine import Trainer

__all__ = ["Chosen", "chosen_net", "folds_for", "mixes_members", "size_for"]

NET = "tabm"
TABLE_KINDS = frozenset({"number", "category", "datetime", "multilabel"})
WIDTH, DEPTH = 256, 3
# Few rows want more dropout, less of it where numbers are asked for, whose squared errors feel it, and coarser bins.
FEW_ROWS = 5000
DROPOUT_OF_FEW, DROPOUT_OF_FEW_FOR_NUMBERS, DROPOUT = 0.3, 0.2, 0.1
# So few rows are all learned from, each by all members but one, which chooses by it: members share nothing then.
FOLDS, FEWEST_ROWS_FOLDED = 8, 64
HIDDEN_OF_FOLDS = (128, 128, 128)
COARSER = Choice("piecewise_linear", {"bins": 16, "width": 8})
# Many rows take long, and need fewer members to agree on.
MANY_ROWS, MEMBERS_OF_MANY, MEMBERS = 10_000, 4, 8
# A number becomes this many features, unless there are so many numbers that each should stay one.
FEATURES_OF_A_NUMBER, MANY_NUMBERS = 8, 256
FEATURES_OF_A_MOMENT, FEATURES_OF_LABELS, LONGEST_ONE_HOT = 10, 32, 64
# Members must not cost more than this: operations a second of a plain processor, and passes over the rows in a run.
OPERATIONS_A_SECOND, FEWEST_PASSES = 5e10, 20
OPERATIONS_A_WEIGHT = 6  # two each for the answer, the gradient of weights, that of inputs
# Pictures get twice the channels where a budget of time allows so many passes over them.
PICTURES, PICTURE_NET = "image", "convnet"
TEXTS, TEXT_NET = "text", "bag"
PASSES_FOR_MORE_CHANNELS, OPERATIONS_A_SECOND_ON_PICTURES = 30, 8e10


@dataclass(frozen=True)
class Chosen:
    """A network.

    Attributes:
        net: the net on all inputs, or None where that of the kinds stays.
        nets: a net for kinds, where it is not the one that ``net`` brings.
        why: in words.
    """

    net: Choice | None
    nets: Mapping[str, Choice]
    why: str


def chosen_net(schema: Schema, asked: Config, rows: int) -> Chosen | None:
    """The network that suits the columns, the rows and the budget; None where something else decides.

    Args:
        schema: the columns; of other kinds than those of tables and pictures, or without a target, the kinds decide.
        asked: a net or a place for one that is named decides.
        rows: how many are learned from.
    """
    inputs = schema.inputs()
    if any(kind == PICTURES for kind, _ in inputs.values()):
        return _for_pictures(schema, asked, rows)
    if any(kind == TEXTS for kind, _ in inputs.values()):
        return _for_texts(schema, asked)
    given = {} if asked.net is None else dict(asked.net.options)
    named = (asked.net is not None and asked.net.name != DEFAULT) or not {"vector", "tokens"}.isdisjoint(asked.nets)
    plain = all(kind in TABLE_KINDS for kind, _ in inputs.values())
    if named or not inputs or not plain or not schema.targets() or not given.keys() <= NETS.get(NET).options.keys():
        return None
    if asked.ensemble > 1:
        return None  # members of members: the plain perceptron is what is trained in one pass
    numbers = sum(spec.count for kind, spec in inputs.values() if kind == "number")
    plain_numbers = numbers > MANY_NUMBERS and "number" not in asked.nets
    nets = {"number": Choice("scale")} if plain_numbers else {"number": COARSER} if numbers and rows < FEW_ROWS else {}
    features = sum(_features(kind, spec, plain=plain_numbers) for kind, spec in inputs.values())
    size = size_for(rows, numbers=all(kind == "number" for kind, _ in schema.targets().values()))
    if asked.folds and not given and rows < FEW_ROWS and _in_one_pass(asked):
        why = f"{asked.folds} perceptrons, each learning from all but its own of {asked.folds} folds of {rows:,} rows"
        return Chosen(Choice("mlp", {"hidden": HIDDEN_OF_FOLDS, "dropout": size["dropout"]}), nets, why)
    why = f"{size['members']} perceptrons of width {size['width']} in one, for {rows:,} rows"
    affordable = _affordable(features, rows, Budget.parse(asked.budget))
    if affordable < size["members"]:
        why = f"{size['members']} perceptrons would be too dear for {rows:,} rows of {features:,} features"
        if affordable < 2:
            return Chosen(Choice("mlp"), nets, f"one perceptron: {why}") if not given else None
        size["members"] = affordable
        why = f"{affordable} perceptrons in one: {why}"
    return Chosen(Choice(NET, {**size, **given}), nets, why)


def _for_pictures(schema: Schema, asked: Config, rows: int) -> Chosen | None:
    """More channels than usual, where a budget of time was named that is worth them."""
    named = asked.net is not None and (asked.net.name != DEFAULT or bool(asked.net.options))
    seconds = Budget.parse(asked.budget).seconds
    if named or seconds is None or asked.nets or not schema.targets():
        return None
    channels = tuple(2 * count for count in NETS.get(PICTURE_NET).options["channels"].default)
    operations = sum(_products(spec, channels) for kind, spec in schema.inputs().values() if kind == PICTURES)
    networks = asked.ensemble * max(1, asked.folds or 1)
    passes = seconds * OPERATIONS_A_SECOND_ON_PICTURES / (OPERATIONS_A_WEIGHT * operations * rows * networks)
    if passes < PASSES_FOR_MORE_CHANNELS:
        return None
    why = f"{channels[0]} to {channels[-1]} channels, for the budget allows many passes over {rows:,} rows"
    return Chosen(None, {PICTURES: Choice(PICTURE_NET, {"channels": channels})}, why)


def _for_texts(schema: Schema, asked: Config) -> Chosen | None:
    """Bags of tokens, where no token is asked: as good as any other net on the sets that this was tried on."""
    named = asked.net is not None and (asked.net.name != DEFAULT or bool(asked.net.options))
    answered = {kind for kind, _ in schema.targets().values()}
    if named or asked.nets or not answered or TEXTS in answered or any(map(_asks_tokens, answered)):
        return None
    return Chosen(None, {TEXTS: Choice(TEXT_NET)}, "bags of tokens and of their pairs, quick and hard to beat on texts")


def _asks_tokens(kind: str) -> bool:
    """Whether the usual head of a kind stands on tokens."""
    head = KINDS.get(kind).facts.get("head")
    return head is not None and HEADS.get(head).facts["needs"] == "tokens"


def _products(spec: ImageSpec, channels: tuple[int, ...]) -> float:
    """Multiplications for a picture: 3 by 3 of each place and pair of channels, sides being halved at each stage."""
    inside, height, width, found = spec.channels, spec.height, spec.width, 0.0
    for outside in channels:
        found += 9 * inside * outside * height * width
        if min(height, width) >= 2 * SMALLEST_SIDE:
            height, width = height // 2, width // 2
        inside = outside
    return found


def folds_for(schema: Schema, asked: Config, rows: int) -> int:
    """Into how many folds a table is cut where nobody says so; 0 where a share of the rows is held out.

    Args:
        schema: the columns, fitted or not; with groups, times or weights nothing is cut unasked.
        asked: what is named decides, and so does what cannot be trained in one pass.
        rows: how many there are.
    """
    inputs, targets = schema.of_role(Role.INPUT), schema.of_role(Role.TARGET)
    plain = bool(inputs and targets) and all(column.kind.name in TABLE_KINDS for column in inputs)
    whole = not any(schema.of_role(role) for role in (Role.TIME, Role.GROUP, Role.WEIGHT))
    named = asked.net is not None and (asked.net.name != DEFAULT or bool(asked.net.options))
    heads = [head.name for head in (asked.head, *asked.heads.values()) if head is not None]
    stacks = all(name == DEFAULT or HEADS.get(name).facts.get("stacks") for name in heads)
    fitting = plain and whole and stacks and not named and not asked.nets and _in_one_pass(asked)
    return FOLDS if fitting and FEWEST_ROWS_FOLDED <= rows < FEW_ROWS else 0


def _in_one_pass(asked: Config) -> bool:
    """Whether plain perceptrons, one for each fold, could be trained together."""
    return asked.ensemble == 1 and asked.monitor == SKILL and not mixes_members(asked)


def mixes_members(asked: Config) -> bool:
    """Whether a step would not move each number of a member by that number's own gradients alone."""
    optimizer: Choice = asked.training.get("optimizer", options_of(Trainer)["optimizer"].default)
    facts = OPTIMIZERS.get(optimizer.name).facts
    return bool(facts.get("hidden") or facts.get("full_batch") or asked.training.get("group_l1"))


def size_for(rows: int, *, numbers: bool) -> dict[str, Any]:
    """The options of the net that suit so many rows, and targets that are all numbers or not, if time allows."""
    members = MEMBERS if rows < MANY_ROWS else MEMBERS_OF_MANY
    of_few = DROPOUT_OF_FEW_FOR_NUMBERS if numbers else DROPOUT_OF_FEW
    return {"members": members, "width": WIDTH, "depth": DEPTH, "dropout": of_few if rows < FEW_ROWS else DROPOUT}


def _affordable(features: int, rows: int, budget: Budget) -> int:
    """How many members can pass over the rows often enough within the budget's time, or the usual time."""
    if budget.steps is not None or budget.epochs is not None:
        budget = Budget()
    seconds = budget.seconds or DEFAULT_SECONDS
    weights = WIDTH * (features + (DEPTH - 1) * WIDTH)
    return int(seconds * OPERATIONS_A_SECOND / (OPERATIONS_A_WEIGHT * weights * rows * FEWEST_PASSES))


def _features(kind: str, spec: Any, *, plain: bool) -> int:
    """About how many features columns become."""
    if kind == "number":
        return int(spec.count * (1 if plain else FEATURES_OF_A_NUMBER))
    if kind == "category":
        return sum(min(size, LONGEST_ONE_HOT) for size in spec.sizes)
    return int(spec.count * FEATURES_OF_A_MOMENT) if kind == "datetime" else FEATURES_OF_LABELS
