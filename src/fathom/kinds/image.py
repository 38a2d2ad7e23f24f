"""Pictures: files, encoded bytes, or arrays of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_pictures, holds_text
from fathom.data.source import IMAGE_SUFFIXES
from fathom.errors import SourceError
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.kinds.pictures import decoded_size, each, opened, pictures_in, pixel_shape
from fathom.registry import Range
from fathom.signals import ImageSpec, Ragged

__all__ = ["Image"]

SAMPLED_PICTURES = 512
FEW = 100


@KINDS.register(
    "image",
    packed=False,
    entry="flatten",
    net="convnet",
    head="rebuild_image",
    rebuild="rebuild_image",
    exempt={"weights": "pictures are normalised alike whatever their rows weigh"},
)
class Image(Kind):
    """A picture, grey or RGB; all pictures of a column are brought to one size.

    Args:
        state: what ``fit`` returned.
        size: height and width in pixels; 0 takes the pictures' own size, at most ``max_size``.
        max_size: the longest side where ``size`` is 0.
    """

    def __init__(
        self,
        state: Statistics,
        *,
        size: Annotated[int, Range(0, 4096)] = 0,
        max_size: Annotated[int, Range(4, 4096)] = 64,
    ) -> None:
        super().__init__(state)
        height, width = (size, size) if size else _fitted(self.state["size"], max_size)
        self._size = (height, width)

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if pixel_shape(column.type) is not None:
            return Claim(0.9, "arrays of pixels")
        if holds_pictures(column.type):
            return Claim(0.9, "picture files")
        if not holds_text(column.type):
            return None
        # As a rule a column begins as it goes on: a few cells save looking at all those of a column of words.
        named = all(len(cells) and _are_names(cells) for cells in (column.slice(0, FEW), column))
        return Claim(0.9, "names of picture files") if named else None

    @classmethod
    def locate(cls, column: pa.ChunkedArray, base: str) -> pa.ChunkedArray:
        if not pa.types.is_string(column.type):
            return column
        return pc.if_else(pc.starts_with(column, "/"), column, pc.binary_join_element_wise(base, column, "/"))

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        """Moments and sizes of at most SAMPLED_PICTURES pictures, spread evenly over the rows."""
        present = pc.indices_nonzero(pc.is_valid(column)).to_numpy()
        index = (
            present[np.unique(np.linspace(0, len(present) - 1, SAMPLED_PICTURES).astype(int))] if len(present) else []
        )
        pictures = list(pictures_in(column.take(pa.array(index, pa.int64()))))
        try:
            channels = max((_channels(picture) for picture in pictures), default=1)
        except SourceError:
            cls.check(column)
            raise
        arrays = [_pixels(picture, channels, None) for picture in pictures]  # (C, H, W) each
        sizes = [array.shape[1:] for array in arrays]
        return {
            "channels": channels,
            "sizes": [[int(height), int(width)] for height, width in sizes],
            "pixels": [sum(array[0].size for array in arrays)] * channels,
            "sum": [float(sum(array[c].sum(dtype=np.float64) for array in arrays)) for c in range(channels)],
            "squares": [
                float(sum(np.square(array[c], dtype=np.float64).sum() for array in arrays)) for c in range(channels)
            ],
        }

    @classmethod
    def check(cls, column: pa.ChunkedArray) -> None:
        if pixel_shape(column.type) is None:
            each(decoded_size, column)

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        channels = max(first["channels"], second["channels"])
        parts = [_widened(part, channels) for part in (first, second)]
        added = {
            name: [a + b for a, b in zip(parts[0][name], parts[1][name], strict=True)]
            for name in ("pixels", "sum", "squares")
        }
        return {"channels": channels, "sizes": first["sizes"] + second["sizes"], **added}

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        pixels = np.maximum(1, np.array(statistics["pixels"], dtype=np.float64))
        mean = np.array(statistics["sum"]) / pixels
        variance = np.maximum(0.0, np.array(statistics["squares"]) / pixels - mean**2)
        sizes = statistics["sizes"] or [[28, 28]]
        return {
            "channels": statistics["channels"],
            "size": [int(side) for side in np.median(np.array(sizes), axis=0)],
            "mean": mean.tolist(),
            "deviation": np.sqrt(variance).tolist(),
        }

    @property
    def spec(self) -> ImageSpec:
        deviation = tuple(value if value > 0 else 1.0 for value in self.state["deviation"])
        return ImageSpec(self.state["channels"], *self._size, tuple(self.state["mean"]), deviation)

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, C, H, W) uint8, ``"size"`` is (N, 2) int64: each picture's own height and width."""
        whole = _whole_array(column, self.state["channels"], self._size)
        if whole is not None:
            sizes = torch.tensor(self._size).expand(len(whole), 2).contiguous()
            return {"": torch.from_numpy(whole), "size": sizes}
        rows = each(self._encode_one, column)
        pixels = (
            np.stack([row[0] for row in rows]) if rows else np.empty((0, self.state["channels"], *self._size), np.uint8)
        )
        sizes = torch.tensor([row[1] for row in rows]).reshape(-1, 2)
        return {"": torch.from_numpy(pixels), "size": sizes}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N, C, H, W) uint8, a missing picture being black."""
        assert isinstance(encoded, Tensor)
        return encoded.numpy()

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, C, H, W) in 0 to 255, as arrays of pixels (H, W) or (H, W, C)."""
        value = np.rint(np.clip(prediction["value"], 0, 255)).astype(np.uint8)
        pictures = value[:, 0] if self.state["channels"] == 1 else value.transpose(0, 2, 3, 1)
        return {"": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(pictures))}

    def _encode_one(self, picture: Any) -> tuple[np.ndarray, tuple[int, int]]:
        if picture is None:
            return np.zeros((self.state["channels"], *self._size), np.uint8), (0, 0)
        pixels = opened(picture)
        return _pixels(pixels, self.state["channels"], self._size), (pixels.height, pixels.width)


