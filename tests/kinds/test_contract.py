"""What every registered kind promises, on every sort of column that it claims."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from fathom.heads import HEADS
from fathom.kinds import KINDS, Kind
from fathom.nets import NETS
from fathom.signals import Ragged
from tests.kinds.columns import ROWS, claimed, columns, excused, fitted, in_two_chunks, same_tensors, taken

CLAIMED = claimed()
SORTS = pytest.mark.parametrize(("kind", "sort"), CLAIMED, ids=[f"{kind}: {sort}" for kind, sort in CLAIMED])
BOUNDS = {"rtol": 1e-9, "atol": 1e-9}
SAMPLED = ("sketch",)  # what only approximates a distribution once it has been merged


def state_of(kind: str, *parts: pa.ChunkedArray) -> dict:
    factory = KINDS.get(kind).factory
    total = factory.count(parts[0])
    for part in parts[1:]:
        total = factory.merge(total, factory.count(part))
    return dict(factory.fit(total))


def rebuilt(kind: Kind, name: str) -> Kind:
    return KINDS.build(name, json.loads(json.dumps(kind.state, allow_nan=False)))


def without_some(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with every third cell missing."""
    return pa.chunked_array([column.combine_chunks().take(pa.array([None if i % 3 == 0 else i for i in range(ROWS)]))])


def assert_close(first: object, second: object, where: str = "state") -> None:
    """Counts and words are equal, numbers too within rounding."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            if key not in SAMPLED:
                assert_close(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_close(a, b, f"{where}[{i}]")
    elif isinstance(first, float):
        np.testing.assert_allclose(first, second, err_msg=where, **BOUNDS)
    else:
        assert first == second, where


def test_every_kind_claims_some_column_of_the_tests():
    assert {kind for kind, _ in CLAIMED} == set(KINDS.names())


@pytest.mark.parametrize("entry", list(KINDS), ids=lambda entry: entry.name)
def test_a_kind_names_nets_and_heads_that_exist_and_take_it(entry):
    form = entry.facts.get("form", entry.name)
    assert "entry" not in entry.facts or NETS.get(entry.facts["entry"]).facts["takes"] == form
    assert "net" not in entry.facts or NETS.get(entry.facts["net"]).facts["takes"] in (form, "tokens")
    for role in {"head", "rebuild"} & entry.facts.keys():
        assert HEADS.get(entry.facts[role]).facts["target"] == form


@SORTS
def test_a_state_survives_json_and_rebuilds_the_same_kind(kind, sort):
    column = columns()[sort]
    first = fitted(kind, column)
    second = rebuilt(first, kind)
    assert second.spec == first.spec
    for name, value in first.encode(column).items():
        assert same_tensors(value, second.encode(column)[name])


@SORTS
def test_three_shards_merged_are_the_whole(kind, sort):
    column = without_some(columns()[sort])
    shards = [column.slice(0, 7), column.slice(7, 18), column.slice(25)]
    assert_close(state_of(kind, *shards), state_of(kind, column))


@SORTS
def test_shards_in_another_order_give_the_same(kind, sort):
    column = columns()[sort]
    assert_close(state_of(kind, column.slice(11), column.slice(0, 11)), state_of(kind, column))


@SORTS
def test_a_shard_without_any_value_changes_no_statistic_but_what_is_missing(kind, sort):
    column = columns()[sort]
    nothing = pa.chunked_array([pa.nulls(5, column.type)])
    for parts in ((nothing, column), (column, nothing)):
        first, second = state_of(kind, *parts), state_of(kind, column)
        assert_close({**first, "missing": 0}, {**second, "missing": 0})


@SORTS
def test_each_row_is_encoded_by_itself(kind, sort):
    column = columns()[sort]
    whole, alone = fitted(kind, column).encode(column), fitted(kind, column).encode(column.slice(23, 1))
    for name, value in whole.items():
        assert len(value) == ROWS
        assert same_tensors(taken(value, [23]), alone[name])


@SORTS
def test_chunks_make_no_difference(kind, sort):
    column = columns()[sort]
    one = pa.chunked_array([column.combine_chunks()])
    assert_close(state_of(kind, column), state_of(kind, one))
    for name, value in fitted(kind, column).encode(one).items():
        assert same_tensors(value, fitted(kind, column).encode(column)[name])


@SORTS
def test_missing_cells_leave_the_others_as_they_were(kind, sort):
    column = columns()[sort]
    holed = without_some(column)
    present = [i for i in range(ROWS) if i % 3]
    found = fitted(kind, column)
    for name, value in found.encode(column).items():
        other = found.encode(holed)[name]
        assert len(other) == ROWS
        assert same_tensors(taken(value, present), taken(other, present))


@SORTS
def test_a_column_without_any_value_can_be_fitted_and_encoded(kind, sort):
    column = pa.chunked_array([pa.nulls(ROWS, columns()[sort].type)])
    found = rebuilt(fitted(kind, column), kind)
    assert found.spec == fitted(kind, column).spec
    assert all(len(value) == ROWS for value in found.encode(column).values())


@SORTS
def test_a_constant_column_has_finite_statistics(kind, sort):
    column = in_two_chunks(columns()[sort].combine_chunks().take(pa.array([5] * ROWS)))
    found = rebuilt(fitted(kind, column), kind)
    encoded = found.encode(column)[""]
    values = encoded.values if isinstance(encoded, Ragged) else encoded
    assert torch.isfinite(values.double()).all()


@SORTS
def test_a_column_may_have_no_rows(kind, sort):
    column = columns()[sort]
    assert all(len(value) == 0 for value in fitted(kind, column).encode(column.slice(0, 0)).values())


@SORTS
def test_a_weight_of_two_counts_a_row_twice(kind, sort):
    if excused(KINDS.get(kind), "weights"):
        pytest.skip(excused(KINDS.get(kind), "weights"))
    column = columns()[sort]
    times = np.arange(ROWS) % 3 + 1
    repeated = column.take(pa.array(np.repeat(np.arange(ROWS), times)))
    assert_close(fitted(kind, column, times.astype(float)).state, fitted(kind, repeated).state)


@SORTS
def test_truth_has_one_entry_a_row(kind, sort):
    column = columns()[sort]
    found = fitted(kind, column)
    truth = found.truth(found.encode(column)[""])
    assert truth is None or len(truth) == ROWS


def test_a_merge_that_forgets_a_shard_is_noticed():
    column = columns()["floats"]
    with pytest.raises(AssertionError):
        assert_close(state_of("number", column.slice(0, 20)), state_of("number", column))
