"""Which columns a network looks at: those that group L1 left in its first layer."""

from __future__ import annotations

from fathom.errors import ConfigError
from fathom.model import Model
from fathom.signals import Role, input_key, pack_key

__all__ = ["columns_kept", "columns_told"]


def columns_kept(model: Model) -> tuple[str, ...] | None:
    """The input columns with any weight in the first layer, in the data's order; None where no one matrix meets all.

    Args:
        model: trained; ``training.group_l1`` is what leaves columns out.
    """
    try:
        used = set(model.network.first_layer().used())
    except ConfigError:
        return None
    packs: dict[str, int] = {}
    kept = []
    for column in model.schema.of_role(Role.INPUT):
        key = pack_key(column.kind.name) if column.packed else input_key(column.name)
        place = packs.get(key, 0)
        packs[key] = place + 1
        if (key, place) in used:
            kept.append(column.name)
    return tuple(kept)


def columns_told(model: Model) -> str:
    """The columns that a network looks at, in one line."""
    kept, count = columns_kept(model) or (), len(model.schema.of_role(Role.INPUT))
    return f"group_l1: {len(kept)} of {count} columns kept: {', '.join(kept) or 'none (a smaller group_l1 keeps more)'}"
