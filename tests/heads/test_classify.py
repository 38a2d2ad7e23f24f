"""Classification: cross-entropy as torch has it, class weights, the trivial answer."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from fathom.heads import HEADS, Head
from fathom.registry import Choice
from fathom.signals import CategorySpec, Loss, Signal, SignalSpec

COUNTS = (60.0, 30.0, 10.0)
LABELS = torch.repeat_interleave(torch.arange(1, 4), torch.tensor(COUNTS).long())[:, None]  # as in training
OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"class_weight": "balanced"},
    {"class_weight": "balanced", "label_smoothing": 0.3},
]
FOCAL = [{**options, "focal_gamma": gamma} for options in OPTIONS for gamma in (0.5, 2.0)]


def head(name: str = "classify", spec: CategorySpec | None = None, **options: object) -> Head:
    spec = spec or CategorySpec(1, (3,), (COUNTS,))
    return HEADS.build(Choice(name, options), SignalSpec(4), spec)


def answering(found: Head, logits: Tensor) -> Signal:
    """The head made to give these logits (B, K) where a row's state is the logits themselves."""
    found.output = torch.nn.Identity()  # type: ignore[assignment]
    return Signal(vector=logits.requires_grad_())


def unit(loss: Loss) -> float:
    return float((loss.total / loss.weight).detach())


@pytest.mark.parametrize("options", OPTIONS)
def test_the_loss_is_the_cross_entropy_of_torch(options):
    found, logits = head(**options), torch.randn(100, 3)
    weight = torch.tensor([100 / (3 * count) for count in COUNTS]) if "class_weight" in options else None
    smoothing = options.get("label_smoothing", 0.0)
    expected = F.cross_entropy(logits, LABELS[:, 0] - 1, weight=weight, label_smoothing=smoothing)
    loss = found.loss(answering(found, logits), LABELS, None)
    assert_close(loss.total / loss.weight, expected)


@pytest.mark.parametrize("options", OPTIONS + FOCAL)
def test_the_baseline_is_the_loss_of_the_trivial_answer_on_the_training_rows(options):
    found = head(**options)
    trivial = found.trivial(len(LABELS))["probability"]
    assert unit(found.loss(answering(found, trivial.log()), LABELS, None)) == pytest.approx(
        found.baseline_loss, rel=1e-5
    )


@pytest.mark.parametrize("options", FOCAL)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_focal_loss_weighs_each_row_by_what_is_missing_from_its_label(options, weighted):
    """Lin et al. 2017, equation 5, alpha being the class weight; and its slope."""
    found, logits = head(**options), torch.randn(100, 3, dtype=torch.float64, requires_grad=True)
    found = found.double()
    label, rows = LABELS[:, 0] - 1, torch.linspace(0.5, 2, 100, dtype=torch.float64) if weighted else None
    alpha = torch.tensor([100 / (3 * count) for count in COUNTS]) if "class_weight" in options else torch.ones(3)
    likely = torch.softmax(logits, dim=1)
    smooth = options.get("label_smoothing", 0.0)
    wanted = (1 - smooth) * F.one_hot(label, 3) + smooth / 3
    entropy = -(wanted * alpha.double() * likely.log()).sum(1)
    each = (1 - likely.gather(1, label[:, None])[:, 0]) ** options["focal_gamma"] * entropy
    expected = each.sum() if rows is None else (each * rows).sum()
    (slope,) = torch.autograd.grad(expected, logits)
    state = answering(found, logits.detach().clone())
    loss = found.loss(state, LABELS, rows)
    loss.total.backward()
    assert_close(loss.total, expected, rtol=1e-6, atol=1e-6)
    assert_close(state.vector.grad, slope, rtol=1e-6, atol=1e-6)
    assert_close(loss.weight, found.weigh(LABELS, rows))


