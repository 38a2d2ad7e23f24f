"""On real tables the checks say what a person would say of them, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import read

# Folder and file (none: bundled), target, test rows, and everything that is found, but for labels and pictures.
SETS = [
    ("iris", None, None, set()),
    ("wine", None, None, set()),
    ("breast-cancer", None, None, set()),
    ("digits", None, None, set()),
    ("diabetes", None, None, set()),
    (
        "tabular/adult_train.csv",
        "income",
        "tabular/adult_test.csv",
        {"sentinels warning", "conflicts note", "copies note", "shared note"},
    ),
    (
        "tabular/compas-scores-two-years.csv",
        "two_year_recid",
        None,
        {"leaks warning", "spellings warning", "leaks note", "constants note", "identifiers note", "missing note"},
    ),
    ("tabular/german_credit.csv", "class", None, set()),
    ("tabular/heart_cleveland.csv", "num", None, {"imbalance note"}),
    ("tabular/pima_diabetes.csv", "Outcome", None, {"sentinels warning"}),
    ("tabular/titanic.csv", "Survived", None, {"sentinels warning", "identifiers note"}),
    ("tabular/california_housing.csv", "median_house_value", None, {"caps note"}),
    (
        "tabular/bike_sharing_hour.csv",
        "cnt",
        None,
        {"identities warning", "leaks warning", "sentinels warning", "identifiers note"},
    ),
    ("tabular/bike_sharing_day.csv", "cnt", None, {"identities warning", "leaks warning", "identifiers note"}),
    ("tabular/abalone.csv", "Rings", None, set()),
    ("tabular/winequality-red.csv", "quality", None, {"copies note", "imbalance note"}),
    ("tabular/winequality-white.csv", "quality", None, {"copies note", "imbalance note"}),
    ("tabular/bank-additional.csv", "y", None, {"sentinels warning", "imbalance note"}),
    ("timeseries/ett/ETTh1.csv", "OT", None, set()),
    ("timeseries/weather_jena2020.csv", "T (degC)", None, {"leaks warning", "sentinels warning", "copies note"}),
    ("timeseries/daily-min-temperatures.csv", "Temp", None, set()),
    ("timeseries/airline-passengers.csv", "Passengers", None, set()),
    ("driving/udacity_sim/driving_log.csv", "steering", None, set()),
    ("vision/gtsrb10", None, None, set()),
    ("vision/flowers128", None, None, {"conflicts warning"}),
    ("vision/orl_faces", None, None, set()),
    ("vision/fashion_mnist", None, None, set()),
    ("medical/pneumoniamnist.npz", None, None, {"shared warning", "drift warning", "copies note"}),
]


@pytest.mark.parametrize(("name", "target", "test", "expected"), SETS, ids=[name for name, *_ in SETS])
def test_what_is_found_in_data_at_hand(data_directory: Path, name, target, test, expected):
    source = read(data_directory / name if "/" in name else name)
    others = None if test is None else read(data_directory / test)
    skipped = {"labels": False, "pictures": False}
    asked = Config.of({"checks": skipped} | ({"target": target} if target else {}))
    rows = prepare(source, others, asked, lambda line: None)
    found = {f"{finding.check} {finding.severity}": finding for finding in rows.findings}
    assert set(found) == expected, [finding.message for finding in rows.findings]
    assert all("\n" not in finding.message + finding.remedy for finding in rows.findings)
