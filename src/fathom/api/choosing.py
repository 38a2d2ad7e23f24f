"""net = "auto": which network a table gets where nobody names one, and why.

The rule was made on bike sharing (hours), white wine, COMPAS, bank marketing, German credit, Titanic, Adult and
California housing, by rows held out within their training rows; docs/benchmarks.md has what it does on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fathom.config import Config
from fathom.layout import DEFAULT
from fathom.nets import NETS
from fathom.registry import Choice
from fathom.schema import Schema
from fathom.training.budget import DEFAULT_SECONDS, Budget

__all__ = ["Chosen", "chosen_net", "size_for"]

NET = "tabm"
TABLE_KINDS = frozenset({"number", "category", "datetime", "multilabel"})
WIDTH, DEPTH = 256, 3
# Few rows want more dropout; many rows take long, and need fewer members to agree on.
FEW_ROWS, DROPOUT_OF_FEW, DROPOUT = 5000, 0.25, 0.1
MANY_ROWS, MEMBERS_OF_MANY, MEMBERS = 10_000, 4, 8
# A number becomes this many features, unless there are so many numbers that each should stay one.
FEATURES_OF_A_NUMBER, MANY_NUMBERS = 8, 256
FEATURES_OF_A_MOMENT, FEATURES_OF_LABELS, LONGEST_ONE_HOT = 10, 32, 64
# Members must not cost more than this: operations a second of a plain processor, and passes over the rows in a run.
OPERATIONS_A_SECOND, FEWEST_PASSES = 5e10, 20
OPERATIONS_A_WEIGHT = 6  # two each for the answer, the gradient of weights, that of inputs


@dataclass(frozen=True)
class Chosen:
    """A network for a table.

    Attributes:
        net: the net on all inputs.
        nets: a net for kinds, where it is not the one that ``net`` brings.
        why: in words.
    """

    net: Choice
    nets: Mapping[str, Choice]
    why: str


def chosen_net(schema: Schema, asked: Config, rows: int) -> Chosen | None:
    """The network that suits a table's columns and rows and the budget; None where something else decides.

    Args:
        schema: the columns; with a picture among them, or without a target, the kinds decide.
        asked: a net or a place for one that is named decides.
        rows: how many are learned from.
    """
    inputs = schema.inputs()
    given = {} if asked.net is None else dict(asked.net.options)
    named = (asked.net is not None and asked.net.name != DEFAULT) or not {"vector", "tokens"}.isdisjoint(asked.nets)
    plain = all(kind in TABLE_KINDS for kind, _ in inputs.values())
    if named or not inputs or not plain or not schema.targets() or not given.keys() <= NETS.get(NET).options.keys():
        return None
    if asked.ensemble > 1:
        return None  # members of members: the plain perceptron is what is trained in one pass
    numbers = sum(spec.count for kind, spec in inputs.values() if kind == "number")
    nets = {} if numbers <= MANY_NUMBERS or "number" in asked.nets else {"number": Choice("scale")}
    features = sum(_features(kind, spec, plain=bool(nets)) for kind, spec in inputs.values())
    size = size_for(rows)
    why = f"{size['members']} perceptrons of width {size['width']} in one, for {rows:,} rows"
    affordable = _affordable(features, rows, Budget.parse(asked.budget))
    if affordable < size["members"]:
        why = f"{size['members']} perceptrons would be too dear for {rows:,} rows of {features:,} features"
        if affordable < 2:
            return Chosen(Choice("mlp"), nets, f"one perceptron: {why}") if not given else None
        size["members"] = affordable
        why = f"{affordable} perceptrons in one: {why}"
    return Chosen(Choice(NET, {**size, **given}), nets, why)


def size_for(rows: int) -> dict[str, Any]:
    """The options of the net that suit so many rows, if time allows."""
    members = MEMBERS if rows < MANY_ROWS else MEMBERS_OF_MANY
    dropout = DROPOUT_OF_FEW if rows < FEW_ROWS else DROPOUT
    return {"members": members, "width": WIDTH, "depth": DEPTH, "dropout": dropout}


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
