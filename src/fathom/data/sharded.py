"""Encoded data beyond memory: shards in files, drawn in two levels, the next rows read while these are used.

An epoch takes the shards in random order, several at a time: a window. The rows of a window are read one file after
another, and then drawn in random order. So a disk is only ever asked for what stands together, no more than two windows
are in memory, and rows that were neighbours come far from each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fathom.data.store import Drawing, TensorStore
from fathom.data.tensorfile import TensorFile, read_joined, write_tensor_file
from fathom.errors import SourceError
from fathom.runtime import in_parallel, memory_limit_bytes, seed_from, write_atomic
from fathom.signals import SAMPLE, Batch, Ragged

__all__ = ["SHARD_BYTES", "ShardedStore", "write_shards"]

SHARD_BYTES = 1 << 21
WINDOW_BYTES = 1 << 27
WINDOW_SHARE = 1 / 32
"""A window is no larger than WINDOW_BYTES and this share of the memory, and there are two."""

SLACK_BYTES = 1 << 16
"""Room between the tensors of a window."""

MANIFEST = "shards.json"
Told = Callable[[int], None]


def write_shards(directory: Path, count: int, encode: Callable[[int], TensorStore], told: Told) -> None:
    """Encode shards in parallel, each into a file of its own; those that are there already are kept.

    Args:
        directory: where they go; a process that died may have left a part of them.
        count: how many there are.
        encode: gives the rows of a shard by its number; called in several threads.
        told: is called with the number of shards that are there, whenever one is added.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob("*.tmp"):
        leftover.unlink()
    missing = [number for number in range(count) if not _path(directory, number).exists()]
    told(count - len(missing))
    writing = in_parallel(lambda number: write_tensor_file(_path(directory, number), encode(number)), missing)
    for done, _ in enumerate(writing, start=count - len(missing) + 1):
        told(done)
    if not (directory / MANIFEST).exists():
        about = {"shards": count, "window_bytes": min(WINDOW_BYTES, int(WINDOW_SHARE * memory_limit_bytes()))}
        write_atomic(directory / MANIFEST, json.dumps(about).encode())


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:06d}.safetensors"


