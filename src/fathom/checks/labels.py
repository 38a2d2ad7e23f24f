"""Labels that look wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from fathom.checks.check import CHECKS, Finding, counted, percent
from fathom.checks.examined import Examined, codes_of
from fathom.checks.features import MOST_TOPICS, dense_features, texts, word_features
from fathom.checks.leaks import leaking
from fathom.progress import one_by_one
from fathom.registry import Range
from fathom.schema import Column

__all__ = ["Suspects", "labels", "suspects"]

FOLDS = 5
FEWEST_ROWS = 50
FEWEST_OF_CLASS = FOLDS
MOST_CLASSES = 200
MOST_LEARNED = {"words": 100_000, "features": 5_000}
"""Rows that a light model of each fold learns from; it tells of all others."""
UNLIKELY = 0.05
"""The probability of its own label below which a row is suspected: of clean pictures of clothes, which a light model
tells apart with 82 %, it leaves 0.8 %, where 0.1 leaves 2.3 %; of labels turned at random it finds two thirds."""
SHOWN_ROWS = 20
OFTEN = 0.02
FAR = 0.5  # of the skill that is asked for: learning again without the suspects gains far less

Probabilities = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From rows to learn from, their labels (codes) and rows to tell of to (N, K)."""


@dataclass(frozen=True)
class Suspects:
    """Rows whose label looks wrong.

    Attributes:
        rows: (R,) int64, the likeliest to be wrong first.
        labels: (R,) int64, the label that each looks to have, as a code.
        right: the share of all rows to which the light model gives the label that they have.
        skill: the share of the errors of the trivial answer that it avoids.
        looked_at: how many rows were looked at.
    """

    rows: np.ndarray
    labels: np.ndarray
    right: float
    skill: float
    looked_at: int


def seconds_for(examined: Examined) -> float:
    """About how long the check takes."""
    count, pictures = examined.train.num_rows, len(examined.pictures)
    if _words_alone(examined):
        return count * 3e-4
    written = bool(texts(examined))
    columns = len(examined.inputs) + written * MOST_TOPICS
    dense = 0.5 + min(count, MOST_LEARNED["features"]) * 6e-4 * max(1, columns / 20) + count * 1e-4
    return dense + written * count * 3e-4 + pictures * (count * 4e-4 + 1)


def _words_alone(examined: Examined) -> bool:
    """Whether texts are all that tells."""
    written = texts(examined)
    return bool(written) and {column.name for column in examined.inputs} <= {*written}


@CHECKS.register("labels", cost="thorough", seconds=seconds_for, needs=("target",))
def labels(examined: Examined, *, skill: Annotated[float, Range(0, 1)] = 0.6) -> Iterator[Finding]:
    """Labels that a light model, learned from other rows, contradicts.

    Source: Northcutt, Jiang and Chuang (2021), "Confident learning", section 3. Here the model is learned twice, the
    second time without the rows that it suspected the first time.

    Args:
        examined: what is looked at.
        skill: the share of the errors of the trivial answer that the light model must avoid to be heard: where classes
            overlap by nature, it cannot tell a wrong label from a rare one.
    """
    for target in examined.targets:
        found = suspects(examined, target, heard=skill)
        if found is None or found.skill < skill or not len(found.rows):
            continue
        codes, names = codes_of(examined.train[target.name])
        first = int(found.rows[0])
        number = examined.numbers_of(found.rows)[0]
        share = f"{percent(len(found.rows) / found.looked_at)} of {found.looked_at:,} looked at"
        message = (
            f"{counted(len(found.rows), 'label')} of {target.name} ({share}) may be wrong: a light "
            f"model, right on {percent(found.right)} of the rows, contradicts them, row {number} most "
            f"({names[codes[first]]} looks like {names[found.labels[0]]})"
        )
        grave = len(found.rows) >= OFTEN * found.looked_at and not texts(examined)
        remedy = "look at these rows, the likeliest first, and put them right"
        rows = examined.numbers_of(found.rows, SHOWN_ROWS)
        yield Finding("labels", "warning" if grave else "note", message, remedy, (target.name,), rows, len(found.rows))


