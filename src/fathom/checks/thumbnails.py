"""Small grey copies of pictures, and what was seen when they were made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.source import base_of
from fathom.errors import SourceError
from fathom.kinds import KINDS
from fathom.kinds.pictures import grey_copy, pictures_in
from fathom.progress import Work
from fathom.runtime import available_threads

__all__ = ["MOST_PICTURES", "SIDE", "Thumbnails", "thumbnails"]

SIDE = 16
BOX = 4  # Pillow's Resampling.BOX: each pixel is the mean of those that it stands for
MOST_PICTURES = 20_000


@dataclass(frozen=True)
class Thumbnails:
    """Small grey copies of the pictures of a column, of evenly spaced ones where there are very many.

    Attributes:
        rows: (P,) int64, which rows.
        pixels: (P, SIDE·SIDE) float32, 0 to 255.
        sizes: (P, 2) int64 height and width in pixels; 0 where a picture cannot be read, -1 where there is none.
        blank: (P,) bool, true where all pixels are of one grey.
    """

    rows: np.ndarray
    pixels: np.ndarray
    sizes: np.ndarray
    blank: np.ndarray

    @property
    def step(self) -> int:
        """1 where every picture was looked at, 2 where every second one."""
        return int(self.rows[1] - self.rows[0]) if len(self.rows) > 1 else 1


def thumbnails(table: pa.Table, name: str) -> Thumbnails:
    """Open the pictures of a column and shrink them."""
    column = table[name]
    rows = np.arange(0, len(column), max(1, -(-len(column) // MOST_PICTURES)))
    if base := base_of(table):
        column = KINDS.get("image").factory.locate(column, base)
    if len(rows) < len(column):
        column = column.take(pa.array(rows))
    seen: list[tuple[np.ndarray, tuple[int, int], bool]] = []
    with ThreadPoolExecutor(available_threads()) as pool, Work("opening pictures", len(column), "pictures") as done:
        for picture in pool.map(_seen, pictures_in(column), chunksize=64):
            done(len(seen))
            seen.append(picture)
    pixels = np.stack([small for small, _, _ in seen]).astype(np.float32)
    return Thumbnails(rows, pixels, np.array([size for _, size, _ in seen]), np.array([blank for *_, blank in seen]))


def _seen(picture: Any) -> tuple[np.ndarray, tuple[int, int], bool]:
    """A small grey copy, the height and width of the picture, and whether it is of one grey."""
    nothing = np.zeros(SIDE * SIDE, np.uint8)
    if picture is None:
        return nothing, (-1, -1), False
    try:
        grey, size = grey_copy(picture, 2 * SIDE)
    except SourceError:
        return nothing, (0, 0), False
    lowest, highest = grey.getextrema()
    return np.asarray(grey.resize((SIDE, SIDE), resample=BOX)).reshape(-1), size, lowest == highest
