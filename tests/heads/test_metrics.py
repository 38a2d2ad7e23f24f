"""Metrics beside scikit-learn's, and the intervals around them."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from fathom.heads import METRICS
from fathom.heads.intervals import Score, score, scores
from fathom.heads.over_texts import as_texts
from fathom.heads.scoring import Metric

ROWS = 300
LEVELS = (0.1, 0.5, 0.9)
WORDS = ["The", "a", "cat", "dog;", "sat", "ran,", "on", "mat", "hill.", "quickly", "it's", "3.5"]
TAGS = ("O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TOLD = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "exact_match", "answer_f1")
TOLD += ("token_loss", "perplexity", "bits_per_character", "token_accuracy")
REGRESSION = {
    "mae": sk.mean_absolute_error,
    "rmse": lambda truth, guess, sample_weight: np.sqrt(
        sk.mean_squared_error(truth, guess, sample_weight=sample_weight)
    ),
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
}
WEIGHTS = {"alike": None, "different": np.random.default_rng(9).integers(0, 5, ROWS).astype(float)}
BY_WEIGHT = pytest.mark.parametrize("weight", list(WEIGHTS.values()), ids=list(WEIGHTS))


def classified(classes: int, seed: int = 0, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that know something of them, some of them tied."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, rows)
    scores = np.exp(draw.normal(0, 1, (rows, classes)) + 1.5 * np.eye(classes)[truth])
    probability = scores / scores.sum(1, keepdims=True)
    probability[::7] = probability[0]
    return truth, probability


def ours(name: str, truth: np.ndarray, prediction: dict, weight: np.ndarray | None) -> float:
    weights = np.ones((1, len(truth))) if weight is None else weight[None]
    return float(METRICS.get(name).factory(truth, prediction, weights)[0])


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_accuracy_is_scikit_learns(classes, weight):
    truth, probability = classified(classes)
    expected = sk.accuracy_score(truth, probability.argmax(1), sample_weight=weight)
    assert ours("accuracy", truth, {"probability": probability}, weight) == pytest.approx(expected, rel=1e-12)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_balanced_accuracy_is_scikit_learns(classes, weight):
    truth, probability = classified(classes)
    truth[: ROWS // 2] = 0  # rare classes are to count as much as this one
    expected = sk.balanced_accuracy_score(truth, probability.argmax(1), sample_weight=weight)
    assert abs(expected - sk.accuracy_score(truth, probability.argmax(1), sample_weight=weight)) > 0.005
    assert ours("balanced_accuracy", truth, {"probability": probability}, weight) == pytest.approx(expected, rel=1e-12)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_macro_f1_is_scikit_learns(classes, weight):
    truth, probability = classified(classes)
    truth = np.where(truth == classes - 1, 0, truth)  # a class that is predicted and never true
    expected = sk.f1_score(truth, probability.argmax(1), average="macro", sample_weight=weight, zero_division=0)
    assert ours("macro_f1", truth, {"probability": probability}, weight) == pytest.approx(expected, rel=1e-12)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_auc_is_scikit_learns_one_against_the_rest(classes, weight):
    truth, probability = classified(classes)
    if classes == 2:
        expected = sk.roc_auc_score(truth, probability[:, 1], sample_weight=weight)
    else:
        each = [sk.roc_auc_score(truth == k, probability[:, k], sample_weight=weight) for k in range(classes)]
        expected = np.mean(each)
        if weight is None:
            assert expected == pytest.approx(sk.roc_auc_score(truth, probability, multi_class="ovr", average="macro"))
    assert ours("auc", truth, {"probability": probability}, weight) == pytest.approx(expected, rel=1e-10)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_auc_pr_is_scikit_learns_average_precision_one_against_the_rest(classes, weight):
    truth, probability = classified(classes)
    probability = np.round(probability, 2)  # many rows of one probability
    ranked = [1] if classes == 2 else range(classes)
    each = [sk.average_precision_score(truth == k, probability[:, k], sample_weight=weight) for k in ranked]
    assert ours("auc_pr", truth, {"probability": probability}, weight) == pytest.approx(np.mean(each), rel=1e-10)


@BY_WEIGHT
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_log_loss_is_scikit_learns(classes, weight):
    truth, probability = classified(classes)
    expected = sk.log_loss(truth, probability, sample_weight=weight, labels=range(classes))
    assert ours("log_loss", truth, {"probability": probability}, weight) == pytest.approx(expected, rel=1e-10)


def test_log_loss_of_certainty_that_is_wrong_is_finite():
    assert np.isfinite(ours("log_loss", np.array([0]), {"probability": np.array([[0.0, 1.0]])}, None))


@BY_WEIGHT
@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 3)])
@pytest.mark.parametrize("name", sorted(REGRESSION))
def test_a_metric_of_numbers_is_scikit_learns(name, shape, weight):
    draw = np.random.default_rng(1)
    truth = draw.normal(100, 10, shape)
    guess = truth + draw.normal(0, 5, shape)
    expected = REGRESSION[name](truth, guess, sample_weight=weight)
    assert ours(name, truth, {"value": guess}, weight) == pytest.approx(expected, rel=1e-10)


@BY_WEIGHT
def test_r2_of_several_numbers_leaves_out_what_is_missing(weight):
    draw = np.random.default_rng(2)
    truth = draw.normal(100, 10, (ROWS, 2))
    guess = truth + draw.normal(0, 5, (ROWS, 2))
    truth[: ROWS // 2, 1] = np.nan
    known = ~np.isnan(truth)
    each = [
        sk.r2_score(
            truth[known[:, j], j], guess[known[:, j], j], sample_weight=None if weight is None else weight[known[:, j]]
        )
        for j in (0, 1)
    ]
    assert ours("r2", truth, {"value": guess}, weight) == pytest.approx(np.mean(each), rel=1e-10)


@BY_WEIGHT
def test_pinball_is_the_mean_of_scikit_learns_over_the_quantiles(weight):
    draw = np.random.default_rng(3)
    truth = draw.normal(0, 1, ROWS)
    prediction = {f"q{level:g}": draw.normal(level, 0.1, ROWS) for level in LEVELS} | {"value": truth}
    each = [
        sk.mean_pinball_loss(truth, prediction[f"q{level:g}"], alpha=level, sample_weight=weight) for level in LEVELS
    ]
    assert ours("pinball", truth, prediction, weight) == pytest.approx(np.mean(each), rel=1e-10)


@BY_WEIGHT
def test_coverage_is_the_share_between_the_outermost_quantiles(weight):
    truth = np.random.default_rng(4).normal(0, 1, ROWS)
    prediction = {"q0.1": np.full(ROWS, -1.0), "q0.5": np.zeros(ROWS), "q0.9": np.full(ROWS, 1.0)}
    expected = np.average((truth >= -1) & (truth <= 1), weights=weight)
    assert ours("coverage", truth, prediction, weight) == pytest.approx(expected, rel=1e-12)


def test_cell_accuracy_leaves_out_missing_cells():
    truth, index = np.array([[1, 2], [0, 1], [0, 0]]), np.array([[1, 1], [1, 1], [1, 1]])
    assert ours("cell_accuracy", truth, {"index": index}, None) == pytest.approx(2 / 3)
    assert ours("cell_accuracy", truth, {"index": index}, np.array([1.0, 2.0, 5.0])) == pytest.approx(3 / 4)


def sets(seed: int, rows: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Sets of four labels, none with others beside, and probabilities that know something of them."""
    draw = np.random.default_rng(seed)
    truth = np.concatenate([draw.random((rows, 4)) < 0.4, np.zeros((rows, 1))], axis=1).astype(float)
    probability = np.round(0.3 * truth[:, :4] + 0.7 * draw.random((rows, 4)), 2)
    return truth, {"probability": probability, "chosen": probability > 0.5}


