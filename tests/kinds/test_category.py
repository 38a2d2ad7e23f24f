"""Categories: known values, unknown ones, and their counts."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.errors import SchemaError
from fathom.kinds.category import Category

TYPES = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
}
ARROW = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
columns = st.sampled_from(sorted(TYPES)).flatmap(
    lambda name: st.tuples(st.just(ARROW[name]), st.lists(st.none() | TYPES[name], min_size=1, max_size=30))
)


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def category(*parts: pa.ChunkedArray, weight: object = None) -> Category:
    statistics = Category.count(parts[0], None if weight is None else np.asarray(weight, dtype=float))
    for part in parts[1:]:
        statistics = Category.merge(statistics, Category.count(part))
    return Category(json.loads(json.dumps(Category.fit(statistics), allow_nan=False)))


def one_hot(found: Category, cells: pa.ChunkedArray) -> np.ndarray:
    index = found.encode(cells)[""].numpy()[:, 0]
    return (np.arange(1, found.spec.sizes[0] + 1) == index[:, None]).astype(np.float32)


@given(columns)
def test_decoding_inverts_encoding(drawn):
    kind, values = drawn
    cells = column(values, kind)
    found = category(cells)
    present = [i for i, value in enumerate(values) if value is not None]
    assert found.spec.sizes == (len({value for value in values if value is not None}),)
    if present:
        decoded = found.decode({"probability": one_hot(found, cells)})[""]
        assert [decoded[i].as_py() for i in present] == [values[i] for i in present]
    index = found.encode(cells)[""][:, 0].tolist()
    assert [i for i, k in enumerate(index) if k > 0] == present


@given(columns, st.data())
def test_shards_cut_anywhere_have_the_counts_of_the_whole(drawn, data):
    kind, values = drawn
    cells = column(values, kind)
    cut = data.draw(st.integers(0, len(values)))
    whole, merged = category(cells), category(cells.slice(0, cut), cells.slice(cut))
    assert merged.state == whole.state


@given(columns, st.data())
def test_weights_are_repetition(drawn, data):
    kind, values = drawn
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    repeated = column([value for value, count in zip(values, times, strict=True) for _ in range(count)], kind)
    assert category(column(values, kind), weight=times).state == category(repeated).state


@given(columns)
def test_a_row_is_counted_once_or_missing(drawn):
    kind, values = drawn
    state = category(column(values, kind)).state
    assert sum(state["counts"]) + state["missing"] == len(values)


def test_a_value_never_seen_is_index_0():
    found = category(column(["a", "b"]))
    assert found.encode(column(["b", "new", None, "a"]))[""][:, 0].tolist() == [2, 0, 0, 1]
    assert found.truth(found.encode(column(["b", "new", None]))[""]).tolist() == [1, -1, -1]


def test_a_prediction_stands_beside_the_probability_of_each_value():
    decoded = category(column(["a", "b"])).decode({"probability": np.array([[0.25, 0.75], [0.5, 0.5]])})
    assert list(decoded) == ["", "probability a", "probability b"]
    assert decoded[""].to_pylist() == ["b", "a"]
    assert decoded["probability b"].to_pylist() == [0.75, 0.5]


@pytest.mark.parametrize("later", [[1, 2], [1.5, 2.5], [True, False], ["x"]])
def test_a_first_shard_without_values_takes_the_type_of_the_next(later):
    nothing = column([None, None], pa.string())
    cells = column(later)
    for found in (category(nothing, cells), category(cells, nothing)):
        assert found.encode(cells)[""][:, 0].tolist() == category(cells).encode(cells)[""][:, 0].tolist()


def test_whole_numbers_in_one_shard_and_decimals_in_another_are_decimals():
    found = category(column([1, 2]), column([1.5, 2.0]))
    assert found.state["values"] == [1, 1.5, 2]
    assert found.encode(column([1.5, 2.0, 3.0]))[""][:, 0].tolist() == [2, 3, 0]


def test_words_in_one_shard_and_numbers_in_another_are_refused():
    with pytest.raises(SchemaError, match=r"one part of the rows holds string, another int64"):
        category(column(["a"]), column([1]))


def test_not_a_number_is_missing():
    found = category(column([1.0, float("nan"), 2.0]))
    assert found.state == {"type": "double", "values": [1.0, 2.0], "counts": [1.0, 1.0], "missing": 1.0}
    assert found.encode(column([float("nan"), 2.0]))[""][:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        (column(["1", "2"]), column([2, 1])),
        (column([1, 2]), column(["2", "1"])),
        (column([1, 2]), column([2.0, 1.0])),
        (column([1.0, 2.0]), column([2, 1])),
        (column([False, True]), column(["true", "false"])),
        (column(["a", "b"]), column(["b", "a"]).dictionary_encode()),
        (column(["a", "b"], pa.large_string()), column(["b", "a"])),
        (column([1, 2], pa.int8()), column([2, 1], pa.uint32())),
    ],
)
def test_values_are_cast_to_the_type_of_training(fitted, given):
    assert category(fitted).encode(given)[""][:, 0].tolist() == [2, 1]


@pytest.mark.parametrize("cells", [column(["a"]), column([1.5])])
def test_a_value_of_another_type_is_refused(cells):
    with pytest.raises(SchemaError, match="int64 values were expected, as in training"):
        category(column([1, 2])).encode(cells)


def test_lists_are_no_category():
    with pytest.raises(SchemaError, match="cannot be a category"):
        category(column([[1], [2]]))


def test_a_column_without_any_value_decodes_to_missing():
    found = category(column([None, None], pa.string()))
    assert found.decode({"probability": np.empty((2, 0))})[""].to_pylist() == [None, None]


def test_zero_and_minus_zero_are_one_value():
    column = pa.chunked_array([pa.array([0.0, -0.0, -1.0])])
    statistics = Category.count(column)
    assert (statistics["values"], statistics["counts"]) == ([-1.0, 0.0], [1.0, 2.0])
    codes = Category(Category.fit(statistics)).encode(column)[""]
    assert codes.tolist() == [[2], [2], [1]]
