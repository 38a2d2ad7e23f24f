"""A file with the tensors of some rows (safetensors), read straight into memory that is there already."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from fathom.data.store import TensorStore
from fathom.errors import SourceError
from fathom.runtime import write_atomic
from fathom.signals import Batch, Ragged, Samples

__all__ = ["TensorFile", "read_joined", "write_tensor_file"]

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
ALIGNED_BYTES = 64
TENSOR, VALUES, LENGTHS, SAMPLES = "tensor", "values", "lengths", "samples"
"""What stands before the colon in a name: a tensor of the rows, the two of a Ragged, those of Samples."""


def write_tensor_file(path: Path, store: TensorStore) -> None:
    """Write the tensors and the samples of a store; the file is there whole or not at all."""
    flat: dict[str, Tensor] = {}
    for key, value in store.tensors.items():
        if isinstance(value, Ragged):
            flat |= {f"{VALUES}:{key}": value.values, f"{LENGTHS}:{key}": value.lengths}
        else:
            flat[f"{TENSOR}:{key}"] = value
    samples = store.samples
    if samples.starts is not None and samples.lengths is not None:
        flat |= {f"{SAMPLES}:rows": samples.rows, f"{SAMPLES}:starts": samples.starts}
        flat[f"{SAMPLES}:lengths"] = samples.lengths
    about = {"rows": str(store.num_rows), "samples": str(len(store)), "windowed": json.dumps(sorted(store.windowed))}
    write_atomic(path, save({name: value.contiguous() for name, value in flat.items()}, about))


class TensorFile:
    """What a file of tensors holds and where; nothing but its header is read.

    Args:
        path: of a file that ``write_tensor_file`` wrote.

    Attributes:
        fields: name to dtype, shape and place in the file.
        num_rows: N.
        num_samples: S.
        windowed: the names of the ragged rows that windows cut.

    Raises:
        SourceError: the file is not as it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                header_bytes = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(header_bytes))
            about = header.pop("__metadata__")
            start = 8 + header_bytes
            self.fields = {
                name: (DTYPES[field["dtype"]], tuple(field["shape"]), start + field["data_offsets"][0])
                for name, field in header.items()
            }
            self.num_rows, self.num_samples = int(about["rows"]), int(about["samples"])
            self.windowed = frozenset(json.loads(about["windowed"]))
            end = start + max((field["data_offsets"][1] for field in header.values()), default=0)
        except (KeyError, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise SourceError(f"{path} is no file of tensors ({error!r:.100}); delete it") from error
        if path.stat().st_size != end:
            raise SourceError(f"{path} holds {path.stat().st_size:,} bytes instead of {end:,}; delete it")

    @cached_property
    def size_bytes(self) -> int:
        """How much memory its tensors take."""
        return sum(dtype.itemsize * math.prod(shape) for dtype, shape, _ in self.fields.values())

    def length(self, name: str) -> int:
        """How many entries a tensor has along the rows; one that this file lacks is 0 in every row."""
        if name in self.fields:
            return int(self.fields[name][1][0])
        return self.num_rows if name.startswith((TENSOR, LENGTHS)) else 0

    def read_into(self, targets: dict[str, Tensor]) -> None:
        """Fill tensors, one after another as they stand in the file."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            _advise_sequential(descriptor)
            for name, (_, _, place) in sorted(self.fields.items(), key=lambda item: item[1][2]):
                _read(descriptor, place, targets[name], self.path)
        finally:
            os.close(descriptor)
        for name in targets.keys() - self.fields.keys():
            targets[name].zero_()


def read_joined(files: Sequence[TensorFile], memory: Tensor | None = None) -> TensorStore:
    """The rows of several files, one file after another, in memory.

    Args:
        files: which.
        memory: (bytes,) uint8, where the rows are to stand; new memory is taken where it is too small or None.
    """
    fields = {name: field for file in files for name, field in file.fields.items()}
    lengths = {name: [file.length(name) for file in files] for name in fields}
    joined: dict[str, Tensor] = {}
    start = 0
    for name, (dtype, shape, _) in fields.items():
        size = (sum(lengths[name]), *shape[1:])
        stop = start + math.prod(size) * dtype.itemsize
        if memory is not None and stop <= len(memory):
            joined[name] = memory[start:stop].view(dtype).view(size)
        else:
            joined[name] = torch.empty(size, dtype=dtype)
        start = -(-stop // ALIGNED_BYTES) * ALIGNED_BYTES
    parts = {name: value.split(lengths[name]) for name, value in joined.items()}
    for number, file in enumerate(files):
        file.read_into({name: part[number] for name, part in parts.items()})
    return TensorStore(_tensors(joined), _samples(joined, files), files[0].windowed)


def _tensors(joined: dict[str, Tensor]) -> Batch:
    tensors: Batch = {}
    for name, value in joined.items():
        what, _, key = name.partition(":")
        if what == TENSOR:
            tensors[key] = value
        elif what == VALUES:
            lengths = joined[f"{LENGTHS}:{key}"]
            tensors[key] = Ragged(value, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
    return tensors


def _samples(joined: dict[str, Tensor], files: Iterable[TensorFile]) -> Samples | None:
    """The samples of all files, their rows counted from the first file's first; None where each row is one."""
    if f"{SAMPLES}:rows" not in joined:
        return None
    rows, samples = (torch.tensor([getattr(file, what) for file in files]) for what in ("num_rows", "num_samples"))
    before = torch.repeat_interleave(rows.cumsum(0) - rows, samples)
    return Samples(joined[f"{SAMPLES}:rows"] + before, joined[f"{SAMPLES}:starts"], joined[f"{SAMPLES}:lengths"])


def _advise_sequential(descriptor: int) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)


def _read(descriptor: int, place: int, target: Tensor, path: Path) -> None:
    left: Any = target.reshape(-1).view(torch.uint8).numpy().data
    while len(left):
        count = os.preadv(descriptor, [left], place)
        if count == 0:
            raise SourceError(f"{path} ended while it was read; start the run again")
        left, place = left[count:], place + count
