"""What the nets of a run want of its training where nobody asked for anything else: rate, average, precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fathom.config import Config
from fathom.heads import HEADS
from fathom.layout import Layout
from fathom.nets import DECODERS, NETS
from fathom.registry import Choice, options_of
from fathom.training import OPTIMIZERS
from fathom.training.engine import Trainer

__all__ = ["bears_bfloat16", "with_wishes"]

EXACT_ZEROS = ("l1_proximal", "group_l1")  # which an average of weights would not have


def with_wishes(asked: Config, layout: Layout) -> Config:
    """The same, with the learning rate and the average of weights that its nets want, where none was named.

    A net that learns better at another rate than the optimizer's own says so by its fact ``rates``, a rate for each
    optimizer; every other net wants the optimizer's own. Of several the lowest is taken. An average that all nets want
    by their fact ``average`` is taken where the optimizer takes none itself. Entries take what they are given.
    """
    optimizer: Choice = asked.training.get("optimizer", options_of(Trainer)["optimizer"].default)
    wanted: dict[str, Any] = {}
    facts = _facts(layout)
    own = OPTIMIZERS.get(optimizer.name).options.get("lr")
    if own is not None and "lr" not in optimizer.options:
        rate = min((found.get("rates", {}).get(optimizer.name, own.default) for found in facts), default=own.default)
        if rate != own.default:
            wanted["optimizer"] = Choice(optimizer.name, {**optimizer.options, "lr": rate})
    averages = [found.get("average") for found in facts]
    if "average" not in asked.training and _may_average(asked, optimizer) and len(set(averages)) == 1 and averages[0]:
        wanted["average"] = Choice(averages[0])
    return replace(asked, training={**asked.training, **wanted}) if wanted else asked


def bears_bfloat16(layout: Layout) -> bool:
    """Whether a net that says so by its fact of that name is there; it takes most of the time, and bears it."""
    return any(found.get("bfloat16") for found in _facts(layout))


def _facts(layout: Layout) -> list[Mapping[str, Any]]:
    """Those of the nets, also of the ones that heads hold."""
    body = () if layout.body is None else (layout.body,)
    facts = [NETS.get(net.name).facts for chain in (*layout.branches.values(), body) for net in chain]
    held = [DECODERS.get(net.name).facts for head in layout.heads.values() for net in _held(head)]
    return [found for found in (*facts, *held) if not found.get("entry")]


def _held(head: Choice) -> list[Choice]:
    options = HEADS.get(head.name).options
    return [head.options.get(name, option.default) for name, option in options.items() if option.registry is DECODERS]


def _may_average(asked: Config, optimizer: Choice) -> bool:
    facts = OPTIMIZERS.get(optimizer.name).facts
    return not (
        facts.get("averages") or facts.get("full_batch") or any(asked.training.get(name) for name in EXACT_ZEROS)
    )
