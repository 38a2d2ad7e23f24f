"""The schema: kinds and roles inferred from real tables, said otherwise by people, and held against new data."""

from __future__ import annotations

import json
import time

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.errors import SchemaError
from fathom.schema import Schema
from fathom.signals import WEIGHT, Role

ADULT_NUMBERS = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
CALIFORNIA = "median_house_value"
REAL = {
    "adult_train": ("income", "category", set(), ADULT_NUMBERS),
    "titanic": ("Survived", "category", {"PassengerId", "Name", "Ticket", "Cabin"}, {"Age", "Fare", "Pclass"}),
    "california_housing": (CALIFORNIA, "number", set(), {"latitude", "median_income", CALIFORNIA}),
    "bike_sharing_day": ("cnt", "number", {"instant"}, {"temp", "hum", "cnt"}),
    "bike_sharing_hour": ("cnt", "number", {"instant"}, {"temp", "hr", "cnt"}),
}


def table(**columns: object) -> pa.Table:
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def small(rows: int = 40) -> pa.Table:
    draw = np.random.default_rng(0)
    return table(
        size=draw.normal(0, 1, rows),
        colour=draw.choice(["red", "green", "blue"], rows),
        weight=draw.random(rows),
        y=draw.choice(["yes", "no"], rows),
    )


def roles(schema: Schema) -> dict[str, str]:
    return {name: role for name, role, _, _ in schema.rows()}


def kinds(schema: Schema) -> dict[str, str]:
    return {name: kind for name, _, kind, _ in schema.rows()}


@pytest.fixture(params=sorted(REAL))
def real(request, data_directory):
    target, kind, ignored, numbers = REAL[request.param]
    rows = fathom.read(data_directory / "tabular" / f"{request.param}.csv").parts["train"]
    return Schema.infer(rows, [target]), rows, target, kind, ignored, numbers


def test_kinds_and_roles_of_real_tables_are_what_a_person_would_say(real):
    schema, rows, target, kind, ignored, numbers = real
    assert roles(schema)[target] == "target"
    assert kinds(schema)[target] == kind
    assert {name for name, role in roles(schema).items() if role == "ignore"} == ignored
    used = {name for name, role in roles(schema).items() if role != "ignore"}
    words = {name for name in used if pa.types.is_string(rows[name].type)}
    assert {name for name in words if kinds(schema)[name] != "category"} == words & {"dteday"}
    assert all(kinds(schema)[name] == "datetime" for name in words & {"dteday"})
    assert all(kinds(schema)[name] == "number" for name in numbers)
    assert all(reason for *_, reason in schema.rows())


def test_a_real_table_is_encoded_and_its_state_is_json(real):
    schema, rows, target, *_ = real
    fitted = schema.fit(rows)
    restored = Schema.from_state(json.loads(json.dumps(fitted.state(), allow_nan=False)))
    assert restored.inputs() == fitted.inputs()
    assert restored.targets() == fitted.targets()
    first, second = (found.encode(rows.slice(0, 200)) for found in (fitted, restored))
    for key, value in first.tensors.items():
        assert torch.equal(value.nan_to_num(nan=-7), second.tensors[key].nan_to_num(nan=-7)), key
    assert len(first) == 200
    assert f"target/{target}" in first.tensors


def test_constants_and_columns_without_values_are_ignored():
    rows = table(same=[1] * 30, nothing=pa.nulls(30, pa.string()), size=list(range(30)), y=["a", "b"] * 15)
    schema = Schema.infer(rows, ["y"])
    assert {n: (role, reason) for n, role, _, reason in schema.rows() if role == "ignore"} == {
        "same": ("ignore", "constant"),
        "nothing": ("ignore", "no value at all"),
    }


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("id", True),
        ("user_id", True),
        ("PassengerId", True),
        ("ID", True),
        ("row", True),
        ("year", False),
        ("humid", False),
    ],
)
def test_whole_numbers_that_all_differ_are_identifiers_if_they_are_named_like_one(name, ignored):
    rows = table(**{name: list(range(50)), "y": ["a", "b"] * 25})
    schema = Schema.infer(table(**{name: list(range(50)), "other": [0.5, 1] * 25, "y": ["a", "b"] * 25}), ["y"])
    assert (roles(schema)[name] == "ignore") == ignored
    assert roles(Schema.infer(rows, ["y"], roles={name: "input"}))[name] == "input"


