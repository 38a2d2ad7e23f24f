"""A column joined with those that its kind reads beside it: a kind sees one column, each cell of which holds them all.

Its parts are named: OWN is the column's own, WITHIN the text in which answers stand, START the character that an answer
starts at; BEGINS and ENDS are, of each token of the text, the characters that it stands for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.kinds.kind import Kind, Statistics
from fathom.signals import Ragged

__all__ = ["OWN", "START", "WITHIN", "Beside", "holds_parts", "joined", "own_cells", "part", "places_of"]

OWN, WITHIN, START = "own", "within", "start"
BEGINS, ENDS = "begins", "ends"


class Beside(Kind):
    """A kind whose answers stand in a text of their row; that of some rows has their cells in ``_rows``.

    Args:
        state: what ``fit`` returned.
    """

    _rows: pa.ChunkedArray | None

    def __init__(self, state: Statistics) -> None:
        super().__init__(state)
        self._rows = None

    def of_rows(self, cells: pa.ChunkedArray | None) -> Self:
        found = copy.copy(self)
        found._rows = cells
        return found


def joined(own: pa.ChunkedArray, others: Mapping[str, pa.ChunkedArray], places: Ragged | None) -> pa.ChunkedArray:
    """One column of a column and others.

    Args:
        own: the column's own N cells.
        others: those that it reads, by the name of the part.
        places: of each text's tokens (T, 2) the characters that each stands for; None where they are not known yet.
    """
    parts: dict[str, Any] = {OWN: own.combine_chunks()}
    parts |= {name: cells.combine_chunks() for name, cells in others.items()}
    if places is not None:
        offsets = pa.array(places.offsets.numpy().astype(np.int32))
        for name, ends in zip((BEGINS, ENDS), places.values.unbind(1), strict=True):
            parts[name] = pa.ListArray.from_arrays(offsets, pa.array(ends.numpy()))
    return pa.chunked_array([pa.StructArray.from_arrays(list(parts.values()), list(parts))])


def holds_parts(kind: pa.DataType) -> bool:
    """Whether a type is that of a column joined with the text in which its answers stand."""
    return pa.types.is_struct(kind) and {OWN, WITHIN} <= {field.name for field in kind}


def part(cells: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """One part of all cells; of nothing but missing ones where the column was not joined with such a part."""
    if not pa.types.is_struct(cells.type) or name not in {field.name for field in cells.type}:
        return pa.chunked_array([pa.nulls(len(cells))])
    return pc.struct_field(cells, name)


def own_cells(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's own cells, whether it was joined with others or not."""
    return part(cells, OWN) if holds_parts(cells.type) else cells


def places_of(cells: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The characters that tokens stand for: begins (L,), ends (L,), and offsets (N + 1,) of the rows in them."""
    begins, ends = (part(cells, name).combine_chunks() for name in (BEGINS, ENDS))
    if pa.types.is_null(begins.type):
        nothing = np.empty(0, np.int64)
        return nothing, nothing, np.zeros(len(cells) + 1, np.int64)
    lengths = np.asarray(pc.list_value_length(begins).fill_null(0)).astype(np.int64)
    offsets = np.concatenate([[0], lengths.cumsum()])
    return np.asarray(pc.list_flatten(begins)), np.asarray(pc.list_flatten(ends)), offsets