def _are_names(cells: pa.ChunkedArray) -> bool:
    """Whether every cell ends as the name of a picture's file does."""
    lower = pc.utf8_lower(cells)
    return bool(pc.all(reduce(pc.or_, [pc.ends_with(lower, pattern=suffix) for suffix in IMAGE_SUFFIXES])).as_py())


def _fitted(size: list[int], longest: int) -> tuple[int, int]:
    height, width = size
    shrink = min(1.0, longest / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _whole_array(column: pa.ChunkedArray, channels: int, size: tuple[int, int]) -> np.ndarray | None:
    """All pictures at once, (N, C, H, W), where they are arrays of the right size already."""
    shape = pixel_shape(column.type)
    if shape is None or shape[:2] != size or column.null_count or (shape[2] if len(shape) == 3 else 1) != channels:
        return None
    arrays = [chunk.to_numpy_ndarray() for chunk in column.chunks] or [np.empty((0, *shape), np.uint8)]
    pixels = np.concatenate(arrays)
    pixels = pixels[:, None] if len(shape) == 2 else pixels.transpose(0, 3, 1, 2)
    return np.array(pixels, order="C")


def _channels(picture: Any) -> int:
    return 1 if opened(picture).mode == "L" else 3


def _pixels(picture: Any, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    """(C, H, W) uint8 of a picture, brought to ``size`` (height, width) where one is given."""
    from PIL import Image as Pillow

    image = picture if isinstance(picture, Pillow.Image) else opened(picture)
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Pillow.Resampling.BILINEAR, reducing_gap=2.0)
    array = np.asarray(image)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _widened(statistics: Statistics, channels: int) -> Statistics:
    """Statistics of grey pictures as those of RGB ones, where another shard holds colour."""
    repeats = channels // statistics["channels"]
    return {**statistics, **{name: statistics[name] * repeats for name in ("pixels", "sum", "squares")}}
