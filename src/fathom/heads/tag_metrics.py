"""Metrics of tags, one a word, written as a text with spaces between: ``B-PER I-PER O B-LOC``.

A tag is O, or says after B (begins), I (inside), E (ends) or S (single) what its word is part of. Of several
references the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.over_texts import over_texts
from fathom.heads.weightings import share

__all__ = ["entities"]

PREFIXES = ("B", "I", "E", "S")
BEGINNINGS, ENDINGS = ("B", "S"), ("O", "E", "S")

Entity = tuple[str, int, int]


def _entity_counts(references: Sequence[str], answer: str) -> list[float]:
    """How many entities are right, in the reference, and in the answer."""
    true, found = (entities([_of_entity(tag) for tag in tags.split()]) for tags in (references[0], answer))
    return [len(true & found), len(true), len(found)]


@METRICS.register("entity_f1", higher=True)
@over_texts(_entity_counts)
def entity_f1(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall of entities, all rows together; right are those of the same words.

    Source: the script of CoNLL-2000 (Tjong Kim Sang and Buchholz 2000), which bears an entity that no B begins.
    """
    return share(2 * sums[:, 0], sums[:, 1] + sums[:, 2])


def _tag_counts(references: Sequence[str], answer: str) -> list[float]:
    """How many tags are right, and how many there are; one that is not there is wrong."""
    true, found = references[0].split(), answer.split()
    return [sum(one == other for one, other in zip(true, found, strict=False)), len(true)]


@METRICS.register("tag_accuracy", higher=True)
@over_texts(_tag_counts)
def tag_accuracy(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The share of words whose tag is right."""
    return share(sums[:, 0], sums[:, 1])


def _of_entity(tag: str) -> str:
    """A tag; one that is no part of an entity, as a part of speech, is O."""
    return tag if tag.partition("-")[0] in PREFIXES else "O"


def entities(tags: Sequence[str]) -> set[Entity]:
    """Each entity: of what it is, its first word, and the one after its last."""
    found: set[Entity] = set()
    before, kind, start = "O", "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, other = tag.partition("-")
        begins = prefix in BEGINNINGS or before in ENDINGS or other != kind
        if before != "O" and (prefix == "O" or begins):
            found.add((kind, start, place))
        if prefix != "O" and begins:
            start = place
        before, kind = prefix, other
    return found
