"""The filters of the first convolution as one picture, each with the patches that it answers to most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fathom.api import Run
from fathom.errors import ConfigError, InputError, ModelError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["painted"]

CELL, APART, GAP, LINE_UP = 48, 2, 8, 4  # pixels, and how many filters stand side by side
PAPER = (70, 90, 120)  # unlike what is grey
MOST_ROWS = 2000  # whose pictures are looked at
ENDINGS = (".png", ".webp", ".bmp")


def painted(run: Run, place: Path, data: Any = None) -> str:
    """Write the picture, and return what it shows.

    Args:
        run: with a network that looks at pictures.
        place: the file; its ending says the format.
        data: rows whose pictures the patches are cut from; without them those that the run learned from, if they can be
            read again.

    Raises:
        InputError: no convolution looks at pictures, ``data`` cannot be read, or no such file can be written.
    """
    from fathom.trust.filters import first_filters, strongest_patches

    if place.suffix not in ENDINGS:
        raise ConfigError(f"--filters {str(place)!r}: no such format (allowed endings: {', '.join(ENDINGS)})")
    filters = first_filters(run.model)
    if not filters:
        raise ModelError("no convolution of this network looks at pictures")
    table, why = _rows(run, data)
    patches = () if table is None else strongest_patches(run.model, table, filters=len(filters))
    lines = [[one, *own] for one, own in zip(filters, patches, strict=True)] if patches else [[one] for one in filters]
    _grid(lines).save(place)
    beside = f", each with the patches of {table.num_rows:,} rows that it answers to most" if patches else ""
    return f"{len(filters)} filters are in {place}{beside}{why}"


def _rows(run: Run, data: Any) -> tuple[Any, str]:
    """The rows to cut patches from, or why there are none."""
    from fathom.api.walking import rows_of

    try:
        table = rows_of(run, data)
    except InputError as error:
        if data is not None:
            raise
        return None, f"; without patches: {error}"
    return table.take(np.linspace(0, table.num_rows - 1, min(MOST_ROWS, table.num_rows)).astype(np.int64)), ""


def _grid(lines: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Filters with their patches to the right, LINE_UP of them side by side."""
    from PIL import Image

    wide = max(map(len, lines)) * (CELL + APART) + GAP
    down = -(-len(lines) // LINE_UP)
    paper = Image.new("RGB", (GAP + min(LINE_UP, len(lines)) * wide, GAP + down * (CELL + GAP)), PAPER)
    for number, cells in enumerate(lines):
        left, top = GAP + number % LINE_UP * wide, GAP + number // LINE_UP * (CELL + GAP)
        for place, cell in enumerate(cells):
            tile = Image.fromarray(cell).resize((CELL, CELL), Image.Resampling.NEAREST)
            paper.paste(tile, (left + place * (CELL + APART), top))
    return paper
