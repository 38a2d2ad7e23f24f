"""The texts on which classifiers are compared, each with rows to learn from and rows for the score."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["SETS", "Labelled", "TextSet", "more_film_sentences"]

DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).parents[2] / "shared" / "data")) / "text"
TEST_SHARE = 0.1  # of Rotten Tomatoes, which has no split of its own


class Labelled(NamedTuple):
    """Texts and their classes."""

    texts: list[str]
    labels: list[str]

    def some(self, count: int | None) -> Labelled:
        """The first rows, or all of them."""
        return Labelled(self.texts[:count], self.labels[:count])


class TextSet(NamedTuple):
    """A set in two parts."""

    train: Labelled
    test: Labelled


def _ag_news() -> TextSet:
    """News by topic; in the test rows title and description are put together, as they are in the training rows."""
    train = _rows("ag_news/train_sample.csv", ",")[1:]
    test = _rows("ag_news/test.csv", ",")
    return TextSet(
        Labelled([text for _, text in train], [label for label, _ in train]),
        Labelled([f"{title} {text}" for _, title, text in test], [label for label, _, _ in test]),
    )


def _sst2() -> TextSet:
    """Sentences of film reviews, by feeling."""
    return TextSet(*(Labelled(*map(list, zip(*_lines(f"sst2/{part}.tsv"), strict=True))) for part in ("train", "test")))


def _rotten_tomatoes() -> TextSet:
    """Sentences of film reviews, by feeling; every tenth of a fixed order is for the score."""
    places = {label: DATA / "rt_polarity" / f"rt-polarity.{label}" for label in ("pos", "neg")}
    rows = [(text, label) for label, place in places.items() for text in place.read_text("utf-8").splitlines()]
    order = np.random.default_rng(0).permutation(len(rows))
    cut = round(TEST_SHARE * len(rows))
    parts = ([rows[row] for row in part] for part in (order[cut:], order[:cut]))
    return TextSet(*(Labelled([text for text, _ in part], [label for _, label in part]) for part in parts))


def more_film_sentences() -> list[str]:
    """Sentences of Rotten Tomatoes that neither are, hold, nor stand in a sentence of SST-2, by their letters."""
    known = [_letters(cells[0]) for part in ("train", "dev", "test") for cells in _lines(f"sst2/{part}.tsv")]
    whole = "\n".join(known)
    places = (DATA / "rt_polarity" / f"rt-polarity.{label}" for label in ("pos", "neg"))
    found = [line for place in places for line in place.read_text("utf-8").splitlines()]
    new = [(line, letters) for line in found if (letters := _letters(line)) and letters not in whole]
    return [line for line, letters in new if not any(one in letters for one in known)]


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())


def _banking77() -> TextSet:
    """Questions to a bank, by what is wanted."""
    parts = (_rows(f"banking77/{part}.csv", ",")[1:] for part in ("train", "test"))
    return TextSet(*(Labelled([text for text, _ in part], [label for _, label in part]) for part in parts))


def _rows(name: str, separator: str) -> list[list[str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, delimiter=separator))


def _lines(name: str) -> list[list[str]]:
    """Cells between tabs, where quotes are only quotes."""
    return [line.split("\t") for line in (DATA / name).read_text("utf-8").splitlines()]


SETS: dict[str, Callable[[], TextSet]] = {
    "AG News": _ag_news,
    "SST-2": _sst2,
    "Rotten Tomatoes": _rotten_tomatoes,
    "Banking77": _banking77,
}
