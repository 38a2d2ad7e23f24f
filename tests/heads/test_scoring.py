"""Answers in texts judged beside others: what is known, what stands beside, what is joined."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.heads.over_texts import as_texts
from fathom.heads.scoring import Judged, Metric, metrics_of, plain_metric

NAMES = ("bleu", "exact_match", "token_loss", "perplexity")
TRUTH = ["the cat sat on the mat", None, ["it is so", "so it is indeed"], "", []]
ANSWERS = ["the cat sat on a rug", "anything", "so it is indeed", "", "anything"]


def judged(**others) -> Judged:
    tokens = {"nll": np.array([6.0, 99, 4, 1, 99]), "tokens": np.array([6, 1, 4, 1, 1])}
    return Judged(as_texts(TRUTH), None, {"text": as_texts(ANSWERS), **tokens}, **others)


def test_an_empty_text_is_known_and_none_and_an_empty_list_are_not():
    assert judged().known.tolist() == [True, False, True, True, False]


def test_rows_without_truth_do_not_count():
    found = metrics_of(NAMES, judged(), {}, None, seed=0)
    assert list(found) == list(NAMES)
    assert found["exact_match"].value == pytest.approx(2 / 3)
    assert found["token_loss"].value == pytest.approx(1)
    assert found["exact_match"].low < 2 / 3 < found["exact_match"].high
    assert all(one.linear is None and one.trivial is None for one in found.values())


def test_an_answer_beside_has_the_metrics_that_it_has_something_for():
    linear = {"text": as_texts(["the cat", "", "it is so", "x", ""])}
    found = metrics_of(NAMES, judged(linear=linear), {"": {"text": as_texts(["it is so"] * 5)}}, None, seed=0)
    assert found["exact_match"].linear == found["exact_match"].trivial == pytest.approx(1 / 3)
    assert found["exact_match"].trivial_is is None
    assert found["bleu"].linear == plain_metric("bleu", judged(), linear)
    assert found["token_loss"].linear is None
    assert found["token_loss"].trivial is None


def test_the_best_of_several_trivial_answers_stands_beside_and_is_named():
    trivial = {
        "far": {"text": as_texts(["it is so"] * 5), "nll": np.full(5, 9.0), "tokens": np.ones(5)},
        "near": {"text": as_texts(["the cat sat on the mat"] * 5)},
        "low": {"nll": np.full(5, 2.0), "tokens": np.ones(5)},
    }
    found = metrics_of(NAMES, judged(), trivial, None, seed=0)
    assert (found["bleu"].trivial_is, found["exact_match"].trivial_is) == ("near", "far")
    assert (found["token_loss"].trivial, found["token_loss"].trivial_is) == (2.0, "low")
    assert found["bleu"].plain()["trivial_is"] == "near"
    assert Metric.restored(found["bleu"].plain()) == found["bleu"]


def test_the_first_metric_stays_and_others_that_say_nothing_are_left_out():
    only = Judged(as_texts(["a"]), None, {"text": as_texts(["a"])})
    assert list(metrics_of(("perplexity", "token_loss", "exact_match"), only, {}, None, seed=0)) == [
        "perplexity",
        "exact_match",
    ]


def test_parts_are_joined_in_order_with_their_lists_of_references():
    first, second = judged(), Judged(as_texts([["x", "y"]] * 2), None, judged().answer)
    whole = Judged.joined([first, second])
    assert list(whole.truth) == [*TRUTH, ["x", "y"], ["x", "y"]]
    assert list(whole.answer["text"]) == ANSWERS * 2


def test_rows_of_a_group_are_resampled_together():
    truth, answers = as_texts(["a b c d e"] * 200), as_texts((["a b c d e"] * 20 + ["a b x d y"] * 20) * 5)
    one = Judged(truth, None, {"text": answers})
    rows, grouped = (metrics_of(("bleu",), one, {}, groups, seed=0)["bleu"] for groups in (None, np.arange(200) // 20))
    assert grouped.high - grouped.low > 2 * (rows.high - rows.low)
