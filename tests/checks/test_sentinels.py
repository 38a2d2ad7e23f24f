"""Numbers that stand for "unknown" are found; zeros, counts and large amounts that mean what they say are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fathom.data import read

ROWS = 600


def found_in(findings) -> dict[str, set[str]]:
    """The number that is suspected, as the message says it, to its columns."""
    return {finding.message.split()[0]: set(finding.columns) for finding in findings}


def with_code(random: np.random.Generator, code: float, count: int = 12) -> np.ndarray:
    """Temperatures of which some could not be read."""
    values = np.round(random.normal(12, 6, ROWS), 1)
    values[random.choice(ROWS, count, replace=False)] = code
    return values


@pytest.mark.parametrize("code", [-9999, 9999, -99, 999, 99999])
def test_nines_alone_are_found_with_the_option_that_settles_them(look, random, code):
    findings = look({"degrees": with_code(random, code), "y": random.normal(size=ROWS)}, "y", "sentinels")
    assert found_in(findings) == {f"{code}": {"degrees"}}
    assert findings[0].remedy == f"if so, --missing degrees={code}"
    assert findings[0].count == 12
    assert len(findings[0].rows) == 5


def test_one_broken_reading_is_enough_where_it_is_of_nines(look, random):
    assert found_in(look({"degrees": with_code(random, -9999, 1)}, only="sentinels")) == {"-9999": {"degrees"}}


def test_another_far_number_must_repeat(look, random):
    assert found_in(look({"degrees": with_code(random, 500, 3)}, only="sentinels")) == {"500": {"degrees"}}
    assert look({"degrees": with_code(random, 500, 2)}, only="sentinels") == []


def test_minus_one_is_found_where_nothing_else_is_negative(look, random):
    days = random.integers(0, 400, ROWS)
    never = np.where(random.random(ROWS) < 0.4, -1, days)
    assert found_in(look({"days": never}, only="sentinels")) == {"-1": {"days"}}
    assert look({"change": never - 2 * (random.random(ROWS) < 0.1) * 30}, only="sentinels") == []


def test_a_zero_far_below_all_others_is_found(look, random):
    pressure = np.rint(random.normal(72, 12, ROWS))
    pressure[::20] = 0
    findings = look({"pressure": pressure}, only="sentinels")
    assert found_in(findings) == {"0": {"pressure"}}
    assert findings[0].remedy == "if so, --missing pressure=0"


def test_the_option_advised_names_the_column(look, random):
    pressure = np.where(np.arange(ROWS) % 20 == 0, 0, np.rint(random.normal(72, 12, ROWS)))
    (finding,) = look({"pressure": pressure, "children": random.poisson(2, ROWS)}, only="sentinels")
    assert finding.remedy == "if so, --missing pressure=0"


@pytest.mark.parametrize(
    "values",
    [
        lambda random: random.poisson(2, ROWS),
        lambda random: random.poisson(30, ROWS) * (random.random(ROWS) < 0.4),
        lambda random: np.round(np.maximum(0, random.normal(1, 1, ROWS)), 1),
        lambda random: np.where(random.random(ROWS) < 0.1, 0, np.round(random.exponential(9, ROWS), 1)),
        lambda random: np.where(random.random(ROWS) < 0.9, 0, np.rint(random.lognormal(8, 0.3, ROWS))),
        lambda random: np.rint(random.lognormal(3, 2, ROWS)),
        lambda random: random.integers(0, 256, ROWS) * (random.random(ROWS) < 0.5),
        lambda random: random.choice([0.0, 50.0, 100.0], ROWS),
        lambda random: np.repeat(random.normal(size=ROWS // 4), 4),
        lambda random: random.integers(0, 100, ROWS),
        lambda random: np.where(random.random(ROWS) < 0.05, 0, 4 + random.poisson(5, ROWS)),
    ],
)
def test_numbers_that_mean_what_they_say_are_let_be(look, random, values):
    assert look({"x": values(random)}, only="sentinels") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pima_diabetes.csv", {"0": {"Glucose", "BloodPressure", "SkinThickness", "Insulin", "BMI"}}),
        ("bank-additional.csv", {"999": {"pdays"}}),
        ("adult_train.csv", {"99999": {"capital-gain"}}),
        ("abalone.csv", {}),
        ("heart_cleveland.csv", {}),
    ],
)
def test_tables_at_hand(look, data_directory: Path, name, expected):
    assert found_in(look(read(data_directory / "tabular" / name).parts["train"], only="sentinels")) == expected


def test_every_broken_reading_of_the_weather_is_found(look, data_directory: Path):
    table = read(data_directory / "timeseries" / "weather_jena2020.csv").parts["train"]
    (finding,) = look(table, "T (degC)", "sentinels")
    assert finding.message.startswith("-9999 ")
    assert finding.remedy.startswith("if so, --missing ")
    assert finding.remedy.count("=-9999") == len(finding.columns)
    cells = sum((table[name].to_numpy() == -9999).sum() for name in finding.columns)
    assert cells == 81
