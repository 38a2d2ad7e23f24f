"""Nets for tables on columns of every sort at once, from numbers to sets of labels."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

ROWS = 500


@pytest.fixture(scope="module")
def table() -> pa.Table:
    draw = np.random.default_rng(0)
    size, wave = draw.normal(50, 10, ROWS), draw.uniform(-3, 3, ROWS)
    town, day = draw.integers(0, 3, ROWS), draw.integers(0, 700, ROWS)
    tags = [[f"tag {k}" for k in range(4) if draw.random() < 0.4] for _ in range(ROWS)]
    light = size > 48
    good = np.where(wave > 1, town == 1, light) ^ np.array(["tag 2" in row for row in tags])
    return pa.table(
        {
            "size": pa.array(size, mask=draw.random(ROWS) < 0.1),
            "wave": wave,
            "flag": light.astype(int),
            "town": np.array(["Ulm", "Bonn", "Graz"])[town],
            "since": [dt.datetime(2020, 1, 1) + dt.timedelta(days=int(days)) for days in day],
            "tags": pa.array(tags),
            "good": np.where(good, "yes", "no"),
        }
    )


@pytest.mark.parametrize(
    "net",
    [
        "tab_resnet",
        {"name": "tabm", "members": 4, "width": 64},
        {"name": "tabm", "members": 4, "width": 64, "sharing": "mini"},
        {"name": "ft_transformer", "width": 32, "depth": 1},
    ],
    ids=lambda net: net if isinstance(net, str) else "-".join(map(str, net.values())),
)
def test_every_sort_of_column_is_learned_from_and_kept(fit, kept, table, net):
    run = fit(table, "good", net=net, optimizer={"name": "adamw", "lr": 0.01})
    accuracy = run.metrics["good"]["accuracy"]
    assert accuracy.value > accuracy.trivial + 0.15
    kept(run, table)


def test_a_transformer_has_a_token_for_each_column(fit, table):
    run = fit(table, "good", net={"name": "ft_transformer", "width": 16, "depth": 1}, budget="2steps")
    tokens = [chain.nets[-1].num_tokens for chain in run.model.network.branches]
    assert sum(tokens) == 6
    named = run.model.layout.state()
    assert {net["name"] for chain in named["branches"].values() for net in chain} >= {
        "scale",
        "feature_tokens",
        "label_bag",
    }
    assert named["body"]["width"] == 16
