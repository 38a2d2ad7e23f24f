"""Folders and files of pictures become tables: a folder for each class, and IDX."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.data import read
from fathom.data.source import BASE_KEY
from fathom.data.tree import part_of_words
from fathom.errors import ConfigError, SourceError

Write = Callable[[str, str | bytes], Path]


def train(source: object) -> pa.Table:
    return read(source).parts["train"]


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file of unsigned bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def picture_folder(write: Write, *names: str) -> None:
    for name in names:
        write(name, b"picture")


# --- IDX -------------------------------------------------------------------------------------------------

IMAGES = np.arange(24, dtype=np.uint8).reshape(3, 4, 2)
LABELS = np.array([2, 0, 1])


def test_a_folder_of_idx_files_is_train_and_test_with_labels(write: Write, tmp_path: Path) -> None:
    write("mnist/train-images-idx3-ubyte", idx(IMAGES))
    write("mnist/train-labels-idx1-ubyte", idx(LABELS))
    write("mnist/t10k-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[:2])))
    write("mnist/t10k-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS[:2])))
    source = read(tmp_path / "mnist")
    assert {part: table.num_rows for part, table in source.parts.items()} == {"train": 3, "test": 2}
    assert (source.name, source.target) == ("mnist", ("label",))
    np.testing.assert_array_equal(source.parts["train"]["image"].combine_chunks().to_numpy_ndarray(), IMAGES)
    assert source.parts["train"]["label"].to_pylist() == LABELS.tolist()


def test_a_packed_idx_file_beside_the_unpacked_one_is_passed_over(write: Write, tmp_path: Path) -> None:
    write("raw/train-images-idx3-ubyte", idx(IMAGES))
    write("raw/train-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES)))
    assert train(tmp_path / "raw").num_rows == 3


def test_one_idx_file_of_images_finds_its_labels(write: Write) -> None:
    write("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS)))
    assert train(write("t10k-images-idx3-ubyte", idx(IMAGES)))["label"].to_pylist() == LABELS.tolist()


def test_idx_images_without_labels_have_no_target(write: Write) -> None:
    source = read(write("train-images-idx3-ubyte", idx(IMAGES)))
    assert source.target == ()
    assert "no labels" in source.notes[0]


def test_an_idx_file_that_is_cut_short_is_an_error(write: Write) -> None:
    with pytest.raises(SourceError, match="its head promises 24 bytes"):
        read(write("train-images-idx3-ubyte", idx(IMAGES)[:-1]))


# --- folders of pictures ---------------------------------------------------------------------------------


def test_class_folders_are_labels_in_natural_order(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "s10/1.png", "s2/10.JPG", "s2/9.jpg", "s2/deep10/1.png", "s2/deep9/1.webp")
    source = read(tmp_path)
    paths = [
        Path(image["path"]).relative_to(tmp_path).as_posix() for image in source.parts["train"]["image"].to_pylist()
    ]
    assert paths == ["s2/9.jpg", "s2/10.JPG", "s2/deep9/1.webp", "s2/deep10/1.png", "s10/1.png"]
    assert source.parts["train"]["label"].to_pylist() == ["s2", "s2", "s2", "s2", "s10"]
    assert source.target == ("label",)


def test_pictures_have_the_type_of_hugging_face(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "a/1.png", "b/1.png")
    assert train(tmp_path)["image"].type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert train(tmp_path)["image"][0].as_py() == {"bytes": None, "path": str(tmp_path / "a" / "1.png")}


def test_folders_for_train_val_and_test_are_parts(write: Write, tmp_path: Path) -> None:
    picture_folder(write, *(f"{part}/{label}/1.png" for part in ("train", "val", "test") for label in "ab"))
    source = read(tmp_path)
    assert list(source.parts) == ["train", "valid", "test"]
    assert "own split" in source.notes[0]


def test_a_class_may_be_called_train(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "train/1.png", "train/freight/1.png", "bus/1.png")
    assert train(tmp_path)["label"].to_pylist() == ["bus", "train", "train"]


def test_what_is_no_picture_is_left_out_and_counted(write: Write, tmp_path: Path) -> None:
    picture_folder(
        write, "a/1.png", "a/words.txt", "a/Thumbs.db", "b/1.png", "classes.csv", "b/.DS_Store", "a/.cache/2.png"
    )
    source = read(tmp_path)
    assert source.parts["train"].num_rows == 2
    assert source.notes == ("left out, being no picture: 2 files (classes.csv, a/words.txt)",)


def test_pictures_without_class_folders_have_no_target(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "1.png", "2.png")
    assert read(tmp_path).target == ()
    assert train(tmp_path).column_names == ["image"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/1.png", "b/readme.txt"), "b: no pictures"),
        (("readme.txt",), "no pictures and no table in this folder; it holds readme.txt"),
        (("a/1.png",), "found only a"),
        (("a/1.png", "b/1.png", "loose.png"), "loose.png"),
        (("train/a/1.png", "train/b/1.png", "extra/a/1.png"), "stands extra"),
    ],
)
def test_a_folder_that_is_no_set_of_pictures_is_an_error(
    write: Write, tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    picture_folder(write, *names)
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="folder is empty"):
        read(tmp_path)


def test_a_folder_that_a_link_leads_back_to_is_read_once(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "a/1.png", "b/1.png")
    (tmp_path / "a" / "b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "a").symlink_to(tmp_path / "a")
    assert train(tmp_path)["label"].to_pylist() == ["a", "a", "b", "b"]


def test_options_of_pictures_are_not_those_of_a_table(write: Write, tmp_path: Path) -> None:
    picture_folder(write, "a/1.png", "b/1.png")
    with pytest.raises(ConfigError, match=r"unknown option of the reader folder .columns.*allowed: label"):
        read(tmp_path, columns=("x",))


# --- folders of tables -----------------------------------------------------------------------------------


def test_options_reach_every_file_of_a_folder(write: Write, tmp_path: Path) -> None:
    write("set/train.csv", "1,a\n2,b\n")
    write("set/test.csv", "3,a\n")
    source = read(tmp_path / "set", columns=("x", "y"))
    assert source.parts["train"].to_pydict() == {"x": [1, 2], "y": ["a", "b"]}
    assert source.parts["test"].to_pydict() == {"x": [3], "y": ["a"]}


@given(st.lists(st.sampled_from(["train", "Valid", "dev", "val", "test", "latest", "x"]), min_size=1, max_size=3))
def test_a_name_says_a_part_where_its_words_do_once(words: list[str]) -> None:
    parts = {"train": "train", "Valid": "valid", "dev": "valid", "val": "valid", "test": "test"}
    said = {parts[word] for word in words if word in parts}
    assert part_of_words("_".join(words)) == (said.pop() if len(said) == 1 else None)


def test_cells_that_name_files_start_from_the_folder_of_their_table(write: Write, tmp_path: Path) -> None:
    write("set/train.csv", "file\n1.png\n2.png\n")
    write("set/test.csv", "file\n3.png\n")
    tables = read(tmp_path / "set").parts.values()
    assert [table.schema.metadata[BASE_KEY] for table in tables] == [bytes(tmp_path / "set")] * 2


def test_folders_of_shards_keep_the_order_of_rows(tmp_path: Path) -> None:
    for part, start in (("train", 0), ("validation", 100)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for shard in range(12):
            table = pa.table({"x": [start + shard]})
            pyarrow.parquet.write_table(table, tmp_path / "data" / part / f"{shard}.parquet")
    source = read(tmp_path)
    assert {part: table["x"].to_pylist() for part, table in source.parts.items()} == {
        "train": list(range(12)),
        "valid": list(range(100, 112)),
    }


# --- real data -------------------------------------------------------------------------------------------


def test_the_pixels_of_a_real_picture_are_those_that_numpy_reads(data_directory: Path) -> None:
    place = data_directory / "medical/pneumoniamnist.npz"
    images = read(place).parts["test"]["images"].combine_chunks().to_numpy_ndarray()
    with np.load(place) as arrays:
        np.testing.assert_array_equal(images, arrays["test_images"])
