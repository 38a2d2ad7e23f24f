"""check: the report that a person and a program get, and what a training says of the same."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import fathom
from fathom.api.rows import prepare
from fathom.checks import CHECKS
from fathom.config import Config
from fathom.data import read
from fathom.errors import ConfigError, SchemaError

pytestmark = pytest.mark.usefixtures("light_models")
ROWS = 300


@pytest.fixture(scope="module")
def leaky() -> pa.Table:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, ROWS)
    return pa.table({"copy": label.astype(str), "x": random.normal(size=ROWS), "y": label})


def test_a_report_holds_columns_rows_and_findings(leaky):
    report = fathom.check(leaky, "y", checks={"labels": False})
    assert report.rows == {"train": ROWS}
    assert [column["name"] for column in report.columns] == ["copy", "x", "y"]
    assert [(finding.check, finding.columns) for finding in report.findings] == [("leaks", ("copy",))]
    assert report.trainable


def test_a_report_is_json_with_the_same_fields(leaky):
    report = fathom.check(leaky, "y", checks={"labels": False})
    plain = json.loads(json.dumps(report.plain(), allow_nan=False))
    assert set(plain) == set(vars(report))
    assert set(plain["findings"][0]) == set(vars(report.findings[0]))
    assert plain["findings"][0]["remedy"] == "if not, --role copy=ignore"


def test_the_option_that_is_advised_settles_it(leaky):
    report = fathom.check(leaky, "y", roles={"copy": "ignore"}, checks={"labels": False})
    assert report.findings == ()


def test_test_rows_are_compared_with_training_rows(leaky):
    report = fathom.check(leaky, "y", test=leaky.slice(0, 60), checks={"labels": False})
    assert report.rows == {"train": ROWS, "test": 60}
    assert "shared" in {finding.check for finding in report.findings}


def test_what_takes_long_is_looked_at_by_check_and_not_by_a_training(leaky, monkeypatch):
    monkeypatch.setitem(CHECKS.get("labels").facts, "seconds", lambda examined: 3600.0)
    rows = prepare(read(leaky), None, Config.of({"target": "y"}), lambda line: None)
    assert "labels were not looked at, which takes about 3,600 s" in {finding.message for finding in rows.findings}
    assert not [f for f in fathom.check(leaky, "y").findings if "not looked at" in f.message]


def test_a_training_says_what_is_grave_and_how_much_else_there_is(leaky):
    said: list[str] = []
    prepare(read(leaky.append_column("id", pa.array(range(ROWS)))), None, Config.of({"target": "y"}), said.append)
    assert any(line.startswith("warning: copy (100 %) alone tells nearly all of y") for line in said)
    assert "fathom check shows 1 finding of less weight" in said


def test_one_class_is_an_error_of_the_report():
    report = fathom.check({"x": np.arange(40.0) ** 2, "y": ["a"] * 40}, "y")
    assert not report.trainable


def test_mistakes_are_told(leaky):
    with pytest.raises(ConfigError, match="unknown check"):
        fathom.check(leaky, "y", checks={"leeks": False})
    with pytest.raises(SchemaError, match="unknown column"):
        fathom.check(leaky, "z")
    with pytest.raises(SchemaError, match="has no value"):
        fathom.check({"x": [1.0, 2.0], "y": [None, None]}, "y")
