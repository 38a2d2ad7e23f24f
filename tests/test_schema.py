"""The schema: kinds and roles inferred from real tables, said otherwise by people, and held against new data."""

from __future__ import annotations

import json

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
    "bike_sharing_day": ("cnt", "number", {"instant", "dteday"}, {"temp", "hum", "cnt"}),
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
    assert all(kinds(schema)[name] == "category" for name in words)
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
    rows = small().append_column("lists", pa.array([[1, 2]] * 40))
    assert roles(Schema.infer(rows, ["y"]))["lists"] == "ignore"
    with pytest.raises(SchemaError, match=r"column 'lists' holds list.*which no kind reads"):
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
    with pytest.raises(SchemaError, match=r"1 of the model's columns .* 'colour'; did you mean 'color'\?"):
        schema.encode(rows.rename_columns(["size", "color", "weight", "y"]), targets=False)
    with pytest.raises(SchemaError, match=r"2 of the model's columns"):
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
