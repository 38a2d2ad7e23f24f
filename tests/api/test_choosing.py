"""net = "auto": what a table gets where nobody names a net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fathom
from fathom.api.choosing import FEW_ROWS, MANY_ROWS, chosen_net, size_for
from fathom.api.fitting import layout_for
from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import read
from fathom.registry import Choice
from fathom.schema import Column, Schema
from fathom.signals import Role

ROWS = pa.table({"size": [1.0, 2.0, 4.0, 8.0] * 10, "colour": ["red", "blue"] * 20, "class": ["a", "b"] * 20})


def schema_of(table: pa.Table, **kinds: str) -> Schema:
    roles = {"class": Role.TARGET}
    columns = [
        Column(name, roles.get(name, Role.INPUT), Choice(kinds.get(name, "category")), "")
        for name in table.column_names
    ]
    return Schema(columns).fit(table)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return schema_of(ROWS, size="number")


def chosen(schema: Schema, rows: int, **config: Any) -> tuple[str, dict[str, Any]] | None:
    found = chosen_net(schema, Config.of({"target": "class", **config}), rows)
    return None if found is None else (found.net.name, dict(found.net.options))


def test_few_rows_get_more_dropout_and_many_rows_fewer_members(schema: Schema):
    found = [chosen(schema, rows) for rows in (100, FEW_ROWS - 1, FEW_ROWS, MANY_ROWS - 1, MANY_ROWS)]
    assert {net for net, _ in found if net} == {"tabm"}
    few, still_few, more, still_more, many = (options for _, options in found)
    assert few == still_few != more == still_more != many
    assert few["dropout"] > more["dropout"] == many["dropout"]
    assert few["members"] == more["members"] > many["members"]
    assert chosen(schema, 100, net="auto") == found[0]


def test_few_rows_get_coarser_bins_and_numbers_less_dropout():
    columns = {"size": np.arange(40.0), "class": np.arange(40.0) ** 2}
    schema = schema_of(pa.table(columns), size="number", **{"class": "number"})
    few = chosen_net(schema, Config.of({"target": "class"}), 40)
    more = chosen_net(schema, Config.of({"target": "class"}), FEW_ROWS)
    assert few is not None
    assert more is not None
    assert few.nets["number"].options["bins"] == 16
    assert not more.nets
    assert size_for(40, numbers=False)["dropout"] > few.net.options["dropout"] > more.net.options["dropout"]


def test_what_is_named_is_not_chosen(schema: Schema):
    assert chosen(schema, 100, net="mlp") is None
    assert chosen(schema, 100, nets={"vector": "mlp"}) is None
    assert chosen(schema, 100, ensemble=4) is None
    assert chosen(schema, 100, net={"width": 32}) == ("tabm", {**size_for(100, numbers=False), "width": 32})
    # An option that only another net has names that one.
    assert chosen(schema, 100, net={"hidden": [8]}) is None
    assert layout_for(schema, Config.of({"target": "class", "net": {"hidden": [8]}}), 100).body.name == "mlp"


def test_members_are_fewer_where_time_is_short(schema: Schema):
    name, options = chosen(schema, 600_000, budget="10m")
    assert name == "tabm"
    assert options["members"] < size_for(600_000, numbers=False)["members"]
    found = chosen_net(schema, Config.of({"target": "class", "budget": "5s"}), 1_000_000)
    assert found is not None
    assert found.net == Choice("mlp")
    assert "too dear for 1,000,000 rows" in found.why
    assert chosen(schema, 600_000, budget="20epochs") == chosen(schema, 600_000, budget="10m")


def test_each_of_very_many_numbers_stays_one_feature():
    wide = pa.table({**{f"x{j}": np.arange(40.0) for j in range(300)}, "class": ["a", "b"] * 20})
    kinds = {f"x{j}": "number" for j in range(300)}
    found = chosen_net(schema_of(wide, **kinds), Config.of({"target": "class"}), 40)
    assert found is not None
    assert dict(found.nets) == {"number": Choice("scale")}


def test_pictures_get_more_channels_where_a_budget_of_time_is_worth_them():
    pictures = {"picture": np.zeros((40, 32, 32, 3), np.uint8), "class": ["a", "b"] * 20}
    schema = prepare(read(pictures), None, Config.of({"target": "class"}), lambda line: None).schema

    def found(rows: int, **config: Any) -> Any:
        choice = chosen_net(schema, Config.of({"target": "class", **config}), rows)
        layout = layout_for(schema, Config.of({"target": "class", **config}), rows)
        return choice and choice.why, layout.branches["input/picture"][0].options.get("channels")

    assert found(8500, budget="6m") == (
        "32 to 256 channels, for the budget allows many passes over 8,500 rows",
        (32, 64, 128, 256),
    )
    for rows, config in (
        (8500, {"budget": "60s"}),
        (51_000, {"budget": "10m"}),
        (8500, {}),
        (8500, {"budget": "500epochs"}),
        (8500, {"budget": "6m", "net": "resnet"}),
        (8500, {"budget": "6m", "ensemble": 4}),
        (8500, {"budget": "6m", "folds": 5}),
        (8500, {"budget": "6m", "nets": {"image": "convnet"}}),
    ):
        assert found(rows, **config)[0] is None


def test_a_run_says_what_was_chosen_and_repeats_it_from_its_config(tmp_path):
    said: list[str] = []
    first = fathom.fit(ROWS, "class", out=tmp_path / "run", budget="5steps", say=said.append, measure=False)
    assert any(line.startswith("chosen: 8 perceptrons of width 256 in one") for line in said)
    again = Config.read(tmp_path / "run" / "config.toml")
    assert again["nets"]["vector"]["name"] == "tabm"
    config = {key: value for key, value in again.items() if key not in ("source", "versions")}
    second = fathom.fit(ROWS, **{**config, "budget": "5steps"})
    assert second.model.layout.state() == first.model.layout.state()
