"""Columns that give the target away are found, and good columns are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fathom.checks import Finding
from fathom.checks.tables import binned, explained, hits_in_blocks, hits_of, ranks, reduction
from fathom.data import read


def names_of(findings: list[Finding], severity: str = "warning") -> set[str]:
    return {name for finding in findings if finding.severity == severity for name in finding.columns}


def students(random: np.random.Generator, count: int = 400) -> dict[str, Any]:
    """Grades of three terms as in UCI's Student set: the second tells most of the third, the first two thirds."""
    able = random.normal(size=count)
    third = np.clip(np.rint(11 + 4 * able), 0, 20)
    second = np.clip(np.rint(third + random.normal(size=count) * 1.6), 0, 20)
    first = np.clip(np.rint(third + random.normal(size=count) * 2.6), 0, 20)
    weak = {f"answer{k}": np.rint(2.5 + random.normal(size=count) + 0.2 * able) for k in range(5)}
    return {**weak, "absences": random.poisson(5, count), "G1": first, "G2": second, "G3": third}


def test_the_grade_of_the_second_term_is_asked_about_and_that_of_the_first_is_not(look, random):
    found = look(students(random), "G3", "leaks")
    assert names_of(found) == {"G2"}
    assert "most of G3" in found[0].message
    assert found[0].remedy == "if not, --role G2=ignore"


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_a_copy_of_a_number_with_noise_is_found(look, random, noise):
    target = random.normal(size=500)
    data = {"good": target + random.normal(size=500), "copy": target + noise * random.normal(size=500), "y": target}
    assert names_of(look(data, "y", "leaks")) == {"copy"}


@pytest.mark.parametrize("wrong", [0.0, 0.03])
def test_a_copy_of_a_class_under_other_names_is_found(look, random, wrong):
    label = random.integers(0, 3, 600)
    told = np.where(random.random(600) < wrong, random.integers(0, 3, 600), label)
    data = {"good": label + random.normal(size=600), "code": np.array(["x", "y", "z"])[told], "y": label.astype(str)}
    found = look(data, "y", "leaks")
    assert names_of(found) == {"code"}
    assert "nearly all" in found[0].message


def test_what_tells_by_being_missing_is_found(look, random):
    label = random.integers(0, 2, 600)
    days = [int(day) if kept else None for day, kept in zip(random.integers(0, 300, 600), label, strict=True)]
    data = {"good": random.normal(size=600), "days until it came back": days, "y": label}
    found = look(data, "y", "leaks")
    assert names_of(found) == {"days until it came back"}
    assert "being missing or not" in found[0].message
    assert found[0].remedy == "if not, --role 'days until it came back=ignore'"


def test_one_value_that_comes_with_one_class_alone_is_noted(look, random):
    label = random.integers(0, 2, 1000)
    recorded = np.where((label == 1) & (random.random(1000) < 0.2), "again", "none")
    data = {"good": random.normal(size=1000), "recorded": recorded, "y": label}
    found = look(data, "y", "leaks")
    assert names_of(found) == set()
    assert names_of(found, "note") == {"recorded"}


def test_good_measures_that_agree_accuse_none_of_them(look, random):
    label = random.integers(0, 2, 600)
    good = {name: 3 * label + random.normal(size=600) for name in ("radius", "area", "perimeter")}
    weak = {f"c{k}": random.normal(size=600) for k in range(12)}
    assert look({**good, "y": label}, "y", "leaks") == []
    assert look({**good, "c0": weak["c0"], "y": label}, "y", "leaks") == []
    assert look({"radius": good["radius"], "y": label}, "y", "leaks") == []
    assert names_of(look({"radius": good["radius"], **weak, "y": label}, "y", "leaks")) == {"radius"}


def test_an_identifier_tells_nothing_of_rows_that_have_another(look, random):
    label = random.integers(0, 2, 600)
    data = {"ticket": [f"t{k // 3}" for k in range(600)], "number": random.permutation(600), "y": label}
    assert look(data, "y", "leaks") == []


def test_few_rows_and_rare_classes_accuse_no_column_of_many(look, random):
    columns = {f"c{k}": random.integers(0, 4, 50) for k in range(500)} | {
        f"d{k}": random.normal(size=50) for k in range(500)
    }
    assert look({**columns, "y": (np.arange(50) < 5).astype(int)}, "y", "leaks") == []
    assert look({**columns, "y": random.normal(size=50)}, "y", "leaks") == []


def test_a_time_is_known_beforehand_though_the_target_grows_with_it(look, random):
    days = np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]").astype("datetime64[us]")
    days, number = np.repeat(days, 3), np.repeat(np.arange(len(days)), 3)
    data = {"day": days, "x": random.normal(size=len(days)), "y": number + random.normal(size=len(days))}
    assert look(data, "y", "leaks") == []


