"""Rows of a table that is larger than memory: they stay in their file, and are looked at a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.progress import one_by_one
from fathom.runtime import memory_limit_bytes

__all__ = ["Selection", "is_large", "rows_within"]

LARGE_SHARE = 1 / 5
"""A table beyond this share of the memory is large: split and encoded in memory it would be there several times."""

PIECE_BYTES, PIECE_SHARE = 1 << 24, 1 / 128
"""Rows are looked at in pieces of so many bytes, or of that share of the memory."""

MOST_PIECE_ROWS = 1 << 18
SLICES = 64
BITS = 8


def is_large(*tables: pa.Table) -> bool:
    """Whether a table, or several together, are to be looked at a piece at a time."""
    return bool(sum(table.nbytes for table in tables) > LARGE_SHARE * memory_limit_bytes())


def rows_within(table: pa.Table, size_bytes: float) -> int:
    """How many rows of a table take about ``size_bytes``, one at least."""
    return max(1, int(size_bytes / max(1.0, table.nbytes / max(1, table.num_rows))))


@dataclass(frozen=True, eq=False)
class Selection:
    """Some rows of a table, or all of them.

    Attributes:
        table: what they are rows of; never copied as a whole.
        kept: (N,) one bit for each of the table's rows, or None for all of them.
    """

    table: pa.Table
    kept: pa.BooleanArray | None = None

    @cached_property
    def num_rows(self) -> int:
        return self.table.num_rows if self.kept is None else pc.sum(self.kept).as_py() or 0

    @property
    def numbers(self) -> np.ndarray:
        """(R,) int64, the place in the table of each of the selected rows."""
        return np.arange(self.table.num_rows) if self.kept is None else np.flatnonzero(np.asarray(self.kept))

    @property
    def column_names(self) -> list[str]:
        names: list[str] = self.table.column_names
        return names

    @cached_property
    def piece_rows(self) -> int:
        """How many rows are looked at together: a multiple of the bits in a byte."""
        size_bytes = min(PIECE_BYTES, PIECE_SHARE * memory_limit_bytes())
        rows = min(MOST_PIECE_ROWS, rows_within(self.table, size_bytes))
        return max(BITS, rows // BITS * BITS)

    def between(self, start: int, stop: int) -> pa.Table:
        """Those of the selected rows that stand in ``[start, stop)`` of the table."""
        rows = self.table.slice(start, stop - start)
        return rows if self.kept is None else rows.filter(self.kept.slice(start, stop - start))

    def pieces(self) -> Iterator[pa.Table]:
        """The selected rows, in order, a piece at a time."""
        starts = range(0, self.table.num_rows, self.piece_rows)
        for start in one_by_one(starts, "looking at rows", "pieces"):
            yield self.between(start, start + self.piece_rows)

    def cuts(self, rows: int) -> list[tuple[int, int]]:
        """Where to cut the table so that each piece has about ``rows`` selected rows: start and stop of each."""
        count = self.table.num_rows
        if self.kept is None:
            return [(start, min(start + rows, count)) for start in range(0, count, rows)]
        step = max(1, min(rows // 4, 4096))
        starts = range(0, count, step)
        within = np.cumsum([pc.sum(self.kept.slice(start, step)).as_py() or 0 for start in starts])
        ends = np.searchsorted(within, np.arange(rows, self.num_rows, rows))
        bounds = np.unique([0, *np.minimum((ends + 1) * step, count).tolist(), count]).tolist()
        return [
            (start, stop) for start, stop in pairwise(bounds) if pc.any(self.kept.slice(start, stop - start)).as_py()
        ]

    def parted(self, codes: Callable[[pa.Table, int], np.ndarray], count: int) -> list[Selection]:
        """Share the selected rows out, in one pass over the table.

        Args:
            codes: gives for N rows of the table, and the number of the first of them, (N,) the part of each; rows whose
                code is no part are left out.
            count: how many parts there are.
        """
        bits: list[list[np.ndarray]] = [[] for _ in range(count)]
        for start in range(0, self.table.num_rows, self.piece_rows):
            code = codes(self.table.slice(start, self.piece_rows), start)
            kept = True if self.kept is None else np.asarray(self.kept.slice(start, self.piece_rows), dtype=bool)
            for part in range(count):
                bits[part].append(np.packbits((code == part) & kept, bitorder="little"))
        return [Selection(self.table, self._mask(np.concatenate(part))) for part in bits]

    def where(self, known: Callable[[pa.Table], pa.Array | pa.ChunkedArray]) -> Selection:
        """Those of the selected rows for which a function of some rows of the table gives true, not false or null."""
        return self.parted(lambda piece, _: np.where(np.asarray(known(piece).fill_null(False), bool), 0, 1), 1)[0]

    def thinned(self, rows: int, seed: int) -> Selection:
        """About ``rows`` of the selected rows, drawn at random; all of them where there are no more."""
        if self.num_rows <= rows:
            return self
        share = rows / self.num_rows

        def drawn(piece: pa.Table, start: int) -> np.ndarray:
            generator = np.random.default_rng([seed, start])
            return np.where(generator.random(piece.num_rows) < share, 0, 1)

        return self.parted(drawn, 1)[0]

    def in_memory(self) -> pa.Table:
        """The selected rows, copied out of the table."""
        return pa.concat_tables(self.pieces()).combine_chunks()

    def _mask(self, packed: np.ndarray) -> pa.BooleanArray:
        count = self.table.num_rows
        return pa.BooleanArray.from_buffers(pa.bool_(), count, [None, pa.py_buffer(packed)])

    def spread(self, rows: int) -> pa.Table:
        """At most ``rows`` of the selected rows in memory, in slices that are spread evenly over the table."""
        if self.num_rows <= rows:
            return pa.concat_tables(self.pieces())
        cuts = self.cuts(-(-self.num_rows // min(SLICES, rows)))
        chosen = [cuts[int(place)] for place in np.linspace(0, len(cuts) - 1, min(len(cuts), rows))]
        return pa.concat_tables([self._first(start, stop, rows // len(chosen)) for start, stop in chosen])

    def _first(self, start: int, stop: int, rows: int) -> pa.Table:
        """The first selected rows of a stretch of the table."""
        found: list[pa.Table] = []
        step = min(self.piece_rows, rows)  # what is cut off stays in memory
        for place in range(start, stop, step):
            found.append(self.between(place, min(place + step, stop)).slice(0, rows))
            rows -= found[-1].num_rows
            if rows == 0:
                break
        return pa.concat_tables(found)
