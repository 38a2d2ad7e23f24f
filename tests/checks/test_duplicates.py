"""Copies of rows, rows in two parts, and equal rows with different targets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fathom.checks import Examined
from fathom.data import read
from fathom.schema import Schema

ROWS = 300


def plain(random: np.random.Generator, rows: int = ROWS) -> dict[str, np.ndarray]:
    return {"x": random.normal(size=rows), "z": random.normal(size=rows), "y": random.integers(0, 2, rows)}


def repeated(data: dict[str, np.ndarray], times: int) -> dict[str, np.ndarray]:
    """The first rows once more, at the end."""
    return {name: np.concatenate([cells, cells[:times]]) for name, cells in data.items()}


def test_copies_are_counted_and_the_later_ones_named(look, random):
    (found,) = look(repeated(plain(random), 30), "y", "copies")
    assert (found.severity, found.count, found.rows) == ("note", 30, (300, 301, 302, 303, 304))
    assert "30 rows (9 %) are copies of another" in found.message


def test_a_copy_with_a_number_of_its_own_is_a_copy_and_one_with_a_name_of_its_own_is_not(look, random):
    data = repeated(plain(random), 30)
    count = len(data["x"])
    assert [found.count for found in look({"id": np.arange(count), **data}, "y", "copies")] == [30]
    assert look({"name": [f"person {k}" for k in range(count)], **data}, "y", "copies") == []


def test_rows_of_few_values_agree_by_chance(look, random):
    data = {"a": random.integers(0, 3, ROWS), "b": random.integers(0, 4, ROWS), "y": random.integers(0, 2, ROWS)}
    assert look(data, "y", "copies") == []
    assert look(data, "y", "conflicts") == []
    assert look(data, "y", "shared", parts={"test": {name: cells[:50] for name, cells in data.items()}}) == []


def test_one_column_of_rounded_numbers_agrees_by_chance(look, random):
    data = {"x": np.round(random.normal(20, 3, ROWS), 1), "y": random.integers(0, 2, ROWS)}
    assert look(data, "y", "copies") == []
    assert look(data, "y", "conflicts") == []


@pytest.mark.parametrize(("share", "severity"), [(1, "note"), (30, "warning")])
def test_rows_that_stand_in_two_parts_are_counted(look, random, share, severity):
    data, others = plain(random), plain(random, 170)
    test = {name: np.concatenate([cells, data[name][:share]]) for name, cells in others.items()}
    (found,) = look(data, "y", "shared", parts={"test": test})
    assert (found.severity, found.count) == (severity, share)
    assert found.rows[0] == 170
    assert "of test" in found.message
    assert "in train" in found.message


@pytest.mark.parametrize(("of_train", "of_test"), [([0.5, 3.0], [3, 4]), (["a", "3"], [3, 4]), ([3, 4], ["a", "3"])])
def test_rows_are_found_in_a_part_whose_column_has_another_type(of_train, of_test):
    train, test = (pa.table({"x": cells, "y": [0, 1]}) for cells in (of_train, of_test))
    codes = Examined(train, Schema.infer(train, ["y"], roles={"x": "input"}), {"test": test}).equal_rows
    assert [list(codes["train"]).count(code) for code in codes["test"]].count(1) == 1


def test_equal_rows_with_another_class_are_told(look, random):
    data = repeated(plain(random), 10)
    data["y"][-10:] = 1 - data["y"][:10]
    (found,) = look(data, "y", "conflicts")
    assert (found.count, found.rows) == (20, (0, 1, 2, 3, 4))
    assert look(repeated(plain(random), 10), "y", "conflicts") == []


def test_equal_rows_with_another_number_are_told(look, random):
    data = repeated({**plain(random), "y": random.normal(size=ROWS)}, 10)
    data["y"][-10:] += 1
    assert [found.count for found in look(data, "y", "conflicts")] == [20]


def test_a_row_without_a_target_contradicts_none(look, random):
    data = {name: cells.tolist() for name, cells in repeated(plain(random), 10).items()}
    data["y"][-10:] = [None] * 10
    assert look(data, "y", "conflicts") == []


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def test_one_picture_under_two_labels_is_told_by_its_files(look, tmp_path):
    paths = []
    for k in range(24):
        path = tmp_path / ("cat" if k < 12 else "dog") / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(k if k != 20 else 3))
        paths.append({"bytes": None, "path": str(path)})
    data = pa.table({"image": pa.array(paths), "y": ["cat"] * 12 + ["dog"] * 12})
    (found,) = look(data, "y", "conflicts")
    assert (found.severity, found.rows) == ("warning", (3, 20))
    assert "cat/3.png, dog/20.png" in found.message


def test_the_three_photos_under_two_flowers_are_found(look, data_directory: Path):
    source = read(data_directory / "vision" / "flowers128")
    (found,) = look(source.parts["train"], "label", "conflicts")
    files = [source.parts["train"]["image"][row].as_py()["path"].split("/")[-2:] for row in found.rows]
    assert found.count == 6
    assert sorted(folder for folder, _ in files) == ["rose"] * 3 + ["tulip"] * 3
    assert len({name for _, name in files}) == 3


def test_the_eight_x_rays_of_train_and_val_are_found(look, data_directory: Path):
    parts = dict(read(data_directory / "medical" / "pneumoniamnist.npz").parts)
    (found,) = look(parts.pop("train"), "labels", "shared", parts=parts)
    assert (found.severity, found.count) == ("warning", 8)
    assert "8 rows of valid" in found.message


@pytest.mark.parametrize(("name", "count"), [("winequality-red.csv", 240), ("winequality-white.csv", 937)])
def test_the_wines_that_were_written_down_twice_are_counted(look, data_directory: Path, name, count):
    table = read(data_directory / "tabular" / name).parts["train"]
    assert [found.count for found in look(table, "quality", "copies")] == [count]