def told(seed: int, rows: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Texts, some with two references, answers that know something of them, and how probable the texts were."""
    draw = np.random.default_rng(seed)
    truth = [" ".join(draw.choice(WORDS, draw.integers(2, 12))) for _ in range(rows)]
    answers = [" ".join(word for word in text.split() if draw.random() < 0.85) for text in truth]
    cells = [[text, answers[row - 1]] if row % 5 == 0 else text for row, text in enumerate(truth)]
    tokens = draw.integers(3, 12, rows)
    counts = {"tokens": tokens, "right": draw.binomial(tokens, 0.6), "characters": np.array(list(map(len, truth)))}
    return as_texts(cells), {"text": as_texts(answers), "nll": tokens * draw.gamma(2, 1, rows), **counts}


def tagged(seed: int, rows: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Tags of words, and some of them read wrongly."""
    draw = np.random.default_rng(seed)
    truth = [draw.choice(TAGS, draw.integers(1, 9)) for _ in range(rows)]
    guesses = [np.where(draw.random(len(tags)) < 0.8, tags, draw.choice(TAGS, len(tags))) for tags in truth]
    return as_texts(map(" ".join, truth)), {"text": as_texts(map(" ".join, guesses))}


def prediction_of(seed: int = 0, rows: int = ROWS) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """For each metric some truth and a prediction that it takes."""
    draw = np.random.default_rng(seed)
    labels, probability = classified(3, seed, rows)
    numbers = draw.normal(0, 1, rows)
    guesses = {
        "value": numbers + draw.normal(0, 1, rows),
        "q0.1": numbers - 1.0,
        "q0.9": numbers + draw.normal(1, 1, rows),
    }
    shares = {"value": guesses["value"] + 10}
    cells = draw.integers(0, 3, (rows, 4))
    index = np.where(draw.random((rows, 4)) < 0.7, cells, 1)
    takes = {"accuracy": "p", "macro_f1": "p", "auc": "p", "log_loss": "p", "cell_accuracy": "i", "mape": "m"}
    takes |= {"balanced_accuracy": "p", "auc_pr": "p"}
    takes |= {"brier": "p", "ece": "p", "label_brier": "s", "label_ece": "s"}
    takes |= dict.fromkeys(("micro_f1", "label_macro_f1", "subset_accuracy", "average_precision"), "s")
    given = {"p": (labels, {"probability": probability}), "i": (cells, {"index": index}), "v": (numbers, guesses)}
    given["m"] = (numbers + 10, shares)
    given["s"] = sets(seed, rows)
    takes |= dict.fromkeys(TOLD, "t") | dict.fromkeys(("entity_f1", "tag_accuracy"), "e")
    given |= {"t": told(seed, rows), "e": tagged(seed, rows)}
    return {entry.name: given[takes.get(entry.name, "v")] for entry in METRICS}


@pytest.mark.parametrize("name", METRICS.names())
def test_many_weightings_at_once_are_each_what_they_are_alone(name):
    truth, prediction = prediction_of()[name]
    weights = np.random.default_rng(5).poisson(1.0, (6, ROWS)).astype(float)
    together = METRICS.get(name).factory(truth, prediction, weights)
    alone = [ours(name, truth, prediction, one) for one in weights]
    assert together.shape == (6,)
    np.testing.assert_allclose(together, alone, rtol=1e-10)


@pytest.mark.parametrize("name", METRICS.names())
def test_a_weight_of_two_is_a_row_twice(name):
    truth, prediction = prediction_of()[name]
    times = np.random.default_rng(6).integers(1, 4, ROWS)
    repeated = {key: np.repeat(value, times, axis=0) for key, value in prediction.items()}
    expected = ours(name, np.repeat(truth, times, axis=0), repeated, None)
    assert ours(name, truth, prediction, times.astype(float)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", METRICS.names())
def test_an_interval_holds_the_value_and_depends_on_its_seed_alone(name):
    truth, prediction = prediction_of()[name]
    first, again = (score(name, truth, prediction, None, None, seed=3) for _ in range(2))
    assert first == again
    assert first.low <= first.value <= first.high
    assert first.low < first.high


@pytest.mark.parametrize("name", METRICS.names())
def test_more_rows_narrow_an_interval(name):
    (few, few_given), (many, many_given) = (prediction_of(1, rows)[name] for rows in (100, 1600))
    wide, narrow = (score(name, t, p, None, None, seed=0) for t, p in ((few, few_given), (many, many_given)))
    assert 0.1 < (narrow.high - narrow.low) / (wide.high - wide.low) < 0.5


@pytest.mark.parametrize("name", METRICS.names())
def test_groups_of_rows_alike_widen_an_interval(name):
    truth, prediction = prediction_of(2, 60)[name]
    repeated = np.repeat(truth, 10, axis=0)
    given = {key: np.repeat(value, 10, axis=0) for key, value in prediction.items()}
    groups = np.repeat(np.arange(60), 10)
    rows = score(name, repeated, given, None, None, seed=0)
    grouped = score(name, repeated, given, None, groups, seed=0)
    assert 2 < (grouped.high - grouped.low) / (rows.high - rows.low) < 5


def test_weights_that_differ_widen_the_interval_of_a_share():
    truth, prediction = prediction_of()["accuracy"]
    weight = np.where(np.arange(ROWS) < 20, 100.0, 1.0)
    alike, different = (score("accuracy", truth, prediction, w, None, seed=0) for w in (None, weight))
    assert different.high - different.low > 2 * (alike.high - alike.low)


def test_a_share_of_one_still_has_an_interval():
    perfect = score("accuracy", np.zeros(20, int), {"probability": np.array([[1.0, 0.0]] * 20)}, None, None, seed=0)
    assert perfect.value == 1
    assert 0.8 < perfect.low < 0.9


def perfect(name: str, groups: np.ndarray | None, *, right: bool = True) -> Score:
    """The score of 60 rows of two classes that are all right, or all wrong."""
    truth = np.arange(60) % 2
    return score(name, truth, {"probability": np.eye(2)[truth if right else 1 - truth]}, None, groups, seed=0)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy"])
def test_a_share_of_one_or_zero_is_known_by_as_many_rows_as_there_are_groups(name):
    rows, grouped = perfect(name, None), perfect(name, np.arange(60) // 4)
    assert (rows.value, rows.high) == (grouped.value, grouped.high) == (1, 1)
    assert rows.low == pytest.approx(60 / (60 + 1.96**2), abs=1e-4)
    assert grouped.low == pytest.approx(15 / (15 + 1.96**2), abs=1e-4)
    wrong = perfect(name, np.arange(60) // 4, right=False)
    assert (wrong.low, wrong.high) == (0, pytest.approx(1 - grouped.low))


def test_a_rare_class_that_is_right_leaves_balanced_accuracy_in_doubt():
    truth = np.repeat([0, 1], [200, 4])
    found = score("balanced_accuracy", truth, {"probability": np.eye(2)[truth]}, None, None, seed=0)
    assert (found.value, found.high) == (1, 1)
    assert 0.7 < found.low < 0.85


@pytest.mark.parametrize("name", ["macro_f1", "auc", "log_loss", "brier"])
def test_what_resamples_cannot_tell_has_no_interval(name):
    found = perfect(name, None)
    assert found.value == pytest.approx(1 if METRICS.get(name).facts["higher"] else 0, abs=1e-12)
    assert np.isnan([found.low, found.high]).all()


def test_a_score_without_an_interval_is_kept_as_json_that_anybody_reads():
    metric = Metric(1.0, np.nan, np.nan, 0.5)
    kept = json.dumps(metric.plain(), allow_nan=False)
    assert Metric.restored(json.loads(kept)) == metric
    assert np.isnan(Metric.restored({**metric.plain(), "low": float("nan")}).low), "as earlier versions wrote it"


def test_a_score_that_no_row_changes_is_no_end_of_the_scale():
    found = score("auc", np.arange(60) % 2, {"probability": np.full((60, 2), 0.5)}, None, None, seed=0)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.slow
def test_the_interval_of_a_share_of_grouped_rows_covers():
    draw, covered = np.random.default_rng(11), 0
    groups = np.repeat(np.arange(30), 8)
    for seed in range(300):
        right = draw.random(240) < np.repeat(draw.beta(9, 1, 30), 8)
        probability = np.stack([right, ~right], axis=1).astype(float)
        found = score("accuracy", np.zeros(240, int), {"probability": probability}, None, groups, seed=seed)
        covered += found.low <= 0.9 <= found.high
    assert 0.90 <= covered / 300 <= 0.99


def test_one_class_has_no_auc_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score("auc", np.zeros(9, int), {"probability": np.full((9, 2), 0.5)}, None, None, seed=0)
    assert np.isnan([found.value, found.low, found.high]).all()


@pytest.mark.parametrize("truth", [[0.0, 5, 6], [1e-3, 5, 6], [-4, 5, 6]], ids=["at 0", "near 0", "both sides"])
def test_shares_of_a_truth_near_zero_say_nothing(truth):
    guess = {"value": np.array([1.0, 5, 7])}
    assert np.isnan(ours("mape", np.array(truth), guess, None))
    assert ours("mape", np.array([1.0, 5, 6]), guess, None) == pytest.approx(1 / 18)
    assert ours("mape", np.array([-1.0, -5, -6]), {"value": -guess["value"]}, None) == pytest.approx(1 / 18)


def test_metrics_scored_together_are_each_what_they_are_alone():
    truth, prediction = prediction_of()["auc"]
    names = ("auc", "accuracy", "ece")
    together = scores(names, truth, prediction, None, None, seed=3)
    assert together == {name: score(name, truth, prediction, None, None, seed=3) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.6, 0.9, 0.97])
def test_the_interval_of_accuracy_covers_the_true_share(share):
    draw, covered = np.random.default_rng(7), 0
    for seed in range(1000):
        right = draw.random(150) < share
        probability = np.stack([right, ~right], axis=1).astype(float)
        found = score("accuracy", np.zeros(150, int), {"probability": probability}, None, None, seed=seed)
        covered += found.low <= share <= found.high
    assert 0.90 <= covered / 1000 <= 0.99


@pytest.mark.slow
def test_the_interval_of_rmse_covers_the_true_error():
    draw, covered = np.random.default_rng(8), 0
    for seed in range(500):
        errors = draw.normal(0, 2, 200)
        found = score("rmse", np.zeros(200), {"value": errors}, None, None, seed=seed)
        covered += found.low <= 2 <= found.high
    assert 0.90 <= covered / 500 <= 0.99


@pytest.mark.slow
def test_the_interval_of_grouped_rows_covers_and_that_of_rows_does_not():
    draw, by_group, by_row = np.random.default_rng(10), 0, 0
    groups = np.repeat(np.arange(60), 8)
    for seed in range(300):
        errors = np.repeat(draw.normal(0, 2, 60), 8) + draw.normal(0, 0.5, 480)
        true = np.sqrt(4.25)
        for grouped in (True, False):
            found = score("rmse", np.zeros(480), {"value": errors}, None, groups if grouped else None, seed=seed)
            inside = found.low <= true <= found.high
            by_group, by_row = by_group + (inside and grouped), by_row + (inside and not grouped)
    assert by_group / 300 >= 0.88
    assert by_row / 300 < 0.7


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "auc", "auc_pr"])
def test_a_class_that_a_resample_lacks_does_not_count_there(name):
    truth, probability = classified(4)
    truth[0], truth[1:] = 3, truth[1:] % 3
    weight = np.ones((1, len(truth)))
    weight[0, 0] = 0
    weight[0, probability.argmax(1) == 3] = 0
    kept = weight[0] > 0
    found = METRICS.get(name).factory(truth, {"probability": probability}, weight)[0]
    without = METRICS.get(name).factory(truth[kept], {"probability": probability[kept]}, weight[:, kept])[0]
    assert found == pytest.approx(without, rel=1e-12)


def test_one_group_has_no_interval():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=50)
    found = score("rmse", truth, {"value": truth + 1}, None, np.zeros(50, np.int64), seed=0)
    assert found.value == pytest.approx(1)
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.slow
def test_the_interval_of_token_loss_covers_the_loss_of_all_tokens():
    draw, covered = np.random.default_rng(11), 0
    for seed in range(300):
        tokens = draw.integers(1, 30, 200)
        given = {"tokens": tokens, "nll": draw.gamma(2 * tokens, 0.7)}
        found = score("token_loss", as_texts([""] * 200), given, None, None, seed=seed)
        covered += found.low <= 1.4 <= found.high
    assert 0.90 <= covered / 300 <= 0.99
