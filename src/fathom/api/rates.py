"""The learning rate of a run for which nobody named one: what its nets bear."""

from __future__ import annotations

from dataclasses import replace

from fathom.config import Config
from fathom.layout import Layout
from fathom.nets import NETS
from fathom.registry import Choice, options_of
from fathom.training import OPTIMIZERS
from fathom.training.engine import Trainer

__all__ = ["with_rate_of_nets"]


def with_rate_of_nets(asked: Config, layout: Layout) -> Config:
    """The same, with the lowest rate that any net wants, where none was named.

    A net that learns better at another rate than the optimizer's own says so by its fact ``rates``, a rate for each
    optimizer; every other net wants the optimizer's own, but entries take what they are given.
    """
    optimizer: Choice = asked.training.get("optimizer", options_of(Trainer)["optimizer"].default)
    own = OPTIMIZERS.get(optimizer.name).options.get("lr")
    if own is None or "lr" in optimizer.options:
        return asked
    body = () if layout.body is None else (layout.body,)
    facts = [NETS.get(net.name).facts for chain in (*layout.branches.values(), body) for net in chain]
    wanted = [found.get("rates", {}).get(optimizer.name, own.default) for found in facts if not found.get("entry")]
    rate = min(wanted, default=own.default)
    if rate == own.default:
        return asked
    return replace(
        asked, training={**asked.training, "optimizer": Choice(optimizer.name, {**optimizer.options, "lr": rate})}
    )
