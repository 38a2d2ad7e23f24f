"""L-BFGS: the directions of its paper, the optimum of scikit-learn, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fathom
from fathom.errors import ConfigError, Diverged
from fathom.registry import Choice
from fathom.signals import Batch, Loss
from fathom.training import OPTIMIZERS
from fathom.training.lbfgs import MOST_ROWS, full_batch
from fathom.training.optimizers import parameter_groups
from fathom.training.update import Update
from tests.training.papers import Vector, height, slope, start
from tests.training.small import Small, rows, trained

SUFFICIENT, CURVATURE = 1e-4, 0.9  # the constants of the strong Wolfe conditions


def places(steps: int) -> list[Vector]:
    """Where one iteration a step goes in float64, from the start on."""
    parameter = nn.Parameter(torch.tensor(start()))
    groups = parameter_groups([parameter], apart=False)
    optimizer = OPTIMIZERS.build(Choice("lbfgs", {"iterations": 1, "history": 3}), groups)

    def look() -> float:
        parameter.grad = torch.tensor(slope(parameter.detach().numpy()))
        return height(parameter.detach().numpy())

    found = [start()]
    for _ in range(steps):
        optimizer.step(look)
        found.append(parameter.detach().numpy().copy())
    return found


def direction(before: list[Vector], history: int) -> Vector:
    """Nocedal and Wright 2006, algorithm 7.4, with the scale of equation 7.20."""
    points = [place.ravel() for place in before]
    slopes = [slope(place).ravel() for place in before]
    pairs = [(b - a, d - c) for a, b, c, d in zip(points, points[1:], slopes, slopes[1:], strict=False)][-history:]
    q, kept = slopes[-1].copy(), []
    for s, y in reversed(pairs):
        share = s @ q / (s @ y)
        q -= share * y
        kept.append(share)
    if pairs:
        s, y = pairs[-1]
        q *= s @ y / (y @ y)
    for (s, y), share in zip(pairs, reversed(kept), strict=True):
        q += s * (share - y @ q / (s @ y))
    return -q


def test_each_step_follows_the_two_loop_recursion_and_ends_where_the_strong_wolfe_conditions_hold():
    found = places(12)
    for k in range(1, 8):
        way, moved = direction(found[:k], 3), (found[k] - found[k - 1]).ravel()
        length = moved @ way / (way @ way)
        np.testing.assert_allclose(moved, length * way, atol=1e-9 * np.abs(moved).max())
        first, last = slope(found[k - 1]).ravel() @ way, slope(found[k]).ravel() @ way
        assert height(found[k]) <= height(found[k - 1]) + SUFFICIENT * length * first
        assert abs(last) <= CURVATURE * abs(first)
    assert np.abs(slope(found[-1])).max() < 1e-5
    other = direction(found[:5], 1)
    moved = (found[5] - found[4]).ravel()
    assert abs(moved @ other) < (1 - 1e-9) * np.linalg.norm(moved) * np.linalg.norm(other), "a shorter history differs"


class Logistic(nn.Module):
    """A logistic regression."""

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
        total = nn.functional.softplus(-(x @ self.weight[0]) * y).sum()
        return {"y": Loss(total, torch.tensor(float(len(y))))}


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3])
def test_it_ends_in_the_optimum_of_scikit_learn_with_the_penalty_in_the_line_search(clip_norm: float):
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 6)) * np.array([1, 1, 10, 0.1, 1, 3])
    y = np.where(x @ draw.normal(size=6) + draw.normal(size=300) > 0, 1.0, -1.0)
    penalty = 0.02
    peer = LogisticRegression(C=1 / (penalty * len(y)), fit_intercept=False, tol=1e-12, max_iter=10_000).fit(x, y)
    module = Logistic(6)
    update = Update(module, Choice("lbfgs"), seed=0, l2=penalty, clip_norm=clip_norm)
    values = [update({"x": torch.tensor(x), "y": torch.tensor(y)}, step, 1.0) for step in range(20)]
    np.testing.assert_allclose(module.weight.detach().numpy(), peer.coef_, atol=1e-5)
    assert values[0] == pytest.approx(math.log(2)), "the loss before the step, without the penalty"


def test_every_step_sees_all_rows():
    run = trained("5steps", optimizer=Choice("lbfgs"), batch_size=0)
    assert run.outcome.epochs == pytest.approx(5.0)
    assert trained("5steps", batch_size=0).outcome.epochs < 5


def test_a_smaller_batch_or_too_many_rows_are_refused():
    with pytest.raises(ConfigError, match="batch_size = 16 is too few"):
        trained(optimizer=Choice("lbfgs"), batch_size=16)
    with pytest.raises(ConfigError, match="it is for at most"):
        full_batch(0, MOST_ROWS + 1)
    assert full_batch(0, MOST_ROWS) == MOST_ROWS


def test_dropout_is_refused():
    with pytest.raises(ConfigError, match="needs a loss without chance: switch dropout off"):
        trained(module=Small(dropout=0.2), optimizer=Choice("lbfgs"), batch_size=0)


def test_a_line_search_that_finds_no_number_leaves_the_weights_as_they_were():
    class Cliff(Small):
        """Finite where it starts, and nowhere else."""

        def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
            found = super().loss(batch, part)["y"]
            return {"y": found if self.calls <= 3 else found._replace(total=found.total * math.nan)}

    module = Cliff()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    update = Update(module, Choice("lbfgs"), seed=0)
    batch = rows().batch(torch.arange(32))
    update(batch, 0, 1.0)  # two looks for chance, and one of its own: nothing better is found
    for b, parameter in zip(before, module.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), b)
    with pytest.raises(Diverged, match="step 1: the loss of y is nan"):
        update(batch, 1, 1.0)


def test_a_rehearsal_moves_nothing_and_looks_as_often_as_a_step_would():
    module = Small()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    Update(module, Choice("lbfgs"), seed=0)(rows().batch(torch.arange(32)), 1, 0.0)
    assert all(torch.equal(b, parameter) for b, parameter in zip(before, module.parameters(), strict=True))
    assert module.calls > 10


def test_it_learns_in_a_few_steps_what_others_need_many_for():
    def loss(budget: str, name: str) -> float:
        run = trained(budget, optimizer=Choice(name), batch_size=len(rows()))
        found = run.module.loss(rows().batch(torch.arange(len(rows()))), "network")["y"]
        return float(found.total.detach() / found.weight)

    assert loss("10steps", "lbfgs") < loss("200steps", "adamw") / 2


def test_a_table_is_fitted_by_it():
    options = {"measure": False, "baseline": False, "net": {"name": "mlp", "hidden": [16], "dropout": 0.0}}
    run = fathom.fit("iris", budget="5steps", optimizer="lbfgs", **options)
    assert run.metrics[run.model.targets[0]]["accuracy"].value > 0.8
    assert run.outcome is not None
    assert run.outcome.steps == 5
