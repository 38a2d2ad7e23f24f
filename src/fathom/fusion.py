"""The signals of several inputs as one: vectors side by side, tokens one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from fathom.errors import ConfigError
from fathom.layout import SIGNAL_PARTS
from fathom.signals import Signal, SignalSpec

__all__ = ["joined", "joined_spec", "joined_tokens", "joined_tokens_spec"]


def joined(branches: Mapping[str, Signal]) -> Signal:
    """The signals of all branches, by their inputs, as one: vectors side by side; maps and tokens of the first."""
    signals = [_named(key, signal) for key, signal in branches.items()]
    if len(signals) == 1:
        return signals[0]
    members = max(signal.members for signal in signals)
    signals = [signal.repeated(members) for signal in signals]
    vectors = [signal.vector for signal in signals if signal.vector is not None]
    tokens = next((signal for signal in signals if signal.tokens is not None), Signal())
    maps = next((signal for signal in signals if signal.maps), Signal())
    vector = torch.cat(vectors, dim=1) if vectors else None
    return Signal(vector, tokens.tokens, tokens.mask, maps.maps, members, maps.frame, tokens.parts)


def joined_spec(specs: list[SignalSpec]) -> SignalSpec:
    """The spec of what ``joined`` returns."""
    if len(specs) == 1:
        return specs[0]
    columns: list[int] = []
    for spec in specs:
        if "vector" in spec.gives:
            first = max(columns, default=-1) + 1
            columns += [first + place for place in spec.columns or range(spec.width)]
    return SignalSpec(
        width=sum(spec.width for spec in specs if "vector" in spec.gives),
        gives=tuple(part for part in SIGNAL_PARTS if any(part in spec.gives for spec in specs)),
        maps=next((spec.maps for spec in specs if spec.maps), ()),
        members=max((spec.members for spec in specs), default=1),
        columns=tuple(columns),
    )


def joined_tokens(branches: Mapping[str, Signal]) -> Signal:
    """The tokens of all branches, by their inputs, one after another."""
    members = max(signal.members for signal in branches.values())
    signals = [_named(key, signal.repeated(members)) for key, signal in branches.items()]
    tokens = [signal.tokens for signal in signals if signal.tokens is not None]
    masks = None
    if any(signal.mask is not None for signal in signals):
        masks = [
            there.new_ones(there.shape[:2], dtype=torch.bool) if signal.mask is None else signal.mask
            for there, signal in zip(tokens, signals, strict=True)
        ]
    mask = None if masks is None else torch.cat(masks, dim=1)
    parts = tuple(part for signal in signals for part in signal.parts)
    return Signal(None, torch.cat(tokens, dim=1), mask, (), members, parts=parts)


def joined_tokens_spec(specs: list[SignalSpec]) -> SignalSpec:
    """The spec of what ``joined_tokens`` returns.

    Raises:
        ConfigError: tokens are not all of one width.
    """
    widths = sorted({spec.width for spec in specs})
    if len(widths) > 1:
        raise ConfigError(f"tokens of widths {' and '.join(map(str, widths))} cannot be joined; use one width for all")
    return SignalSpec(widths[0], ("tokens",), members=max(spec.members for spec in specs))


def _named(key: str, signal: Signal) -> Signal:
    """The signal of one input, which tells whose tokens it has."""
    return signal if signal.tokens is None else replace(signal, parts=((key, signal.tokens.shape[1]),))
