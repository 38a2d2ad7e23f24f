"""Categories: known values, unknown ones, and their counts."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.errors import SchemaError
from fathom.kinds.category import Category
from fathom.kinds.counts import bounded

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
    assert found.state == {"type": "double", "values": [1.0, 2.0], "counts": [1.0, 1.0], "other": 0.0, "missing": 1.0}
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


def with_options(cells: pa.ChunkedArray, **options: object) -> Category:
    """Fitted, saved and read again."""
    first = Category(Category.fit(Category.count(cells)), **options)
    return Category(json.loads(json.dumps(first.state, allow_nan=False)), **options)


def test_rare_values_and_unseen_ones_are_one_value_together():
    found = with_options(column(["a"] * 5 + ["b"] * 4 + ["c", "d", None]), rare=3)
    assert found.spec.counts == ((5.0, 4.0, 2.0),)
    encoded = found.encode(column(["a", "b", "c", "d", "never seen", None]))
    assert encoded[""][:, 0].tolist() == [1, 2, 3, 3, 3, 0]
    assert list(encoded) == [""]
    decoded = found.decode({"probability": np.eye(3)})
    assert decoded[""].to_pylist() == ["a", "b", None]
    assert list(decoded) == ["", "probability a", "probability b", "probability of other values"]


def test_where_no_value_is_rare_an_unseen_one_is_unknown():
    found = with_options(column(["a"] * 5 + ["b"] * 4), rare=3)
    assert found.spec.sizes == (2,)
    encoded = found.encode(column(["never seen", "b"]))
    assert encoded[""][:, 0].tolist() == [0, 2]
    assert encoded["unseen"].tolist() == [True, False]


def test_values_that_are_rare_in_each_shard_but_not_in_all_are_kept():
    parts = [Category.count(column(["a", "a", "b"])) for _ in range(3)]
    merged = Category.merge(Category.merge(parts[0], parts[1]), parts[2])
    assert Category(merged, rare=3).state["values"] == ["a", "b"]
    assert Category(merged, rare=4).state["values"] == ["a"]


def test_a_value_falls_into_the_same_bucket_in_every_process():
    found = with_options(column(["a", "b", "c"] * 3), hash=8)
    assert found.encode(column(["a", "b", "c", "zebra", None]))[""][:, 0].tolist() == BUCKETS
    assert sum(found.spec.counts[0]) == 9
    assert [found.spec.counts[0][place - 1] for place in BUCKETS[:3]] == [3 * BUCKETS[:3].count(p) for p in BUCKETS[:3]]
    assert found.spec.sizes == (8,)


BUCKETS = [
    1 + int.from_bytes(blake2b(word, digest_size=8).digest(), "little") % 8 for word in (b"a", b"b", b"c", b"zebra")
]
BUCKETS += [0]


def test_many_strings_are_claimed_with_the_rare_ones_as_other():
    frequent, rare = [f"f{i}" for i in range(70)] * 10, [f"r{i}" for i in range(200)] * 2
    claim = Category.claim(column(frequent + rare), target=False)
    assert claim is not None
    assert (claim.reason, claim.options) == (
        "270 distinct strings, 200 of them in fewer than 5 rows: other",
        {"rare": 5},
    )
    assert Category.claim(column(frequent + rare), target=True).options == {}  # type: ignore[union-attr]
    assert Category.claim(column(["a", "b"] * 40 + ["c"]), target=False).options == {}  # type: ignore[union-attr]


def test_a_sketch_never_counts_too_much_and_keeps_what_is_frequent():
    draw = np.random.default_rng(0)
    parts = [draw.zipf(1.3, 2000) for _ in range(20)]
    kept: dict[int, float] = {}
    lost = 0.0
    for part in parts:
        for value in part.tolist():
            kept[value] = kept.get(value, 0.0) + 1
        kept, dropped = bounded(kept, 100)
        lost += dropped
    true = Counter(np.concatenate(parts).tolist())
    assert len(kept) <= 100
    assert sum(kept.values()) + lost == sum(true.values())
    for value, count in true.items():
        assert count - sum(true.values()) / 101 <= kept.get(value, 0.0) <= count


def test_a_column_of_more_values_than_are_counted_stays_bounded(monkeypatch):
    monkeypatch.setattr(bounded, "__defaults__", (50,))
    cells = column([f"v{i}" for i in range(1000)] + ["often"] * 500)
    found = category(cells)
    assert found.state["values"] == ["often"]
    assert sum(found.state["counts"]) + found.state["other"] == 1500
    assert found.encode(column(["often", "v3"]))[""][:, 0].tolist() == [1, 2]
