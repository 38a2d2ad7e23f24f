"""The encoded data: indexed tensors, from which a batch is one index_select per tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa
import torch
from torch import Tensor

from fathom.runtime import seed_from
from fathom.signals import SAMPLE, Batch, Ragged, Samples, order

__all__ = ["Batches", "Drawing", "Store", "TensorStore", "stacked_rows"]


SORTED_SAMPLES = 8192  # among which batches of like lengths are found


class Drawing(Protocol):
    """The samples of a store in the shuffled order of one epoch after another."""

    def batch(self, epoch: int, start: int, stop: int) -> Batch:
        """The samples at the places ``[start, stop)`` of an epoch's order."""


class Store(Protocol):
    """Encoded samples, in memory or in files."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """The samples named by (B,) int64, each tensor (B, ...)."""

    def in_order(self, size: int) -> Iterator[Batch]:
        """All samples once, in order, ``size`` at a time."""

    def drawing(self, seed: int) -> Drawing:
        """All samples in each epoch's order, which is a pure function of the store, the seed and the epoch."""

    @property
    def lengths(self) -> Tensor | None:
        """(S,) int64 how many positions of each sample are padded, or None where nothing is."""


class TensorStore:
    """Tensors of all rows, and the samples that are drawn from them.

    Args:
        tensors: name to (N, ...) tensor or N ragged rows.
        samples: what one sample is; a whole row unless given.
        windowed: the names of the ragged rows that windows cut; every other tensor gives its whole row.
        padded: the names of the ragged rows that a network pads to the longest of a batch, so that the samples of a
            batch should be of like lengths.
        cells: by target, the rows' cells that spell its answers, where an answer is a place in them; no batch has them.
    """

    def __init__(
        self,
        tensors: Batch,
        samples: Samples | None = None,
        windowed: frozenset[str] = frozenset(),
        padded: frozenset[str] = frozenset(),
        cells: Mapping[str, pa.ChunkedArray] | None = None,
    ) -> None:
        rows = {len(value) for value in tensors.values()}
        assert len(rows) == 1, f"tensors of differing length: { {key: len(value) for key, value in tensors.items()} }"
        self.tensors = tensors
        self.num_rows = rows.pop()
        self.samples = Samples.whole(self.num_rows) if samples is None else samples
        self.windowed, self.padded, self.cells = windowed, padded, dict(cells or {})

    @cached_property
    def lengths(self) -> Tensor | None:
        """(S,) int64 how many positions of each sample are padded, or None where nothing is."""
        rows, windows = self.samples.rows, self.samples.lengths
        found = [self._lengths(key)[rows] for key in self.padded if key not in self.windowed or windows is None]
        found += [windows for key in self.padded if key in self.windowed and windows is not None]
        return sum(found[1:], found[0]) if found else None

    def _lengths(self, key: str) -> Tensor:
        value = self.tensors[key]
        assert isinstance(value, Ragged)
        return value.lengths

    @property
    def size_bytes(self) -> int:
        """How much memory the tensors take."""
        return sum(_size_bytes(value) for value in self.tensors.values())

    def holding(self, tensors: Batch) -> TensorStore:
        """The same samples of other tensors of the same rows."""
        return TensorStore(tensors, self.samples, self.windowed, self.padded, self.cells)

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, index: Tensor) -> Batch:
        """The samples named by (B,) int64, each tensor (B, ...)."""
        rows = self.samples.rows.index_select(0, index)
        batch = {key: self._select(key, value, rows, index) for key, value in self.tensors.items()}
        batch[SAMPLE] = index
        return batch

    def drawn(self, key: str) -> Tensor | Ragged:
        """One tensor of all samples, in order."""
        return self._select(key, self.tensors[key], self.samples.rows, torch.arange(len(self)))

    def in_order(self, size: int) -> Iterator[Batch]:
        """All samples once, in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))

    def drawing(self, seed: int) -> Drawing:
        return _Shuffled(self, seed)

    def _select(self, key: str, value: Tensor | Ragged, rows: Tensor, index: Tensor) -> Tensor | Ragged:
        if isinstance(value, Tensor):
            return value.index_select(0, rows)
        starts, lengths = self.samples.starts, self.samples.lengths
        if key in self.windowed and starts is not None and lengths is not None:
            return value.windows(rows, starts[index], lengths[index])
        return value.select(rows)


def stacked_rows(parts: Sequence[Tensor]) -> Tensor:
    """Rows (B, ...) or (B, T, ...) of several batches one after another, short ones filled up with 0."""
    if parts[0].dim() < 2:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    filled = [
        torch.cat([part, part.new_zeros(len(part), longest - part.shape[1], *part.shape[2:])], 1) for part in parts
    ]
    return torch.cat(filled)


def _size_bytes(value: Tensor | Ragged) -> int:
    return value.nbytes if isinstance(value, Tensor) else value.values.nbytes + value.offsets.nbytes


class _Shuffled:
    """Draws all samples of a store in memory, each epoch in an order of its own."""

    def __init__(self, store: TensorStore, seed: int) -> None:
        self._store, self._seed = store, seed
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, epoch: int, start: int, stop: int) -> Batch:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(order(self._seed, epoch, len(self._store)))
        return self._store.batch(self._order[start:stop])

    def _drawn(self, shuffled: Tensor) -> Tensor:
        """The shuffled places of samples, those that stand near each other of like lengths, where these differ."""
        lengths = self._store.lengths
        if lengths is None:
            return shuffled
        parts = shuffled.split(SORTED_SAMPLES)
        return torch.cat([part[lengths[part].argsort(stable=True)] for part in parts])


class Batches:
    """Shuffled batches without end; where they stand can be saved and restored.

    An epoch is cut into batches of nearly equal size, so that none is a small remainder. With several ranks each
    takes its slice of the same global batch. Where samples are padded, those of a batch are of like lengths, and the
    batches come in an order of their own.

    Args:
        store: what is drawn from.
        size: samples of a global batch, at most the store's length.
        seed: with the epoch's number, all that decides the order.
        rank: which slice of each batch is this process's.
        ranks: how many slices there are.
    """

    def __init__(self, store: Store, size: int, *, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.per_epoch = max(1, -(-len(store) // size))
        self._slice = (rank, ranks)
        self._samples, self._drawing = len(store), store.drawing(seed)
        self._seed, self._apart = seed, store.lengths is not None
        self._turns: tuple[int, list[int]] = (-1, [])  # of the batches of an epoch
        self._epoch, self._place = 0, 0

    @property
    def epoch(self) -> float:
        """How many times all samples have been drawn, counting the present epoch's part."""
        return self._epoch + self._place / self.per_epoch

    def state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "place": self._place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._epoch, self._place = state["epoch"], state["place"]

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        if self._place == self.per_epoch:
            self._epoch, self._place = self._epoch + 1, 0
        start, stop = _part(self._samples, self.per_epoch, self._number())
        self._place += 1
        rank, ranks = self._slice
        first, last = _part(stop - start, ranks, rank)
        return self._drawing.batch(self._epoch, start + first, start + last)

    def _number(self) -> int:
        """Which batch of the epoch is the next."""
        if not self._apart:
            return self._place
        if self._turns[0] != self._epoch:
            turns = order(seed_from("batches", self._seed), self._epoch, self.per_epoch)
            self._turns = self._epoch, turns.tolist()
        return self._turns[1][self._place]


def _part(count: int, parts: int, number: int) -> tuple[int, int]:
    """Where one of several parts of nearly equal size starts and stops; the first ones are larger by one."""
    size, larger = divmod(count, parts)
    start = number * size + min(number, larger)
    return start, start + size + (number < larger)