def test_what_a_person_says_stands():
    schema = Schema.infer(small(), ["y"], kinds={"size": "category"}, roles={"colour": "protected", "weight": "weight"})
    assert kinds(schema)["size"] == "category"
    assert roles(schema) == {"size": "input", "colour": "protected", "weight": "weight", "y": "target"}
    assert schema.weight == "weight"
    assert {n: reason for n, _, _, reason in schema.rows()}["size"] == "as you said"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"targets": ["yy"]}, r"unknown column 'yy'; did you mean 'y'\?"),
        ({"kinds": {"colr": "category"}}, r"unknown column 'colr'; did you mean 'colour'\?"),
        ({"kinds": {"colour": "categry"}}, r"unknown kind 'categry'; did you mean 'category'\?"),
        ({"roles": {"colour": "protectd"}}, r"column 'colour': unknown role 'protectd'; did you mean 'protected'\?"),
        ({"roles": {"shade": "input"}}, r"unknown column 'shade'"),
    ],
)
def test_a_name_that_does_not_exist_is_told_what_is_near(given, message):
    with pytest.raises(ValueError, match=message):
        Schema.infer(small(), **{"targets": ["y"], **given})


def test_a_target_without_a_value_is_refused():
    with pytest.raises(SchemaError, match="target column 'y' has no value in any of 3 rows"):
        Schema.infer(table(x=[1, 2, 3], y=pa.nulls(3, pa.string())), ["y"])


def test_a_table_with_nothing_to_learn_is_refused():
    with pytest.raises(SchemaError, match="no column is left"):
        Schema.infer(small().select(["colour"]), [], roles={"colour": "group"})


def test_a_role_for_a_column_that_no_kind_reads_is_refused():
    rows = small().append_column("lists", pa.array([[1, 2], [3]] * 20))
    assert roles(Schema.infer(rows, ["y"]))["lists"] == "ignore"
    with pytest.raises(SchemaError, match=r"holds list.*which no kind reads unasked; --kind lists=KIND names one"):
        Schema.infer(rows, ["y"], roles={"lists": "input"})


def test_statistics_come_from_the_rows_that_were_fitted_alone():
    rows = small()
    schema = Schema.infer(rows, ["y"]).fit(rows.slice(0, 20))
    column = next(column for column in schema.columns if column.name == "size")
    assert column.fitted.state["mean"] == pytest.approx([rows["size"].to_numpy()[:20].mean()])


def test_shards_counted_apart_fit_the_same_schema():
    rows = small()
    schema = Schema.infer(rows, ["y"])
    merged = schema.fit_counted(schema.merge(schema.count(rows.slice(0, 13)), schema.count(rows.slice(13))))
    for whole, part in zip(schema.fit(rows).columns, merged.columns, strict=True):
        if whole.kind.name == "number" and whole.fitted:
            assert part.fitted.spec.mean == pytest.approx(whole.fitted.spec.mean)
        elif whole.fitted:
            assert part.fitted.state == whole.fitted.state


def test_columns_of_a_packed_kind_travel_as_one_tensor():
    rows = small()
    store = Schema.infer(rows, ["y"]).fit(rows).encode(rows)
    assert set(store.tensors) == {"pack/number", "pack/category", "target/y"}
    assert store.tensors["pack/number"].shape == (40, 2)


def test_rows_to_predict_need_no_target_and_may_hold_other_columns_in_any_order():
    rows = small()
    schema = Schema.infer(rows, ["y"]).fit(rows)
    other = rows.select(["weight", "colour", "size"]).append_column("extra", pa.array(range(40)))
    expected = schema.encode(rows, targets=False).tensors
    for key, value in schema.encode(other, targets=False).tensors.items():
        assert torch.equal(value, expected[key])


