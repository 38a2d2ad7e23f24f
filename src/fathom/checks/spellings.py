"""Categories that are written in several ways."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fathom.checks.check import CHECKS, Finding, counted
from fathom.checks.examined import Examined, codes_of
from fathom.data.columns import holds_text
from fathom.errors import listed

__all__ = ["spellings"]

MOST_VALUES = 100_000
SHOWN_VALUES, SHOWN_WAYS = 3, 4


@CHECKS.register("spellings", cost="cheap", needs=())
def spellings(examined: Examined) -> Iterator[Finding]:
    """Categories that differ only in case or in the blanks around them, as F, f and ' F' do."""
    for column in [*examined.inputs, *examined.targets]:
        cells = examined.train[column.name]
        if column.kind.name != "category" or not holds_text(cells.type):
            continue
        codes, values = codes_of(cells)
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        ways = _ways([str(value) for value in values], counts)
        if not ways:
            continue
        told = "; ".join(
            listed([f"{values[place]!r} {counts[place]:,}" for place in way], SHOWN_WAYS) for way in ways[:SHOWN_VALUES]
        )
        more = f"; and {len(ways) - SHOWN_VALUES:,} more" if len(ways) > SHOWN_VALUES else ""
        message = (
            f"{column.name} has {counted(len(ways), 'value')} in several spellings: {told}{more}{examined.sampled}"
        )
        rows = np.flatnonzero(np.isin(codes, [place for way in ways for place in way[1:]]))
        remedy = "each is a value of its own; if they mean the same, write them in one way"
        yield Finding("spellings", "warning", message, remedy, (column.name,), examined.numbers_of(rows), len(rows))


def _ways(values: list[str], counts: np.ndarray) -> list[list[int]]:
    """The places of values that are one but for case and outer blanks, the commonest first; of the commonest first."""
    if len(values) > MOST_VALUES:
        return []
    found: dict[str, list[int]] = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        found.setdefault(values[place].strip().casefold(), []).append(place)
    return [places for places in found.values() if len(places) > 1]
