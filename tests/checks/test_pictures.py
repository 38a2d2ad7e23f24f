"""Damaged, blank and tiny pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from fathom.checks import thumbnails as shrinking


def saved(folder: Path, name: str, pixels: np.ndarray) -> dict[str, str | None]:
    Image.fromarray(pixels).save(folder / name)
    return {"bytes": None, "path": str(folder / name)}


def pictures(folder: Path, random: np.random.Generator, count: int = 20) -> list[dict[str, str | None]]:
    return [saved(folder, f"{k}.png", random.integers(0, 256, (40, 32, 3), np.uint8)) for k in range(count)]


def table(cells: list) -> pa.Table:
    return pa.table({"image": pa.array(cells), "y": ["a", "b"] * (len(cells) // 2)})


def test_whole_pictures_are_read_in_silence(look, tmp_path, random):
    assert look(table(pictures(tmp_path, random)), "y", "pictures") == []


def test_pictures_that_cannot_be_read_are_counted_and_named(look, tmp_path, random):
    cells = pictures(tmp_path, random)
    (tmp_path / "4.png").write_bytes((tmp_path / "4.png").read_bytes()[:60])
    (tmp_path / "9.png").write_text("no picture")
    (tmp_path / "11.png").unlink()
    (found,) = look(table(cells), "y", "pictures")
    assert (found.severity, found.rows, found.count) == ("warning", (4, 9, 11), 3)
    assert "3 pictures cannot be read" in found.message
    assert "/4.png" in found.message


def test_a_picture_of_one_colour_is_told(look, tmp_path, random):
    cells = pictures(tmp_path, random)
    saved(tmp_path, "6.png", np.full((40, 32, 3), 7, np.uint8))
    (found,) = look(table(cells), "y", "pictures")
    assert (found.rows, found.count) == ((6,), 1)
    assert "of one colour" in found.message


def test_a_tiny_picture_among_large_ones_is_told_and_tiny_ones_among_themselves_are_not(look, tmp_path, random):
    cells = pictures(tmp_path, random)
    saved(tmp_path, "3.png", random.integers(0, 256, (5, 5, 3), np.uint8))
    (found,) = look(table(cells), "y", "pictures")
    assert found.rows == (3,)
    small = [saved(tmp_path, f"{k}.png", random.integers(0, 256, (5, 5), np.uint8)) for k in range(20)]
    assert look(table(small), "y", "pictures") == []


def test_pictures_of_16_bits_are_not_of_one_colour(look, tmp_path, random):
    cells = [saved(tmp_path, f"{k}.png", random.integers(300, 65_536, (40, 32), np.uint16)) for k in range(20)]
    assert look(table(cells), "y", "pictures") == []


def test_a_missing_picture_is_no_damaged_one(look, tmp_path, random):
    assert look(table([*pictures(tmp_path, random), None, None]), "y", "pictures") == []


def test_arrays_of_pixels_are_looked_at(look, random):
    pixels = random.integers(0, 256, (30, 8, 8), np.uint8)
    pixels[12] = 0
    cells = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)
    (found,) = look(pa.table({"image": cells, "y": ["a", "b"] * 15}), "y", "pictures")
    assert found.rows == (12,)


def test_of_very_many_pictures_some_are_looked_at_and_that_is_said(look, tmp_path, random, monkeypatch):
    monkeypatch.setattr(shrinking, "MOST_PICTURES", 10)
    cells = pictures(tmp_path, random)
    saved(tmp_path, "6.png", np.full((40, 32, 3), 7, np.uint8))
    (found,) = look(table(cells), "y", "pictures")
    assert found.rows == (6,)
    assert "(of one in 2 looked at)" in found.message
