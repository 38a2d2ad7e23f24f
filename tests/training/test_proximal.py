"""Proximal steps against scikit-learn's lasso and formulas; which columns group L1 keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fathom
from fathom.errors import ConfigError
from fathom.nets.first_layer import FirstLayer
from fathom.registry import Choice
from fathom.signals import Batch, Loss
from fathom.training.proximal import LARGEST_FACTOR, shrink, shrink_groups
from fathom.training.update import Update
from tests.training.small import same, trained

USEFUL = ("x0", "x1", "x2", "x3", "x4")


class Regression(nn.Module):
    """Half the mean squared error of a linear model, as scikit-learn's lasso has it."""

    whole_batch = False

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, features, dtype=torch.float64))

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        return {"network": [self.weight]}

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        x, y = batch["x"], batch["y"]
        assert isinstance(x, Tensor)
        assert isinstance(y, Tensor)
        return {"y": Loss((x @ self.weight[0] - y).square().sum() / 2, torch.tensor(float(len(y))))}


def problem() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 12))
    return x, x[:, :3] @ np.array([2.0, -1.0, 0.5]) + 0.3 * draw.normal(size=200)


def test_after_gradient_descent_it_finds_the_lasso_of_scikit_learn():
    from sklearn.linear_model import Lasso

    x, y = problem()
    expected = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    module = Regression(x.shape[1])
    update = Update(module, Choice("sgd", {"lr": 0.1, "momentum": 0.0}), seed=0, l1_proximal=0.1)
    batch: Batch = {"x": torch.tensor(x), "y": torch.tensor(y)}
    for step in range(500):
        update(batch, step, 1.0)
    found = module.weight.detach().numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert 0 < np.count_nonzero(expected) < len(expected)
    assert np.array_equal(found == 0, expected == 0), "zeros are exact"


def test_the_threshold_falls_with_the_learning_rate():
    start = torch.tensor([[1.0, -0.5, 0.02]])
    for factor in (1.0, 0.5, 0.0):
        matrix = nn.Parameter(start.clone())
        shrink([matrix], 0.1 * factor)
        torch.testing.assert_close(matrix.detach(), start.sign() * (start.abs() - 0.1 * factor).clamp(min=0))


def test_a_penalty_in_the_gradient_leaves_no_zeros_and_a_proximal_one_does():
    x, y = problem()
    batch: Batch = {"x": torch.tensor(x), "y": torch.tensor(y)}

    def zeros(**options: float) -> int:
        module = Regression(x.shape[1])
        update = Update(module, Choice("sgd", {"lr": 0.1}), seed=0, **options)
        for step in range(400):
            update(batch, step, 1 - step / 400)
        return int((module.weight == 0).sum())

    assert zeros(l1=0.1) == 0
    assert zeros(l1_proximal=0.1) > 3


@pytest.mark.parametrize(("penalty", "kept"), [(0.0, 0), (0.01, -1)])
def test_the_last_weights_are_kept_as_earlier_ones_have_fewer_zeros(penalty: float, kept: int):
    run = trained("100steps", scores=[3.0, 2.0, 1.0], l1_proximal=penalty)
    assert len(run.looks) > 2
    assert same(run.weights, run.looks[kept])


def test_biases_are_not_shrunk():
    module = trained("300steps", l1_proximal=50.0).module
    for name, parameter in module.named_parameters():
        assert bool((parameter == 0).all()) == (parameter.dim() > 1), name


# Groups


def layer(weight: Tensor, columns: list[int]) -> FirstLayer:
    origins = tuple(("pack/number", k) for k in range(max(columns) + 1))
    return FirstLayer((nn.Parameter(weight),), torch.tensor(columns), origins)


def test_a_group_moves_by_the_root_of_its_size_the_further_the_smaller_it_is():
    torch.manual_seed(0)
    weight, columns, by = (
        torch.randn(5, 4, dtype=torch.float64) * torch.tensor([1.0, 1.0, 0.3, 0.002]),
        [0, 1, 0, 2],
        0.01,
    )
    groups = [weight[:, [0, 2]], weight[:, [1]], weight[:, [3]]]
    sizes = [float(group.square().mean().sqrt()) for group in groups]
    mean, expected = sum(sizes) / 3, weight.clone()
    for group, size in enumerate(sizes):
        places = [k for k, column in enumerate(columns) if column == group]
        root = len(places) * 5
        norm = float(weight[:, places].norm())
        reach = by * root**0.5 / (size / mean + 1 / LARGEST_FACTOR)  # Yuan and Lin 2006, with an adaptive factor
        expected[:, places] *= max(0.0, 1 - reach / norm)
    found = layer(weight, columns)
    shrink_groups(found.weights, found, by)
    torch.testing.assert_close(found.weights[0].detach(), expected)
    assert found.used() == [("pack/number", 0), ("pack/number", 1)]


