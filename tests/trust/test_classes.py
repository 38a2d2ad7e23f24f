"""Tables of classes, confusion, thresholds and curves beside scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from sklearn import metrics as sk

from fathom.trust.classes import NEVER_SEEN, OTHERS, confusion, scores_by_class
from fathom.trust.curves import calibration_curve, operating_points, precision_recall_curve, roc_curve
from tests.trust.answers import of_classes

ROWS = 400
WEIGHTS = {"alike": None, "different": np.random.default_rng(9).integers(1, 5, ROWS).astype(float)}
BY_WEIGHT = pytest.mark.parametrize("weight", list(WEIGHTS.values()), ids=list(WEIGHTS))


def classified(classes: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(classes)
    truth = draw.integers(0, classes, rows)
    scores = np.exp(draw.normal(0, 1, (rows, classes)) + 1.2 * np.eye(classes)[truth])
    return truth, np.round(scores / scores.sum(1, keepdims=True), 3)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 4])
def test_each_class_is_scored_as_scikit_learn_does(classes, weight):
    truth, probability = classified(classes)
    found = scores_by_class(of_classes(truth, probability, weight=weight))
    expected = sk.precision_recall_fscore_support(truth, probability.argmax(1), sample_weight=weight)
    np.testing.assert_allclose([[one.precision, one.recall, one.f1] for one in found], np.stack(expected[:3], axis=1))
    for k, one in enumerate(found):
        assert one.rows == (truth == k).sum()
        assert one.auc == pytest.approx(sk.roc_auc_score(truth == k, probability[:, k], sample_weight=weight))
        area = sk.average_precision_score(truth == k, probability[:, k], sample_weight=weight)
        assert one.average_precision == pytest.approx(area)


def test_a_class_that_no_row_has_is_not_known():
    truth, probability = classified(3)
    one = scores_by_class(of_classes(np.where(truth == 2, 0, truth), probability))[2]
    assert (one.rows, one.precision, one.f1) == (0, 0, 0)
    assert np.isnan([one.recall, one.auc, one.average_precision]).all()


def test_confusion_is_scikit_learns_and_shows_classes_never_seen_apart():
    truth, probability = classified(4)
    plain = confusion(of_classes(truth, probability))
    np.testing.assert_array_equal(plain["counts"], sk.confusion_matrix(truth, probability.argmax(1)))
    unseen = confusion(of_classes(np.where(truth == 0, 4, truth), probability))
    assert unseen["classes"] == ["a", "b", "c", "d", NEVER_SEEN]
    assert sum(unseen["counts"][4]) == (truth == 0).sum()
    assert sum(unseen["counts"][0]) == 0


def test_of_many_classes_those_stay_that_are_confused():
    truth = np.repeat(np.arange(26), 10)
    probability = np.eye(26)[truth]
    probability[truth == 24] = np.eye(26)[25]
    found = confusion(of_classes(truth, probability))
    assert len(found["classes"]) == 20
    assert found["classes"][-1] == OTHERS
    assert found["counts"][found["classes"].index("y")][found["classes"].index("z")] == 10
    assert np.sum(found["counts"]) == 260


@BY_WEIGHT
def test_a_threshold_says_what_flagging_brings(weight):
    truth, probability = classified(2)
    points = operating_points(of_classes(truth, probability, weight=weight))
    assert [point["threshold"] for point in points] == sorted(point["threshold"] for point in points)
    assert 0.5 in [point["threshold"] for point in points]
    for point in points:
        flagged = probability[:, 1] >= point["threshold"]
        assert point["recall"] == pytest.approx(sk.recall_score(truth, flagged, sample_weight=weight))
        assert point["precision"] == pytest.approx(sk.precision_score(truth, flagged, sample_weight=weight))
        false = sk.recall_score(truth == 0, flagged, sample_weight=weight)
        assert point["false_positive_rate"] == pytest.approx(false)
        assert point["flagged"] == pytest.approx(np.average(flagged, weights=weight))
    for least in (0.5, 0.8, 0.95):
        best = max(point["threshold"] for point in points if point["recall"] >= least)
        higher = probability[:, 1][probability[:, 1] > best].min()
        above = sk.recall_score(truth, probability[:, 1] >= higher, sample_weight=weight)
        assert above < least or best == 0.5


def rounded(points: Iterable[Iterable[float]]) -> set[tuple[float, float]]:
    return {(round(float(x), 9), round(float(y), 9)) for x, y in points}


@BY_WEIGHT
def test_curves_go_through_points_of_scikit_learns(weight):
    truth, probability = classified(2)
    answered = of_classes(truth, probability, weight=weight)
    roc = roc_curve(answered)
    rates = sk.roc_curve(truth, probability[:, 1], sample_weight=weight, drop_intermediate=False)[:2]
    assert 50 < len(roc) <= 100
    assert (roc[0], roc[-1]) == ([0, 0], [1, 1])
    assert rounded(roc) <= rounded(zip(*rates, strict=True))
    # A polygon of a hundred points has nearly the area of the whole curve.
    assert np.trapezoid(*np.array(roc).T[::-1]) == pytest.approx(sk.auc(*rates), abs=0.005)
    precision, recall, _ = sk.precision_recall_curve(truth, probability[:, 1], sample_weight=weight)
    ours = precision_recall_curve(answered)
    assert 50 < len(ours) <= 100
    assert rounded(ours) <= rounded(zip(recall, precision, strict=True))


@pytest.mark.parametrize("truth", [0, 1])
def test_rows_of_one_class_have_no_curve(truth):
    answered = of_classes(np.full(30, truth), np.full((30, 2), 0.5))
    assert roc_curve(answered) == precision_recall_curve(answered) == operating_points(answered) == []
    assert len(calibration_curve(answered)) == 1


def test_calibration_gives_back_the_calibration_error():
    from fathom.heads import METRICS

    truth, probability = classified(4)
    points = np.array(calibration_curve(of_classes(truth, probability)))
    expected = METRICS.get("ece").factory(truth, {"probability": probability}, np.ones((1, ROWS)))[0]
    assert np.abs(points[:, 0] - points[:, 1]) @ points[:, 2] / ROWS == pytest.approx(expected)
    assert points[:, 2].sum() == ROWS
