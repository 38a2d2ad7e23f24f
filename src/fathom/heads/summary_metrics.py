"""Metrics of summaries: how much an answer has of the reference, the mean over rows, from 0 to 1.

Source: Lin (2004), with the words of Google's rouge_score without stemming: Latin letters and digits, in lower case.
Of several references the one counts that an answer is nearest to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.over_texts import over_texts, overlap
from fathom.heads.weightings import share

__all__: list[str] = []

TEXTS_KEPT = 4096
_NO_WORD = re.compile(r"[^a-z0-9]+")


def _rouge_scores(references: Sequence[str], answer: str) -> np.ndarray:
    """(3,) F1 of words, of pairs of words, and of the longest common subsequence of words."""
    found = _words(answer)
    return np.max([_compared(_words(reference), found) for reference in references], axis=0)


@METRICS.register("rouge_1", higher=True)
@over_texts(_rouge_scores)
def rouge_1(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """ROUGE-1: the harmonic mean of precision and recall of words, the mean over rows."""
    return share(sums[:, 0], weight)


@METRICS.register("rouge_2", higher=True)
@over_texts(_rouge_scores)
def rouge_2(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """ROUGE-2: the harmonic mean of precision and recall of pairs of words, the mean over rows."""
    return share(sums[:, 1], weight)


@METRICS.register("rouge_l", higher=True)
@over_texts(_rouge_scores)
def rouge_l(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """ROUGE-L: the same of the longest sequence of words that both hold in order, others between them or not."""
    return share(sums[:, 2], weight)


def _compared(true: tuple[str, ...], answered: tuple[str, ...]) -> tuple[float, float, float]:
    words = overlap(Counter(true), Counter(answered))
    pairs = overlap(Counter(pairwise(true)), Counter(pairwise(answered)))
    longest = (_longest_common(true, answered), len(true), len(answered))
    one, two, three = (2 * both / (t + a) if both else 0.0 for both, t, a in (words, pairs, longest))
    return one, two, three


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, by the bits of one long integer (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    all_places = (1 << len(first)) - 1
    unmatched = all_places
    for word in second:
        matched = unmatched & places.get(word, 0)
        unmatched = (unmatched + matched | unmatched - matched) & all_places
    return len(first) - unmatched.bit_count()


@lru_cache(TEXTS_KEPT)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_NO_WORD.sub(" ", text.lower()).split())