def test_a_missing_column_is_named():
    rows = small()
    schema = Schema.infer(rows, ["y"]).fit(rows)
    with pytest.raises(SchemaError, match=r"lacks 'colour', which .*; is 'color' meant to be 'colour'\? \(it has"):
        schema.encode(rows.rename_columns(["size", "color", "weight", "y"]), targets=False)
    with pytest.raises(SchemaError, match=r"lacks 'colour', 'weight', which .* \(it has 'size'\)"):
        schema.encode(rows.select(["size"]), targets=False)


def test_a_column_of_another_type_is_named():
    rows = small()
    schema = Schema.infer(rows, ["y"]).fit(rows)
    with pytest.raises(SchemaError, match=r"column 'size': a number was expected"):
        schema.encode(rows.set_column(0, "size", pa.array(["tall"] * 40)), targets=False)


def test_weights_travel_beside_and_are_checked():
    rows = small()
    schema = Schema.infer(rows, ["y"], roles={"weight": "weight"}).fit(rows)
    assert schema.encode(rows).tensors[WEIGHT].tolist() == pytest.approx(rows["weight"].to_pylist())
    assert WEIGHT not in schema.encode(rows, targets=False).tensors
    with pytest.raises(SchemaError, match="weight"):
        schema.encode(rows.drop_columns("weight"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, -1.0, 1.0], "row 1 is not 0 or more"),
        ([1.0, 1.0, None], "row 2 is not 0 or more"),
        ([float("inf"), 1.0, 1.0], "row 0 is not 0 or more"),
        ([0.0, 0.0, 0.0], "every one is 0"),
        (["1", "2", "x"], "numbers were expected, not string"),
    ],
)
def test_weights_that_cannot_be_are_refused(values, message):
    rows = table(x=[1.0, 2.0, 3.0], w=values, y=["a", "b", "a"])
    with pytest.raises(SchemaError, match=f"column 'w' holds weights; {message}"):
        Schema.infer(rows, ["y"], roles={"w": "weight"}).fit(rows)


def test_protected_groups_and_ignored_columns_are_never_inputs():
    schema = Schema.infer(small(), ["y"], roles={"colour": "protected", "size": "ignore"})
    rows = small()
    assert set(schema.fit(rows).inputs()) == {"pack/number"}
    assert [column.name for column in schema.of_role(Role.INPUT)] == ["weight"]


def test_a_prediction_is_decoded_under_the_targets_name():
    rows = small()
    schema = Schema.infer(rows, ["y"]).fit(rows)
    decoded = schema.decode("y", {"probability": np.array([[0.9, 0.1]])})
    assert {name: values.to_pylist() for name, values in decoded.items()} == {
        "y": ["no"],
        "y probability no": [0.9],
        "y probability yes": [0.1],
    }


@pytest.mark.parametrize("names", [["size"], ["size", "weight"], ["size", "colour"]])
def test_what_was_rebuilt_is_decoded_by_column(names):
    rows = small().select(names)
    schema = Schema.infer(rows, []).fit(rows)
    store = schema.encode(rows)
    decoded = {}
    for key, (kind, spec) in schema.inputs().items():
        value = store.tensors[key].numpy()
        answer = {"value": value} if kind == "number" else {"probability": np.eye(spec.sizes[0])[value[:, 0] - 1]}
        decoded |= schema.decode(key, answer)
    assert list(decoded) == names
    np.testing.assert_allclose(decoded["size"].to_numpy(), rows["size"].to_numpy(), rtol=1e-6)
    if "colour" in names:
        assert decoded["colour"].to_pylist() == rows["colour"].to_pylist()