def suspects(examined: Examined, target: Column, *, heard: float = 0.0) -> Suspects | None:
    """The rows whose label looks wrong; None where too few rows or no features tell.

    Args:
        examined: what is looked at.
        target: whose labels.
        heard: the skill below which nobody asks: far below it the model learns only once.
    """
    if target.kind.name != "category":
        return None
    codes, names = codes_of(examined.train[target.name])
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    rows = np.flatnonzero((codes >= 0) & (sizes[codes] >= FEWEST_OF_CLASS))
    for column in examined.pictures:
        rows = np.intersect1d(rows, examined.thumbnails("train", column.name).rows)
    kept = np.unique(codes[rows])
    if len(rows) < FEWEST_ROWS or not 1 < len(kept) <= MOST_CLASSES:
        return None
    groups = examined.equal_rows["train"][rows]
    if len(np.unique(groups)) < FEWEST_ROWS:
        return None
    classes = np.searchsorted(kept, codes[rows])
    folds = _folds(groups, classes)
    if _words_alone(examined):
        words = word_features(examined, rows, texts(examined))
        wrong, told = _contradicted(_told_by_words(words), classes, folds)
    else:
        features = dense_features(examined, rows, leaking(examined, target))
        if not features.shape[1]:
            return None
        wrong, told = _confidently_wrong(_told_by_features(features), classes, folds, heard * FAR)
    margin = told[np.arange(len(rows)), classes] - told.max(axis=1)
    order = np.flatnonzero(wrong)[np.argsort(margin[wrong], kind="stable")]
    hits, skill = _hits_and_skill(told, classes)
    return Suspects(rows[order], kept[told[order].argmax(axis=1)], hits / len(rows), skill, len(rows))


def _hits_and_skill(told: np.ndarray, classes: np.ndarray) -> tuple[int, float]:
    """How many rows are told right, and the share of the errors of the trivial answer that this avoids."""
    hits = int((told.argmax(axis=1) == classes).sum())
    usual = int(np.bincount(classes).max())
    return hits, (hits - usual) / max(1, len(classes) - usual)


def _folds(groups: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(N,) int64, the fold of each row: equal rows in one, each class shared out evenly."""
    random = np.random.default_rng(0)
    groups, first = np.unique(groups, return_index=True)[1], np.unique(groups, return_inverse=True)[1]
    shuffled = random.permutation(len(groups))
    dealt = shuffled[np.argsort(classes[groups[shuffled]], kind="stable")]
    folds = np.empty(len(groups), np.int64)
    folds[dealt] = np.arange(len(groups)) % FOLDS
    return folds[first]


def _out_of_fold(
    tell: Probabilities, classes: np.ndarray, folds: np.ndarray, trusted: np.ndarray, most: int
) -> np.ndarray:
    """(N, K) probabilities of each row's classes, told by models that learned from trusted rows of other folds."""
    told = np.zeros((len(classes), classes.max() + 1))
    for fold in one_by_one(range(FOLDS), "checking labels", "folds"):
        learned = np.flatnonzero((folds != fold) & trusted)
        learned = learned[:: max(1, -(-len(learned) // most))]
        others = np.flatnonzero(folds == fold)
        told[np.ix_(others, np.unique(classes[learned]))] = tell(learned, classes[learned], others)
    return told


def _contradicted(tell: Probabilities, classes: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows to which the model gives another label.

    Naive Bayes has one weight a word and class, so that it hardly learns labels by heart; but its probabilities are
    none, and no threshold of them means anything.
    """
    trusted = np.ones(len(classes), bool)
    for _ in range(3):
        told = _out_of_fold(tell, classes, folds, trusted, MOST_LEARNED["words"])
        trusted = told.argmax(axis=1) == classes
    return ~trusted, told


def _confidently_wrong(
    tell: Probabilities, classes: np.ndarray, folds: np.ndarray, skill: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are as likely of another class as its own rows are on average, and hardly of theirs.

    The model learns a second time, without those, unless there are none or too few others, or its skill is below
    ``skill``.
    """
    trusted = np.ones(len(classes), bool)
    for _ in range(2):
        told = _out_of_fold(tell, classes, folds, trusted, MOST_LEARNED["features"])
        own = told[np.arange(len(classes)), classes]
        usual = np.bincount(classes, weights=own) / np.bincount(classes)
        confident = np.where(told >= usual, told, -1.0)
        trusted = (confident.max(axis=1) < 0) | (confident.argmax(axis=1) == classes)
        enough = all(len(np.unique(classes[(folds != fold) & trusted])) > 1 for fold in range(FOLDS))
        if trusted.all() or not enough or _hits_and_skill(told, classes)[1] < skill:
            break
    return ~trusted & (own < UNLIKELY), told


def _told_by_words(words: Any) -> Probabilities:
    from sklearn.naive_bayes import ComplementNB

    def tell(learned: np.ndarray, classes: np.ndarray, others: np.ndarray) -> np.ndarray:
        model = ComplementNB(alpha=0.3).fit(words[learned], classes)
        found: np.ndarray = model.predict_proba(words[others])
        return found

    return tell


def _told_by_features(features: np.ndarray) -> Probabilities:
    """The mean of a linear model and of trees: what both are sure of is seldom the weakness of one."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    def tell(learned: np.ndarray, classes: np.ndarray, others: np.ndarray) -> np.ndarray:
        trees = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0).fit(features[learned], classes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # roughly is enough
            linear = LogisticRegression(max_iter=50, tol=1e-2).fit(features[learned], classes)
        found: np.ndarray = (trees.predict_proba(features[others]) + linear.predict_proba(features[others])) / 2
        return found

    return tell