def test_the_focal_loss_has_a_slope_where_the_answer_is_sure():
    found = head(focal_gamma=0.5)
    state = answering(found, torch.tensor([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    found.loss(state, torch.tensor([[1], [0]]), None).total.backward()
    assert state.vector.grad.isfinite().all()


def test_the_trivial_answer_is_the_share_of_each_class():
    assert_close(head().trivial(2)["probability"], torch.tensor([[0.6, 0.3, 0.1]] * 2))
    assert head().baseline_loss == pytest.approx(-(0.6 * math.log(0.6) + 0.3 * math.log(0.3) + 0.1 * math.log(0.1)))


def test_balanced_weights_make_every_class_weigh_the_same():
    found = head(class_weight="balanced")
    weights = [float(found.weigh(LABELS[k == LABELS][:, None], None)) for k in (1, 2, 3)]
    assert weights == pytest.approx([100 / 3] * 3, rel=1e-5)


def test_a_missing_label_counts_nothing_beside_known_ones():
    found, logits = head(), torch.randn(3, 3)
    holed = torch.tensor([[1], [0], [3]])
    state = answering(found, logits)
    loss = found.loss(state, holed, None)
    loss.total.backward()
    assert loss.weight == 2
    assert state.vector.grad[1].abs().sum() == 0
    assert state.vector.grad[[0, 2]].abs().sum() > 0


def test_a_sample_weight_multiplies_a_class_weight():
    found, weight = head(class_weight="balanced"), torch.linspace(0, 2, 100)
    by_class = torch.tensor([100 / (3 * count) for count in COUNTS])[LABELS[:, 0] - 1]
    assert_close(found.weigh(LABELS, weight), (weight * by_class).sum())


def test_members_average_probabilities_and_not_logits():
    found = head()
    state = answering(found, torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    apart = torch.softmax(state.vector, dim=1)
    joint = found.predict(Signal(vector=state.vector, members=2))["probability"]
    assert_close(joint, apart.mean(0, keepdim=True))


def test_a_single_class_has_a_baseline_above_zero():
    assert head(spec=CategorySpec(1, (1,), ((5.0,),))).baseline_loss > 0


def test_rebuilt_columns_are_softmaxes_of_their_own():
    spec = CategorySpec(2, (3, 2), (COUNTS, (50.0, 50.0)))
    found, logits = head("rebuild_categories", spec), torch.randn(6, 5)
    target = torch.tensor([[1, 1], [2, 0], [0, 2], [3, 1], [1, 2], [0, 0]])
    state = answering(found, logits)
    expected = sum(
        F.cross_entropy(part, target[:, j] - 1, ignore_index=-1, reduction="sum")
        for j, part in enumerate(logits.split([3, 2], dim=1))
    )
    loss = found.loss(state, target, None)
    assert_close(loss.total, expected)
    assert loss.weight == (target > 0).sum()
    assert_close(found.predict(state)["probability"].sum(1), torch.full((6,), 2.0))


def test_the_baseline_of_rebuilt_columns_counts_each_as_often_as_it_is_known():
    spec = CategorySpec(2, (3, 2), (COUNTS, (5.0, 5.0)))
    found = head("rebuild_categories", spec)
    second = torch.cat([torch.tensor([1, 2] * 5), torch.zeros(90, dtype=torch.int64)])
    target = torch.stack([LABELS[:, 0], second], dim=1)
    trivial = found.trivial(100)["probability"]
    assert unit(found.loss(answering(found, trivial.log()), target, None)) == pytest.approx(
        found.baseline_loss, rel=1e-5
    )


def test_a_column_without_any_category_is_rebuilt_as_nothing():
    found = head("rebuild_categories", CategorySpec(2, (0, 2), ((), (1.0, 1.0))))
    target = torch.tensor([[0, 1], [0, 2]])
    loss = found.loss(Signal(vector=torch.randn(2, 4)), target, None)
    assert torch.isfinite(loss.total)
    assert loss.weight == 2
    assert found.predict(Signal(vector=torch.randn(2, 4)))["probability"].shape == (2, 2)