def test_members_of_a_stack_keep_columns_of_their_own():
    torch.manual_seed(0)
    weight = torch.randn(2, 5, 3)
    alone = [layer(weight[k].clone(), [0, 1, 1]) for k in range(2)]
    stacked = layer(weight.clone(), [0, 1, 1])
    for found in (*alone, stacked):
        shrink_groups(found.weights, found, 0.2)
    torch.testing.assert_close(stacked.weights[0], torch.stack([found.weights[0] for found in alone]))


def test_a_matrix_of_zeros_stays():
    found = layer(torch.zeros(3, 2), [0, 1])
    shrink_groups(found.weights, found, 0.1)
    assert not found.weights[0].any()
    assert found.used() == []


def table(kind: str, rows: int = 2000) -> dict[str, Any]:
    """Thirty columns of which the first five decide: straight, bent, and two of them together."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows, 30))
    clear = 1.5 * x[:, 0] + 1.5 * np.sin(2 * x[:, 1]) + 1.5 * x[:, 2] * x[:, 3] - 1.2 * np.abs(x[:, 4]) + 1
    columns: dict[str, Any] = {f"x{k}": x[:, k] for k in range(30)}
    sure = draw.random(rows) < 1 / (1 + np.exp(-3 * clear))
    return columns | {"y": clear + 0.3 * draw.normal(size=rows) if kind == "number" else np.where(sure, "yes", "no")}


@pytest.mark.parametrize(("kind", "metric"), [("number", "r2"), ("category", "accuracy")])
def test_group_l1_keeps_exactly_the_columns_that_decide_and_predicts_better(kind: str, metric: str):
    def run(**training: Any) -> fathom.Run:
        return fathom.fit(
            table(kind),
            "y",
            budget="1200steps",
            measure=False,
            baseline=False,
            net={"name": "mlp", "hidden": [64], "dropout": 0.0},
            nets={"number": "scale"},
            training={"threads": 1, "batch_size": 64, **training},
            optimizer={"name": "adamw", "lr": 3e-3},
        )

    all_of_them, few = run(), run(group_l1=0.25)
    assert few.columns_kept == USEFUL
    assert few.summary()["columns_kept"] == list(USEFUL)
    assert len(all_of_them.columns_kept or ()) == 30
    assert "columns_kept" not in all_of_them.summary()
    assert few.metrics["y"][metric].value > all_of_them.metrics["y"][metric].value


def mixed(rows: int = 400) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    days = np.datetime64("2020-01-01") + draw.integers(0, 900, rows)
    holed = np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows))
    colour, many = draw.choice(["red", "green", "blue"], rows), draw.integers(0, 90, rows).astype(str)
    answer = np.where((colour == "red") ^ (holed > 0.5), "yes", "no")
    return {"many": many, "noise": draw.normal(size=rows), "day": days, "colour": colour, "holed": holed, "y": answer}


@pytest.mark.filterwarnings("ignore:column .*training never")
def test_every_feature_belongs_to_the_column_that_it_comes_of():
    """A column whose features are silenced in the first matrix changes no answer; any other does."""
    from fathom.api.columns import columns_kept

    data = mixed()
    run = fathom.fit(data, "y", budget="20steps", measure=False, baseline=False, net="mlp", kinds={"many": "category"})
    network, names = run.model.network, ["many", "noise", "day", "colour", "holed"]
    assert list(columns_kept(run.model) or ()) == names
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name in names:
        found = network.first_layer()
        alone = [k for k, origin in enumerate(found.origins) if origin == ORIGINS[name]]
        assert len(alone) == 1, found.origins
        with torch.no_grad():
            found.weights[0][:, found.columns == alone[0]] = 0
        assert list(columns_kept(run.model) or ()) == [other for other in names if other != name]
        expected = run.predict(data)
        for other in names:
            shuffled = {**data, other: np.roll(data[other], 1)}
            assert run.predict(shuffled).equals(expected) == (other == name), (name, other)
        network.load_state_dict(before)


ORIGINS = {
    "many": ("pack/category", 0),
    "colour": ("pack/category", 1),
    "noise": ("pack/number", 0),
    "holed": ("pack/number", 1),
    "day": ("pack/datetime", 0),
}


def test_a_net_without_a_first_matrix_on_all_inputs_is_refused():
    pictures = {"x": np.zeros((40, 8, 8), np.uint8), "y": np.arange(40) % 2}
    with pytest.raises(ConfigError, match="group_l1 needs a net"):
        fathom.fit(pictures, "y", budget="2steps", measure=False, training={"group_l1": 0.1}, kinds={"x": "image"})


@pytest.mark.parametrize("optimizer", ["schedule_free", "lbfgs"])
def test_an_optimizer_without_plain_steps_is_refused(optimizer: str):
    with pytest.raises(ConfigError, match=f"optimizer {optimizer} has no step that"):
        trained(optimizer=Choice(optimizer), batch_size=0, l1_proximal=0.1)


def test_an_average_of_weights_is_refused():
    with pytest.raises(ConfigError, match="averages of weights are not exactly zero"):
        trained(average=Choice("ema"), l1_proximal=0.1)
