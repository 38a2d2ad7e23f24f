"""Labels of other rows, matched to those of the training rows where only case, blanks or a full stop differ.

So are words of other columns, where only blanks around them differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import holds_text
from fathom.data.evidence import BLANKS
from fathom.data.numerals import trimmed
from fathom.errors import listed

__all__ = ["matched", "unpadded"]

SHOWN = 3


def matched(table: pa.Table, known: Mapping[str, Iterable[str]]) -> tuple[pa.Table, tuple[str, ...]]:
    """Bring labels into the form in which the training rows have them.

    Args:
        table: other rows: for validation, for the final score, or read later.
        known: each target column of words to the labels of the training rows.

    Returns:
        The table, and a sentence for each column in which labels were matched.
    """
    notes = []
    for name, labels in known.items():
        place = table.schema.get_field_index(name)
        if place < 0 or not holds_text(table.schema.field(place).type):
            continue
        renamed = _renamed(pc.unique(table[name]).drop_null().to_pylist(), set(labels))
        if renamed:
            table = table.set_column(place, name, _replaced(table[name], renamed))
            notes.append(_told(name, renamed))
    return table, tuple(notes)


def unpadded(table: pa.Table, known: Mapping[str, Iterable[str]], missing: Iterable[str] = ()) -> pa.Table:
    """Bring words that were read as they stand into the form that other columns of words have.

    Blanks around them go, and what means missing in every column is missing. A word that the training rows had as it
    stands is left alone.

    Args:
        table: rows read later.
        known: each input column of words to those of the training rows.
        missing: further words that mean missing.
    """
    unknown = {*BLANKS, *missing}
    for name, words in known.items():
        place = table.schema.get_field_index(name)
        if place < 0 or not holds_text(table.schema.field(place).type):
            continue
        found = pc.unique(table[name]).drop_null()
        meant = (None if plain in unknown else plain for plain in trimmed(found).to_pylist())
        kept = set(words)
        renamed = {w: plain for w, plain in zip(found.to_pylist(), meant, strict=True) if w not in kept and w != plain}
        if renamed:
            table = table.set_column(place, name, _replaced(table[name], renamed))
    return table


def _renamed(found: list[str], known: set[str]) -> dict[str, str]:
    """The labels that differ from exactly one of the known ones by case, blanks or a final full stop alone."""
    by_form: dict[str, list[str]] = {}
    for label in known:
        by_form.setdefault(_form(label), []).append(label)
    near = {label: by_form.get(_form(label), []) for label in found if label not in known}
    return {label: labels[0] for label, labels in near.items() if len(labels) == 1}


def _form(label: str) -> str:
    return " ".join(label.strip().rstrip(".").split()).casefold()


def _replaced(column: pa.ChunkedArray, renamed: Mapping[str, str | None]) -> pa.ChunkedArray:
    place = pc.index_in(column, pa.array(renamed, column.type))
    return pc.if_else(pc.is_valid(place), pc.take(pa.array(renamed.values(), column.type), place), column)


def _told(name: str, renamed: Mapping[str, str]) -> str:
    pairs = (f"{label!r} as {meant!r}" for label, meant in renamed.items())
    return f"labels of {name!r} are read as training has them: {listed(pairs, SHOWN)}"