DATES = {
    "tabular/bike_sharing_hour.csv": {"dteday"},
    "tabular/compas-scores-two-years.csv": {
        *("compas_screening_date", "dob", "c_jail_in", "c_jail_out", "c_offense_date", "c_arrest_date"),
        *("r_offense_date", "r_jail_in", "r_jail_out", "vr_offense_date", "screening_date", "v_screening_date"),
        *("in_custody", "out_custody"),
    },
    "tabular/titanic.csv": set(),
    "timeseries/airline-passengers.csv": {"Month"},
    "timeseries/daily-min-temperatures.csv": {"Date"},
    "timeseries/ett/ETTh1.csv": {"date"},
    "timeseries/weather_jena2020.csv": {"date"},
    "timeseries/nab/realKnownCause/nyc_taxi.csv": {"timestamp"},
}


@pytest.mark.parametrize("place", DATES)
def test_dates_of_real_tables_are_dates_and_nothing_else_is(place, data_directory):
    found = kinds(Schema.infer(fathom.read(data_directory / place).parts["train"], []))
    assert {name for name, kind in found.items() if kind == "datetime"} == DATES[place]
    assert "multilabel" not in found.values()


def test_what_the_cells_settle_is_an_option_of_the_kind():
    rows = small()
    rows = rows.append_column("day", pa.array(["01/02/2026", "25/02/2026"] * 20))
    rows = rows.append_column("tags", pa.array(["a|b", "b|c|a", "c|a", "b"] * 10))
    column = {column.name: column for column in Schema.infer(rows, ["y"]).columns}
    assert (column["day"].kind.name, column["day"].kind.options) == ("datetime", {"dayfirst": True})
    assert (column["tags"].kind.name, column["tags"].kind.options) == ("multilabel", {"separator": "|"})
    said = Schema.infer(rows, ["y"], kinds={"day": "datetime", "tags": {"name": "multilabel", "separator": ","}})
    column = {column.name: column for column in said.columns}
    assert column["day"].kind.options == {"dayfirst": True}
    assert column["tags"].kind.options == {"separator": ","}


def test_a_column_of_dates_with_a_mistake_is_named_unless_it_is_ignored():
    rows = small().append_column("when", pa.array([f"2026-01-{1 + k % 28:02}" for k in range(39)] + ["soon"]))
    with pytest.raises(SchemaError, match=r"column 'when': row 39 holds 'soon'"):
        Schema.infer(rows, ["y"])
    assert roles(Schema.infer(rows, ["y"], roles={"when": "ignore"}))["when"] == "ignore"
    assert kinds(Schema.infer(rows, ["y"], kinds={"when": "category"}))["when"] == "category"
    with pytest.raises(SchemaError, match=r"column 'when': row 39 holds 'soon'"):
        Schema.infer(rows, ["y"], kinds={"when": "datetime"}).fit(rows)


def test_dates_that_can_be_read_in_two_ways_are_settled_by_an_option():
    rows = small().append_column("when", pa.array(["01/02/2026", "03/04/2026"] * 20))
    with pytest.raises(SchemaError, match=r"column 'when': '01/02/2026'.*dayfirst=true"):
        Schema.infer(rows, ["y"])
    kind = {"name": "datetime", "dayfirst": True}
    schema = Schema.infer(rows, ["y"], kinds={"when": kind}).fit(rows)
    restored = Schema.from_state(json.loads(json.dumps(schema.state())))
    first, second = (found.encode(rows).tensors["pack/datetime"] for found in (schema, restored))
    assert torch.equal(first, second)
    with pytest.raises(SchemaError, match=r"column 'when': .*dayfirst"):
        Schema.infer(rows, ["y"], kinds={"when": "datetime"}).fit(rows)


def test_ten_thousand_columns_take_seconds():
    draw = np.random.default_rng(0)
    rows = pa.table({f"column {k}": values for k, values in enumerate(draw.normal(0, 1, (10_000, 50)))})
    started = time.process_time()
    schema = Schema.infer(rows, ["column 0"]).fit(rows)
    assert schema.encode(rows).tensors["pack/number"].shape == (50, 9999)
    assert schema.inputs()["pack/number"][1].count == 9999
    assert time.process_time() - started < 10
