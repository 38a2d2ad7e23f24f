"""Two targets of different kinds, each missing in half of the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

ROWS = 900


@pytest.fixture
def table() -> pa.Table:
    draw = np.random.default_rng(0)
    x, y, city = draw.normal(size=ROWS), draw.normal(size=ROWS), draw.integers(0, 3, ROWS)
    price = 100 + 20 * x - 10 * y * (city == 1) + draw.normal(size=ROWS)
    style = np.where(x + y + city > 1, "old", "new")
    return pa.table(
        {
            "x": x,
            "y": y,
            "city": np.array(["Bern", "Rome", "Oslo"])[city],
            "price": pa.array(price, mask=draw.random(ROWS) < 0.5),
            "style": pa.array(style, mask=draw.random(ROWS) < 0.5),
        }
    )


def test_both_targets_are_learned_and_kept(fit, kept, table):
    run = fit(table, ["price", "style"])
    price, style = run.metrics["price"]["rmse"], run.metrics["style"]["accuracy"]
    assert price.high < 0.5 * price.trivial
    assert style.low > style.trivial + 0.1
    kept(run, table)


@pytest.mark.parametrize("target", ["price", "style"])
def test_a_missing_label_counts_for_nothing(fit, table, target):
    model = fit(table, ["price", "style"], budget="50steps").model
    labelled = table.filter(table[target].is_valid())
    assert 0.4 * ROWS < labelled.num_rows < 0.6 * ROWS
    whole, part = (model.losses(model.schema.encode(rows))[target] for rows in (table, labelled))
    assert whole == pytest.approx(part, rel=1e-6)
