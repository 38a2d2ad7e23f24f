"""CIFAR-10 in its binary version: one archive, read as it is, whose records are a label and the pixels.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (the section on the binary version).
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from fathom.data.arrays import array_column
from fathom.data.readers import READERS
from fathom.data.source import Source, split_note
from fathom.errors import SourceError

__all__ = ["read_cifar10"]

BATCH = re.compile(r"(?:.*/)?(?:data|(?P<test>test))_batch(?:_\d)?\.bin")
CLASSES = re.compile(r"(?:.*/)?batches\.meta\.txt")
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32
MAX_BATCH_BYTES = 10_000 * RECORD_BYTES
MAX_CLASSES_BYTES = 10_000
MAX_UNPACKED_BYTES = 1 << 28
"""More than the archive unpacks to; beyond it nothing is looked for."""

Batch = tuple[np.ndarray, np.ndarray]
"""Labels (N,) and pictures (N, 32, 32, 3)."""


@READERS.register("cifar10", suffixes=("cifar-10-binary.tar.gz",))
def read_cifar10(place: Path) -> Source:
    """Read CIFAR-10's archive of binary batches; nothing is unpacked to disk.

    Args:
        place: absolute path of the archive.

    Raises:
        SourceError: it is damaged, or holds something else.
    """
    try:
        batches, classes = _members(place)
    except SourceError:
        raise
    except (tarfile.TarError, ValueError) as error:  # the latter for headers with words where numbers belong
        raise SourceError(f"{place}: is no archive of CIFAR-10, or damaged: {error}") from error
    parts = {part: _table(found, classes, place) for part, found in batches.items() if found}
    if "train" not in parts:
        raise SourceError(f"{place}: holds no data_batch_1.bin, as the binary version of CIFAR-10 does")
    return Source(parts, ("label",), "cifar10", str(place), split_note(parts))


def _members(place: Path) -> tuple[dict[str, list[Batch]], list[str]]:
    """The batches of each part, in the order of the archive, and the names of the classes."""
    batches: dict[str, list[Batch]] = {"train": [], "test": []}
    classes: list[str] = []
    with tarfile.open(place, "r:gz") as archive:
        for member in archive:
            if member.offset_data + member.size > MAX_UNPACKED_BYTES:
                raise SourceError(f"{place}: unpacks to more than CIFAR-10's archive does")
            found, opened = BATCH.fullmatch(member.name), archive.extractfile(member) if member.isfile() else None
            if opened is not None and found:
                batches["test" if found["test"] else "train"].append(_batch(opened, f"{place}: {member.name}"))
            elif opened is not None and CLASSES.fullmatch(member.name):
                classes = opened.read(MAX_CLASSES_BYTES).decode("utf-8", "replace").split()
    return batches, classes


def _batch(opened: IO[bytes], where: str) -> Batch:
    data = opened.read(MAX_BATCH_BYTES + 1)  # the one byte more makes no whole record
    if not data or len(data) % RECORD_BYTES:
        raise SourceError(f"{where}: expected up to 10,000 records of {RECORD_BYTES} bytes each")
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    pixels = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return records[:, 0].copy(), np.ascontiguousarray(pixels)


def _table(batches: list[Batch], classes: list[str], place: Path) -> pa.Table:
    labels, images = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    if classes and labels.max() >= len(classes):
        raise SourceError(f"{place}: holds the label {labels.max()} and names {len(classes)} classes")
    names = np.asarray(classes, dtype=str)[labels] if classes else labels
    return pa.table({"image": array_column(images, "image"), "label": array_column(names, "label")})
