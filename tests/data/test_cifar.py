"""CIFAR-10's archive is read as it is, and nothing else is taken for it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fathom.data import cifar, read
from fathom.errors import SourceError

CLASSES = ("airplane", "automobile", "bird")
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([0, 2, 1, 1, 0, 2, 0], np.uint8)


def batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Records as they are published: the label, then all of red, all of green, all of blue."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, None], planes], axis=1).astype(np.uint8).tobytes()


WHOLE = {
    "cifar-10-batches-bin/readme.html": b"<html>",
    "cifar-10-batches-bin/batches.meta.txt": "\n".join(CLASSES).encode() + b"\n\n",
    "cifar-10-batches-bin/data_batch_1.bin": batch(IMAGES[:3], LABELS[:3]),
    "cifar-10-batches-bin/data_batch_2.bin": batch(IMAGES[3:5], LABELS[3:5]),
    "cifar-10-batches-bin/test_batch.bin": batch(IMAGES[5:], LABELS[5:]),
}


def archive(folder: Path, members: Mapping[str, bytes]) -> Path:
    place = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(place, "w:gz") as packed:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return place


def test_pictures_and_classes_come_out_in_their_parts(tmp_path: Path) -> None:
    source = read(archive(tmp_path, WHOLE))
    assert (source.target, list(source.parts)) == (("label",), ["train", "test"])
    images = [table["image"].combine_chunks().to_numpy_ndarray() for table in source.parts.values()]
    np.testing.assert_array_equal(np.concatenate(images), IMAGES)
    assert source.parts["train"]["label"].to_pylist() == [CLASSES[label] for label in LABELS[:5]]
    assert source.parts["test"]["label"].to_pylist() == [CLASSES[label] for label in LABELS[5:]]
    assert source.notes == ("the source's own split is used: train 5 rows, test 2 rows",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar-10-binary.tar.gz"]


def test_without_names_a_class_is_a_number(tmp_path: Path) -> None:
    members = {name: content for name, content in WHOLE.items() if "meta" not in name}
    assert read(archive(tmp_path, members)).parts["train"]["label"].to_pylist() == LABELS[:5].tolist()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("data_batch_2.bin", WHOLE["cifar-10-batches-bin/data_batch_2.bin"][:-1], "data_batch_2.bin: expected"),
        ("data_batch_2.bin", b"", "data_batch_2.bin: expected"),
        ("batches.meta.txt", b"airplane\nautomobile\n", "the label 2 and names 2 classes"),
    ],
)
def test_a_damaged_member_is_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        read(archive(tmp_path, WHOLE | {f"cifar-10-batches-bin/{name}": content}))


def test_too_many_records_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "MAX_BATCH_BYTES", 2 * cifar.RECORD_BYTES)
    with pytest.raises(SourceError, match=r"data_batch_1\.bin: expected"):
        read(archive(tmp_path, WHOLE))


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "MAX_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="unpacks to more"):
        read(archive(tmp_path, {"bomb": bytes(1 << 21), **WHOLE}))


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no data_batch_1\.bin"):
        read(archive(tmp_path, {"readme.txt": b"x"}))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8bno archive"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "cifar-10-binary.tar.gz"
    place.write_bytes(content)
    with pytest.raises(SourceError, match="cifar-10-binary"):
        read(place)


def test_an_archive_with_a_senseless_header_is_told(tmp_path: Path) -> None:
    place = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(place, "w:gz", format=tarfile.PAX_FORMAT) as packed:
        member = tarfile.TarInfo("data_batch_1.bin")
        member.size = 512
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        packed.addfile(member, io.BytesIO(b"x" * 512))
    with pytest.raises(SourceError, match="is no archive of CIFAR-10"):
        read(place)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_archive_that_is_cut_short_is_told(tmp_path: Path, share: float) -> None:
    place = archive(tmp_path, WHOLE)
    whole = place.read_bytes()
    place.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SourceError, match="cifar-10-binary"):
        read(place)
