"""IDX files, the form in which MNIST and its successors are published.

Source: http://yann.lecun.com/exdb/mnist (the section on file formats).
"""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from fathom.data.arrays import array_column, split_note
from fathom.data.readers import READERS
from fathom.data.source import PARTS, Source, short_name, with_base
from fathom.errors import SourceError

__all__ = ["read_idx", "read_idx_folder"]

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file says the type of its values, which are big-endian."""

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
    if not FILE_NAME.fullmatch(place.name):
        raise SourceError(f"{place}: expected an images file, called as in train-images-idx3-ubyte(.gz)")
    table, notes = _table(place)
    name = short_name(place.parent)
    return Source({"train": table}, _target(table), name, str(place), notes)


@READERS.register("idx-folder", holds="*images[-.]idx?-ubyte*")
def read_idx_folder(place: Path) -> Source:
    """Read a folder of IDX files; train, valid and test (or t10k) in the names are the source's own split."""
    parts: dict[str, pa.Table] = {}
    notes: tuple[str, ...] = ()
    for path in sorted(place.iterdir()):
        found = FILE_NAME.fullmatch(path.name)
        if not found or (path.suffix == ".gz" and path.with_suffix("").is_file()):
            continue  # torchvision keeps the packed file beside the unpacked one
        part = PART_OF_NAME[found["part"].lower()]
        if part in parts:
            raise SourceError(f"{place}: more than one file of images for {part}; one of them is {path.name}")
        parts[part], added = _table(path)
        notes += added
    if "train" not in parts:
        told = ", ".join(parts) or "none"
        raise SourceError(f"{place}: looked for train-images-idx3-ubyte(.gz); the parts there: {told}")
    ordered = {part: parts[part] for part in PARTS if part in parts}
    notes += split_note(ordered)
    return Source(ordered, _target(ordered["train"]), short_name(place), str(place), notes)


def _target(table: pa.Table) -> tuple[str, ...]:
    return ("label",) if "label" in table.column_names else ()


def _table(images_path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    images = _load(images_path)
    columns = {"image": array_column(images, "image", str(images_path))}
    labels_path = _labels_beside(images_path)
    notes: tuple[str, ...] = (f"no labels: {labels_path.name} is not there",)
    if labels_path.is_file():
        labels, notes = _load(labels_path), ()
        if labels.shape != images.shape[:1]:
            raise SourceError(f"{labels_path}: labels of shape {labels.shape} for {len(images)} images")
        columns["label"] = array_column(labels, "label", str(labels_path))
    return with_base(pa.table(columns), images_path.parent), notes


def _labels_beside(images_path: Path) -> Path:
    """The labels file of an images file, whether packed or not."""
    name = FILE_NAME.sub(r"\g<start>labels\g<mark>1\g<end>", images_path.name)
    beside = images_path.with_name(name)
    other = beside.with_suffix("") if name.endswith(".gz") else beside.with_name(name + ".gz")
    return other if other.is_file() and not beside.is_file() else beside


def _load(path: Path) -> np.ndarray:
    """The array of one file.

    Raises:
        SourceError: the file's head is not IDX, or promises more or fewer values than there are.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        raise SourceError(f"{path}: is no IDX file (it begins with {data[:4]!r})")
    dtype, num_dimensions = np.dtype(DTYPES[data[2]]), data[3]
    start = 4 + 4 * num_dimensions
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], ">u4"))
    expected_bytes = start + math.prod(shape) * dtype.itemsize
    if len(shape) != num_dimensions or len(data) != expected_bytes:
        raise SourceError(f"{path}: {len(data)} bytes; its head promises {expected_bytes} for shape {shape}")
    values = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)
