"""Sets of labels as answers: what is chosen, smoothed and weighed."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

from fathom.heads import HEADS
from fathom.heads.head import Head
from fathom.registry import Choice
from fathom.signals import MultilabelSpec, Ragged, Signal, SignalSpec
from tests.kinds.columns import fitted

SPEC = MultilabelSpec((40.0, 10.0, 2.0), 50.0, 0, False)


def head(spec: MultilabelSpec = SPEC, **options: object) -> Head:
    torch.manual_seed(0)
    return HEADS.build(Choice("multilabel", options), SignalSpec(4), spec)


def labels(*rows: list[int]) -> Ragged:
    return Ragged.of([torch.tensor(row, dtype=torch.int64) for row in rows])


def answering(built: Head, *logits: list[float]) -> dict[str, torch.Tensor]:
    """What the head answers where its output is ``logits`` for each row."""
    torch.nn.init.eye_(built.output.weight)
    torch.nn.init.zeros_(built.output.bias)
    width = built.output.in_features
    return built.predict(
        Signal(vector=torch.stack([F.pad(torch.tensor(row), (0, width - len(row))) for row in logits]))
    )


def test_the_loss_is_torchs_summed_over_labels():
    built, state = head(), Signal(vector=torch.randn(3, 4))
    truth = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    loss = built.loss(state, labels([1, 3], [], [2]), None)
    expected = F.binary_cross_entropy_with_logits(built.output(state.vector), truth, reduction="sum")
    torch.testing.assert_close(loss.total, expected)
    assert loss.weight == 3


def test_an_empty_set_counts_and_a_missing_one_does_not():
    built, state = head(), Signal(vector=torch.randn(2, 4))
    both = built.loss(state, labels([], [0]), None)
    empty = built.loss(Signal(vector=state.vector[:1]), labels([]), None)
    torch.testing.assert_close(both.total, empty.total)
    assert (both.weight, empty.weight) == (1, 1)
    assert built.weigh(labels([], [0]), torch.tensor([2.0, 3.0])) == 2


def test_a_label_never_seen_changes_nothing_in_the_loss():
    built, state = head(), Signal(vector=torch.randn(1, 4))
    torch.testing.assert_close(
        built.loss(state, labels([1, 4]), None).total, built.loss(state, labels([1]), None).total
    )


def test_labels_over_a_half_are_chosen_be_it_none():
    assert answering(head(), [1.0, -1.0, 1.0], [-1.0, -2.0, -3.0])["chosen"].tolist() == [
        [True, False, True],
        [False, False, False],
    ]


def test_the_likeliest_is_chosen_where_no_training_row_was_empty():
    spec = MultilabelSpec(SPEC.counts, SPEC.rows, 1, False)
    assert answering(head(spec), [1.0, -1.0, 1.0], [-3.0, -2.0, -3.0])["chosen"].tolist() == [
        [True, False, True],
        [False, True, False],
    ]


def test_the_trivial_answer_is_how_often_each_label_stands():
    torch.testing.assert_close(head().trivial(2)["probability"], torch.tensor([[0.8, 0.2, 0.04]] * 2))
    assert head().trivial(1)["chosen"].tolist() == [[True, False, False]]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", ["none", "balanced"])
def test_the_baseline_is_the_least_loss_of_one_answer_to_all_rows(smoothing, weight):
    built = head(label_smoothing=smoothing, class_weight=weight)
    rows = [[k + 1 for k, count in enumerate(SPEC.counts) if row < count] for row in range(50)]
    torch.nn.init.zeros_(built.output.weight)
    losses = []
    for shift in (0.0, 0.1, -0.1):
        built.output.bias.data = torch.logit(built.share) + shift
        losses.append(float(built.loss(Signal(vector=torch.zeros(50, 4)), labels(*rows), None).total.detach()) / 50)
    assert losses[0] == pytest.approx(built.baseline_loss, rel=1e-5)
    assert losses[0] < min(losses[1:])


def test_balanced_labels_weigh_alike_whether_rare_or_not():
    assert head(class_weight="balanced").share.tolist() == pytest.approx([0.5] * 3)
    assert head(class_weight="balanced").baseline_loss > head().baseline_loss


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", ["none", "balanced"])
def test_the_focal_loss_weighs_each_label_by_what_is_missing(gamma, smoothing, weight):
    """Lin et al. 2017, equation 4, for each label by itself, and its slope; the usual answer costs the baseline."""
    options = {"label_smoothing": smoothing, "class_weight": weight}
    built = head(**options, focal_gamma=gamma).double()
    rows = [[k + 1 for k, count in enumerate(SPEC.counts) if row < count] for row in range(int(SPEC.rows))]
    truth = torch.tensor([[float(row < count) for count in SPEC.counts] for row in range(int(SPEC.rows))]).double()
    state = torch.randn(len(rows), 4, dtype=torch.float64, requires_grad=True)
    likely = torch.sigmoid(built.output(state))
    wanted, positive = truth * (1 - smoothing) + smoothing / 2, (SPEC.rows - truth.sum(0)) / truth.sum(0)
    positive = positive if weight == "balanced" else torch.ones(3)
    entropy = -(positive * wanted * likely.log() + (1 - wanted) * (1 - likely).log())
    expected = ((truth - likely).abs() ** gamma * entropy).sum()
    (slope,) = torch.autograd.grad(expected, state)
    other = state.detach().clone().requires_grad_()
    loss = built.loss(Signal(vector=other), labels(*rows), None)
    loss.total.backward()
    torch.testing.assert_close(loss.total, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(other.grad, slope, rtol=1e-5, atol=1e-5)
    usual = torch.logit(built.trivial(len(rows))["probability"].double())
    built.output = torch.nn.Identity()
    always = built.loss(Signal(vector=usual), labels(*rows), None)
    assert float(always.total / always.weight) == pytest.approx(built.baseline_loss, rel=1e-5)


def test_a_column_with_one_label_in_every_row_has_a_baseline():
    built = head(MultilabelSpec((50.0,), 50.0, 1, False))
    assert built.baseline_loss == pytest.approx(math.log(2))
    assert torch.isfinite(built.loss(Signal(vector=torch.zeros(1, 4)), labels([1]), None).total)


def test_moments_that_travel_together_are_measured_in_days():
    cells = pa.chunked_array([pa.array(np.array(["2026-01-01T12", "2026-01-03T00"], "datetime64[s]"))])
    kind = fitted("datetime", cells)
    spec = type(kind.spec).join([kind.spec, kind.spec])
    built = HEADS.build("regress_time", SignalSpec(4), spec)
    encoded = kind.encode(cells)[""]
    assert built.truth(torch.cat([encoded, encoded], dim=1)).tolist() == [[0.5, 0.5], [2.0, 2.0]]
