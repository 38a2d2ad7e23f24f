"""IDX files, the form in which MNIST and its successors are published.

Source: http://yann.lecun.com/exdb/mnist (the section on file formats).
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from fathom.data.arrays import array_column
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, split_note, with_base
from fathom.data.tree import in_order
from fathom.errors import SourceError

__all__ = ["read_idx", "read_idx_folder"]

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file says the type of its values, which are big-endian."""

BLOCK_BYTES = 1 << 26

FILE_NAME = re.compile(
    r"(?i)(?P<start>(?:.*-)?(?P<part>train|t10k|test|valid|val)-)images(?P<mark>[-.]idx)\d(?P<end>-ubyte(?:\.gz)?)"
)
PART_OF_NAME = {"train": "train", "t10k": "test", "test": "test", "valid": "valid", "val": "valid"}


@READERS.register("idx", suffixes=("-ubyte", "-ubyte.gz"))
def read_idx(place: Path) -> Source:
    """Read one images file, with the labels file that stands beside it.

    Args:
        place: absolute path of a file called as in ``train-images-idx3-ubyte.gz``.
    """
    check_name(place)
    table, notes = _table(place)
    name = short_name(place.parent)
    return Source({"train": table}, _target(table), name, str(place), notes)


@READERS.register("idx-folder", holds="*[-.]idx?-ubyte*")
def read_idx_folder(place: Path) -> Source:
    """Read a folder of IDX files; train, valid and test (or t10k) in the names are the source's own split."""
    parts: dict[str, pa.Table] = {}
    notes: tuple[str, ...] = ()
    for path in sorted(place.iterdir()):
        found = FILE_NAME.fullmatch(path.name)
        if not found or is_packed_twin(path):
            continue
        part = PART_OF_NAME[found["part"].lower()]
        check_once(part, parts, path)
        parts[part], added = _table(path)
        notes += added
    check_train(parts, place)
    ordered = in_order(parts)
    notes += split_note(ordered)
    return Source(ordered, _target(ordered["train"]), short_name(place), str(place), notes)


def check_name(place: Path) -> None:
    if not FILE_NAME.fullmatch(place.name):
        raise SourceError(f"{place}: expected an images file, called as in train-images-idx3-ubyte(.gz)")


def check_once(part: str, parts: Mapping[str, pa.Table], path: Path) -> None:
    if part in parts:
        raise SourceError(f"{path.parent}: more than one file of images for {part}; one of them is {path.name}")


def check_train(parts: Mapping[str, pa.Table], place: Path) -> None:
    if "train" not in parts:
        told = ", ".join(parts) or "none"
        raise SourceError(f"{place}: looked for train-images-idx3-ubyte(.gz); parts with images there: {told}")


def is_packed_twin(path: Path) -> bool:
    """Whether the unpacked file stands beside a packed one, as torchvision leaves them."""
    return path.suffix == ".gz" and path.with_suffix("").is_file()


def _target(table: pa.Table) -> tuple[str, ...]:
    return ("label",) if "label" in table.column_names else ()


def _table(images_path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    images = _load(images_path)
    columns = {"image": array_column(images, "image", str(images_path))}
    labels_path = _labels_beside(images_path)
    notes = unlabelled_note(labels_path)
    if labels_path.is_file():
        labels = _load(labels_path)
        check_one_label_each(labels, images, labels_path)
        columns["label"] = array_column(labels, "label", str(labels_path))
    return with_base(pa.table(columns), images_path.parent), notes


def check_one_label_each(labels: np.ndarray, images: np.ndarray, path: Path) -> None:
    if labels.shape != images.shape[:1]:
        raise SourceError(f"{path}: labels of shape {labels.shape} for {len(images)} images")


def _labels_beside(images_path: Path) -> Path:
    """The labels file of an images file, whether packed or not."""
    name = FILE_NAME.sub(r"\g<start>labels\g<mark>1\g<end>", images_path.name)
    beside = images_path.with_name(name)
    other = other_form(beside)
    return other if other.is_file() and not beside.is_file() else beside


def other_form(path: Path) -> Path:
    """The path of a packed file unpacked, and the other way round."""
    return path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")


def unlabelled_note(labels_path: Path) -> tuple[str, ...]:
    return () if labels_path.is_file() else (f"no labels: {labels_path.name} is not there",)


def _load(path: Path) -> np.ndarray:
    """The array of one file.

    Raises:
        SourceError: the file's head is not IDX, or promises more or fewer values than there are.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        mark = file.read(4)
        check_mark(mark, path)
        dtype, num_dimensions = np.dtype(DTYPES[mark[2]]), mark[3]
        shape = tuple(int(size) for size in np.frombuffer(whole_words(file.read(4 * num_dimensions)), ">u4"))
        expected_bytes = math.prod(shape) * dtype.itemsize
        check_head(shape, num_dimensions, path)
        data = read_at_most(file, expected_bytes + 1)
    check_length(data, expected_bytes, shape, path)
    values = np.frombuffer(data, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def check_mark(mark: bytes, path: Path) -> None:
    if len(mark) < 4 or mark[:2] != b"\0\0" or mark[2] not in DTYPES:
        raise SourceError(f"{path}: is no IDX file (it begins with {mark!r})")


def check_head(shape: tuple[int, ...], num_dimensions: int, path: Path) -> None:
    if len(shape) != num_dimensions:
        raise SourceError(f"{path}: is cut short in its head, which promises {num_dimensions} dimensions")
    if 0 in shape[1:]:  # numpy refuses such a shape where its other sides are large
        raise SourceError(f"{path}: its head promises pictures of no pixels, shape {shape}")


def check_length(data: bytes, expected_bytes: int, shape: tuple[int, ...], path: Path) -> None:
    if len(data) != expected_bytes:
        there = f"{len(data):,} bytes are" if len(data) < expected_bytes else "more are"
        raise SourceError(f"{path}: its head promises {expected_bytes:,} bytes for shape {shape}; {there} there")


def whole_words(data: bytes) -> bytes:
    """The data without the bytes after the last whole group of four."""
    return data[: len(data) // 4 * 4]


def read_at_most(file: BinaryIO | gzip.GzipFile, most: int) -> bytes:
    """The rest of a file, block by block: an absurd promise in its head is not to ask for as much memory."""
    blocks: list[bytes] = []
    while most > 0 and (block := file.read(min(most, BLOCK_BYTES))):
        blocks.append(block)
        most -= len(block)
    return b"".join(blocks)
