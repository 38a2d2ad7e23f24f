"""Metrics of short answers to questions: right, or how much of it, the mean over rows, from 0 to 1.

Source: Rajpurkar et al. (2016, section 6.1), whose script compares words in lower case without articles and
punctuation. Of several references the one counts that an answer is nearest to.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.over_texts import counted, harmonic, over_texts, overlap
from fathom.heads.weightings import share

__all__ = ["exactly"]

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def _answer_scores(references: Sequence[str], answer: str) -> np.ndarray:
    """(2,) whether all words are those of a reference, and the F1 of words."""
    found = _words(answer)
    each = [(float(true == found), _f1(true, found)) for true in map(_words, references)]
    return np.max(each, axis=0)


@METRICS.register("exact_match", higher=True, share=True)
@over_texts(_answer_scores)
def exact_match(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The share of rows answered in the very words, but for case, articles and punctuation."""
    return share(sums[:, 0], weight)


@METRICS.register("answer_f1", higher=True)
@over_texts(_answer_scores)
def answer_f1(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall of an answer's words, the mean over rows."""
    return share(sums[:, 1], weight)


def exactly(truth: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """(N,) bool: which answers are an exact match."""
    right: np.ndarray = counted(_answer_scores, truth, texts)[:, 0] == 1
    return right


def _f1(true: list[str], found: list[str]) -> float:
    return harmonic(*overlap(Counter(true), Counter(found)))


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()
