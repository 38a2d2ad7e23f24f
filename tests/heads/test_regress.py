"""Regression: squared and Huber's loss, quantiles, in raw units."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from fathom.errors import ConfigError
from fathom.heads import HEADS, Head
from fathom.registry import Choice
from fathom.signals import Loss, NumberSpec, Signal, SignalSpec
from tests.kinds.columns import fitted

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
DRAW = np.random.default_rng(0)
SHAPES = {
    "normal": DRAW.normal(50, 10, 4000),
    "uniform": DRAW.uniform(-1, 1, 4000),
    "skewed": DRAW.gamma(1, 4, 4000),
    "heavy": DRAW.standard_t(3, 4000),
    "mostly zero": np.where(DRAW.random(4000) < 0.8, 0, DRAW.gamma(2, 100, 4000)),
}


def spec_of(values: np.ndarray) -> NumberSpec:
    return fitted("number", pa.chunked_array([values])).spec


def head(name: str, values: np.ndarray, **options: object) -> Head:
    return HEADS.build(Choice(name, options), SignalSpec(3), spec_of(values))


def giving(found: Head, outputs: Tensor) -> Signal:
    """The head made to put out these numbers (B, outputs) where a row's state is the numbers themselves."""
    found.output = torch.nn.Identity()  # type: ignore[assignment]
    return Signal(vector=outputs)


def standardised(found: Head, values: Tensor) -> Tensor:
    return (values - found.mean) / found.deviation


def column(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def unit(loss: Loss) -> float:
    return float(loss.total / loss.weight)


def test_the_loss_of_the_mean_is_the_squared_error_in_deviations():
    values = SHAPES["normal"]
    found, outputs = head("regress", values), torch.randn(4000, 1)
    expected = (outputs - (column(values) - values.mean()) / values.std()).square().sum()
    assert_close(found.loss(giving(found, outputs), column(values), None).total, expected.float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("delta", [0.1, 1.0, 5.0])
def test_the_robust_loss_is_hubers(delta):
    values = SHAPES["heavy"]
    found, outputs = head("regress", values, estimate="robust", delta=delta), torch.randn(4000, 1)
    gap = (outputs - standardised(found, column(values))).abs()
    formula = torch.where(gap <= delta, 0.5 * gap**2, delta * (gap - 0.5 * delta))
    assert_close(found.loss(giving(found, outputs), column(values), None).total, formula.sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("options", [{}, {"estimate": "robust"}, {"estimate": "robust", "delta": 0.2}])
def test_the_baseline_is_the_loss_of_the_trivial_answer(name, options):
    values = SHAPES[name]
    found = head("regress", values, **options)
    trivial = standardised(found, found.trivial(len(values))["value"].float())
    assert unit(found.loss(giving(found, trivial), column(values), None)) == pytest.approx(
        found.baseline_loss, rel=0.15 if options else 1e-3
    )


def test_the_trivial_answer_is_the_mean_or_the_median():
    values = SHAPES["skewed"]
    assert head("regress", values).trivial(1)["value"].item() == pytest.approx(values.mean(), rel=1e-5)
    robust = head("regress", values, estimate="robust").trivial(1)["value"].item()
    assert robust == pytest.approx(np.median(values), rel=0.02)


def test_an_outlier_moves_the_robust_estimate_less_than_the_mean():
    values = np.r_[SHAPES["normal"][:99], 1e5]
    moved = {}
    for estimate in ("mean", "robust"):
        found = head("regress", values, estimate=estimate, delta=0.01)
        guess = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.Adam([guess], lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            found.loss(giving(found, guess.expand(100, 1)), column(values), None).total.backward()
            optimizer.step()
        moved[estimate] = float(guess.detach() * found.deviation + found.mean)
    assert abs(moved["mean"] - values.mean()) < 5
    assert abs(moved["robust"] - np.median(values)) < 5


def test_numbers_that_travel_together_are_missing_one_by_one():
    spec = NumberSpec.join([spec_of(SHAPES["normal"]), spec_of(SHAPES["uniform"])])
    found = HEADS.build("regress", SignalSpec(3), spec)
    outputs = torch.full((2, 2), 0.7, requires_grad=True)
    target = torch.tensor([[60.0, torch.nan], [torch.nan, 0.5]])
    loss = found.loss(giving(found, outputs), target, None)
    loss.total.backward()
    assert loss.weight == 2
    assert (outputs.grad != 0).tolist() == [[True, False], [False, True]]


def test_a_prediction_stands_in_the_unit_of_the_target():
    values = SHAPES["normal"]
    found = head("regress", values)
    back = found.predict(giving(found, standardised(found, column(values))))["value"]
    assert_close(back, column(values), rtol=1e-5, atol=1e-3)


@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=5, max_size=5), min_size=1, max_size=8))
def test_quantiles_never_cross(outputs):
    found = head("quantiles", SHAPES["normal"])
    prediction = found.predict(giving(found, torch.tensor(outputs)))
    ordered = torch.stack([prediction[f"q{level:g}"] for level in LEVELS], dim=1)
    assert (ordered.diff(dim=1) >= 0).all()
    assert torch.equal(prediction["value"], prediction["q0.5"])


def test_the_loss_of_quantiles_is_the_pinball_loss():
    values = SHAPES["skewed"]
    found, outputs = head("quantiles", values), torch.randn(4000, 5)
    steps = torch.cat([outputs[:, :1], outputs[:, :1] + F.softplus(outputs[:, 1:]).cumsum(1)], dim=1)
    gap = standardised(found, column(values)) - steps
    levels = torch.tensor(LEVELS)
    expected = torch.where(gap >= 0, levels * gap, (levels - 1) * gap).sum()
    assert_close(found.loss(giving(found, outputs), column(values), None).total, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_baseline_of_quantiles_is_the_loss_of_the_trivial_answer(name):
    values = SHAPES[name]
    found = head("quantiles", values)
    trivial = np.array([found.trivial(1)[f"q{level:g}"].item() for level in LEVELS])
    gap = (values[:, None] - trivial) / values.std()
    pinball = np.maximum(np.array(LEVELS) * gap, (np.array(LEVELS) - 1) * gap).sum(1).mean()
    assert pinball == pytest.approx(found.baseline_loss, rel=0.1)
    covered = (values[:, None] <= trivial).mean(0)
    if name != "mostly zero":
        np.testing.assert_allclose(covered, LEVELS, atol=0.02)


@pytest.mark.parametrize("name", ["normal", "skewed", "heavy"])
def test_learned_quantiles_cover_what_they_say(name):
    values = SHAPES[name]
    found = head("quantiles", values)
    outputs = torch.zeros(5, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        found.loss(giving(found, outputs.expand(4000, 5)), column(values), None).total.backward()
        optimizer.step()
    prediction = found.predict(Signal(vector=outputs.detach()[None]))
    covered = [float((values <= prediction[f"q{level:g}"].item()).mean()) for level in LEVELS]
    np.testing.assert_allclose(covered, LEVELS, atol=0.02)


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.5, 0.5)])
def test_levels_that_do_not_increase_are_refused(levels):
    with pytest.raises(ConfigError, match="increasing levels"):
        head("quantiles", SHAPES["normal"], levels=levels)


@settings(max_examples=10)
@given(st.sampled_from(["regress", "quantiles"]))
def test_a_constant_target_has_a_finite_loss(name):
    found = head(name, np.full(20, 7.0))
    assert found.baseline_loss > 0
    loss = found.loss(Signal(vector=torch.randn(20, 3)), column(np.full(20, 7.0)), None)
    assert torch.isfinite(loss.total)
