"""From a source to the rows of a run: targets found, kinds inferred, rows split, kinds fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from fathom.api.labels import matched
from fathom.api.splitting import split_rows, with_group
from fathom.config import Config
from fathom.data import Source
from fathom.errors import SchemaError
from fathom.kinds import KINDS
from fathom.runtime import seed_from
from fathom.schema import Schema
from fathom.signals import Role

__all__ = ["Rows", "Say", "prepare"]

FEWEST_ROWS_TO_SPLIT = 10
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
    given = {part: _with_groups(table, roles) for part, table in source.parts.items()}
    schema = Schema.infer(pa.concat_tables(given.values()), targets, kinds=asked.kinds, roles=roles)
    if test is not None:
        given["test"] = _with_groups(_only(test), roles)
    say(_as_lines(schema))
    _check_classes(schema, given["train"])
    train, notes = _to_learn_from(given, schema)
    held_out, more = _to_score(given, schema)
    train, valid, test_rows, split_notes = _split(train, held_out.get("valid"), held_out.get("test"), schema, asked)
    for note in (*notes, *more, *split_notes):
        say(f"note: {note}")
    say(f"rows: {_split_words(train, valid, test_rows, given='test' in given)}")
    return Rows(source, schema.fit(train), train, valid, test_rows)


def _with_groups(table: pa.Table, roles: Mapping[str, str]) -> pa.Table:
    names = [name for name, role in roles.items() if role == Role.GROUP]
    return reduce(with_group, names, table)


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


def _to_learn_from(given: Mapping[str, pa.Table], schema: Schema) -> tuple[pa.Table, tuple[str, ...]]:
    """The training rows that have a target and no group that is scored, and what was left out."""
    table, notes = given["train"], []
    targets = [column.name for column in schema.of_role(Role.TARGET)]
    kept = table.filter(reduce(pc.or_, [pc.is_valid(table[name]) for name in targets])) if targets else table
    if kept.num_rows < table.num_rows:
        notes.append(f"{table.num_rows - kept.num_rows:,} rows without any target are left out")
    group = next(iter(schema.of_role(Role.GROUP)), None)
    others = [given[part] for part in given if part != "train" and group and group.name in given[part].column_names]
    if group is None or not others:
        return kept, tuple(notes)
    scored = pa.concat_arrays([chunk for other in others for chunk in other[group.name].chunks])
    apart = kept.filter(pc.invert(pc.is_in(kept[group.name], pc.unique(scored))))
    if apart.num_rows == 0:
        raise SchemaError(f"every group of {group.name!r} in the training rows also stands in those to be scored")
    if apart.num_rows < kept.num_rows:
        told = f"their group of {group.name!r} also stands in the rows to be scored"
        notes.append(f"{kept.num_rows - apart.num_rows:,} training rows are left out: {told}")
    return apart, tuple(notes)


def _to_score(given: Mapping[str, pa.Table], schema: Schema) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """The rows that are given for choosing and for the final score, with the labels that training has."""
    classes = [column.name for column in schema.of_role(Role.TARGET) if column.kind.name == "category"]
    known = {name: pc.unique(given["train"][name]).drop_null().to_pylist() for name in classes}
    tables, notes = {}, []
    for part in [part for part in given if part != "train"]:
        tables[part], told = matched(given[part], known)
        notes += [f"{part}: {note}" for note in told]
    return tables, tuple(notes)


def _split(
    table: pa.Table, valid: pa.Table | None, test: pa.Table | None, schema: Schema, asked: Config
) -> tuple[pa.Table, pa.Table | None, pa.Table | None, tuple[str, ...]]:
    """Training, validation and test rows, and notes; parts that are given are used as they are."""
    shares = {"valid": asked.valid if valid is None else 0.0, "test": asked.test if test is None else 0.0}
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted or 1 < table.num_rows < FEWEST_ROWS_TO_SPLIT:
        return table, valid, test, ()
    fractions = (1 - sum(wanted.values()), *wanted.values())
    parts, notes = _shared_out(table, fractions, schema, seed_from("split", asked.seed))
    cut = dict(zip(wanted, parts[1:], strict=True))
    return parts[0], cut.get("valid", valid), cut.get("test", test), notes


def _shared_out(
    table: pa.Table, fractions: tuple[float, ...], schema: Schema, seed: int
) -> tuple[list[pa.Table], tuple[str, ...]]:
    if table.num_rows == 1:
        return _cut(table, fractions, schema), ()
    rows, notes = split_rows(table, fractions, schema, seed)
    return [table.take(pa.array(numbers)) for numbers in rows], notes


def _cut(table: pa.Table, fractions: tuple[float, ...], schema: Schema) -> list[pa.Table]:
    """One long row, cut into rows; every column is cut alike, before anything is fitted."""
    used = [column for column in schema.columns if column.role in (Role.INPUT, Role.TARGET)]
    pieces = {column.name: KINDS.get(column.kind.name).factory.cut(table[column.name], fractions) for column in used}
    return [pa.table({name: cut[k] for name, cut in pieces.items()}) for k in range(len(fractions))]


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
