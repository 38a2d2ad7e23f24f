"""Targets of one class, rare classes, classes unknown to training, targets that are cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fathom.data import read


def test_one_class_leaves_nothing_to_learn(look, random):
    (found,) = look({"x": random.normal(size=50), "y": ["a"] * 50}, "y", "classes")
    assert found.severity == "error"
    assert "y has one class, a, in all 50 rows" in found.message


def test_one_number_leaves_nothing_to_learn(look, random):
    (found,) = look({"x": random.normal(size=50), "y": [1.5] * 50}, "y", "classes")
    assert found.severity == "error"


def test_classes_of_a_single_row_are_told_with_their_rows(look, random):
    labels = ["a"] * 30 + ["odd"] + ["b"] * 30
    (found,) = look({"x": random.normal(size=61), "y": labels}, "y", "classes")
    assert (found.severity, found.rows, found.count) == ("warning", (30,), 1)
    assert look({"x": random.normal(size=62), "y": [*labels, "odd"]}, "y", "classes") == []


def test_rare_classes_are_told_with_what_makes_them_count(look, random):
    labels = np.where(np.arange(200) < 20, "ill", "well")
    (found,) = look({"x": random.normal(size=200), "y": labels}, "y", "imbalance")
    assert "well is 90 % of y, ill only 10 % (20 rows)" in found.message
    assert found.remedy.endswith("--head classify --set head.class_weight=balanced")
    assert (
        look({"x": random.normal(size=200), "y": np.where(np.arange(200) < 30, "ill", "well")}, "y", "imbalance") == []
    )


def test_a_class_to_be_scored_that_training_lacks_is_told(look, random):
    train = {"x": random.normal(size=40), "y": ["a", "b"] * 20}
    (found,) = look(train, "y", "unseen", parts={"test": {"x": random.normal(size=4), "y": ["a", "c", "b", "c"]}})
    assert (found.rows, found.count) == ((1, 3), 2)
    assert "2 rows of test of a class of y that training lacks: c" in found.message
    assert look(train, "y", "unseen", parts={"test": {"x": [0.5], "y": ["a"]}}) == []


def test_a_label_to_be_scored_that_training_lacks_is_told(look, random):
    train = {"x": random.normal(size=40), "y": [["a", "b"], ["b"], [], None] * 10}
    parts = {"test": {"x": random.normal(size=3), "y": [["c", "a", "d"], ["b"], ["c"]]}}
    (found,) = look(train, "y", "unseen", parts=parts)
    assert (found.rows, found.count) == ((0, 2), 2)
    assert "2 rows of test of a class of y that training lacks: c, d" in found.message
    assert look(train, "y", "unseen", parts={"test": {"x": [0.5], "y": [["a"]]}}) == []


def test_a_target_that_is_cut_off_is_told(look, random, data_directory: Path):
    prices = np.rint(random.lognormal(5, 0.6, 500))
    assert look({"x": random.normal(size=500), "y": prices}, "y", "caps") == []
    (found,) = look({"x": random.normal(size=500), "y": np.minimum(prices, 300)}, "y", "caps")
    assert "y is 300, its largest value" in found.message
    houses = read(data_directory / "tabular" / "california_housing.csv").parts["train"]
    (found,) = look(houses, "median_house_value", "caps")
    assert found.count == 965
