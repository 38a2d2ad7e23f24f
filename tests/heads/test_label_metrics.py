"""Metrics of sets of labels beside scikit-learn's, and labels that training never saw."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from fathom.heads import METRICS

ROWS, LABELS = 200, 5
WEIGHTS = {"alike": None, "different": np.random.default_rng(9).integers(0, 5, ROWS).astype(float)}
BY_WEIGHT = pytest.mark.parametrize("weight", list(WEIGHTS.values()), ids=list(WEIGHTS))


def answered(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (N, K), probabilities with ties, and labels chosen."""
    draw = np.random.default_rng(seed)
    truth = (draw.random((ROWS, LABELS)) < [0.5, 0.3, 0.1, 0.02, 0.9]).astype(float)
    probability = np.round(np.clip(0.4 * truth + 0.6 * draw.random((ROWS, LABELS)), 0, 1), 1)
    return truth, probability, probability > 0.5


def ours(name: str, truth: np.ndarray, unseen: object, weight: np.ndarray | None = None) -> float:
    _, probability, chosen = answered()
    whole = np.concatenate([truth, np.broadcast_to(unseen, ROWS).reshape(-1, 1).astype(float)], axis=1)
    weights = np.ones((1, ROWS)) if weight is None else weight[None]
    return float(METRICS.get(name).factory(whole, {"probability": probability, "chosen": chosen}, weights)[0])


@BY_WEIGHT
@pytest.mark.parametrize(("name", "average"), [("micro_f1", "micro"), ("label_macro_f1", "macro")])
def test_f1_is_scikit_learns(name, average, weight):
    truth, _, chosen = answered()
    expected = sk.f1_score(truth, chosen, average=average, sample_weight=weight)
    assert ours(name, truth, 0, weight) == pytest.approx(expected, rel=1e-12)


@BY_WEIGHT
def test_subset_accuracy_is_scikit_learns(weight):
    truth, _, chosen = answered()
    expected = sk.accuracy_score(truth.astype(bool), chosen, sample_weight=weight)
    assert 0.05 < expected < 0.95
    assert ours("subset_accuracy", truth, 0, weight) == pytest.approx(expected, rel=1e-12)


@BY_WEIGHT
def test_average_precision_is_scikit_learns(weight):
    truth, probability, _ = answered()
    expected = sk.average_precision_score(truth, probability, average="macro", sample_weight=weight)
    assert ours("average_precision", truth, 0, weight) == pytest.approx(expected, rel=1e-12)


def test_labels_that_training_never_saw_count_as_missed():
    truth, _, chosen = answered()
    unseen = np.zeros(ROWS)
    unseen[:10] = 2
    whole, guess = (np.concatenate([part, np.zeros((ROWS, 2))], axis=1) for part in (truth, chosen))
    whole[:10, LABELS:] = 1
    assert ours("micro_f1", truth, unseen) == pytest.approx(sk.f1_score(whole, guess, average="micro"))
    one = whole[:, : LABELS + 1]
    expected = sk.f1_score(one, guess[:, : LABELS + 1], average="macro", zero_division=0)
    assert ours("label_macro_f1", truth, unseen > 0) == pytest.approx(expected)
    assert ours("subset_accuracy", truth, 1) == 0


def test_a_label_that_no_row_has_is_left_out_of_average_precision():
    truth, probability, _ = answered()
    truth[:, 2] = 0
    kept = [0, 1, 3, 4]
    expected = sk.average_precision_score(truth[:, kept], probability[:, kept], average="macro")
    assert ours("average_precision", truth, 0) == pytest.approx(expected)
    assert np.isnan(ours("average_precision", np.zeros_like(truth), 0))
