"""Which rows a run learns from, chooses by and is scored on: by time, by groups, or at random."""

from __future__ import annotations

import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.duplicates import row_codes
from fathom.data.source import base_of
from fathom.data.splits import FEWEST_PER_STRATUM, group_codes, quantile_codes, random_split, time_split, unit_split
from fathom.errors import SchemaError
from fathom.kinds.times import time_reader
from fathom.schema import Column, Schema
from fathom.signals import Role

__all__ = ["GROUP_BY_PATTERN", "MOST_REPEATED", "check_count", "split_rows", "with_group", "without_copies"]

GROUP_BY_PATTERN = "~"
"""``file~(.+)_\\d+`` groups rows by what the pattern finds in the name of each picture's file."""

FILE = "file"
MOST_REPEATED = 0.25
"""Rows that repeat beyond this share do so by nature, as answers to three questions of yes or no."""


def split_rows(
    table: pa.Table, fractions: tuple[float, ...], schema: Schema, seed: int, *, scored: int, fewest: int | None = None
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Share rows out, so that what belongs together stays together.

    Rows are split by time where a column has that role, whole groups where one has that, and both where both are
    named. Else they are drawn at random, stratified over every target. Rows with equal inputs then stand in one part
    where that is scored: a score shall not be of what is known by heart. What is chosen by is drawn as rows come, for
    where some come again, what is known by heart is of use.

    Args:
        table: the rows.
        fractions: the share of each part; they add up to 1.
        schema: says what columns are for.
        seed: decides what is drawn.
        scored: how many of the parts, from the last on, are scored by themselves.
        fewest: rows of one label that are shared out, those of rarer ones staying in the first part; None for a
            number that suits a first part from which is learned.

    Returns:
        The row numbers of each part, sorted, and what a person should know of the split, one sentence each.

    Raises:
        SchemaError: there are fewer groups or times than parts.
    """
    group = next(iter(schema.of_role(Role.GROUP)), None)
    time = next(iter(schema.of_role(Role.TIME)), None)
    units = None if group is None else group_codes(table[group.name])
    if time is not None:
        return _by_time(table, time, fractions, units), ()
    if group is not None and units is not None:
        check_count(int(units.max()) + 1, "group", group.name, fractions)
        return unit_split(units, fractions, _strata(table, schema), seed, fewest=fewest or len(fractions)), ()
    return _at_random(table, fractions, schema, seed, scored, fewest or FEWEST_PER_STRATUM)


def without_copies(table: pa.Table, parts: list[np.ndarray], schema: Schema) -> list[np.ndarray]:
    """Of each part the rows whose inputs no row of another has, which are scored where others are learned from.

    Rows are all left where groups or times keep parts apart, where rows repeat by nature, and where a part would have
    none.
    """
    inputs = [column.name for column in schema.of_role(Role.INPUT)]
    if schema.of_role(Role.GROUP) or schema.of_role(Role.TIME) or not inputs:
        return parts
    units, of_part = row_codes(table, inputs), np.empty(table.num_rows, dtype=np.int64)
    for number, part in enumerate(parts):
        of_part[part] = number
    count = int(units.max()) + 1
    first, last = np.full(count, len(parts)), np.full(count, -1)
    np.minimum.at(first, units, of_part)
    np.maximum.at(last, units, of_part)
    alone = (first == last)[units]
    found = [part[alone[part]] for part in parts]
    return parts if table.num_rows - count > MOST_REPEATED * table.num_rows or not all(map(len, found)) else found


def with_group(table: pa.Table, name: str) -> pa.Table:
    """The table with the group column ``name``, where that is a pattern and not yet a column.

    ``file~PATTERN`` looks into the file names of pictures, below the source's folder; ``COLUMN~PATTERN`` into a
    column of text. The group is what the pattern's brackets find, or all that it finds where it has none.

    Raises:
        SchemaError: it is no regular expression, there is no such column, or a row does not match.
    """
    if name in table.column_names or GROUP_BY_PATTERN not in name:
        return table
    column, _, pattern = name.partition(GROUP_BY_PATTERN)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise SchemaError(f"group {name!r}: {pattern!r} is no regular expression: {error}") from error
    texts = _texts(table, column, name)
    found = [None if text is None else expression.search(text) for text in texts]
    unmatched = [text for text, match in zip(texts, found, strict=True) if match is None]
    if unmatched:
        raise SchemaError(
            f"group {name!r}: the pattern finds nothing in {len(unmatched):,} of {len(texts):,} rows, "
            f"the first of which is {unmatched[0]!r}"
        )
    groups = ["\x1f".join(piece or "" for piece in match.groups()) or match[0] for match in found if match]
    return table.append_column(name, pa.array(groups, pa.string()))


def _texts(table: pa.Table, column: str, name: str) -> list[str | None]:
    if column in table.column_names and not pa.types.is_struct(table[column].type):
        texts: list[str | None] = pc.cast(table[column], pa.string()).to_pylist()
        return texts
    pictures = [field.name for field in table.schema if pa.types.is_struct(field.type)]
    if column != FILE or not pictures:
        known = [field.name for field in table.schema if pa.types.is_string(field.type)] + [FILE] * bool(pictures)
        raise SchemaError(
            f"group {name!r}: {column!r} is neither a column nor the pictures' files "
            f"(before ~ may stand: {', '.join(known) or 'nothing here'})"
        )
    base = base_of(table)
    paths = pc.struct_field(table[pictures[0]], "path").to_pylist()
    return [path and os.path.relpath(path, base) if base and os.path.isabs(path or "") else path for path in paths]


def _by_time(table: pa.Table, time: Column, fractions: tuple[float, ...], units: np.ndarray | None) -> list[np.ndarray]:
    places = _places_in_time(table[time.name], time)
    parts = time_split(places, fractions, units)
    if not all(map(len, parts)):
        check_count(len(np.unique(places)), "time", time.name, fractions, always=True)
    return parts


def _places_in_time(cells: pa.ChunkedArray, time: Column) -> np.ndarray:
    """(N,) int64, the place of each row's time among all times; rows without a time come first, so that none is scored.

    Raises:
        SchemaError: the cells are text, and no dates.
    """
    times = time_reader(cells, time.name, time.kind)(cells)
    ranks = pc.rank(times, tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(times.is_valid().to_numpy(), ranks, 0)


def check_count(count: int, what: str, name: str, fractions: tuple[float, ...], *, always: bool = False) -> None:
    """Check that there are as many groups or times as parts.

    Args:
        count: how many there are.
        what: "group" or "time".
        name: of their column.
        fractions: the share of each part.
        always: refuse even then, as their sizes do not allow it.

    Raises:
        SchemaError: there are fewer.
    """
    if count < len(fractions) or always:
        raise SchemaError(
            f"column {name!r} holds {count} {what}{'' if count == 1 else 's'}, which cannot be shared out to "
            f"{len(fractions)} parts; set valid or test to 0, hand test rows in, or ask for fewer folds"
        )


def _at_random(
    table: pa.Table, fractions: tuple[float, ...], schema: Schema, seed: int, scored: int, fewest: int
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    inputs = [column.name for column in schema.of_role(Role.INPUT)]
    strata = _strata(table, schema)
    units = row_codes(table, inputs) if inputs and scored else np.arange(table.num_rows)
    count = int(units.max()) + 1
    repeated = table.num_rows - count
    if not repeated or repeated > MOST_REPEATED * table.num_rows or count < len(fractions):
        return random_split(table.num_rows, fractions, strata, seed, fewest=fewest), ()
    told = f"{repeated:,} rows have the inputs of another row; those for the score have no copy among the others"
    others = fractions[: len(fractions) - scored]
    if len(others) < 2:
        return unit_split(units, fractions, strata, seed, fewest=fewest), (told,)
    rest, *apart = unit_split(units, (sum(others), *fractions[len(others) :]), strata, seed, fewest=fewest)
    shares = tuple(share / sum(others) for share in others)
    parts = random_split(len(rest), shares, None if strata is None else strata[rest], seed, fewest=fewest)
    return [*(rest[part] for part in parts), *apart], (told,)


def _strata(table: pa.Table, schema: Schema) -> np.ndarray | None:
    """(N, L) a code for each target that has classes or numbers, or None."""
    labels = [_codes(table[column.name], column.kind.name) for column in schema.of_role(Role.TARGET)]
    found = [label for label in labels if label is not None]
    return np.stack(found, axis=1) if found else None


def _codes(column: pa.ChunkedArray, kind: str) -> np.ndarray | None:
    if kind == "category":
        return group_codes(column)
    if kind == "number" and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return quantile_codes(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    return None
