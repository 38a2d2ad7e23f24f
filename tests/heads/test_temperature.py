"""Temperature scaling: the right temperature is found, the answer stays the same, and certainty needs rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fathom.heads import HEADS, METRICS
from fathom.heads.temperature import temperature
from fathom.registry import Choice
from fathom.signals import CategorySpec, MultilabelSpec, SignalSpec

ROWS = 20_000


def drawn(true_temperature: float, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of logits, and classes drawn from the logits divided by a temperature."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (rows, 4))
    chances = torch.softmax(torch.tensor(logits / true_temperature), dim=1).numpy()
    truth = (chances.cumsum(axis=1) < draw.random((rows, 1))).sum(axis=1)
    return torch.softmax(torch.tensor(logits), dim=1).numpy(), truth


def loss(metric: str, truth: np.ndarray, answer: dict[str, np.ndarray]) -> float:
    return float(METRICS.get(metric).factory(truth, answer, np.ones((1, len(truth))))[0])


def tempered(probability: np.ndarray, found: float) -> np.ndarray:
    head = HEADS.build(Choice("classify"), SignalSpec(2), CategorySpec(1, (4,), ((1.0,) * 4,)))
    return head.tempered({"probability": torch.tensor(probability)}, found)["probability"].numpy()


@pytest.mark.parametrize("true_temperature", [0.5, 2.0, 3.0])
def test_the_temperature_from_which_rows_were_drawn_is_found(true_temperature):
    probability, truth = drawn(true_temperature)
    found = temperature({"probability": probability}, truth, None, of="classes")
    assert found == pytest.approx(true_temperature, rel=0.05)
    after = tempered(probability, found)
    assert (after.argmax(1) == probability.argmax(1)).all()
    for metric in ("log_loss", "brier", "ece"):
        assert loss(metric, truth, {"probability": after}) < loss(metric, truth, {"probability": probability})
    assert loss("ece", truth, {"probability": after}) < 0.02


def test_no_other_temperature_is_better():
    probability, truth = drawn(2.0)
    found = temperature({"probability": probability}, truth, None, of="classes")
    best = loss("log_loss", truth, {"probability": tempered(probability, found)})
    others = [loss("log_loss", truth, {"probability": tempered(probability, found * by)}) for by in (0.9, 1.1)]
    assert best < min(others)


def test_a_few_rows_that_are_all_right_do_not_make_it_certain():
    probability = np.tile([0.9, 0.1], (12, 1))
    found = temperature({"probability": probability}, np.zeros(12, int), None, of="classes")
    assert found is None or found > 0.6


def test_where_nothing_is_gained_nothing_is_changed():
    probability = np.array([[0.75, 0.25]] * 4000)
    truth = np.array([0, 0, 0, 1] * 1000)
    assert temperature({"probability": probability}, truth, None, of="classes") is None
    assert temperature({"probability": probability}, truth, np.zeros(4000), of="classes") is None


def test_weights_count():
    probability = np.array([[0.9, 0.1]] * 2000)
    truth, weight = np.array([0, 1] * 1000), np.array([9.0, 1.0] * 1000)
    assert temperature({"probability": probability}, truth, weight, of="classes") in (None, pytest.approx(1, abs=0.02))
    assert temperature({"probability": probability}, truth, None, of="classes") > 4


def test_labels_have_a_temperature_and_keep_what_is_chosen():
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 3, (4000, 3))
    truth = np.pad((draw.random(logits.shape) < 1 / (1 + np.exp(-logits / 2))).astype(float), ((0, 0), (0, 1)))
    answer = {"probability": 1 / (1 + np.exp(-logits))}
    found = temperature(answer, truth, None, of="labels")
    assert found == pytest.approx(2, rel=0.1)
    head = HEADS.build(Choice("multilabel"), SignalSpec(2), MultilabelSpec((1.0,) * 3, 3.0, 0, False))
    prediction = {"probability": torch.tensor(answer["probability"]), "chosen": torch.tensor(logits > 0)}
    after = head.tempered(prediction, found)
    assert torch.equal(after["probability"] > 0.5, prediction["chosen"])
    assert loss("label_ece", truth, {"probability": after["probability"].numpy()}) < loss("label_ece", truth, answer)


def test_the_calibration_error_is_the_gap_between_promise_and_truth():
    probability = np.array([[0.8, 0.2]] * 10 + [[0.55, 0.45]] * 10)
    truth = np.array([0] * 5 + [1] * 5 + [0] * 10)
    assert loss("ece", truth, {"probability": probability}) == pytest.approx((0.3 + 0.45) / 2)
    assert loss("brier", truth, {"probability": probability}) == pytest.approx(
        np.mean([0.08] * 5 + [1.28] * 5 + [2 * 0.45**2] * 10)
    )
