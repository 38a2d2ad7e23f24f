"""Trivial answers where texts are asked for: what a network has to beat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from fathom.heads.over_texts import as_texts, references

__all__ = ["copied", "lead", "usual"]

# Marks that end a sentence, closing quotes and brackets after them, and space; in Chinese and Japanese without space.
_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])[」』”’）]*")

Cell = str | Sequence[str] | None


def usual(truths: Iterable[Cell], rows: int) -> dict[str, np.ndarray]:
    """The most frequent text of the training rows, for each of so many rows; of equals the first; "" of none."""
    seen = Counter(text for cell in truths if cell is not None for text in references(cell))
    return {"text": as_texts([seen.most_common(1)[0][0] if seen else ""] * rows)}


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
