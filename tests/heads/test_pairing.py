"""Paired tests: exact where rows are right or wrong, silent on equals, honest about groups and many pairs."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.heads.over_texts import as_texts
from fathom.heads.pairing import Comparison, compared
from fathom.heads.scoring import Judged


def judged(truth: np.ndarray, right: np.ndarray, weight: np.ndarray | None = None) -> Judged:
    """An answer that is right where it is said to be."""
    guess = np.where(right, truth, 1 - truth)
    return Judged(truth, weight, {"probability": np.where(guess[:, None] == np.arange(2), 0.8, 0.2)})


def numbers(truth: np.ndarray, noise: float, seed: int) -> Judged:
    return Judged(truth, None, {"value": truth + np.random.default_rng(seed).normal(0, noise, len(truth))})


def only(name: str, *answers: Judged, groups: np.ndarray | None = None) -> Comparison:
    (found,) = compared([name], answers, groups)
    return found


def test_accuracy_is_tested_by_the_rows_of_which_one_is_right_and_the_other_wrong():
    truth = np.zeros(100, int)
    first = judged(truth, np.arange(100) >= 10)  # wrong on 0 to 9
    second = judged(truth, (np.arange(100) >= 12) | (np.arange(100) < 9))  # wrong on 9, 10, 11
    found = only("accuracy", first, second)
    (difference,) = found.differences
    # Of the 11 rows 9 speak for the second: twice the chance of 9 or more heads in 11 throws.
    assert difference.test == "mcnemar"
    assert difference.p == pytest.approx(2 * (55 + 11 + 1) / 2**11)
    assert difference.value == pytest.approx(0.07)
    assert found.better(difference) is None
    third = judged(truth, np.arange(100) >= 0)
    clear = only("accuracy", first, third)
    assert clear.better(clear.differences[0]) == 1


def test_of_an_error_the_smaller_one_is_better():
    truth = np.random.default_rng(0).normal(0, 1, 400)
    found = only("rmse", numbers(truth, 0.5, 1), numbers(truth, 1.0, 2))
    (difference,) = found.differences
    assert difference.low > 0
    assert found.better(difference) == 0
    assert difference.low < difference.value < difference.high


def test_equals_are_told_apart_about_as_seldom_as_said():
    draw = np.random.default_rng(0)
    said = 0
    for seed in range(60):
        truth = draw.normal(0, 1, 60)
        found = only("mae", numbers(truth, 1.0, 2 * seed), numbers(truth, 1.0, 2 * seed + 1))
        said += found.differences[0].significant
    assert said <= 9  # 3 expected


def test_an_answer_is_no_better_than_itself():
    truth = np.arange(50) % 2
    one = judged(truth, np.arange(50) > 5)
    for name in ("accuracy", "auc", "log_loss"):
        found = only(name, one, one)
        assert found.better(found.differences[0]) is None
        assert found.differences[0].p == 1


def test_rows_of_few_groups_tell_less_than_as_many_rows_alone():
    truth, groups = np.zeros(400, int), np.arange(400) // 100
    second = judged(truth, np.ones(400, bool))
    first = judged(truth, ~((groups == 0) & (np.arange(400) % 4 == 0)))  # all its mistakes are in one group
    alone, grouped = only("accuracy", first, second), only("accuracy", first, second, groups=groups)
    assert alone.better(alone.differences[0]) == 1
    assert grouped.better(grouped.differences[0]) is None
    assert grouped.differences[0].test == "bootstrap"


def test_several_pairs_are_corrected():
    truth = np.random.default_rng(0).normal(0, 1, 300)
    answers = [numbers(truth, 1.0, 1), numbers(truth, 1.13, 2), numbers(truth, 1.5, 3)]
    alone = only("rmse", *answers[:2]).differences[0].p
    together = only("rmse", *answers).differences
    assert [(one.first, one.second) for one in together] == [(0, 1), (0, 2), (1, 2)]
    assert alone < together[0].p or alone == 1
    assert together[1].significant


def test_rows_without_truth_do_not_count():
    truth = np.random.default_rng(0).normal(0, 1, 100)
    holed = np.where(np.arange(100) < 50, np.nan, truth)
    first, second = numbers(truth, 1.0, 1), numbers(truth, 1.0, 2)
    cut = [Judged(truth[50:], None, {"value": one.answer["value"][50:]}) for one in (first, second)]
    found = only("mae", *(Judged(holed, None, one.answer) for one in (first, second)))
    assert found.values == pytest.approx(only("mae", *cut).values)


def told(answers: list[str], truth: list) -> Judged:
    return Judged(as_texts(truth), None, {"text": as_texts(answers)})


def test_two_translators_are_compared_by_resampling_the_rows_that_both_translated():
    draw = np.random.default_rng(0)
    truth = [" ".join(draw.choice(list("abcdefgh"), 9)) for _ in range(150)]
    worse, better = (
        [" ".join(word for word in text.split() if draw.random() < kept) for text in truth] for kept in (0.7, 0.85)
    )
    first, second = told(worse, truth), told(better, truth)
    for name in ("bleu", "chrf", "rouge_l"):
        found = only(name, first, second)
        (difference,) = found.differences
        assert difference.test == "bootstrap"
        assert 0 < difference.low < difference.value < difference.high
        assert found.better(difference) == 1
        assert only(name, first, first).differences[0].p == 1


def test_exact_match_is_tested_by_the_rows_of_which_one_is_right_and_the_other_wrong():
    truth: list = ["yes", ["no", "not at all"], None] * 20
    first, second = told(["Yes.", "maybe", "x"] * 20, truth), told(["the yes", "not at all", "y"] * 20, truth)
    found = only("exact_match", first, second)
    assert found.values == (0.5, 1.0)
    assert found.differences[0].test == "mcnemar"
    assert found.differences[0].p == pytest.approx(2 * 0.5**20)
