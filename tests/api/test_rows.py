"""The rows of a run: split by time, by whole groups, and never into an empty part."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fathom.api.rows import Rows, prepare
from fathom.config import Config
from fathom.data import Source, read
from fathom.errors import SchemaError
from fathom.schema import Schema

COUNT = 60


def split(columns: dict[str, Any], **config: Any) -> Rows:
    given = {"x": np.arange(COUNT) * 1.0, "y": np.arange(COUNT) * 2.0, **columns}
    return prepare(read(given), None, Config.of({"target": "y", **config}), lambda line: None)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("groups", [3, 4, 5])
def test_few_groups_leave_some_for_each_part(groups: int, seed: int):
    found = split({"who": np.arange(COUNT) % groups}, roles={"who": "group"}, seed=seed)
    held = [set(part["who"].to_pylist()) for part in (found.train, found.valid, found.test) if part is not None]
    assert len(held) == 3
    assert all(held)
    assert sum(map(len, held)) == len(set.union(*held)) == groups


@pytest.mark.parametrize("groups", [1, 2])
def test_too_few_groups_are_told_before_training(groups: int):
    with pytest.raises(SchemaError, match=rf"'who' holds {groups} group.* 3 parts"):
        split({"who": np.arange(COUNT) % groups}, roles={"who": "group"})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"roles": {"who": "group"}},
        {"roles": {"when": "time"}},
        {"folds": 4},
        {"test": 0.0},
    ],
    ids=str,
)
def test_held_out_rows_keep_the_numbers_that_they_have_in_the_source(given: dict[str, Any]):
    y = [None if k % 5 == 0 else 2.0 * k for k in range(COUNT)]  # rows without a target are left out before the split
    when = np.random.default_rng(0).permutation(COUNT)
    found = split({"y": y, "who": np.arange(COUNT) // 4, "when": when}, **given)
    parts = {"valid": found.valid, "test": found.test}
    held = {part: table for part, table in parts.items() if table is not None}
    assert held.keys() == found.numbers.keys()
    for part, table in held.items():
        assert found.numbers[part].tolist() == table["x"].to_pylist(), part


def test_rows_of_parts_are_numbered_through_the_source_and_rows_given_for_the_test_in_their_own():
    x = pa.array(np.arange(90) * 1.0)
    table = pa.table({"x": x, "y": pc.multiply(x, 2)})
    source = Source({"train": table.slice(0, 60), "test": table.slice(60)}, (), "s", None, ())
    asked = Config.of({"target": "y"})
    own = prepare(source, None, asked, lambda line: None)
    given = prepare(source, read(table.slice(10, 40)), asked, lambda line: None)
    parts_given = prepare(read(table.slice(0, 60)), source, asked, lambda line: None)
    assert own.numbers["test"].tolist() == list(range(60, 90))
    assert given.numbers["test"].tolist() == list(range(40))
    assert parts_given.numbers["test"].tolist() == list(range(60, 90))


def test_a_part_of_a_tiny_share_has_a_row():
    found = split({}, valid=0.001, test=0.001)
    assert found.valid is not None
    assert found.test is not None
    assert (found.valid.num_rows, found.test.num_rows) == (1, 1)


def test_later_rows_are_held_out_and_rows_without_a_time_are_not():
    when: list[int | None] = list(np.random.default_rng(0).permutation(COUNT).tolist())
    when[when.index(COUNT - 1)] = None
    found = split({"when": when}, roles={"when": "time"})
    assert found.valid is not None
    assert found.test is not None
    train, valid, test = (part["when"].drop_null().to_pylist() for part in (found.train, found.valid, found.test))
    assert max(train) < min(valid) <= max(valid) < min(test)
    assert found.train["when"].null_count == 1


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y", "%b %d %Y", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S+02:00", "%d %B %Y %I:%M %p"]
)
def test_dates_of_any_form_put_rows_in_order_of_time(form: str):
    days = [datetime(2025, 12, 20, 8) + timedelta(days=k) for k in np.random.default_rng(0).permutation(COUNT).tolist()]
    when = [day.strftime(form) for day in days]
    found = split({"when": [None, "", *when[2:]]}, roles={"when": "time"})
    assert found.valid is not None
    assert found.test is not None
    train, valid, test = (part["x"].to_pylist() for part in (found.train, found.valid, found.test))
    assert {0, 1} <= set(train)
    order = [[days[int(row)] for row in part if row > 1] for part in (train, valid, test)]
    assert max(order[0]) < min(order[1]) <= max(order[1]) < min(order[2])


def test_text_that_holds_no_dates_is_in_no_order_of_time():
    with pytest.raises(SchemaError, match=r"'when': times are to be numbers, or dates such as.*'week 3'"):
        split({"when": [f"week {3 + k % 9}" for k in range(COUNT)]}, roles={"when": "time"})


def test_dates_that_may_be_read_two_ways_are_told_apart_by_the_option_of_the_kind():
    when = {"when": [f"{1 + k % 12:02}/{1 + k // 12:02}/2026" for k in range(COUNT)]}
    with pytest.raises(SchemaError, match="dayfirst"):
        split(when, roles={"when": "time"})
    for dayfirst in (True, False):
        found = split(when, roles={"when": "time"}, kinds={"when": {"name": "datetime", "dayfirst": dayfirst}})
        assert found.test is not None
        months = {cell.split("/")[1 if dayfirst else 0] for cell in found.test["when"].to_pylist()}
        assert min(map(int, months)) >= (5 if dayfirst else 11)


@pytest.mark.parametrize("role", ["group", "time", "weight"])
def test_a_role_that_one_column_can_have_is_refused_to_two(role: str):
    with pytest.raises(SchemaError, match=f"only one column can have the role {role}; got a, b"):
        split({"a": np.arange(COUNT), "b": np.arange(COUNT)}, roles={"a": role, "b": role})


def test_a_target_of_which_most_values_stand_once_is_refused_before_training():
    with pytest.raises(SchemaError, match="60 classes in 60 rows"):
        split({"y": [f"name {i}" for i in range(COUNT)]})
    assert split({"y": [f"name {i % 30}" for i in range(COUNT)]}).train.num_rows > 0


def test_values_said_to_mean_unknown_are_missing_in_training_and_whenever_rows_are_predicted():
    zeros = np.where(np.arange(COUNT) % 3 == 0, 0.0, np.arange(COUNT))
    found = split({"x": zeros}, missing={"x": 0})
    assert found.train["x"].null_count > 0
    column = next(column for column in found.schema.columns if column.name == "x")
    assert column.fitted is not None
    assert column.fitted.state["mean"][0] == pytest.approx(np.mean([v for v in found.train["x"].to_pylist() if v]))
    restored = Schema.from_state(json.loads(json.dumps(found.schema.state())))
    encoded = restored.encode(read({"x": [0.0, 5.0], "y": [1.0, 2.0]}).parts["train"], targets=False)
    assert encoded.tensors["pack/number"].isnan().squeeze().tolist() == [True, False]


@pytest.mark.parametrize("value", ["-9999", -9999, "unknown", ["-9999", "unknown"]])
def test_a_value_that_means_unknown_may_be_a_number_or_a_word(value: Any):
    columns = {"x": [-9999, *range(1, COUNT)], "w": ["unknown", *["a", "b"] * 29, "a"]}
    name = "x" if "9999" in str(value) else "w"
    found = split(columns, missing={name: value})
    assert sum(part[name].null_count for part in (found.train, found.valid, found.test) if part is not None) == 1


@pytest.mark.parametrize(("missing", "message"), [({"x": 77}, "no cell of column 'x' holds 77"), ({"z": 0}, "'z'")])
def test_a_value_that_stands_nowhere_is_a_mistake(missing: dict[str, Any], message: str):
    with pytest.raises(SchemaError, match=message):
        split({}, missing=missing)


def test_a_table_of_which_nothing_comes_in_is_refused_in_plain_words():
    columns = {"when": np.arange(COUNT)}
    with pytest.raises(SchemaError, match=r"no column is left to learn from \(when: time\)"):
        split(columns, roles={"when": "time", "x": "ignore"})
