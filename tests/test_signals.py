"""What flows: ragged rows, samples, order, batches, specs that travel together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.signals import (
    CategorySpec,
    NumberSpec,
    Ragged,
    Role,
    Samples,
    Signal,
    batch_size,
    order,
    split_batch,
    to_device,
)

RELAXED = settings(deadline=None)
ROWS = st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1, max_size=8)


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged.of([torch.tensor(row, dtype=torch.int64) for row in rows])


def listed(value: Ragged) -> list[list[int]]:
    return [row.tolist() for row in value.values.split(value.lengths.tolist())]


@RELAXED
@given(ROWS, st.data())
def test_selected_rows_are_those_rows(rows, data):
    index = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    found = ragged(rows).select(torch.tensor(index, dtype=torch.int64))
    assert listed(found) == [rows[i] for i in index]
    assert found.offsets[0] == 0


@RELAXED
@given(ROWS, st.data())
def test_windows_are_pieces_of_rows(rows, data):
    pieces = []
    for row in data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=10)):
        start = data.draw(st.integers(0, len(rows[row])))
        pieces.append((row, start, data.draw(st.integers(0, len(rows[row]) - start))))
    found = ragged(rows).windows(*(torch.tensor(part) for part in zip(*pieces, strict=True)))
    assert listed(found) == [rows[row][start : start + length] for row, start, length in pieces]


@RELAXED
@given(ROWS)
def test_padding_fills_behind_each_row(rows):
    padded, mask = ragged(rows).padded(fill=99)
    longest = max(map(len, rows))
    assert padded.tolist() == [row + [99] * (longest - len(row)) for row in rows]
    assert mask.tolist() == [[i < len(row) for i in range(longest)] for row in rows]


def test_rows_of_vectors_are_padded_too():
    padded, mask = Ragged.of([torch.ones(2, 3), torch.ones(1, 3)]).padded()
    assert padded.shape == (2, 2, 3)
    assert padded[1, 1].tolist() == [0, 0, 0]
    assert mask.sum() == 3


@pytest.mark.parametrize(("length", "stride"), [(4, 4), (4, 2), (4, 3), (1, 1), (2, 5), (3, 7), (50, 1)])
def test_windows_reach_every_rows_end_and_lie_inside_it(length, stride):
    lengths = torch.arange(30)
    samples = Samples.windowed(lengths, length, stride)
    for row in lengths.tolist():
        mine = samples.rows == row
        starts, sizes = samples.starts[mine].tolist(), samples.lengths[mine].tolist()
        assert starts == [k * stride for k in range(len(starts))]
        assert all(size == min(length, row - start) for start, size in zip(starts, sizes, strict=True))
        assert all(sizes) or row == 0
        assert starts[-1] + sizes[-1] == row or starts[-1] + stride >= row
        assert len(starts) == 1 or starts[-2] + length < row


def test_the_order_is_a_pure_function_of_seed_epoch_and_count():
    torch.manual_seed(1)
    first = order(3, 5, 100)
    torch.manual_seed(2)
    torch.rand(3)
    before = torch.get_rng_state()
    assert torch.equal(order(3, 5, 100), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert sorted(first.tolist()) == list(range(100))
    assert not any(torch.equal(first, order(*other, 100)) for other in ((3, 6), (4, 5), (4, 4), (35, 0)))


@RELAXED
@given(st.integers(1, 20), st.integers(1, 8))
def test_a_split_batch_has_every_row_once_in_order(rows, parts):
    text = ragged([[i] * (i % 3) for i in range(rows)])
    found = split_batch({"number": torch.arange(rows), "text": text}, parts)
    assert len(found) <= parts
    assert torch.cat([part["number"] for part in found]).tolist() == list(range(rows))
    assert [row for part in found for row in listed(part["text"])] == listed(text)
    assert sum(batch_size(part) for part in found) == rows


def test_a_batch_of_ragged_rows_alone_is_counted_and_moved():
    batch = {"text": ragged([[1], [2, 3]])}
    assert batch_size(batch) == 2
    assert listed(to_device(batch, torch.device("cpu"))["text"]) == [[1], [2, 3]]
    assert [listed(part["text"]) for part in split_batch(batch, 2)] == [[[1]], [[2, 3]]]


def test_specs_that_travel_together_are_chained():
    numbers = [NumberSpec(1, (i,), (1.0,), (i,), (1.0,), ((0.0, 1.0),), (i > 0,)) for i in range(3)]
    joined = NumberSpec.join(numbers)
    assert (joined.count, joined.centre, joined.missing, joined.num_outputs) == (3, (0, 1, 2), (False, True, True), 3)
    categories = CategorySpec.join([CategorySpec(1, (2,), ((1.0, 2.0),)), CategorySpec(1, (1,), ((3.0,),))])
    assert (categories.sizes, categories.counts, categories.num_outputs) == ((2, 1), ((1.0, 2.0), (3.0,)), 3)


def test_a_signal_is_repeated_in_blocks():
    signal = Signal(torch.tensor([[1.0], [2.0]]), maps=(torch.zeros(2, 1, 2, 2),)).repeated(3)
    assert signal.vector[:, 0].tolist() == [1, 2, 1, 2, 1, 2]
    assert signal.maps[0].shape == (6, 1, 2, 2)
    assert signal.members == 3
    assert signal.repeated(3) is signal


def test_members_that_do_not_agree_are_a_mistake():
    with pytest.raises(AssertionError, match="members"):
        Signal(torch.zeros(4, 1), members=2).repeated(3)


def test_a_role_is_its_name():
    assert Role("target") is Role.TARGET
    assert str(Role.PROTECTED) == "protected"
