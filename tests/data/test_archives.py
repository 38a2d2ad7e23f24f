"""ZIP archives are read as the folders that were packed, and leave nothing behind."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.data import archives, read
from fathom.data.readers import accepted_options
from fathom.errors import ConfigError
from fathom.kinds.image import Image
from tests.data.made import classes, picture, write, zipped

PACKED = classes("a", "b", of=3, above="train/") | classes("a", "b", above="test/")


def packed(folder: Path, contents: dict[str, bytes], name: str = "set.zip") -> Path:
    (folder / name).write_bytes(zipped(contents))
    return folder / name


def test_an_archive_gives_the_rows_of_the_folder_that_was_packed(tmp_path: Path) -> None:
    write(tmp_path / "set", PACKED)
    folder, archive = read(tmp_path / "set"), read(packed(tmp_path, PACKED))
    assert (archive.target, archive.notes, archive.name) == (folder.target, folder.notes, "set")
    for part, table in folder.parts.items():
        assert archive.parts[part]["label"].equals(table["label"])
        images = [Image(Image.fit(Image.count(found["image"]))) for found in (table, archive.parts[part])]
        pixels = [
            kind.encode(found["image"])[""] for kind, found in zip(images, (table, archive.parts[part]), strict=True)
        ]
        np.testing.assert_array_equal(*pixels)


def test_a_picture_in_an_archive_has_its_bytes_and_a_name(tmp_path: Path) -> None:
    cell = read(packed(tmp_path, PACKED)).parts["train"]["image"][1].as_py()
    assert cell == {"bytes": picture(1), "path": str(tmp_path / "set.zip/train/a/1.png")}


def test_pictures_beyond_a_chunk_stand_in_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "CHUNK_BYTES", 2 * len(picture()))
    image = read(packed(tmp_path, classes("a", "b", of=3))).parts["train"]["image"]
    assert image.num_chunks > 1
    assert [cell["path"][-5:] for cell in image.to_pylist()] == ["0.png", "1.png", "2.png"] * 2


def test_tables_leave_nothing_where_they_were_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    source = read(packed(tmp_path, {"train.csv": b"x\n1\n", "test.csv": b"x\n2\n"}))
    assert source.parts["test"]["x"].to_pylist() == [2]
    assert source.place == str(tmp_path / "set.zip")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_fingerprint_of_an_archive_does_not_depend_on_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first, second = packed(tmp_path, PACKED), packed(tmp_path / "elsewhere", PACKED)
    assert read(first).fingerprint == read(second).fingerprint
    other = packed(tmp_path, PACKED | {"train/a/0.png": picture(99)}, "other.zip")
    assert read(first).fingerprint != read(other).fingerprint


def test_options_are_those_of_what_is_in_the_archive(tmp_path: Path) -> None:
    table = packed(tmp_path, {"t.csv": b"1,a\n2,b\n"}, "table.zip")
    assert read(table, columns=("x", "y")).parts["train"].column_names == ["x", "y"]
    with pytest.raises(ConfigError, match="allowed: label"):
        read(packed(tmp_path, PACKED), columns=("x",))
    assert accepted_options(table, {"columns": ("x", "y"), "label": "full"}) == {"columns": ("x", "y")}


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "C:"]), min_size=1, max_size=4))
def test_a_name_that_would_be_written_outside_is_found(pieces: list[str]) -> None:
    name = "/".join(pieces)
    # What a path means where it is unpacked: absolute ones and drives stand for themselves, and each .. climbs.
    outside = name.startswith("/") or ".." in pieces or next((p for p in pieces if p not in ("", ".")), "") == "C:"
    if archives.PurePosixPath(name).parts:
        assert archives.leads_outside(archives.PurePosixPath(name)) == outside


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_packed_in_every_way_are_read(tmp_path: Path, method: int) -> None:
    (tmp_path / "set.zip").write_bytes(zipped(PACKED, method))
    assert read(tmp_path / "set.zip").parts["train"].num_rows == 6
