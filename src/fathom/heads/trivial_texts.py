"""Trivial answers where texts are asked for: what a network has to beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fathom.heads.over_texts import as_texts, references

__all__ = ["copied", "lead", "trivial_texts", "usual", "usual_tag"]

# Marks that end a sentence, closing quotes and brackets after them, and space; in Chinese and Japanese without space.
_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])[」』”’）]*")

Cell = str | Sequence[str] | None


def trivial_texts(
    truth: np.ndarray, answer: Mapping[str, np.ndarray], texts: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """What can be answered without having learned, each by what it is.

    Args:
        truth: (N,) texts, lists of them, or None.
        answer: what the network answers, which tells what has to be stood beside.
        texts: the texts that come in, (N,) each, by column.
    """
    found = {}
    if "share_nll" in answer:
        found["shares of tokens"] = {"nll": answer["share_nll"], "tokens": answer["tokens"]}
    if "words" in answer:
        found["the usual tag"] = usual_tag(truth, answer["words"])
    elif "text" in answer:
        found["the usual text"] = usual(truth)
        for name, cells in texts.items():
            found[f"{name} as it is"] = copied(cells)
            found[f"{name}, a sentence"] = lead(cells, 1)
            found[f"{name}, 3 sentences"] = lead(cells)
    return found


def usual(truths: Iterable[Cell]) -> dict[str, np.ndarray]:
    """For each row the most frequent text of the others, so that none answers itself; of equals the first."""
    rows = [() if cell is None else tuple(dict.fromkeys(references(cell))) for cell in truths]
    seen = Counter(text for own in rows for text in own)
    ranked = seen.most_common(1 + max(map(len, rows), default=0))

    def of_others(own: tuple[str, ...]) -> str:
        text, count = max(((text, count - (text in own)) for text, count in ranked), key=lambda one: one[1])
        return text if count else ""

    return {"text": as_texts(of_others(own) if seen else "" for own in rows)}


def usual_tag(truths: Iterable[Cell], words: np.ndarray) -> dict[str, np.ndarray]:
    """For each of a row's words, of which there are ``words`` (N,), the most frequent tag of all rows."""
    seen = Counter(tag for cell in truths if cell is not None for tag in references(cell)[0].split())
    tag = seen.most_common(1)[0][0] if seen else ""
    return {"text": as_texts(" ".join([tag] * count) for count in words.tolist())}


def copied(inputs: Iterable[str | None]) -> dict[str, np.ndarray]:
    """The input as it came; "" where it is missing."""
    return {"text": as_texts(text or "" for text in inputs)}


def lead(inputs: Iterable[str | None], sentences: int = 3) -> dict[str, np.ndarray]:
    """The first sentences of the input, of which news tell the most in (the lead-3 of Nallapati et al. 2017)."""
    return {"text": as_texts(_first(text or "", sentences) for text in inputs)}


def _first(text: str, sentences: int) -> str:
    text = text.strip()
    ends = [match.end() for match in _END.finditer(text)]
    return text[: ends[sentences - 1]].rstrip() if len(ends) >= sentences else text
