"""The store: what a batch holds, and the order in which batches come."""

from __future__ import annotations

import itertools

import pytest
import torch

from fathom.data.store import Batches, TensorStore
from fathom.signals import SAMPLE, Ragged, Samples, order

ROWS = 23
LENGTHS = torch.arange(ROWS) % 5


def store(samples: Samples | None = None, windowed: frozenset[str] = frozenset()) -> TensorStore:
    texts = Ragged.of([torch.arange(n) + 100 * i for i, n in enumerate(LENGTHS.tolist())])
    return TensorStore({"number": torch.arange(ROWS) * 10.0, "text": texts}, samples, windowed)


def drawn(batches: Batches, count: int) -> list[list[int]]:
    return [batch[SAMPLE].tolist() for batch in itertools.islice(batches, count)]


def test_a_batch_holds_the_rows_that_were_asked_for():
    batch = store().batch(torch.tensor([7, 0, 4]))
    assert batch["number"].tolist() == [70, 0, 40]
    assert batch["text"].values.tolist() == [700, 701, 400, 401, 402, 403]
    assert batch["text"].lengths.tolist() == [2, 0, 4]
    assert batch[SAMPLE].tolist() == [7, 0, 4]


def test_samples_need_not_be_all_rows_nor_in_their_order():
    found = store(Samples(torch.tensor([5, 3, 9])))
    assert len(found) == 3
    assert found.batch(torch.tensor([2, 0]))["number"].tolist() == [90, 50]


def test_no_sample_is_not_every_row():
    assert len(store(Samples(torch.arange(0)))) == 0


def test_a_window_cuts_what_is_windowed_and_gives_the_whole_row_of_the_rest():
    rows = [torch.arange(10), torch.arange(20, 25)]
    other = Ragged.of([torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    tensors = {"long": Ragged.of(rows), "other": other, "number": torch.tensor([5.0, 6.0])}
    samples = Samples.windowed(torch.tensor([10, 5]), 4, 4)
    batch = TensorStore(tensors, samples, frozenset({"long"})).batch(torch.tensor([2, 3, 4]))
    assert [part.tolist() for part in batch["long"].values.split(batch["long"].lengths.tolist())] == [
        [8, 9],
        [20, 21, 22, 23],
        [24],
    ]
    assert batch["other"].values.tolist() == [1, 2, 3, 3]
    assert batch["number"].tolist() == [5, 6, 6]


@pytest.mark.parametrize("size", [1, 4, 23, 100])
def test_all_samples_come_once_in_order(size):
    found = [batch["number"] for batch in store().in_order(size)]
    assert torch.cat(found).tolist() == (torch.arange(ROWS) * 10.0).tolist()
    assert all(len(part) <= size for part in found)


@pytest.mark.parametrize("size", [1, 5, 8, 23])
def test_an_epoch_draws_every_sample_once_in_batches_of_nearly_one_size(size):
    batches = Batches(store(), size, seed=0)
    found = drawn(batches, batches.per_epoch)
    assert sorted(itertools.chain.from_iterable(found)) == list(range(ROWS))
    assert max(map(len, found)) <= size
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert batches.epoch == 1


def test_epochs_differ_and_are_a_function_of_the_seed():
    first, again, other = (drawn(Batches(store(), 8, seed=seed), 6) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first[:3] != first[3:]
    assert list(itertools.chain.from_iterable(first[3:])) == order(1, 1, ROWS).tolist()


@pytest.mark.parametrize("place", [0, 1, 3, 4, 7])
def test_batches_go_on_where_their_state_was_taken(place):
    batches = Batches(store(), 8, seed=3)
    drawn(batches, place)
    state = batches.state()
    rest = drawn(batches, 5)
    other = Batches(store(), 8, seed=3)
    drawn(other, 2)
    other.restore(state)
    assert drawn(other, 5) == rest


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_each_batch_without_overlap(ranks):
    whole = drawn(Batches(store(), 8, seed=5), 4)
    slices = [drawn(Batches(store(), 8, seed=5, rank=rank, ranks=ranks), 4) for rank in range(ranks)]
    assert [list(itertools.chain.from_iterable(parts)) for parts in zip(*slices, strict=True)] == whole


def test_tensors_of_differing_length_are_a_mistake():
    with pytest.raises(AssertionError, match="differing length"):
        TensorStore({"a": torch.zeros(2), "b": torch.zeros(3)})


def texts(count: int, *, padded: bool) -> TensorStore:
    """Texts of very different lengths."""
    lengths = torch.distributions.LogNormal(3.0, 0.7).sample((count,)).long() + 1
    rows = Ragged.of([torch.zeros(int(length)) for length in lengths])
    return TensorStore({"text": rows, "row": torch.arange(count)}, padded=frozenset({"text"} if padded else ()))


def share_padded(batches: Batches, count: int) -> float:
    """How much of the rectangles of an epoch's batches is padding."""
    rows = [batch["text"].lengths for batch in itertools.islice(batches, count)]
    return 1 - sum(int(lengths.sum()) for lengths in rows) / sum(len(row) * int(row.max()) for row in rows)


def test_padded_texts_of_like_lengths_come_together_and_waste_little():
    torch.manual_seed(0)
    store = texts(20_000, padded=True)
    batches = Batches(store, 64, seed=0)
    assert share_padded(batches, batches.per_epoch) < 0.1
    torch.manual_seed(0)
    assert share_padded(Batches(texts(20_000, padded=False), 64, seed=0), batches.per_epoch) > 0.5


def test_batches_of_like_lengths_hold_every_sample_once_and_come_in_no_order_of_length():
    torch.manual_seed(0)
    store = texts(3000, padded=True)
    batches = Batches(store, 64, seed=0)
    found = drawn(batches, batches.per_epoch)
    assert sorted(itertools.chain.from_iterable(found)) == list(range(3000))
    longest = [float(store.lengths[index].max()) for index in map(torch.tensor, found)]
    assert abs(torch.corrcoef(torch.tensor([range(len(longest)), longest]))[0, 1]) < 0.5
    again = drawn(Batches(store, 64, seed=0), 2 * batches.per_epoch)
    assert again[: len(found)] == found
    assert again[len(found) :] != found


def test_the_padded_length_of_a_window_is_the_windows():
    long = Ragged.of([torch.arange(10), torch.arange(5)])
    samples = Samples.windowed(long.lengths, 4, 4)
    other = Ragged.of([torch.arange(3), torch.arange(7)])
    store = TensorStore({"long": long, "other": other}, samples, frozenset({"long"}), frozenset({"long", "other"}))
    assert torch.equal(store.lengths, samples.lengths + torch.tensor([3, 7])[samples.rows])
