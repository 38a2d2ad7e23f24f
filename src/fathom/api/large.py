"""The rows of a run whose table is larger than memory: looked at a piece at a time, split in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.api.splitting import MOST_REPEATED, check_count
from fathom.column import Column, Counts
from fathom.config import Config
from fathom.data.duplicates import row_hashes
from fathom.data.selection import Selection, is_large, rows_within
from fathom.data.splits import random_split
from fathom.errors import SchemaError
from fathom.kinds.times import time_reader
from fathom.progress import one_by_one
from fathom.runtime import in_parallel, memory_limit_bytes, seed_from
from fathom.schema import Schema
from fathom.signals import Role

__all__ = [
    "bounded",
    "distinct_values",
    "fit_large",
    "looked_at",
    "rows_in_memory",
    "rows_to_learn_from",
    "split_large",
]

MOST_ROWS_LOOKED_AT = 100_000
MOST_ROWS_HELD_OUT = 100_000
SAMPLE_SHARE = 1 / 64
"""Rows that are copied into memory, to infer kinds from or to score on, take no more than this share of it."""

MOST_GROUPS_COUNTED = 100_000
MOST_TIMES_SORTED = 1 << 18

Codes = Callable[[pa.Table, int], np.ndarray]


def looked_at(rows: Selection) -> pa.Table:
    """The rows that kinds and roles are inferred from."""
    return rows.spread(rows_in_memory(rows, MOST_ROWS_LOOKED_AT))


def distinct_values(rows: Selection, name: str) -> list[Any]:
    """The distinct values of a column with few of them, missing left out."""
    found = [pc.unique(piece[name]) for piece in rows.pieces()]
    return list(pc.unique(pa.concat_arrays(found)).drop_null().to_pylist())


def fit_large(schema: Schema, rows: Selection) -> Schema:
    """The schema with every kind fitted on the rows, counted column by column, a piece at a time, and merged.

    Raises:
        SchemaError: a cell does not fit its column's kind, or every weight is 0.
    """
    counts: dict[str, Any] = {}
    for column in one_by_one(schema.of_role(Role.INPUT, Role.TARGET), "fitting columns", "columns"):
        alone = Schema((column, *schema.of_role(Role.WEIGHT)))
        cells = Selection(rows.table.select([column.name for column in alone.columns]), rows.kept)
        found: Counts = reduce(alone.merge, in_parallel(partial(alone.count, whole=False), cells.pieces()))
        counts |= found
    if schema.weight is not None and not any(pc.any(pc.greater(p[schema.weight], 0)).as_py() for p in rows.pieces()):
        raise SchemaError(f"column {schema.weight!r} holds weights; every one is 0")
    return schema.fit_counted(counts)


def split_large(
    rows: Selection, given: Mapping[str, pa.Table], schema: Schema, asked: Config
) -> tuple[Selection, dict[str, pa.Table], dict[str, np.ndarray], tuple[str, ...]]:
    """Training rows, where they are; and validation and test rows, in memory and so of a bounded number.

    Args:
        rows: to be shared out; those without a target, and of a group that is scored, are left out.
        given: "valid" and "test" where these rows are given, in memory.
        schema: says which column holds groups or times.
        asked: the shares to hold out, and the seed.

    Returns:
        Rows for training; "valid" and "test", those that are cut off here and those given; of the former the places in
        the table; and what a person should know, one sentence each.

    Raises:
        SchemaError: there are fewer groups or times than parts, or no row is left to train on.
    """
    rows, left_out = rows_to_learn_from(rows, schema, given.values())
    most, seed = rows_in_memory(rows, MOST_ROWS_HELD_OUT), seed_from("split", asked.seed)
    shares = {"valid": asked.valid, "test": asked.test}
    wanted = {name: share for name, share in shares.items() if share > 0 and name not in given}
    parts: dict[str, Selection] = {}
    train = rows
    if wanted:
        fractions = (1 - sum(wanted.values()), *wanted.values())
        train, *held_out = rows.parted(_codes(rows, schema, fractions, most, seed), len(fractions))
        parts = dict(zip(wanted, held_out, strict=True))
    drawn = {name: part.thinned(most, seed) for name, part in parts.items()}
    tables = {name: part.in_memory() for name, part in drawn.items()}
    notes = tuple(
        told_drawn("the table", tables[name].num_rows, name)
        for name, share in wanted.items()
        if tables[name].num_rows < max(parts[name].num_rows, share * rows.num_rows)
    )
    return train, tables | dict(given), {name: part.numbers for name, part in drawn.items()}, (*left_out, *notes)


def rows_to_learn_from(
    rows: Selection, schema: Schema, scored: Iterable[pa.Table]
) -> tuple[Selection, tuple[str, ...]]:
    """The training rows that have a target and no group that is scored, and what was left out.

    Raises:
        SchemaError: no row is left.
    """
    targets, notes = [column.name for column in schema.of_role(Role.TARGET)], []
    known = rows
    if targets:
        known = rows.where(lambda piece: reduce(pc.or_, [pc.is_valid(piece[name]) for name in targets]))
    if known.num_rows < rows.num_rows:
        notes.append(f"{rows.num_rows - known.num_rows:,} rows without any target are left out")
    group = next(iter(schema.of_role(Role.GROUP)), None)
    others = [table for table in scored if group is not None and group.name in table.column_names]
    if group is None or not others:
        return known, tuple(notes)
    taken = pa.concat_arrays([pc.unique(table[group.name]) for table in others])
    apart = known.where(lambda piece: pc.invert(pc.is_in(piece[group.name], taken)))
    if apart.num_rows == 0:
        raise SchemaError(f"every group of {group.name!r} in the training rows also stands in those to be scored")
    if apart.num_rows < known.num_rows:
        told = f"their group of {group.name!r} also stands in the rows to be scored"
        notes.append(f"{known.num_rows - apart.num_rows:,} training rows are left out: {told}")
    return apart, tuple(notes)


def bounded(table: pa.Table, name: str, seed: int) -> tuple[pa.Table, np.ndarray, tuple[str, ...]]:
    """Rows that were given for choosing or for the final score; of more than memory can hold, some are drawn.

    Args:
        table: the rows.
        name: "valid" or "test".
        seed: decides which are drawn.

    Returns:
        The rows, their places in the table, and what a person should know of it.
    """
    rows = Selection(table)
    if not is_large(table):
        return table, rows.numbers, ()
    drawn = rows.thinned(rows_in_memory(rows, MOST_ROWS_HELD_OUT), seed_from("split", seed))
    return drawn.in_memory(), drawn.numbers, (told_drawn(f"the {name} table", drawn.num_rows, name),)


def told_drawn(what: str, count: int, name: str) -> str:
    purpose = {"valid": "choosing", "test": "the final score"}[name]
    return f"{what} is larger than memory can hold: {count:,} rows are drawn for {purpose}"


def rows_in_memory(rows: Selection, most: int) -> int:
    """How many rows may be copied out of a table into memory, at most ``most``."""
    return min(most, rows_within(rows.table, SAMPLE_SHARE * memory_limit_bytes()))


def _codes(rows: Selection, schema: Schema, fractions: tuple[float, ...], most: int, seed: int) -> Codes:
    """What gives each row its part: by time, by whole groups, or at random, rows of equal inputs being one."""
    time, group = (next(iter(schema.of_role(role)), None) for role in (Role.TIME, Role.GROUP))
    if time is not None:
        if group is not None:
            raise SchemaError("a table larger than memory is split by time or by groups; name one of the two columns")
        return _by_time(rows, time, fractions)
    held_out = [min(fraction, most / rows.num_rows) for fraction in fractions[1:]]
    fractions = (1 - sum(held_out), *held_out)
    if group is not None:
        return _by_group(rows, group.name, fractions, seed)
    inputs = [column.name for column in schema.of_role(Role.INPUT)]
    if not inputs or _repeat_by_nature(rows, inputs):
        return lambda piece, start: _part(np.random.default_rng([seed, start]).random(piece.num_rows), fractions)
    return lambda piece, _: _part(_unit(row_hashes(piece, inputs), seed), fractions)


def _by_group(rows: Selection, name: str, fractions: tuple[float, ...], seed: int) -> Codes:
    """Whole groups at random; few of them are shared out by number, many by a hash of their value."""
    found, sizes = np.empty(0, np.uint64), np.empty(0, np.int64)
    for piece in rows.pieces():
        groups, counts = np.unique(row_hashes(piece, [name]), return_counts=True)
        found, place = np.unique(np.concatenate([found, groups]), return_inverse=True)
        sizes = np.bincount(place, np.concatenate([sizes, counts]))
        if len(found) > MOST_GROUPS_COUNTED:
            return lambda piece, _: _part(_unit(row_hashes(piece, [name]), seed), fractions)
    check_count(len(found), "group", name, fractions)
    part_of = np.empty(len(found), np.int64)
    for part, members in enumerate(random_split(len(found), fractions, None, seed, sizes=sizes)):
        part_of[members] = part

    def codes(piece: pa.Table, _: int) -> np.ndarray:
        place = np.searchsorted(found, row_hashes(piece, [name])).clip(max=len(found) - 1)
        return part_of[place]

    return codes


def _by_time(rows: Selection, time: Column, fractions: tuple[float, ...]) -> Codes:
    """Later parts hold later rows; where one ends is a quantile of times that are spread evenly over the table.

    Raises:
        SchemaError: the cells are text, and no dates, or there are too few times.
    """
    cells = rows.spread(MOST_TIMES_SORTED)[time.name]
    read = time_reader(cells, time.name, time.kind)
    times = read(cells)
    ordered = pc.drop_null(times.take(pc.sort_indices(times)))
    if len(ordered) == 0:
        check_count(0, "time", time.name, fractions, always=True)
    places = np.minimum(np.cumsum(fractions[:-1]) * len(ordered), len(ordered) - 1).astype(int)
    firsts = [ordered[int(place)] for place in places]
    distinct = len(pc.unique(pa.array([ordered[0].as_py(), *(first.as_py() for first in firsts)], ordered.type)))
    if distinct < len(fractions):
        check_count(len(pc.unique(ordered)), "time", time.name, fractions, always=True)

    def codes(piece: pa.Table, _: int) -> np.ndarray:
        found = read(piece[time.name])
        later = [pc.greater_equal(found, first).fill_null(False) for first in firsts]
        return np.sum([np.asarray(part, dtype=np.int64) for part in later], axis=0)

    return codes


def _repeat_by_nature(rows: Selection, inputs: list[str]) -> bool:
    hashes = row_hashes(looked_at(rows), inputs)
    return len(np.unique(hashes)) < (1 - MOST_REPEATED) * len(hashes)


def _unit(hashes: np.ndarray, seed: int) -> np.ndarray:
    """(N,) numbers in [0, 1) out of hashes: a function of the hash and the seed that looks random."""
    mixed = (hashes ^ np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


def _part(unit: np.ndarray, fractions: tuple[float, ...]) -> np.ndarray:
    return np.searchsorted(np.cumsum(fractions[:-1]), unit, side="right")
