"""Moments and sets of labels as vectors."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import torch

from fathom.nets import NETS
from fathom.runtime import seeded
from fathom.signals import MultilabelSpec, Ragged
from tests.kinds.columns import fitted


def column(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def vectors(training: list[Any], others: list[Any] | None = None) -> torch.Tensor:
    kind = fitted("datetime", column(training))
    cells = training if others is None else others
    return NETS.build("calendar", kind.spec)(kind.encode(column(cells))[""]).vector


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).norm())


def test_the_last_step_of_a_cycle_stands_beside_the_first():
    hours = vectors([dt.datetime(2020, 1, 1, hour) for hour in range(24)])[:, 1:]
    steps = [distance(hours[hour], hours[(hour + 1) % 24]) for hour in range(24)]
    assert max(steps) < 1.001 * min(steps)
    assert distance(hours[0], hours[12]) > 7 * steps[0]
    assert distance(hours[0], hours[0]) == 0


def test_elapsed_time_and_years_go_from_one_end_of_the_training_rows_to_the_other():
    found = vectors([dt.date(2000, 1, 1), dt.date(2000, 12, 31), dt.date(2002, 1, 1), dt.date(2004, 1, 1)])
    torch.testing.assert_close(found[[0, -1], 0], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(found[[0, 2, -1], 1], torch.tensor([-1.0, 0.0, 1.0]))
    assert found[:, 0].diff().min() > 0


def test_a_later_moment_goes_on_where_training_ended():
    elapsed = vectors([dt.date(2000, 1, 1), dt.date(2001, 1, 1)], [dt.date(2002, 1, 2)])[0, 0]
    torch.testing.assert_close(elapsed, torch.tensor(3.0))


def test_a_missing_moment_is_nothing_but_its_flag():
    found = vectors([dt.datetime(2000, 1, 1, 3), dt.datetime(2000, 6, 2, 5), None])
    assert found[2].tolist() == [0.0] * (found.shape[1] - 1) + [1.0]
    assert found[:2, -1].tolist() == [0, 0]
    assert vectors([dt.datetime(2000, 1, 1, 3), dt.datetime(2000, 6, 2, 5)]).shape[1] == found.shape[1] - 1


def test_columns_that_travel_together_are_each_as_they_are_alone():
    parts = [
        [dt.date(2000, 1, 1), dt.date(2003, 5, 7), dt.date(2001, 2, 3)],
        [dt.datetime(1990, 3, 4, 5), dt.datetime(1990, 3, 4, 17), None],
    ]
    kinds = [fitted("datetime", column(part)) for part in parts]
    both = NETS.build("calendar", type(kinds[0].spec).join([kind.spec for kind in kinds]))
    encoded = [kind.encode(column(part))[""] for kind, part in zip(kinds, parts, strict=True)]
    together = both(torch.cat(encoded, dim=1)).vector
    alone = torch.cat([vectors(part) for part in parts], dim=1)
    torch.testing.assert_close(together.sort(dim=1).values, alone.sort(dim=1).values)


def bag(*rows: list[int], missing: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """What a bag of three labels gives, and its learned vectors."""
    with seeded(0):
        net = NETS.build("label_bag", MultilabelSpec((1.0, 1.0, 1.0), 3.0, 0, missing))
    labels = Ragged.of([torch.tensor(row, dtype=torch.int64) for row in rows])
    return net(labels).vector, net.table.weight


def test_a_set_is_the_mean_of_its_labels():
    vector, weight = bag([1, 3], [2], missing=False)
    torch.testing.assert_close(vector, torch.stack([(weight[1] + weight[3]) / 2, weight[2]]))


def test_a_label_never_seen_is_left_out_and_a_missing_set_flagged():
    vector, weight = bag([4, 2, 4], [4], [], [0], [1])
    torch.testing.assert_close(vector[0, :-1], weight[2])
    assert not vector[1:4, :-1].any()
    assert vector[:, -1].tolist() == [0, 0, 0, 1, 0]
