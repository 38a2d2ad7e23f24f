"""Numbers: statistics, encoding and decoding, of values of any size."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.errors import SchemaError
from fathom.kinds.moments import NUM_EDGES
from fathom.kinds.number import Number

MIDDLE = NUM_EDGES // 2

ordinary = st.floats(-1e6, 1e6, allow_nan=False, width=32).filter(lambda value: value == 0 or abs(value) > 1e-6)
any_size = st.floats(allow_nan=False, allow_infinity=False, width=64)


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def number(values: object, kind: pa.DataType | None = None, weight: object = None) -> Number:
    weights = None if weight is None else np.asarray(weight, dtype=float)
    statistics = json.loads(json.dumps(Number.count(column(values, kind), weights), allow_nan=False))
    return Number(json.loads(json.dumps(Number.fit(statistics), allow_nan=False)))


def round_trip(found: Number, values: object, kind: pa.DataType | None = None) -> list:
    encoded = found.encode(column(values, kind))[""].numpy()
    return found.decode({"value": encoded})[""].to_pylist()


@given(st.lists(st.one_of(st.none(), ordinary), min_size=1, max_size=50))
def test_decoding_inverts_encoding(values):
    found = number(values, pa.float64())
    largest = max((abs(value) for value in values if value is not None), default=0)
    for value, back in zip(values, round_trip(found, values, pa.float64()), strict=True):
        assert np.isnan(back) if value is None else abs(back - value) <= 1e-6 * largest


@given(st.lists(any_size, min_size=1, max_size=30))
def test_values_of_any_size_give_finite_statistics_and_tensors(values):
    found = number(values, pa.float64())
    spec = found.spec
    for field in (spec.centre, spec.scale, spec.mean, spec.deviation, *spec.edges):
        assert torch.isfinite(torch.tensor(field)).all()
    assert torch.isfinite(1 / torch.tensor([spec.scale, spec.deviation])).all()
    assert torch.isfinite(found.encode(column(values, pa.float64()))[""]).all()


@given(st.lists(ordinary, min_size=1, max_size=40), st.data())
def test_shards_cut_anywhere_have_the_moments_of_the_whole(values, data):
    cut = data.draw(st.integers(0, len(values)))
    whole = Number.fit(Number.count(column(values, pa.float64())))
    halves = [Number.count(column(part, pa.float64())) for part in (values[:cut], values[cut:])]
    merged = Number.fit(Number.merge(*halves))
    np.testing.assert_allclose(merged["mean"], whole["mean"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged["deviation"], whole["deviation"], rtol=1e-7, atol=1e-6)
    assert merged["edges"] == whole["edges"]  # exact while there are few distinct values
    assert merged["missing"] == whole["missing"]


@given(st.lists(st.tuples(ordinary, st.integers(0, 4)), min_size=1, max_size=30))
def test_weights_are_repetition(pairs):
    values, times = np.array([value for value, _ in pairs]), np.array([count for _, count in pairs])
    weighted, repeated = number(values, weight=times), number(np.repeat(values, times), pa.float64())
    for name in ("mean", "deviation", "edges"):
        np.testing.assert_allclose(weighted.state[name], repeated.state[name], rtol=1e-9, atol=1e-6)


def test_mean_and_deviation_are_those_of_numpy():
    values = np.random.default_rng(0).gamma(2, 3, 1001)
    spec = number(values).spec
    assert spec.mean[0] == pytest.approx(values.mean(), rel=1e-12)
    assert spec.deviation[0] == pytest.approx(values.std(), rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_the_centre_is_the_median(count):
    values = np.random.default_rng(count).normal(0, 1, count)
    assert number(values).spec.centre[0] == pytest.approx(np.median(values), abs=1e-12)


def test_edges_are_the_quantiles_from_the_least_to_the_greatest():
    values = np.random.default_rng(0).lognormal(0, 2, 1000)
    edges = np.array(number(values).spec.edges[0])
    assert edges[0] == values.min()
    assert edges[-1] == values.max()
    expected = np.quantile(values, np.linspace(0, 1, NUM_EDGES), method="averaged_inverted_cdf")
    np.testing.assert_allclose(edges, expected, rtol=1e-12)


def test_a_value_that_most_rows_have_is_the_centre_however_far_the_others_are():
    spec = number([0.0] * 91 + [5000.0] * 9).spec
    assert spec.centre == (0.0,)
    assert set(spec.edges[0]) == {0.0, 5000.0}


def test_the_scale_of_what_mostly_has_one_value_is_that_of_the_others_and_no_matter_of_the_farthest():
    others = np.linspace(4000, 8000, 60)
    spec = number([*[0.0] * 900, *others, 99_999.0]).spec
    assert spec.scale[0] == pytest.approx(6000, rel=0.2)
    assert number([0.0] * 99 + [50.0]).spec.scale == (50.0,)
    ordinary = np.random.default_rng(2).normal(0, 3, 4000)
    assert number(ordinary).spec.scale[0] == pytest.approx(3 * 1.349, rel=0.05)


def set_amounts(times: int = 20) -> list[float]:
    return [*[0.0] * 200, *[2174.1] * times, *[7688.0] * times, *[15_024.0] * times]


def test_set_amounts_beside_a_value_that_most_rows_have_recur():
    assert number(set_amounts()).spec.recurring == ((0.0, 2174.1, 7688.0, 15_024.0),)
    assert number([*set_amounts(), *[99_999.0] * 9]).spec.recurring == ((0.0, 2174.1, 7688.0, 15_024.0),)
    halves = [Number.count(column(part)) for part in (set_amounts(10), [*[0.0] * 50, *set_amounts(10)])]
    assert Number(Number.fit(Number.merge(*halves))).spec.recurring == ((0.0, 2174.1, 7688.0, 15_024.0),)


@pytest.mark.parametrize(
    "values",
    [
        [*[0.0] * 200, *[1.0] * 100],
        [*set_amounts(), *np.full(300, 5.0) + np.arange(300)],
        [*[0.0] * 3000, *np.arange(1.0, 1100.0)],
        np.random.default_rng(0).normal(size=500),
        [],
    ],
    ids=["two values", "none that most rows have", "more than are counted apart", "none twice", "no value"],
)
def test_numbers_of_which_neighbours_tell_enough_have_none_that_recur(values):
    assert number(values, pa.float64()).spec.recurring == ((),)


def test_what_recurs_is_shifted_as_the_rows_are():
    kind = number(1_700_000_000_000.0 + np.array(set_amounts()))
    encoded = kind.encode(column([1_700_000_000_000.0 + 2174.1]))[""]
    assert kind.state["shift"] != [0.0]
    assert encoded.item() == torch.tensor(kind.spec.recurring[0][1], dtype=torch.float64).float()


def test_a_model_from_before_anything_recurred_has_nothing_that_does():
    state = dict(number(set_amounts()).state)
    del state["recurring"]
    assert Number(state).spec.recurring == ((),)


def test_quantiles_of_many_rows_stay_near_after_merging_shards():
    values = np.random.default_rng(1).normal(0, 1, 60_000)
    merged = Number.count(column(values[:20_000]))
    for part in np.split(values[20_000:], 20):
        merged = Number.merge(merged, Number.count(column(part)))
    edges = np.array(Number.fit(merged)["edges"][0])
    ranks = np.searchsorted(np.sort(values), edges[1:-1]) / len(values)
    np.testing.assert_allclose(ranks, np.linspace(0, 1, NUM_EDGES)[1:-1], atol=0.005)


def test_a_value_that_most_of_many_rows_have_stays_the_median_after_merging():
    draw = np.random.default_rng(2)
    values = np.where(draw.random(30_000) < 0.7, 0.0, 1000 + draw.random(30_000))
    merged = Number.merge(Number.count(column(values[:10_000])), Number.count(column(values[10_000:])))
    edges = Number.fit(merged)["edges"][0]
    assert edges[MIDDLE] == 0
    assert not any(1 < edge < 999 for edge in edges)


@pytest.mark.parametrize("offset", [1_700_000_000, 1_700_000_000_000, 2**40, 10**15])
def test_large_whole_numbers_keep_their_differences(offset):
    values = [offset + step for step in (0, 1, 2, 500, 1000)]
    found = number(values)
    assert [round(value) - offset for value in round_trip(found, values)] == [0, 1, 2, 500, 1000]
    encoded = found.encode(column(values))[""][:, 0]
    assert (encoded.diff() > 0).all()


def test_truth_and_prediction_stand_in_the_columns_own_unit():
    values = [1e9 + 1, 1e9 + 2, 1e9 + 5]
    found = number(values)
    encoded = found.encode(column(values))[""]
    np.testing.assert_allclose(found.truth(encoded), values, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.values({"q0.5": encoded.numpy()})["q0.5"], values, rtol=0, atol=1e-6)


def test_a_spread_that_is_rounding_error_is_no_spread():
    spec = number([0.1 + 0.2, 0.3] * 20).spec
    assert spec.deviation == (1.0,)
    assert spec.scale == (1.0,)


def test_a_column_without_values_standardises_to_zero():
    spec = number([None, None, None], pa.float64()).spec
    assert (spec.centre, spec.scale, spec.mean, spec.deviation, spec.missing) == ((0,), (1,), (0,), (1,), (True,))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None])
def test_what_is_not_a_finite_number_is_missing(value):
    found = number([1.0, value, 3.0])
    assert found.state["missing"] == [1]
    assert found.state["mean"] == [2.0]
    assert torch.isnan(found.encode(column([value], pa.float64()))[""]).all()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([1.5, 2.5, 4.0], np.float16), pa.float16()),
        ([Decimal("1.50"), Decimal("2.50"), Decimal("4.00")], pa.decimal128(10, 2)),
        (["1.5", "2.5", "4"], pa.string()),
        ([1.5, 2.5, 4.0], pa.float32()),
    ],
)
def test_numbers_of_any_type_are_read(values, kind):
    assert round_trip(number(values, kind), values, kind) == [1.5, 2.5, 4.0]


def test_lists_of_numbers_are_of_another_kind():
    with pytest.raises(SchemaError, match=r"a number was expected.*lists of numbers are of kind vector"):
        Number.count(column([[1.0, 2.0]], pa.list_(pa.float64(), 2)))


@pytest.mark.parametrize("cells", [pa.array(["12", "abc"]), pa.array([1, 2], pa.timestamp("s")), pa.array([[1.0]])])
def test_what_is_no_number_is_refused_by_name(cells):
    with pytest.raises(SchemaError, match="a number was expected"):
        number([1.0]).encode(pa.chunked_array([cells]))


@settings(max_examples=20)
@given(st.integers(1, 3))
def test_quantiles_stand_beside_a_prediction(rows):
    found = number([1.0, 2.0])
    decoded = found.decode({"value": np.ones((rows, 1)), "q0.1": np.zeros((rows, 1))})
    assert {name: values.to_pylist() for name, values in decoded.items()} == {"": [1.0] * rows, "q0.1": [0.0] * rows}
