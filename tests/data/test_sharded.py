"""The store in files: what a batch holds, the order in two levels, what is in memory, and what a kill leaves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fathom.data import sharded
from fathom.data.sharded import ShardedStore, write_shards
from fathom.data.store import Batches, TensorStore
from fathom.data.tensorfile import TensorFile, read_joined
from fathom.errors import SourceError
from fathom.signals import SAMPLE, Ragged, Samples

SIZES = (7, 9, 8, 1, 10, 6, 9, 10)
ROWS = sum(SIZES)
ENDS = np.cumsum((0, *SIZES))
WINDOW = 3  # shards


def rows(start: int, stop: int) -> TensorStore:
    """Rows whose every value tells their number."""
    numbers = torch.arange(start, stop)
    text = Ragged.of([torch.full((int(n) % 4,), int(n)) for n in numbers])
    flags = (numbers % 2 == 0).unsqueeze(1)
    return TensorStore({"number": numbers[:, None] * 10.0, "text": text, "flag": flags, "id": numbers.int()})


WHOLE = rows(0, ROWS)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ShardedStore]:
    """Return what writes shards and opens them."""

    def written(encode: Callable[[int], TensorStore] = lambda n: rows(*ENDS[n : n + 2]), count: int = len(SIZES)):
        write_shards(tmp_path / "shards", count, encode, lambda done: None)
        found = ShardedStore(tmp_path / "shards")
        found.shards_per_window = WINDOW
        return found

    return written


@pytest.fixture
def store(write: Callable[..., ShardedStore]) -> ShardedStore:
    return write()


def drawn(batches: Batches, count: int) -> list[list[int]]:
    return [batch[SAMPLE].tolist() for batch in itertools.islice(batches, count)]


def same(found: dict, expected: dict) -> bool:
    """Whether two batches hold the same, bit for bit and type for type."""
    assert found.keys() == expected.keys()
    pairs = [(found[key], expected[key]) for key in found]
    flat = [(a.values, b.values) if isinstance(a, Ragged) else (a, b) for a, b in pairs]
    flat += [(a.offsets, b.offsets) for a, b in pairs if isinstance(a, Ragged)]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in flat)


@pytest.mark.parametrize("index", [[3], [59, 0, 31, 30, 3], list(range(ROWS)), []])
def test_a_batch_is_that_of_the_store_in_memory(store, index):
    assert len(store) == ROWS
    wanted = torch.tensor(index, dtype=torch.int64)
    assert same(store.batch(wanted), WHOLE.batch(wanted))


@pytest.mark.parametrize("size", [1, 8, 100])
def test_all_samples_come_once_in_order(store, size):
    pairs = zip(store.in_order(size), WHOLE.in_order(size), strict=True)
    assert all(same(found, expected) for found, expected in pairs)


@pytest.mark.parametrize("size", [1, 5, 8, 40, ROWS])
def test_an_epoch_draws_every_sample_once_with_its_own_values(store, size):
    batches = Batches(store, size, seed=0)
    for _ in range(2):
        found = list(itertools.islice(batches, batches.per_epoch))
        assert sorted(torch.cat([batch[SAMPLE] for batch in found]).tolist()) == list(range(ROWS))
        assert all(same(batch, WHOLE.batch(batch[SAMPLE])) for batch in found)
    assert batches.epoch == 2


def test_epochs_differ_and_are_a_function_of_the_seed(store):
    first, again, other = (drawn(Batches(store, 8, seed=seed), 16) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first[:8] != first[8:]


def test_the_order_does_not_depend_on_what_else_is_drawn(store):
    alone = drawn(Batches(store, 8, seed=1), 12)
    one, two = Batches(store, 8, seed=1), Batches(store, 8, seed=2)
    assert [drawn(one, 1) + drawn(two, 1) for _ in range(12)] == [
        [a, b] for a, b in zip(alone, drawn(Batches(store, 8, seed=2), 12), strict=True)
    ]


@pytest.mark.parametrize("place", [0, 1, 3, 7, 8, 11])
def test_batches_go_on_where_their_state_was_taken(store, tmp_path, place):
    batches = Batches(store, 8, seed=3)
    drawn(batches, place)
    state = batches.state()
    rest = drawn(batches, 9)
    again = ShardedStore(tmp_path / "shards")
    again.shards_per_window = WINDOW
    other = Batches(again, 8, seed=3)
    other.restore(state)
    assert drawn(other, 9) == rest


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_each_batch_without_overlap(store, ranks):
    whole = drawn(Batches(store, 8, seed=5), 10)
    slices = [drawn(Batches(store, 8, seed=5, rank=rank, ranks=ranks), 10) for rank in range(ranks)]
    assert [list(itertools.chain.from_iterable(parts)) for parts in zip(*slices, strict=True)] == whole


def test_neighbours_come_far_from_each_other(tmp_path):
    size, shards, batch = 100, 40, 50
    write_shards(tmp_path / "s", shards, lambda n: rows(n * size, (n + 1) * size), lambda done: None)
    store = ShardedStore(tmp_path / "s")
    store.shards_per_window = 10
    batches = Batches(store, batch, seed=0)
    place = np.empty(size * shards, int)
    for _ in range(3):
        for number, samples in enumerate(drawn(batches, batches.per_epoch)):
            place[samples] = number
        together = np.mean(place[1:] == place[:-1])
        # A window has 20 batches: a neighbour in the same shard is in the same batch once in 20.
        assert 0.02 < together < 0.08
        # A batch is a mixture of all its window's shards, each with about 5 rows of its 50.
        mixed = [len(set(np.flatnonzero(place == number) // size)) for number in range(batches.per_epoch)]
        assert np.mean(mixed) > 9
        # And where a row comes in the epoch does not follow from where it stands in the file.
        assert abs(np.corrcoef(place, np.arange(len(place)))[0, 1]) < 0.5


def test_windows_of_long_rows_are_cut_as_in_memory(write):
    lengths = torch.tensor([10, 3, 0, 25, 4, 9])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])

    def cut(start: int, stop: int) -> TensorStore:
        long = Ragged.of([torch.arange(100 * n, 100 * n + int(lengths[n])) for n in range(start, stop)])
        other = torch.arange(start, stop).float()
        return TensorStore({"long": long, "other": other}, Samples.windowed(long.lengths, 4, 3), frozenset({"long"}))

    assert offsets[-1] == 51
    whole, found = cut(0, 6), write(lambda n: cut(2 * n, 2 * n + 2), 3)
    assert len(found) == len(whole) > 6
    assert all(same(batch, whole.batch(batch[SAMPLE])) for batch in itertools.islice(Batches(found, 4, seed=0), 9))
    assert same(found.batch(torch.tensor([8, 1])), whole.batch(torch.tensor([8, 1])))


def test_a_tensor_that_some_shards_lack_is_zero_there(write):
    def encode(number: int) -> TensorStore:
        piece = rows(*ENDS[number : number + 2])
        return piece if number % 2 else TensorStore({"id": piece.tensors["id"]})

    batch = next(Batches(write(encode), ROWS, seed=0))
    shard = np.searchsorted(ENDS, batch[SAMPLE].numpy(), side="right") - 1
    assert batch["number"][:, 0].tolist() == np.where(shard % 2, batch[SAMPLE].numpy() * 10.0, 0).tolist()
    assert batch["text"].lengths.tolist() == np.where(shard % 2, batch[SAMPLE].numpy() % 4, 0).tolist()


def test_windows_stand_in_memory_that_is_taken_once(store, monkeypatch):
    places = []

    def noted(files: list[TensorFile], memory: torch.Tensor) -> TensorStore:
        window = read_joined(files, memory)
        tensors = [v.values if isinstance(v, Ragged) else v for v in window.tensors.values()]
        start, stop = memory.data_ptr(), memory.data_ptr() + len(memory)
        assert all(start <= tensor.data_ptr() <= stop - tensor.nbytes for tensor in tensors)
        places.append(start)
        return window

    monkeypatch.setattr(sharded, "read_joined", noted)
    drawn(Batches(store, 8, seed=0), 24)
    assert len(places) > 6
    assert places[::2] == places[:1] * len(places[::2])
    assert places[1::2] == places[1:2] * len(places[1::2])
    assert places[0] != places[1]


def test_a_batch_stays_as_it_was_when_its_window_is_gone(store):
    batches = Batches(store, 8, seed=0)
    found = list(itertools.islice(batches, 30))
    assert all(same(batch, WHOLE.batch(batch[SAMPLE])) for batch in found)


def test_the_next_window_is_read_while_this_one_is_used(store, monkeypatch):
    asked = []
    monkeypatch.setattr(sharded, "read_joined", lambda files, memory: asked.append(files) or read_joined(files, memory))
    batches = Batches(store, 1, seed=0)
    next(batches)
    store._windows._next[1].result()
    assert len(asked) == 2
    drawn(batches, batches.per_epoch - 1)  # the last window of an epoch
    next(batches)
    store._windows._next[1].result()
    assert len(asked) == 5, "the first window of the next epoch was not read ahead, but a window that was not asked for"


def test_a_store_that_was_begun_is_finished_and_nothing_is_encoded_twice(write, tmp_path):
    encoded = []

    def dying(number: int) -> TensorStore:
        if number == 5:
            raise KeyboardInterrupt
        encoded.append(number)
        return rows(*ENDS[number : number + 2])

    with pytest.raises(KeyboardInterrupt):
        write(dying)
    with pytest.raises(SourceError, match="no whole set"):
        ShardedStore(tmp_path / "shards")
    (tmp_path / "shards" / "000005.safetensors.tmp").write_bytes(b"half")
    store = write(lambda number: encoded.append(number) or rows(*ENDS[number : number + 2]))
    assert sorted(encoded) == list(range(len(SIZES)))
    assert same(store.batch(torch.arange(ROWS)), WHOLE.batch(torch.arange(ROWS)))
    assert not list((tmp_path / "shards").glob("*.tmp"))


@pytest.mark.parametrize("damage", ["cut", "missing", "no header", "longer"])
def test_a_damaged_shard_is_refused(store, tmp_path, damage):
    path = tmp_path / "shards" / "000002.safetensors"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-1], "no header": b"x" * 40, "longer": content + b"x"}[damage])
    with pytest.raises(SourceError, match=str(tmp_path)):
        ShardedStore(tmp_path / "shards")


def test_an_error_of_one_shard_stops_the_others(tmp_path):
    tried = []

    def failing(number: int) -> TensorStore:
        tried.append(number)
        raise SourceError("a broken picture")

    with pytest.raises(SourceError, match="broken"):
        write_shards(tmp_path / "s", 1000, failing, lambda done: None)
    assert len(tried) < 100


def test_progress_counts_what_was_there_already(write, tmp_path):
    write(count=3)
    told = []
    (tmp_path / "shards" / "shards.json").unlink()
    write_shards(tmp_path / "shards", 5, lambda n: rows(*ENDS[n : n + 2]), told.append)
    assert told == [3, 4, 5]
