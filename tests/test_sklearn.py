"""The scikit-learn face obeys scikit-learn's rules, and its outcome depends on its arguments alone."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fathom.errors import ConfigError, InputError, ModelError, SchemaError
from fathom.sklearn import NeuralClassifier, NeuralRegressor

SMALL = {"net": {"name": "mlp", "hidden": (16,)}, "budget": "60steps"}
Rows = tuple[np.ndarray, np.ndarray]


@parametrize_with_checks([NeuralClassifier(budget="100steps"), NeuralRegressor(budget="100steps")])
def test_every_check_of_scikit_learn_passes(estimator: Any, check: Any):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([NeuralClassifier(), NeuralRegressor()])
def test_every_check_of_scikit_learn_passes_with_the_defaults(estimator: Any, check: Any):
    check(estimator)


@pytest.fixture(scope="module")
def blobs() -> Rows:
    """Return 200 points in three clouds, their classes named by strings."""
    points, cloud = make_blobs(200, n_features=3, centers=3, random_state=1)
    return points, np.array(["red", "green", "blue"])[cloud]


@pytest.fixture(scope="module")
def plane() -> Rows:
    """Return 200 points and a number that is linear in them."""
    points = np.random.default_rng(2).normal(size=(200, 3))
    return points, 1000 + points @ [3.0, -2.0, 0.0]


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    """Return rows whose price depends on a city's name and on a size, with a shop's name as their index."""
    generator = np.random.default_rng(3)
    city = generator.choice(["Oslo", "Rome", "Bonn"], size=240)
    size = generator.normal(size=240)
    price = pd.Series(city).map({"Oslo": 5.0, "Rome": 0.0, "Bonn": -5.0}).to_numpy() + size
    labels = pd.Index([f"shop {row}" for row in range(240)], name="shop")
    return pd.DataFrame({"size": size, "city": city, "open": city != "Bonn", "price": price}, index=labels)


def same(first: Any, second: Any, X: Any) -> bool:
    """Whether two estimators are, and answer, the same to the last bit."""
    method = "predict_proba" if isinstance(first, NeuralClassifier) else "predict"
    answers = np.array_equal(getattr(first, method)(X), getattr(second, method)(X))
    return answers and first.model_.files() == second.model_.files()


def test_a_classifier_learns_in_a_pipeline(blobs: Rows):
    pipeline = make_pipeline(StandardScaler(), NeuralClassifier(budget="200steps")).fit(*blobs)
    assert pipeline.score(*blobs) > 0.95
    assert pipeline.classes_.tolist() == ["blue", "green", "red"]


def test_a_regressor_learns_far_from_zero(plane: Rows):
    assert NeuralRegressor(budget="400steps").fit(*plane).score(*plane) > 0.95


def test_a_grid_is_searched(blobs: Rows):
    grid = {"net": ["linear", {"name": "mlp", "hidden": [8, 8]}], "optimizer": [{"name": "adamw", "lr": 1e-6}, "adamw"]}
    search = GridSearchCV(NeuralClassifier(budget="150steps"), grid, cv=2, error_score="raise").fit(*blobs)
    assert search.best_params_["optimizer"] == "adamw"
    assert search.predict(blobs[0]).shape == (200,)


def test_cross_validation_takes_weights(plane: Rows):
    X, y = plane
    broken = np.where(np.arange(200) < 100, y, -y)
    weight = np.where(np.arange(200) < 100, 1.0, 1e-6)
    kept = np.arange(100)
    scores = cross_val_score(
        NeuralRegressor(budget="400steps"),
        X,
        broken,
        cv=[(np.setdiff1d(np.arange(200), kept[::4]), kept[::4])],
        params={"sample_weight": weight},
    )
    assert scores.min() > 0.9


@pytest.mark.parametrize("estimator", [NeuralClassifier(**SMALL), NeuralRegressor(**SMALL)])
class TestRows:
    """What the rows may do without changing one bit of the outcome."""

    @pytest.fixture
    def rows(self, estimator: Any, blobs: Rows, plane: Rows) -> Rows:
        return blobs if isinstance(estimator, NeuralClassifier) else plane

    def test_a_weight_of_two_is_the_row_twice(self, estimator: Any, rows: Rows):
        X, y = rows
        weight = np.random.default_rng(0).integers(0, 4, size=200)
        weighed = clone(estimator).fit(X, y, sample_weight=weight)
        repeated = clone(estimator).fit(X.repeat(weight, axis=0), y.repeat(weight))
        assert same(weighed, repeated, X)
        assert not same(weighed, clone(estimator).fit(X, y), X)

    def test_their_order_is_of_no_matter(self, estimator: Any, rows: Rows):
        X, y = rows
        weight = np.random.default_rng(0).random(200)
        X, y, weight = np.tile(X, (3, 1)), np.tile(y, 3), np.hstack([weight, weight[::-1], weight**2])
        other = np.random.default_rng(1).permutation(600)
        first = clone(estimator).fit(X, y, weight)
        assert same(first, clone(estimator).fit(X[other], y[other], weight[other]), X)

    def test_equal_weights_are_none(self, estimator: Any, rows: Rows):
        X, y = rows
        assert same(clone(estimator).fit(X, y, np.full(200, 0.3)), clone(estimator).fit(X, y), X)

    def test_only_the_ratios_of_weights_matter(self, estimator: Any, rows: Rows):
        X, y = rows
        weight = np.random.default_rng(0).random(200)
        first = clone(estimator).fit(X, y, weight)
        assert same(first, clone(estimator).fit(X, y, weight * 2.0**-140), X)

    def test_zero_has_no_sign_and_missing_is_equal_to_missing(self, estimator: Any, rows: Rows):
        X, y = rows[0].copy(), rows[1]
        X[::5, 0], X[::7, 1] = np.nan, 0.0
        other = np.where(X == 0, -0.0, np.where(np.isnan(X), -np.nan, X))
        share = np.arange(200) % 2
        twice = clone(estimator).fit(np.vstack([X, other]), np.hstack([y, y]), np.hstack([1 + share, 2 - share]))
        assert same(twice, clone(estimator).fit(X, y), X)

    def test_their_memory_is_of_no_matter(self, estimator: Any, rows: Rows):
        X, y = rows
        first = clone(estimator).fit(X, y)
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        assert same(first, clone(estimator).fit(np.asfortranarray(X), y), X)
        assert np.array_equal(clone(estimator).fit(frame, y).predict(frame), first.predict(X))

    def test_a_pickle_gives_the_same_bits(self, estimator: Any, rows: Rows):
        X, y = rows
        fitted = clone(estimator).fit(X, y)
        loaded = pickle.loads(pickle.dumps(fitted))
        assert same(loaded, fitted, X)
        assert same(clone(loaded).fit(X, y), fitted, X)


def test_a_state_is_bytes_and_plain_values(blobs: Rows):
    state = NeuralClassifier(**SMALL).fit(*blobs).__getstate__()
    assert all(isinstance(content, bytes) for content in state["model_"].values())
    assert {type(value).__module__.partition(".")[0] for value in state.values()} <= {"builtins", "numpy"}


def test_a_state_that_was_tampered_with_is_refused(blobs: Rows):
    fitted = NeuralClassifier(**SMALL).fit(*blobs)
    state = fitted.__getstate__()
    weights = bytearray(state["model_"]["weights.safetensors"])
    weights[-1] ^= 1
    state["model_"] = {**state["model_"], "weights.safetensors": bytes(weights)}
    with pytest.raises(ModelError, match="sha256"):
        NeuralClassifier().__setstate__(state)


def test_an_array_travels_as_one_block(blobs: Rows):
    fitted = NeuralClassifier(**SMALL).fit(pd.DataFrame(blobs[0], columns=["a", "b", "c"]), blobs[1])
    assert [column.name for column in fitted.model_.schema.columns] == ["X", "y"]
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]


def test_no_rows_are_kept_for_a_score_that_nobody_reads(blobs: Rows):
    assert NeuralClassifier(**SMALL).fit(*blobs).model_.metrics == {}


def test_an_ensemble_learns_and_is_kept_in_a_pickle(blobs: Rows):
    fitted = NeuralClassifier(**SMALL, ensemble=3).fit(*blobs)
    assert fitted.model_.layout.members == 3
    assert same(fitted, pickle.loads(pickle.dumps(fitted)), blobs[0])
    with pytest.raises(InputError, match="ensemble = 0 is out of range"):
        NeuralClassifier(**SMALL, ensemble=0).fit(*blobs)


def test_an_answer_does_not_depend_on_the_rows_beside_it(plane: Rows):
    X, y = plane
    fitted = NeuralRegressor(**SMALL).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X[:1]), fitted.predict(X)[:1], rtol=1e-13)


def test_threads_may_predict_together(blobs: Rows):
    X, y = blobs
    fitted = NeuralClassifier(**SMALL).fit(X, y)
    expected = fitted.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fitted.predict_proba(X), range(60)))
    assert all(np.array_equal(answer, expected) for answer in found)
    assert {str(weight.dtype) for weight in fitted.model_.network.parameters()} == {"torch.float32"}


def test_the_decision_follows_the_probability(blobs: Rows):
    X, y = blobs
    three = NeuralClassifier(**SMALL).fit(X, y)
    np.testing.assert_allclose(three.decision_function(X), np.log(three.predict_proba(X)))
    two = NeuralClassifier(**SMALL).fit(X, y == "red")
    second = two.predict_proba(X)[:, 1]
    np.testing.assert_allclose(two.decision_function(X), np.log(second / (1 - second)))


def test_every_class_is_learned_from_however_rare_it_is():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.arange(60) // 2
    probability = NeuralClassifier(**SMALL, valid=0.5).fit(X, y).predict_proba(X)
    assert probability.shape == (60, 30)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probability.max(axis=0) > 0).all()


def test_several_numbers_are_answered_together(plane: Rows):
    X, y = plane
    fitted = NeuralRegressor(budget="400steps").fit(X, np.column_stack([y, -y]))
    assert fitted.predict(X).shape == (200, 2)
    assert fitted.score(X, np.column_stack([y, -y])) > 0.9
    assert get_tags(fitted).target_tags.multi_output
    with pytest.warns(DataConversionWarning):
        assert NeuralRegressor(**SMALL).fit(X, y[:, None]).predict(X).shape == (200,)


def test_missing_numbers_are_taken_and_infinite_ones_refused(blobs: Rows):
    X, y = blobs[0].copy(), blobs[1]
    X[::3, 0] = np.nan
    fitted = NeuralClassifier(budget="200steps").fit(X, y)
    assert fitted.score(X, y) > 0.9
    X[0, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict(X)


@pytest.mark.parametrize("made", [pd.DataFrame, lambda frame: pl.DataFrame(frame.to_dict("list"))], ids=["pd", "pl"])
def test_a_frame_with_a_string_column_gets_a_kind_for_each(shops: pd.DataFrame, made: Any):
    frame = made(shops.drop(columns="price"))
    fitted = NeuralRegressor(budget="400steps").fit(frame, shops["price"])
    kinds = {column.name: column.kind.name for column in fitted.model_.schema.columns}
    assert kinds == {"size": "number", "city": "category", "open": "category", "y": "number"}
    assert fitted.score(frame, shops["price"]) > 0.9
    assert fitted.feature_names_in_.tolist() == ["size", "city", "open"]


def test_weights_repeat_the_rows_of_a_frame_too(shops: pd.DataFrame):
    X, y = shops[["city", "size"]], shops["price"]
    weight = np.random.default_rng(0).integers(0, 3, size=240)
    rows = np.arange(240).repeat(weight)
    weighed = NeuralRegressor(**SMALL).fit(X, y, sample_weight=weight)
    repeated = NeuralRegressor(**SMALL).fit(X.iloc[rows], y.iloc[rows])
    assert same(weighed, repeated, X)


def test_a_frame_of_strings_alone_is_learned_from(shops: pd.DataFrame):
    fitted = NeuralClassifier(budget="200steps").fit(shops[["city"]], shops["open"])
    assert fitted.score(shops[["city"]], shops["open"]) == 1


def test_columns_may_be_called_as_fathom_calls_its_own(shops: pd.DataFrame):
    X = shops.rename(columns={"size": "y", "city": "weight", "open": "X"}).drop(columns="price")
    fitted = NeuralRegressor(budget="400steps").fit(X, shops["price"], sample_weight=1 + np.arange(240))
    assert fitted.score(X, shops["price"]) > 0.9


def test_another_frame_than_that_of_the_fit_is_refused(shops: pd.DataFrame):
    X = shops[["city", "size"]]
    fitted = NeuralRegressor(**SMALL).fit(X, shops["price"])
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X[["size", "city"]])
    with pytest.raises(SchemaError, match="needs such a frame"):
        fitted.predict(X.to_numpy())


@pytest.mark.parametrize("estimator", [NeuralClassifier(), NeuralRegressor()])
def test_sparse_rows_are_refused(estimator: Any):
    with pytest.raises(TypeError, match="dense data is required"):
        estimator.fit(sparse.csr_array(np.eye(4)), np.arange(4) % 2)


def test_a_parameter_is_checked_when_it_is_used(blobs: Rows):
    estimator = NeuralClassifier(net="mpl")
    with pytest.raises(ConfigError, match="did you mean 'mlp'"):
        estimator.fit(*blobs)


def test_only_a_random_state_of_none_is_random(blobs: Rows):
    first, second = (NeuralClassifier(**SMALL).fit(*blobs) for _ in range(2))
    assert same(first, second, blobs[0])
    first, second = (NeuralClassifier(**SMALL, random_state=None).fit(*blobs) for _ in range(2))
    assert not same(first, second, blobs[0])


def test_a_keyboard_interrupt_stops_a_grid_search(blobs: Rows):
    search = GridSearchCV(NeuralClassifier(), {"budget": ["60s", "61s"]}, cv=2)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            search.fit(*blobs)
    finally:
        timer.cancel()
