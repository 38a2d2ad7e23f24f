"""Slices: a planted one is found and named, none is in noise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fathom.trust.slices import Slice, worst_slices
from tests.trust.answers import coded, of_classes, of_numbers

ROWS = 3000


def table(seed: int = 0, rows: int = ROWS) -> pa.Table:
    draw = np.random.default_rng(seed)
    columns = {
        "age": np.round(draw.uniform(18, 68, rows)),
        "income": draw.lognormal(10, 1, rows),
        "sex": draw.choice(["female", "male"], rows),
        "city": draw.choice(["Bonn", "Köln", "Ulm", "Jena"], rows, p=[0.4, 0.3, 0.2, 0.1]),
        "children": draw.poisson(1.0, rows),
    }
    return pa.table(columns)


def wrong_where(
    rows: pa.Table, bad: np.ndarray, seed: int = 0, *, often: float = 0.5, seldom: float = 0.1
) -> list[Slice]:
    """The slices of a classifier that is wrong often in some rows and seldom in the others."""
    draw = np.random.default_rng(1000 + seed)
    wrong = draw.random(len(bad)) < np.where(bad, often, seldom)
    answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (len(bad), 1)))
    return worst_slices(answered, coded(rows), most_rows=20_000)


def column(rows: pa.Table, name: str) -> np.ndarray:
    return np.asarray(rows[name].to_pylist())


def test_a_bad_value_is_found_with_its_score_and_interval():
    rows = table()
    bad = column(rows, "city") == "Jena"
    (found,) = wrong_where(rows, bad)
    assert (found.where, found.rows, found.metric) == ("city = Jena", bad.sum(), "accuracy")
    assert found.low < 0.5 < found.high
    assert found.low < found.value < found.high < found.elsewhere == pytest.approx(0.9, abs=0.02)


def test_a_bad_range_is_found_with_its_bounds():
    rows = table()
    edges = np.quantile(column(rows, "age"), [0.2, 0.4])
    (found,) = wrong_where(rows, (column(rows, "age") >= edges[0]) & (column(rows, "age") < edges[1]))
    assert found.where == f"{edges[0]:g} ≤ age < {edges[1]:g}"


def test_a_bad_pair_is_found_and_named_by_both_conditions():
    rows = table()
    edge = np.quantile(column(rows, "age"), 0.3)
    (found,) = wrong_where(rows, (column(rows, "age") < edge) & (column(rows, "sex") == "female"))
    assert found.where == f"age < {edge:g} and sex = female"


def test_a_bad_pair_between_the_edges_of_the_search_is_told_once():
    """Neither at other bounds, nor as a range of one of its columns that is bad by what the pair's bounds left out."""
    told = []
    for seed in range(8):
        rows, draw = table(seed), np.random.default_rng(900 + seed)
        bad = np.ones(ROWS, bool)
        for name in ("age", "income"):
            start = draw.uniform(0.05, 0.5)
            low, high = np.quantile(column(rows, name), [start, start + 0.35])
            bad &= (column(rows, name) >= low) & (column(rows, name) < high)
        found = wrong_where(rows, bad, seed, often=0.7)
        assert "age" in found[0].where
        assert "income" in found[0].where
        told.append(len(found))
    assert told.count(1) >= 6, told


def test_two_bad_slices_are_both_told_the_worst_first():
    rows = table()
    draw = np.random.default_rng(5)
    chance = np.where(column(rows, "city") == "Jena", 0.7, np.where(column(rows, "children") >= 2, 0.35, 0.05))
    wrong = draw.random(ROWS) < chance
    answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)))
    found = [one.where for one in worst_slices(answered, coded(rows), most_rows=20_000)]
    assert found == ["city = Jena", "children ≥ 2"]


def test_larger_errors_of_numbers_are_found():
    rows = table()
    bad = column(rows, "income") < np.quantile(column(rows, "income"), 0.1)
    error = np.random.default_rng(3).normal(0, np.where(bad, 3.0, 1.0))
    (found,) = worst_slices(of_numbers(error, np.zeros(ROWS)), coded(rows), most_rows=20_000)
    assert found.where.startswith("income < ")
    assert found.metric == "mae"
    assert found.value == pytest.approx(np.abs(error[bad]).mean(), rel=0.1)
    assert found.elsewhere < found.low < found.value < found.high


