"""What classifies texts beside fathom: bags of n-grams with a linear model, and fastText.

Each chooses its few options by a tenth of the training rows and is then fitted on all of them; the time holds both.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from text_sets import Labelled

__all__ = ["PEERS", "Answered"]

CHOSEN_BY = 10  # each tenth training row
STRENGTHS = (1.0, 4.0, 16.0)
FASTTEXT = [{"epoch": epoch, "lr": rate, "wordNgrams": 2} for epoch in (5, 25) for rate in (0.1, 0.5)]
MARK = "__label__"

Predict = Callable[[Iterable[str]], list[str]]


class Answered(NamedTuple):
    """What a classifier says of the test rows, what it took, and how many numbers it has learned."""

    labels: list[str]
    seconds: float
    parameters: int


def tfidf(train: Labelled, test: Labelled) -> Answered:
    """Logistic regression on TF-IDF of words and pairs of words."""

    def fitted(rows: Labelled, strength: float) -> Pipeline:
        vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        linear = LogisticRegression(C=strength, max_iter=1000)
        return Pipeline([("tfidf", vectors), ("linear", linear)]).fit(rows.texts, rows.labels)

    started = time.perf_counter()
    model = _best(train, STRENGTHS, fitted, lambda model: lambda texts: list(model.predict(list(texts))))
    seconds = time.perf_counter() - started
    linear = model["linear"]
    return Answered(list(model.predict(test.texts)), seconds, linear.coef_.size + linear.intercept_.size)


def fasttext(train: Labelled, test: Labelled) -> Answered:
    """fastText's supervised classifier with pairs of words (Joulin et al. 2017)."""
    import fasttext as library

    library.FastText.eprint = lambda *words: None  # it warns of its own function

    def fitted(rows: Labelled, options: dict[str, float]) -> object:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "rows.txt"
            lines = (f"{MARK}{label.replace(' ', '_')} {_words(text)}" for text, label in zip(*rows, strict=True))
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            return library.train_supervised(str(file), verbose=0, seed=0, **options)

    names = {label.replace(" ", "_"): label for label in train.labels}

    def predict(model: object) -> Predict:
        # The library's own predict breaks with numpy 2.
        inner = model.f  # type: ignore[attr-defined]
        return lambda texts: [
            names[inner.predict(_words(t) + "\n", 1, 0.0, "strict")[0][1][len(MARK) :]] for t in texts
        ]

    started = time.perf_counter()
    model = _best(train, FASTTEXT, fitted, predict)
    seconds = time.perf_counter() - started
    matrices = (model.get_input_matrix(), model.get_output_matrix())  # type: ignore[attr-defined]
    return Answered(predict(model)(test.texts), seconds, sum(matrix.size for matrix in matrices))


def _best(train: Labelled, choices: Iterable, fitted: Callable, predict: Callable[..., Predict]) -> object:
    """What is fitted on all rows, with the choice that tells most of each tenth row."""
    kept, held = (
        Labelled(*([cell for row, cell in enumerate(cells) if (row % CHOSEN_BY == 0) == out] for cells in train))
        for out in (False, True)
    )

    def right(choice: object) -> int:
        told = predict(fitted(kept, choice))(held.texts)
        return sum(one == other for one, other in zip(told, held.labels, strict=True))

    return fitted(train, max(choices, key=right))


def _words(text: str) -> str:
    """Words in small letters, punctuation apart, as fastText's own examples prepare them."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


PEERS: dict[str, Callable[[Labelled, Labelled], Answered]] = {"TF-IDF, linear": tfidf, "fastText": fasttext}