class ShardedStore:
    """Tensors of all rows in the files of a directory, with the interface of ``TensorStore``.

    Args:
        directory: what ``write_shards`` filled.

    Raises:
        SourceError: a file is missing or not as it was written.
    """

    def __init__(self, directory: Path) -> None:
        try:
            about = json.loads((directory / MANIFEST).read_text())
            self.files = [TensorFile(_path(directory, number)) for number in range(about["shards"])]
            window_bytes = int(about["window_bytes"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{directory} holds no whole set of shards ({error!r:.100}); delete it") from error
        largest = max(file.size_bytes for file in self.files)
        self.shards_per_window = max(2, window_bytes // max(1, largest))
        self.counts = np.array([file.num_samples for file in self.files])
        self._first = np.concatenate([[0], self.counts.cumsum()])
        self._open: tuple[int, TensorStore] | None = None
        self._windows: _ReadAhead | None = None

    def __len__(self) -> int:
        return int(self._first[-1])

    @cached_property
    def size_bytes(self) -> int:
        """How much memory all tensors would take."""
        return sum(file.size_bytes for file in self.files)

    def batch(self, index: Tensor) -> Batch:
        """The samples named by (B,) int64, each tensor (B, ...); fast where they stand in few shards."""
        shards = np.searchsorted(self._first, index.numpy(), side="right") - 1
        parts, places = [], []
        for shard in np.unique(shards):
            chosen = np.flatnonzero(shards == shard)
            parts.append(self._shard(int(shard)).batch(index[torch.from_numpy(chosen)] - int(self._first[shard])))
            places.append(chosen)
        order = torch.from_numpy(np.argsort(np.concatenate(places))) if places else index
        joined = _joined(parts) if parts else self._shard(0).batch(index)
        back = {
            key: value.select(order) if isinstance(value, Ragged) else value[order] for key, value in joined.items()
        }
        return back | {SAMPLE: index}

    def in_order(self, size: int) -> Iterator[Batch]:
        """All samples once, in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))

    @property
    def lengths(self) -> None:
        """Nothing: samples of like lengths are not brought together across files."""

    def drawing(self, seed: int) -> Drawing:
        return _InWindows(self, seed)

    def window(self, shards: tuple[int, ...], following: tuple[int, ...]) -> TensorStore:
        """The rows of some shards, in memory, while a thread reads the shards that will be asked for next."""
        if self._windows is None:
            largest = np.sort([file.size_bytes for file in self.files])[-self.shards_per_window :]
            self._windows = _ReadAhead(self._read, int(largest.sum()) + SLACK_BYTES)
        return self._windows.get(shards, following)

    def close(self) -> None:
        """Let go of the windows and of the thread that reads them."""
        if self._windows is not None:
            self._windows.close()
        self._windows = self._open = None

    def numbers(self, shards: tuple[int, ...]) -> Tensor:
        """(S,) int64, the places in the store of the samples of some shards."""
        return torch.cat([torch.arange(self._first[shard], self._first[shard + 1]) for shard in shards])

    def _read(self, shards: tuple[int, ...], memory: Tensor) -> TensorStore:
        return read_joined([self.files[shard] for shard in shards], memory)

    def _shard(self, number: int) -> TensorStore:
        if self._open is None or self._open[0] != number:
            self._open = None  # two shards need not be in memory
            self._open = number, read_joined([self.files[number]])
        return self._open[1]


class _InWindows:
    """Draws all samples of a sharded store, in an order that depends on the seed, the epoch and the shards alone."""

    def __init__(self, store: ShardedStore, seed: int) -> None:
        self._store, self._seed = store, seed
        self._epoch, self._shards = -1, list[tuple[int, ...]]()
        self._bounds = np.zeros(1, np.int64)
        self._order: tuple[tuple[int, int], Tensor, Tensor] | None = None

    def batch(self, epoch: int, start: int, stop: int) -> Batch:
        if epoch != self._epoch:
            self._epoch, self._shards = epoch, self._windows_of(epoch)
            sizes = [self._store.counts[list(shards)].sum() for shards in self._shards]
            self._bounds = np.concatenate([[0], np.cumsum(sizes)])
        first = int(np.searchsorted(self._bounds, start, side="right")) - 1
        last = int(np.searchsorted(self._bounds, stop, side="left"))
        parts = [self._part(number, start, stop) for number in range(min(first, last - 1), last)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _part(self, number: int, start: int, stop: int) -> Batch:
        """What a window gives to the batch of the places ``[start, stop)``."""
        before, shards = int(self._bounds[number]), self._shards[number]
        last = number + 1 == len(self._shards)
        following = self._windows_of(self._epoch + 1)[0] if last else self._shards[number + 1]
        window = self._store.window(shards, following)
        order, samples = self._order_in(number)
        places = slice(max(0, start - before), stop - before)
        return window.batch(order[places]) | {SAMPLE: samples[places]}

    def _windows_of(self, epoch: int) -> list[tuple[int, ...]]:
        """The shards of each window: all shards in random order, cut into windows of nearly one size."""
        order = _shuffled("shards", self._seed, epoch, len(self._store.counts))
        windows = -(-len(order) // self._store.shards_per_window)
        return [tuple(part.tolist()) for part in order.tensor_split(windows)]

    def _order_in(self, number: int) -> tuple[Tensor, Tensor]:
        """The order of a window's samples: their places in the window, and in the store."""
        place = (self._epoch, number)
        if self._order is None or self._order[0] != place:
            samples = self._store.numbers(self._shards[number])
            order = _shuffled(f"window {number}", self._seed, self._epoch, len(samples))
            self._order = place, order, samples[order]
        return self._order[1:]


class _ReadAhead:
    """Windows, one after another: the present one, and the next one, which a thread reads meanwhile.

    Both stand in memory that is taken once, so that it does not grow and no page of it is asked for twice.
    """

    def __init__(self, read: Callable[[tuple[int, ...], Tensor], TensorStore], size_bytes: int) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(1, "read-ahead")
        self._memory = [torch.empty(size_bytes, dtype=torch.uint8) for _ in range(2)]
        self._present: tuple[tuple[int, ...], TensorStore] | None = None
        self._next: tuple[tuple[int, ...], Future[TensorStore]] | None = None

    def get(self, shards: tuple[int, ...], following: tuple[int, ...]) -> TensorStore:
        """The window of some shards; from now on ``following`` is read, in place of the window before."""
        if self._present is None or self._present[0] != shards:
            ahead = self._read_ahead()
            if ahead is not None and ahead[0] == shards:
                self._memory.reverse()
                self._present = ahead
            else:
                self._present = shards, self._read(shards, self._memory[0])
            self._next = following, self._pool.submit(self._read, following, self._memory[1])
        return self._present[1]

    def close(self) -> None:
        self._pool.shutdown()
        self._memory.clear()
        self._present = self._next = None

    def _read_ahead(self) -> tuple[tuple[int, ...], TensorStore] | None:
        """What the thread has read, once it has, and forget it."""
        if self._next is None:
            return None
        shards, future = self._next
        self._next = None
        return shards, future.result()


def _joined(parts: list[Batch]) -> Batch:
    """Batches of the same tensors, one after another."""
    return {key: _one_after_another([part[key] for part in parts]) for key in parts[0]}


def _one_after_another(values: list[Tensor | Ragged]) -> Tensor | Ragged:
    if isinstance(values[0], Tensor):
        return torch.cat([value for value in values if isinstance(value, Tensor)])
    rows = [value for value in values if isinstance(value, Ragged)]
    lengths = torch.cat([value.lengths for value in rows])
    return Ragged(torch.cat([value.values for value in rows]), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def _shuffled(what: str, seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed_from(what, seed, epoch)))
