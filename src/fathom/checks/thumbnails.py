"""Small grey copies of pictures, and what was seen when they were made."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.source import BASE_KEY
from fathom.kinds import KINDS
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
    base = (table.schema.metadata or {}).get(BASE_KEY)
    if base is not None:
        column = KINDS.get("image").factory.locate(column, base.decode())
    if len(rows) < len(column):
        column = column.take(pa.array(rows))
    with ThreadPoolExecutor(available_threads()) as pool:
        seen = list(pool.map(_shrunk, _cells(column), chunksize=64))
    pixels = np.stack([small for small, _, _ in seen]).astype(np.float32)
    return Thumbnails(rows, pixels, np.array([size for _, size, _ in seen]), np.array([blank for *_, blank in seen]))


def _cells(column: pa.ChunkedArray) -> Iterator[Any]:
    """Each cell as bytes, a path, an array of pixels, or None."""
    for chunk in column.chunks:
        if isinstance(chunk, pa.FixedShapeTensorArray) and not chunk.null_count:
            yield from chunk.to_numpy_ndarray()
        elif isinstance(chunk, pa.FixedShapeTensorArray):
            shape = tuple(chunk.type.shape)
            yield from (None if cell is None else np.reshape(cell, shape) for cell in chunk.storage.to_pylist())
        else:
            for cell in chunk.to_pylist():
                yield (cell["bytes"] or cell["path"]) if isinstance(cell, dict) else cell


def _shrunk(cell: Any) -> tuple[np.ndarray, tuple[int, int], bool]:
    """A small grey copy, its height and width, and whether it is of one grey."""
    from PIL import Image, UnidentifiedImageError

    nothing = np.zeros(SIDE * SIDE, np.uint8)
    if cell is None:
        return nothing, (-1, -1), False
    if isinstance(cell, np.ndarray):
        return _seen(Image.fromarray(np.asarray(cell, np.uint8).squeeze()))
    try:
        # Opened here, since Pillow would leave a damaged file open.
        with io.BytesIO(cell) if isinstance(cell, bytes) else open(cell, "rb") as file:
            return _seen(Image.open(file))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return nothing, (0, 0), False


def _seen(picture: Any) -> tuple[np.ndarray, tuple[int, int], bool]:
    size = (picture.height, picture.width)
    picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG need not be unpacked whole
    grey = picture.convert("L")
    lowest, highest = grey.getextrema()
    return np.asarray(grey.resize((SIDE, SIDE), resample=BOX)).reshape(-1), size, lowest == highest