@pytest.mark.parametrize("errors", ["right or wrong", "seldom wrong", "normal", "long-tailed"])
def test_noise_has_no_slice(errors):
    told = []
    for seed in range(20):
        rows, draw = table(seed, 1000), np.random.default_rng(100 + seed)
        if errors in ("right or wrong", "seldom wrong"):
            share = 0.3 if errors == "right or wrong" else 0.02
            truth = (draw.random(1000) < share).astype(int)
            answered = of_classes(truth, np.tile([0.6, 0.4], (1000, 1)))
        else:
            gaps = draw.normal(size=1000) if errors == "normal" else draw.lognormal(0, 1.5, 1000)
            answered = of_numbers(gaps, np.zeros(1000))
        told += worst_slices(answered, coded(rows), most_rows=20_000)
    assert told == []


def test_rows_that_come_in_groups_alike_are_no_slice():
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 100)
    rows = pa.table({"height": np.repeat(draw.normal(size=30), 100) + draw.normal(0, 0.01, ROWS)})
    wrong = draw.random(ROWS) < np.repeat(draw.uniform(0, 0.6, 30), 100)
    answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)))
    grouped = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)), groups=groups)
    assert worst_slices(answered, coded(rows), most_rows=20_000)
    assert worst_slices(grouped, coded(rows), most_rows=20_000) == []


def test_rows_without_a_weight_that_counts_do_not_make_a_slice():
    rows = table()
    bad = column(rows, "city") == "Jena"
    wrong = np.random.default_rng(2).random(ROWS) < np.where(bad, 0.5, 0.1)
    for heavy, expected in ((1.0, 1), (1e-6, 0)):
        weight = np.where(bad & wrong, heavy, 1.0)
        answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)), weight=weight)
        assert len(worst_slices(answered, coded(rows), most_rows=20_000)) == expected


def test_missing_cells_dates_and_protected_columns_make_conditions():
    draw = np.random.default_rng(4)
    days = (np.datetime64("2020-01-01") + draw.integers(0, 1000, ROWS)).astype("datetime64[D]")
    height = np.where(draw.random(ROWS) < 0.1, np.nan, draw.normal(size=ROWS))
    rows = pa.table({"day": days, "height": pa.array(height, from_pandas=True), "race": draw.choice(list("xyz"), ROWS)})
    for bad, where in ((np.isnan(height), "height is missing"), (column(rows, "race") == "z", "race = z")):
        wrong = draw.random(ROWS) < np.where(bad, 0.5, 0.1)
        answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)))
        found = worst_slices(answered, coded(rows, race="protected"), most_rows=20_000)
        assert [one.where for one in found] == [where]
    late = days >= np.datetime64(int(np.quantile(days.astype(int), 0.9)), "D")
    wrong = draw.random(ROWS) < np.where(late, 0.6, 0.1)
    (found,) = worst_slices(
        of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1))), coded(rows), most_rows=20_000
    )
    assert found.where == f"day ≥ {days[late].min()}"


def test_many_rows_are_thinned_for_the_search_and_all_counted():
    rows = table()
    bad = column(rows, "city") == "Köln"
    wrong = np.random.default_rng(2).random(ROWS) < np.where(bad, 0.5, 0.1)
    answered = of_classes(wrong.astype(int), np.tile([0.6, 0.4], (ROWS, 1)))
    (found,) = worst_slices(answered, coded(rows), most_rows=1000)
    assert (found.where, found.rows) == ("city = Köln", bad.sum())


@pytest.mark.parametrize("rows", [0, 1, 39, 200])
def test_few_rows_or_rows_all_wrong_have_no_slice(rows):
    answered = of_classes(np.ones(rows, int), np.tile([0.6, 0.4], (rows, 1)))
    assert worst_slices(answered, coded(table(0, max(rows, 1))), most_rows=20_000) == []
