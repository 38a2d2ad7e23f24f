"""Vectors: lists of as many numbers in every row."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fathom.errors import SchemaError
from fathom.kinds.vector import Vector
from tests.kinds.columns import in_two_chunks

ordinary = st.floats(-1e6, 1e6, allow_nan=False, width=32).filter(lambda value: value == 0 or abs(value) > 1e-6)


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def vector(*parts: pa.ChunkedArray) -> Vector:
    statistics = Vector.count(parts[0])
    for part in parts[1:]:
        statistics = Vector.merge(statistics, Vector.count(part))
    return Vector(json.loads(json.dumps(Vector.fit(statistics), allow_nan=False)))


def round_trip(found: Vector, cells: pa.ChunkedArray) -> list:
    return found.decode({"value": found.encode(cells)[""].numpy()})[""].to_pylist()


@given(arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2), elements=ordinary))
def test_decoding_inverts_encoding(rows):
    found = vector(column(list(rows), pa.list_(pa.float64(), rows.shape[1])))
    back = np.array(round_trip(found, column(rows.tolist())))
    np.testing.assert_allclose(back, rows, atol=1e-6 * max(1.0, np.abs(rows).max()))


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.int64()])
@pytest.mark.parametrize("size", [3, -1])
def test_lists_of_any_number_are_read(kind, size):
    rows = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    found = vector(column(rows, pa.list_(kind, size)))
    assert found.spec.count == 3
    assert found.spec.mean == pytest.approx(np.mean(rows, axis=0))
    assert round_trip(found, column(rows, pa.list_(kind, size))) == rows


def test_one_dimensional_tensors_are_read():
    tensors = pa.chunked_array([pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(6.0).reshape(2, 3))])
    assert Vector.claim(tensors, target=False).reason == "3 numbers in each row"  # type: ignore[union-attr]
    assert round_trip(vector(tensors), tensors) == [[0, 1, 2], [3, 4, 5]]


def test_a_missing_row_is_missing_throughout_and_a_missing_number_alone():
    rows = column([[1.0, 2.0], None, [3.0, None], [float("inf"), 4.0]], pa.list_(pa.float64(), 2))
    found = vector(rows)
    assert torch.isnan(found.encode(rows)[""]).tolist() == [[False] * 2, [True] * 2, [False, True], [True, False]]
    assert found.state["missing"] == [2, 2]
    assert found.state["mean"] == [2.0, 3.0]


def test_a_slice_holds_its_own_rows():
    lists = pa.array([[float(i), float(-i)] for i in range(10)], pa.list_(pa.float64(), 2))
    for cells in (lists, lists.cast(pa.list_(pa.float64()))):
        rows = in_two_chunks(cells).slice(3, 4)
        assert vector(rows).encode(rows)[""][:, 0].tolist() == [3, 4, 5, 6]


def test_a_row_of_another_length_is_named():
    found = vector(column([[1.0, 2.0]] * 3))
    other = pa.chunked_array([pa.array([[1.0, 2.0]] * 2), pa.array([None, [1.0], [1.0, 2.0]])])
    with pytest.raises(SchemaError, match=r"row 3 holds 1 numbers where the model was fitted on 2"):
        found.encode(other)
    with pytest.raises(SchemaError, match=r"row 1 holds 3 numbers where the model was fitted on 2"):
        Vector.count(column([[1.0, 2.0], [1.0, 2.0, 3.0]]))


def test_shards_of_different_length_are_refused():
    with pytest.raises(SchemaError, match="one part of the rows holds 2 numbers each, another 3"):
        vector(column([[1.0, 2.0]]), column([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize(
    ("cells", "claimed"),
    [
        (column([[1.0, 2.0], [3.0, 4.0], None]), True),
        (column([[1.0, 2.0], [3.0]]), False),
        (column([[1.0], [3.0]]), False),
        (column([["a", "b"], ["c", "d"]]), False),
        (column([[], []], pa.list_(pa.float64())), False),
        (column([1.0, 2.0]), False),
    ],
)
def test_lists_are_claimed_where_all_are_of_one_length(cells, claimed):
    assert (Vector.claim(cells, target=False) is not None) == claimed


@pytest.mark.parametrize("cells", [column([1.0]), column(["a"]), column([["a"]])])
def test_what_is_no_list_of_numbers_is_refused(cells):
    with pytest.raises(SchemaError, match="a list of numbers was expected in each row"):
        vector(column([[1.0, 2.0]])).encode(cells)
