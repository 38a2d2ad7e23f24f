"""Metrics of texts beside the libraries that define them, by hand, and how they are counted."""

from __future__ import annotations

import gc
import sys
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from fathom.errors import MissingExtra
from fathom.heads import METRICS, over_texts, translation_metrics
from fathom.heads.over_texts import as_texts

ROWS = 120
WORDS = ["The", "the", "a", "cat", "Dog;", "sat", "ran,", "on", "mat", "hill."]
WORDS += ["quickly", "it's", "3.5", "—", "Ünïted", "&amp;", "(so)", "end-of"]
OVERLAP = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "exact_match", "answer_f1")
PERFECT = {"bleu": 100, "chrf": 100} | dict.fromkeys(OVERLAP[2:], 1)


def texts(seed: int, least: int = 1, most: int = 20) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(least, most))) for _ in range(ROWS)]


def answered(truth: list[str], kept: float = 0.8) -> list[str]:
    """The same with words left out, some rows without any."""
    draw = np.random.default_rng(5)
    answers = [" ".join(word for word in text.split() if draw.random() < kept) for text in truth]
    return ["" if row % 17 == 0 else answer for row, answer in enumerate(answers)]


def ours(name: str, truth: list, answers: list[str], weight: np.ndarray | None = None) -> float:
    weights = np.ones((1, len(truth))) if weight is None else weight[None]
    return float(METRICS.get(name).factory(as_texts(truth), {"text": as_texts(answers)}, weights)[0])


@pytest.mark.parametrize("kept", [0.8, 0.1])
@pytest.mark.parametrize(
    ("name", "theirs"), [("bleu", sacrebleu.corpus_bleu), ("chrf", sacrebleu.corpus_chrf)], ids=["bleu", "chrf"]
)
def test_a_metric_of_translations_is_sacrebleus(name, theirs, kept):
    truth, other = texts(0), texts(1, most=5)
    answers = answered(truth, kept)
    expected = theirs(answers, [truth]).score
    assert 0 < expected < 95
    assert ours(name, truth, answers) == pytest.approx(expected, abs=1e-9)
    two = [list(pair) for pair in zip(truth, other, strict=True)]
    assert ours(name, two, answers) == pytest.approx(theirs(answers, [truth, other]).score, abs=1e-9)
    assert ours(name, two, answers) != pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        ("a b c d e f", "a x c y e z"),  # no pair is right
        ("a b c d e f", "a b x d e z q f"),  # no three are right
        ("a b c d", "a b c"),  # shorter than four words
        ("a b c d", "x y z w v"),
        ("a b c d", ""),
        ("", "a b"),
    ],
)
def test_sparse_and_short_answers_score_as_sacrebleu_says(truth, answer):
    assert ours("bleu", [truth], [answer]) == pytest.approx(sacrebleu.corpus_bleu([answer], [[truth]]).score, abs=1e-9)
    assert ours("chrf", [truth], [answer]) == pytest.approx(sacrebleu.corpus_chrf([answer], [[truth]]).score, abs=1e-9)


