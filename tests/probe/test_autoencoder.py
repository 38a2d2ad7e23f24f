"""No target: numbers, categories and a picture all rebuilt from one narrow vector."""

from __future__ import annotations

import numpy as np
import pytest

ROWS, WIDTH = 500, 6


def rows(numbers: int) -> dict[str, np.ndarray]:
    """Columns that all follow from two hidden numbers, so that a narrow vector can hold a row."""
    draw = np.random.default_rng(1)
    angle, shade = draw.uniform(-1, 1, (2, ROWS))
    y, x = np.meshgrid(*[np.linspace(-1, 1, 8)] * 2, indexing="ij")
    stripes = np.cos(3 * (y * angle[:, None, None] + x * shade[:, None, None]))  # (N, H, W)
    columns = {f"n{k}": 1000 * k + np.sin(angle * (k + 1)) + shade for k in range(numbers)}
    columns["side"] = np.where(angle > 0, "left", "right")
    columns["tone"] = np.array(["dark", "dim", "light"])[np.digitize(shade, [-0.3, 0.3])]
    return {**columns, "picture": (127 + 120 * stripes).astype(np.uint8)}


# A single number too: what travels in a pack of one must not lose its axis.
@pytest.mark.parametrize("numbers", [1, 3])
def test_everything_is_rebuilt_from_a_narrow_vector(fit, kept, numbers):
    table = rows(numbers)
    body = {"name": "mlp", "hidden": [64, WIDTH], "activation": "tanh", "dropout": 0.0}
    run = fit(table, "none", nets={"vector": body, "image": "flatten"})
    number, picture = (run.metrics[name]["rmse"] for name in ("pack/number", "input/picture"))
    category = run.metrics["pack/category"]["cell_accuracy"]
    assert number.high < 0.5 * number.trivial
    assert picture.high < 0.5 * picture.trivial
    assert category.value > category.trivial + 0.2

    again, rebuilt = kept(run, table), run.predict(table)
    assert set(rebuilt.column_names) == set(table)
    assert np.corrcoef(rebuilt["n0"].to_numpy(), table["n0"])[0, 1] > 0.9
    assert run.embed(table).shape == (ROWS, WIDTH)
    assert np.array_equal(again.embed(table), run.embed(table))
