"""From a source to the rows of a run: targets found, kinds inferred, rows split, kinds fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.config import Config
from fathom.data import Source
from fathom.data.splits import group_codes, random_split
from fathom.errors import SchemaError
from fathom.kinds import KINDS
from fathom.runtime import seed_from
from fathom.schema import Schema
from fathom.signals import Role

__all__ = ["Rows", "Say", "prepare"]

FEWEST_ROWS_TO_SPLIT = 10
ISO_DATE = r"^\d{4}-\d{2}(-\d{2}|$)"
NO_TARGET = ("none",)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Rows:
    """The rows of a run, split, with the schema fitted on those for training.

    Attributes:
        source: what they were read from.
        schema: fitted on ``train``.
        train: learned from.
        valid: chosen by, or None where there are too few rows.
        test: scored at the end, or None where there are too few rows.
    """

    source: Source
    schema: Schema
    train: pa.Table
    valid: pa.Table | None
    test: pa.Table | None


def prepare(source: Source, test: Source | None, asked: Config, say: Say) -> Rows:
    """Infer, split and fit.

    Args:
        source: what was read.
        test: rows for the final score, if others than the source's own.
        asked: what the run is asked to do.
        say: is told what was found and decided.

    Raises:
        SchemaError: no target is named, or columns, kinds and roles do not fit.
    """
    say(f"{source.name}: {_counts(source)}")
    for note in source.notes:
        say(f"note: {note}")
    targets, roles = _targets(asked, source), dict(asked.roles)
    if not targets:
        roles |= dict.fromkeys(source.target, "ignore")
    whole = pa.concat_tables(source.parts.values())
    schema = Schema.infer(whole, targets, kinds=asked.kinds, roles=roles)
    say(_as_lines(schema))
    _check_classes(schema, source.parts["train"])
    labelled, dropped = _labelled(source.parts["train"], targets)
    if dropped:
        say(f"note: {dropped:,} rows without any target are left out")
    held_out = source.parts.get("test") if test is None else _only(test)
    train, valid, held_out = _split(labelled, source.parts.get("valid"), held_out, schema, asked)
    say(f"rows: {_split_words(train, valid, held_out, given='test' in source.parts or test is not None)}")
    return Rows(source, schema.fit(train), train, valid, held_out)


def _targets(asked: Config, source: Source) -> tuple[str, ...]:
    if asked.target == NO_TARGET:
        return ()
    targets = asked.target or source.target
    if not targets:
        columns = ", ".join(source.parts["train"].column_names[:20])
        raise SchemaError(f"name the column to predict (target = one of: {columns}; or none for an autoencoder)")
    return targets


def _check_classes(schema: Schema, table: pa.Table) -> None:
    """Refuse a target whose classes mostly have one row each: none could be learned.

    Raises:
        SchemaError: there is such a target.
    """
    for column in schema.of_role(Role.TARGET):
        if column.kind.name != "category" or table.num_rows < FEWEST_ROWS_TO_SPLIT:
            continue
        sizes = pc.value_counts(table[column.name].drop_null()).field("counts").to_numpy(zero_copy_only=False)
        if 2 * (sizes == 1).sum() > table.num_rows:
            raise SchemaError(
                f"target {column.name!r} has {len(sizes):,} classes in {table.num_rows:,} rows, most of a single row; "
                "name another target, or another kind of it (kinds: number for quantities)"
            )


def _labelled(table: pa.Table, targets: Sequence[str]) -> tuple[pa.Table, int]:
    """The rows with at least one target, and how many were left out."""
    if not targets or any(name not in table.column_names for name in targets):
        return table, 0
    known = reduce(pc.or_, [pc.is_valid(table[name]) for name in targets])
    kept = table.filter(known)
    return kept, table.num_rows - kept.num_rows


def _split(
    table: pa.Table, valid: pa.Table | None, test: pa.Table | None, schema: Schema, asked: Config
) -> tuple[pa.Table, pa.Table | None, pa.Table | None]:
    """Training, validation and test rows; parts that are given are used as they are."""
    shares = {"valid": asked.valid if valid is None else 0.0, "test": asked.test if test is None else 0.0}
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted or 1 < table.num_rows < FEWEST_ROWS_TO_SPLIT:
        return table, valid, test
    fractions = (1 - sum(wanted.values()), *wanted.values())
    if table.num_rows == 1:
        parts = _cut(table, fractions, schema)
    else:
        parts = [table.take(pa.array(rows)) for rows in _split_rows(table, fractions, schema, asked.seed)]
    cut = dict(zip(wanted, parts[1:], strict=True))
    return parts[0], cut.get("valid", valid), cut.get("test", test)


def _cut(table: pa.Table, fractions: tuple[float, ...], schema: Schema) -> list[pa.Table]:
    """One long row, cut into rows; every column is cut alike, before anything is fitted."""
    used = [column for column in schema.columns if column.role in (Role.INPUT, Role.TARGET)]
    pieces = {column.name: KINDS.get(column.kind.name).factory.cut(table[column.name], fractions) for column in used}
    return [pa.table({name: cut[k] for name, cut in pieces.items()}) for k in range(len(fractions))]


def _split_rows(table: pa.Table, fractions: tuple[float, ...], schema: Schema, seed: int) -> list[np.ndarray]:
    """Row numbers of each part: by time, by whole groups, or at random within the classes of the first target."""
    seed = seed_from("split", seed)
    time = next(iter(schema.of_role(Role.TIME)), None)
    if time is not None:
        order = _in_time(table[time.name], time.name)
        held_out = [max(1, round(fraction * len(order))) for fraction in fractions[1:]]
        bounds = np.cumsum([len(order) - sum(held_out), *held_out[:-1]])
        return [np.sort(part) for part in np.split(order, bounds)]
    group = next(iter(schema.of_role(Role.GROUP)), None)
    if group is not None:
        codes = group_codes(table[group.name])
        count = int(codes.max()) + 1
        if count < len(fractions):
            raise SchemaError(
                f"column {group.name!r} holds {count} group{'s' if count > 1 else ''}, which cannot be shared out to "
                f"{len(fractions)} parts; set valid or test to 0, or hand test rows in"
            )
        parts = random_split(count, fractions, None, seed)
        return [np.flatnonzero(np.isin(codes, part)) for part in parts]
    classes = next((column for column in schema.of_role(Role.TARGET) if column.kind.name == "category"), None)
    strata = None if classes is None else group_codes(table[classes.name])
    return random_split(table.num_rows, fractions, strata, seed)


def _in_time(times: pa.ChunkedArray, name: str) -> np.ndarray:
    """(N,) int64 row numbers from the earliest on; rows without a time first, so that none of them is scored.

    Raises:
        SchemaError: the times are strings whose order is not that of time.
    """
    is_text = pa.types.is_string(times.type) or pa.types.is_large_string(times.type)
    if is_text and not pc.all(pc.match_substring_regex(times, ISO_DATE)).as_py():
        raise SchemaError(f"column {name!r}: times are to be numbers, or dates such as 2026-01-31 or 2026-01-31 18:00")
    return np.roll(pc.sort_indices(times).to_numpy(), times.null_count)


def _only(source: Source) -> pa.Table:
    """The test rows of a source that was named for testing: its own test part, else all of it."""
    return source.parts.get("test", source.parts["train"])


def _counts(source: Source) -> str:
    parts = ", ".join(f"{table.num_rows:,} {name}" for name, table in source.parts.items())
    rows = parts if len(source.parts) > 1 else f"{source.parts['train'].num_rows:,}"
    return f"{rows} rows, {source.parts['train'].num_columns} columns"


def _split_words(train: pa.Table, valid: pa.Table | None, test: pa.Table | None, *, given: bool) -> str:
    words = [f"{train.num_rows:,} to train on"]
    words += [f"{valid.num_rows:,} to choose by"] if valid is not None else ["too few to choose by"]
    words += [f"{test.num_rows:,} {'given' if given else 'held out'} for the final score"] if test is not None else []
    return ", ".join(words)


def _as_lines(schema: Schema) -> str:
    """The table of columns, roles, kinds and reasons that is shown before training."""
    rows = [("column", "role", "kind", "because"), *schema.rows()]
    shown = rows if len(rows) <= 42 else [*rows[:40], (f"... {len(rows) - 40} more", "", "", "")]
    widths = [min(28, max(len(row[k]) for row in shown)) for k in range(3)]
    return "\n".join(
        "  ".join(cell[:w].ljust(w) for cell, w in zip(row, widths, strict=False)) + f"  {row[3]}" for row in shown
    )
