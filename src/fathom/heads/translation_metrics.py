"""Metrics of translations, as sacrebleu defines them: of all rows together, from 0 to 100."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from fathom.errors import MissingExtra
from fathom.heads.head import METRICS
from fathom.heads.over_texts import counted, over_texts, overlap
from fathom.heads.weightings import share

__all__ = ["chrf_of_rows"]

WORDS, CHARACTERS = 4, 6  # in the longest sequences that are compared
BETA = 2  # how much more recall counts than precision
TEXTS_KEPT = 4096  # a trivial answer and the references meet again in the next row or the next answer


def _word_counts(references: Sequence[str], answer: str) -> list[float]:
    """Lengths of answer and reference, then the sequences of 1 to 4 words that are right, then all of them."""
    found = _sacrebleu().sentence_score(answer, list(references))
    return [found.sys_len, found.ref_len, *found.counts, *found.totals]


@METRICS.register("bleu", higher=True)
@over_texts(_word_counts)
def bleu(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """BLEU of all rows together, in 0 to 100: right sequences of 1 to 4 words, with a penalty for brevity.

    Source: Papineni et al. (2002), with the words (13a) and the smoothing (exp) of sacrebleu (Post 2018).
    """
    answered, length, right, total = sums[:, 0], sums[:, 1], sums[:, 2 : 2 + WORDS], sums[:, 2 + WORDS :]
    halved = np.cumsum(
        right == 0, axis=1
    )  # the first length without a right one counts as half a one, the next as a quarter
    precision = share(np.where(right > 0, right, 0.5**halved), total, 0.0)
    with np.errstate(divide="ignore"):
        found = np.exp(np.log(precision).mean(axis=1) + np.minimum(0, 1 - share(length, answered, np.inf)))
    return 100 * np.where(right.any(axis=1), found, 0.0)


def _character_counts(references: Sequence[str], answer: str) -> list[float]:
    """For sequences of 1 to 6 characters how many are right, in the reference, in the answer; of the best reference."""
    each = [_compared(reference, answer) for reference in references]
    return each[int(np.argmax(_f_score(np.array(each, dtype=float))))]


@METRICS.register("chrf", higher=True)
@over_texts(_character_counts)
def chrf(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """chrF2 of all rows together, in 0 to 100: right sequences of 1 to 6 characters, recall counting twice.

    Source: Popović (2015), with the orders that count as in sacrebleu (Post 2018).
    """
    return 100 * _f_score(sums)


def chrf_of_rows(truth: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """(N,) chrF2 of each row by itself, in 0 to 100; of no two characters alike it is 0."""
    return 100 * _f_score(counted(_character_counts, truth, texts))


def _compared(reference: str, answer: str) -> list[float]:
    counts: list[float] = []
    for true, answered in zip(_characters(reference), _characters(answer), strict=True):
        both, in_reference, in_answer = overlap(true, answered)
        # Where the reference is too short for such sequences, those of the answer do not count.
        counts += [both, in_reference, in_answer if in_reference else 0]
    return counts


def _f_score(sums: np.ndarray) -> np.ndarray:
    """(R, 3 · 6) to (R,), of the precision and recall that are means over the lengths that both have."""
    both, true, answered = (sums[:, part::3] for part in range(3))
    counts = (true > 0) & (answered > 0)
    lengths = counts.sum(axis=1).astype(float)
    precision = share(np.where(counts, share(both, answered, 0.0), 0.0).sum(axis=1), lengths, 0.0)
    recall = share(np.where(counts, share(both, true, 0.0), 0.0).sum(axis=1), lengths, 0.0)
    return share((1 + BETA**2) * precision * recall, BETA**2 * precision + recall, 0.0)


@lru_cache(TEXTS_KEPT)
def _characters(text: str) -> tuple[Counter[str], ...]:
    joined = "".join(text.split())
    return tuple(Counter(joined[k : k + n] for k in range(len(joined) - n + 1)) for n in range(1, CHARACTERS + 1))


@cache
def _sacrebleu() -> Any:
    """
    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise MissingExtra("sacrebleu", "text") from None
    return BLEU(tokenize="13a", effective_order=True)  # of single rows only the counts are used