@pytest.mark.parametrize(("name", "theirs"), [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")])
def test_rouge_is_googles(name, theirs):
    truth, other = texts(2), texts(3)
    answers = answered(other)
    scorer = RougeScorer([theirs])
    alone = np.mean([scorer.score(*pair)[theirs].fmeasure for pair in zip(truth, answers, strict=True)])
    assert ours(name, truth, answers) == pytest.approx(alone, abs=1e-12)
    two = [list(pair) for pair in zip(truth, other, strict=True)]
    best = np.mean([scorer.score_multi(*pair)[theirs].fmeasure for pair in zip(two, answers, strict=True)])
    assert best > alone + 0.1
    assert ours(name, two, answers) == pytest.approx(best, abs=1e-12)


def test_an_answer_counts_by_its_words_without_articles_case_and_punctuation():
    truth = ["The Eiffel Tower.", ["in 1889", "1889"], "Paris", ""]
    answers = ["eiffel tower", "1889!", "Paris or London", "no answer"]
    assert ours("exact_match", truth, answers) == 0.5
    assert ours("answer_f1", truth, answers) == pytest.approx((1 + 1 + 2 * 1 / (1 + 3) + 0) / 4)
    assert ours("exact_match", [""], ["the"]) == ours("answer_f1", [""], ["the"]) == 1
    assert ours("answer_f1", ["a cat"], ["theatre"]) == 0  # an article inside a word is none


def test_probability_is_measured_over_all_tokens_and_not_row_by_row():
    given = {"nll": np.array([2.0, 12.0]), "tokens": np.array([2, 4]), "characters": np.array([5, 15])}
    given["right"] = np.array([2, 1])
    truth = as_texts(["cells", "are not looked"])
    found = {
        name: float(METRICS.get(name).factory(truth, given, np.array([[1.0, 2.0]]))[0])
        for name in ("token_loss", "perplexity", "bits_per_character", "token_accuracy")
    }
    assert found["token_loss"] == pytest.approx(26 / 10)
    assert found["perplexity"] == pytest.approx(np.exp(2.6))
    assert found["bits_per_character"] == pytest.approx(26 / np.log(2) / 35)
    assert found["token_accuracy"] == pytest.approx(4 / 10)


def test_a_hopeless_perplexity_is_infinite_without_a_warning():
    given = {"nll": np.array([1e6]), "tokens": np.array([2])}
    assert METRICS.get("perplexity").factory(as_texts(["x"]), given, np.ones((1, 1)))[0] == np.inf


@pytest.mark.parametrize("name", [*OVERLAP, "token_loss", "perplexity", "bits_per_character", "token_accuracy"])
def test_a_prediction_that_lacks_what_a_metric_needs_says_nothing(name):
    lacking = {"nll": np.ones(2)} if name in OVERLAP else {"text": as_texts(["a", "b"])}
    found = METRICS.get(name).factory(as_texts(["a", "b"]), lacking, np.ones((3, 2)))
    assert found.shape == (3,)
    assert np.isnan(found).all()


@pytest.mark.parametrize("name", OVERLAP)
def test_perfect_answers_score_best_whatever_other_reference_there_is(name):
    truth, other = texts(4, least=6), texts(6, least=6)
    two = [list(pair) for pair in zip(other, truth, strict=True)]
    assert ours(name, truth, truth) == pytest.approx(PERFECT[name])
    assert ours(name, two, truth) == pytest.approx(PERFECT[name])
    assert ours(name, truth, answered(truth)) < 0.99 * PERFECT[name]


@pytest.mark.parametrize("name", OVERLAP)
def test_the_order_of_rows_does_not_matter_and_their_pairing_does(name):
    truth = texts(7)
    answers = [
        text if row % 3 == 0 else answer for row, (text, answer) in enumerate(zip(truth, answered(truth), strict=True))
    ]
    order = np.random.default_rng(0).permutation(ROWS)
    score = ours(name, truth, answers)
    assert ours(name, [truth[k] for k in order], [answers[k] for k in order]) == pytest.approx(score)
    assert ours(name, truth, [answers[k] for k in order]) < 0.8 * score


def test_texts_are_counted_once_for_all_metrics_and_weightings_and_then_forgotten(monkeypatch):
    calls: Counter[str] = Counter()

    def count(references: list[str], answer: str) -> list[float]:
        calls[answer] += 1
        return [float(answer in references)]

    metric, other = (over_texts.over_texts(count)(lambda weight, sums: sums[:, 0] / weight) for _ in range(2))
    truth, given = as_texts(["a", ["b", "c"]]), {"text": as_texts(["a", "c"])}
    kept = len(over_texts._COUNTED)
    for weight in (np.ones((1, 2)), np.ones((5, 2))):
        assert metric(truth, given, weight).tolist() == other(truth, given, weight).tolist() == [1.0] * len(weight)
    assert calls == {"a": 1, "c": 1}
    assert metric(as_texts(["x", "y"]), given, np.ones((1, 2))).tolist() == [0.0]
    del truth, given
    gc.collect()
    assert len(over_texts._COUNTED) == kept


def test_without_sacrebleu_one_line_says_how_to_install_it(monkeypatch):
    translation_metrics._sacrebleu.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fathom-nn\[text\]'"):
        ours("bleu", ["a"], ["a"])
