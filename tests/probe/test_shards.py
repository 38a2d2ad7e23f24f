"""Kinds fitted in three shards, which share no row, and a network on what was merged."""

from __future__ import annotations

import json
from functools import partial, reduce

import numpy as np
import pyarrow as pa
import pytest

from fathom.api import Run
from fathom.data.store import Batches
from fathom.layout import choose_layout
from fathom.model import Model
from fathom.schema import Schema
from fathom.training.budget import Budget
from fathom.training.engine import Task, Trainer

ROWS = 900


@pytest.fixture(scope="module")
def table() -> pa.Table:
    draw = np.random.default_rng(4)
    height, town = draw.normal(170, 10, ROWS), draw.integers(0, 5, ROWS)
    return pa.table(
        {
            "height": pa.array(height, mask=draw.random(ROWS) < 0.1),
            "town": np.array(["Ulm", "Bonn", "Graz", "Linz", "Bern"])[town],
            "weight": height - 100 + 5 * town + draw.normal(size=ROWS),
        }
    )


def test_three_shards_merged_equal_the_whole(table, tmp_path, kept):
    schema = Schema.infer(table, ["weight"])
    order = np.argsort(table["town"].to_numpy(), kind="stable")  # so that no shard knows every town
    sent = [json.dumps(schema.count(table.take(rows))) for rows in np.array_split(order, 3)]
    fitted, whole = schema.fit_counted(reduce(schema.merge, map(json.loads, sent))), schema.fit(table)
    for found, expected in zip(fitted.columns, whole.columns, strict=True):
        assert found.fitted.state.keys() == expected.fitted.state.keys()
        for name, value in vars(expected.fitted.spec).items():
            np.testing.assert_allclose(getattr(found.fitted.spec, name), value, rtol=1e-9, err_msg=found.name)

    model, store = Model(fitted, choose_layout(fitted.inputs(), fitted.targets())), fitted.encode(table)
    task = Task(model.network, partial(Batches, store, seed=0), len(store), measured=False)
    Trainer(task, threads=1, batch_size=64).run(Budget(steps=300))
    model.metrics = model.evaluate(table)
    assert model.metrics["weight"]["r2"].low > 0.8
    model.save(tmp_path / "model")
    kept(Run(model, None, tmp_path / "model"), table)