@pytest.mark.parametrize(
    ("words", "used", "compute"),
    [
        ("casual + registered", ("casual", "registered"), lambda a, b, c: a + b),
        ("casual - registered", ("casual", "registered"), lambda a, b, c: a - b),
        ("casual × price", ("casual", "price"), lambda a, b, c: a * c),
        ("casual / registered", ("casual", "registered"), lambda a, b, c: a / b),
        ("casual + registered + 0.5 × price", ("casual", "registered", "price"), lambda a, b, c: a + b + c / 2),
    ],
)
def test_a_target_computed_from_inputs_is_found(look, random, words, used, compute):
    a, b = (random.integers(1, 500, 300).astype(float) for _ in range(2))
    c = random.uniform(1, 9, 300)
    data = {"noise": random.normal(size=300), "casual": a, "registered": b, "price": c, "y": compute(a, b, c)}
    (found,) = look(data, "y", "identities")
    assert found.columns == used
    assert f"y is {words} in every row" in found.message


def test_a_target_that_is_nearly_a_sum_is_no_identity(look, random):
    a, b = (random.normal(size=300) for _ in range(2))
    assert look({"a": a, "b": b, "y": a + b + 0.01 * random.normal(size=300)}, "y", "identities") == []


def test_more_columns_than_rows_find_no_identity_by_chance(look, random):
    columns = {f"c{k}": random.normal(size=40) for k in range(300)}
    assert look({**columns, "y": random.normal(size=40)}, "y", "identities") == []


BIKES = {"bike_sharing_hour.csv", "bike_sharing_day.csv"}


@pytest.mark.parametrize("name", sorted(BIKES))
def test_bikes_are_counted_from_casual_and_registered(look, data_directory: Path, name):
    table = read(data_directory / "tabular" / name).parts["train"]
    (identity,) = look(table, "cnt", "identities")
    assert identity.columns == ("casual", "registered")
    assert identity.remedy == "if they are not known beforehand, --role casual=ignore --role registered=ignore"
    assert names_of(look(table, "cnt", "leaks")) == {"registered"}


def test_what_compas_recorded_after_the_outcome_is_found(look, data_directory: Path):
    table = read(data_directory / "tabular" / "compas-scores-two-years.csv").parts["train"]
    found = look(table, "two_year_recid", "leaks")
    after = {"is_recid", "r_charge_degree", "r_charge_desc", "r_offense_date", "r_days_from_arrest", "event", "end"}
    assert after <= names_of(found) <= after | {"r_case_number", "r_jail_in", "r_jail_out"}
    once_more = {"is_violent_recid", "vr_charge_degree", "vr_charge_desc"}
    assert once_more <= names_of(found, "note") <= once_more | {"vr_offense_date", "vr_case_number"}


def leaving_one_out(codes: np.ndarray, target: np.ndarray, classes: bool) -> float:
    """Hits, or the sum of squared errors, told row by row from all the others."""
    total = 0.0
    for row in range(len(codes)):
        others = np.delete(target, row)[np.delete(codes, row) == codes[row]]
        if classes:
            counts = np.bincount(others, minlength=target.max() + 1) if len(others) else np.zeros(1)
            total += bool(len(others)) and counts.argmax() == target[row] and (counts == counts.max()).sum() == 1
        else:
            total += (target[row] - (others.mean() if len(others) else 0.0)) ** 2
    return total


def test_the_tables_agree_with_leaving_out_one_row_after_the_other(random):
    codes = random.integers(0, 12, (80, 3))
    classes, numbers = random.integers(0, 3, 80), ranks(random.normal(size=80))
    hits = [leaving_one_out(codes[:, k], classes, True) for k in range(3)]
    assert hits_in_blocks(codes, 12, classes, 3).tolist() == hits
    assert [hits_of(codes[:, k], classes) for k in range(3)] == hits
    errors = np.array([leaving_one_out(codes[:, k], numbers, False) for k in range(3)])
    np.testing.assert_allclose(explained(codes, 12, numbers), 1 - errors / np.square(numbers).sum())


def test_no_error_left_is_a_reduction_of_one_and_the_usual_class_of_none():
    classes = np.array([0, 0, 0, 1, 2])
    assert reduction(np.array([5.0, 3.0]), classes).tolist() == [1.0, 0.0]


def test_bins_hold_one_value_each_where_these_are_few_and_never_part_equal_values(random):
    few = random.integers(0, 5, 1000).astype(float)
    many = np.round(random.normal(size=1000), 2)
    many[:100] = np.nan
    ((_, codes, distinct, size),) = binned(np.stack([few, many], axis=1))
    assert (codes[:, 0] - 1 == few).all()
    assert distinct[0] == 5
    assert (codes[:100, 1] == 0).all()
    assert (codes[100:, 1] > 0).all()
    for value in np.unique(many[100:]):
        assert len(set(codes[many == value, 1])) == 1
    assert codes.max() < size


def test_ranks_are_about_zero_and_the_same_for_equal_values():
    assert ranks(np.array([3.0, 1.0, 3.0, 9.0])).tolist() == [0.0, -1.5, 0.0, 1.5]


def test_a_target_of_yes_and_no_is_looked_at(look, random):
    label = random.integers(0, 2, 400).astype(bool)
    table = pa.table(
        {"copy": pa.array(np.where(label, "yes", "no")), "x": random.normal(size=400), "y": pa.array(label)}
    )
    assert names_of(look(table, "y", "leaks")) == {"copy"}
