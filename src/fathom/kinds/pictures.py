"""Pictures as Pillow opens them: upright, grey or RGB, and the damaged ones told."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from fathom.errors import SourceError, first_line
from fathom.progress import Work
from fathom.runtime import available_threads

__all__ = ["Held", "decoded_size", "each", "grey_copy", "opened", "pictures_in", "pixel_shape"]

DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError),
    *(EOFError, RuntimeError, NotImplementedError, ZeroDivisionError, struct.error, zlib.error),
)
"""What Pillow raises for a file that is no picture, or a damaged one."""

Row = TypeVar("Row")


class Held(NamedTuple):
    """A picture's encoded bytes, and its name where it has one."""

    data: bytes
    path: str | None


def pixel_shape(kind: pa.DataType) -> tuple[int, ...] | None:
    """(H, W) or (H, W, C) of a column of arrays of pixels; None for any other type."""
    if not isinstance(kind, pa.FixedShapeTensorType) or not pa.types.is_uint8(kind.value_type):
        return None
    shape = tuple(kind.shape)
    return shape if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)) else None


def pictures_in(column: pa.ChunkedArray) -> Iterator[Any]:
    """Each cell as a path, what is held of a picture, an array of pixels, or None, one at a time."""
    for chunk in column.chunks:
        if pixel_shape(column.type) is not None:
            present = iter(chunk.drop_null().to_numpy_ndarray() if chunk.null_count < len(chunk) else ())
            yield from (next(present) if valid.as_py() else None for valid in chunk.is_valid())
        else:
            yield from (_held(cell.as_py()) for cell in chunk)


def _held(cell: Any) -> Any:
    if isinstance(cell, dict):
        return cell["path"] if cell["bytes"] is None else Held(cell["bytes"], cell["path"])
    return cell


def opened(picture: Any) -> Any:
    """A Pillow image, upright, of mode L or RGB, what is transparent being white.

    Raises:
        SourceError: it cannot be read; the message names it.
    """
    from PIL import ImageOps

    with _file_of(picture) as image:
        return image if isinstance(picture, np.ndarray) else _plain(ImageOps.exif_transpose(image))


def grey_copy(picture: Any, side: int) -> tuple[Any, tuple[int, int]]:
    """A picture as a Pillow image of mode L, and its height and width.

    Args:
        picture: as ``opened`` takes it.
        side: in pixels; a JPEG that is far larger is not unpacked whole.

    Raises:
        SourceError: it cannot be read; the message names it.
    """
    with _file_of(picture) as image:
        size = (image.height, image.width)
        image.draft("RGB", (side, side))
        return _plain(image).convert("L"), size


@contextmanager
def _file_of(picture: Any) -> Iterator[Any]:
    """A picture as Pillow opens it, not yet unpacked, while its file is open.

    Raises:
        SourceError: it cannot be read, be it only inside the block; the message names it.
    """
    from PIL import Image as Pillow

    if isinstance(picture, np.ndarray):
        yield Pillow.fromarray(picture[..., 0] if picture.shape[-1:] == (1,) else picture)
        return
    name = (picture.path or "a picture held as bytes") if isinstance(picture, Held) else str(picture)
    try:
        # Opened here, since Pillow would leave a damaged file open.
        with io.BytesIO(picture.data) if isinstance(picture, Held) else open(picture, "rb") as file:
            yield Pillow.open(file)
    except FileNotFoundError as error:
        raise SourceError(f"{name}: there is no such picture") from error
    except (*DAMAGE, Pillow.DecompressionBombError) as error:
        raise SourceError(f"{name}: {told_reason(error, picture)}") from error


def told_reason(error: BaseException, picture: Any) -> str:
    """Why a picture cannot be read, in few words."""
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return first_line(error)
    return "it is empty" if _is_empty(picture) else "it is no picture, or its head is damaged"


def _is_empty(picture: Any) -> bool:
    if isinstance(picture, Held):
        return not picture.data
    return Path(picture).is_file() and Path(picture).stat().st_size == 0


def _plain(image: Any) -> Any:
    """A Pillow image in mode L or RGB."""
    from PIL import Image as Pillow

    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode.startswith("I;16"):
        return Pillow.fromarray(_high_byte(np.asarray(image)))
    if image.mode in ("I", "F"):
        return Pillow.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _high_byte(array: np.ndarray) -> np.ndarray:
    """16 bits at 8, whatever is in the picture: each picture's own stretch would make dark ones bright."""
    return np.rint(array.astype(np.float64) / 257).astype(np.uint8)


def _eight_bits(array: np.ndarray) -> np.ndarray:
    """32-bit and floating pictures at 8 bits: the high byte of 16, or 0 to 1 stretched."""
    highest = float(array.max(initial=0))
    factor = 255.0 if highest <= 1 else 1.0 if highest <= 255 else 255 / 65535
    return np.clip(array * factor, 0, 255).astype(np.uint8)


def each(encode: Callable[[Any], Row], column: pa.ChunkedArray) -> list[Row]:
    """Encode every picture of a column, in threads.

    Raises:
        SourceError: some cannot be read; it counts them, and names the first.
    """

    def tried(picture: Any) -> Row | SourceError:
        try:
            return encode(picture)
        except SourceError as error:
            return error

    rows: list[Row | SourceError] = []
    with ThreadPoolExecutor(available_threads()) as pool, Work("opening pictures", len(column), "pictures") as done:
        for row in pool.map(tried, pictures_in(column)):
            done(len(rows))
            rows.append(row)
    damaged = [row for row in rows if isinstance(row, SourceError)]
    if damaged:
        raise SourceError(
            f"{len(damaged):,} of {len(rows):,} pictures cannot be read, the first is {damaged[0]}; "
            "replace them or leave them out"
        )
    return [row for row in rows if not isinstance(row, SourceError)]


def decoded_size(picture: Any) -> tuple[int, int]:
    """The width and height of a picture, once all of it is decoded."""
    return (0, 0) if picture is None else opened(picture).size
