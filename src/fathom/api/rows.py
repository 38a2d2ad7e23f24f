"""From a source to the rows of a run: targets found, kinds inferred, rows split, kinds fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from fathom.api.labels import matched
from fathom.api.large import distinct_values, fit_large, looked_at, split_large
from fathom.api.splitting import GROUP_BY_PATTERN, split_rows, with_group
from fathom.checks import Examined, Finding, brief, run_checks
from fathom.config import Config
from fathom.data import Source
from fathom.data.columns import emptied
from fathom.data.selection import Selection, is_large
from fathom.errors import SchemaError, unknown_name
from fathom.kinds import KINDS
from fathom.runtime import seed_from
from fathom.schema import Schema
from fathom.signals import Role

__all__ = ["Rows", "Say", "prepare"]

FEWEST_ROWS_TO_SPLIT = 10
NO_TARGET = ("none",)
CHECKS_S = 5.0
"""What a check may take before a training."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Rows:
    """The rows of a run, split, with the schema fitted on those for training.

    Attributes:
        source: what they were read from.
        schema: fitted on ``train``.
        train: learned from; a table larger than memory stays in its file.
        valid: chosen by, or None where there are too few rows.
        test: scored at the end, or None where there are too few rows.
        findings: what the checks found in the rows as the source has them.
    """

    source: Source
    schema: Schema
    train: pa.Table | Selection
    valid: pa.Table | None
    test: pa.Table | None
    findings: tuple[Finding, ...] = ()


def prepare(source: Source, test: Source | None, asked: Config, say: Say, *, thorough: bool = False) -> Rows:
    """Infer, split and fit.

    Args:
        source: what was read.
        test: rows for the final score, if others than the source's own.
        asked: what the run is asked to do.
        say: is told what was found and decided.
        thorough: whether checks that take long are run too.

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
    large = Selection(given["train"]) if is_large(given["train"]) else None
    if large is not None:
        given["train"] = looked_at(large)
        say(f"note: kinds are inferred from {given['train'].num_rows:,} rows, spread evenly over {large.num_rows:,}")
    given = _with_gaps(given, asked.missing)
    schema = Schema.infer(
        pa.concat_tables(given.values()), targets, kinds=asked.kinds, roles=roles, missing=asked.missing
    )
    if test is not None:
        given["test"] = _with_groups(_only(test), roles)
    say(_as_lines(schema))
    _check_inputs(schema, roles)
    _check_columns(schema, given)
    _check_classes(schema, given["train"])
    held_out, told = _to_score(given, schema, large)
    limit_s = math.inf if thorough else CHECKS_S
    findings = run_checks(Examined(given["train"], schema, held_out), limit_s=limit_s, asked=asked.checks)
    for line in brief(findings):
        say(line)
    hopeless = next((finding for finding in findings if finding.severity == "error"), None)
    if hopeless and not thorough:
        raise SchemaError(f"{hopeless.message}; {hopeless.remedy}")
    if large is not None:
        train, valid, test_rows, notes = split_large(large, held_out, schema, asked)
    else:
        train, left_out = _to_learn_from(given, schema)
        train, valid, test_rows, notes = _split(train, held_out.get("valid"), held_out.get("test"), schema, asked)
        notes = (*left_out, *notes)
    for note in (*notes, *told):
        say(f"note: {note}")
    say(f"rows: {_split_words(train, valid, test_rows, given='test' in given)}")
    fitted = schema.fit(train) if isinstance(train, pa.Table) else fit_large(schema, train)
    if test_rows is not None:
        fitted.check(test_rows)
    return Rows(source, fitted, train, valid, test_rows, findings)


def _with_groups(table: pa.Table, roles: Mapping[str, str]) -> pa.Table:
    names = [name for name, role in roles.items() if role == Role.GROUP]
    patterns = [name for name in names if name not in table.column_names and GROUP_BY_PATTERN in name]
    if patterns and is_large(table):
        raise SchemaError(f"group {patterns[0]!r}: a table larger than memory is grouped by a column, not by a pattern")
    return reduce(with_group, names, table)


def _with_gaps(given: Mapping[str, pa.Table], missing: Mapping[str, Sequence[str]]) -> dict[str, pa.Table]:
    """The rows with nothing where a value was said to mean unknown.

    Raises:
        SchemaError: no training row has such a value, or there is no such column.
    """
    found = dict(given)
    for name, values in missing.items():
        for part, table in found.items():
            place = table.schema.get_field_index(name)
            if place < 0:
                raise SchemaError(unknown_name("column", name, table.column_names))
            column = emptied(table[name], values)
            if part == "train" and column.null_count == table[name].null_count:
                raise SchemaError(f"no cell of column {name!r} holds {' or '.join(values)}, said to mean unknown")
            found[part] = table.set_column(place, name, column)
    return found


def _targets(asked: Config, source: Source) -> tuple[str, ...]:
    if asked.target == NO_TARGET:
        return ()
    targets = asked.target or source.target
    if not targets:
        columns = ", ".join(source.parts["train"].column_names[:20])
        raise SchemaError(f"name the column to predict (target = one of: {columns}; or none for an autoencoder)")
    return targets


def _check_inputs(schema: Schema, roles: Mapping[str, str]) -> None:
    """Refuse columns of which none is left to learn from.

    Raises:
        SchemaError: every column but the targets was found to be of no use.
    """
    left_out = [column for column in schema.of_role(Role.IGNORE) if column.name not in roles]
    if left_out and not schema.of_role(Role.INPUT):
        told = "; ".join(f"{column.name}: {column.reason}" for column in left_out[:3])
        raise SchemaError(
            f"no column is left to learn from ({told}); to use one all the same: --role {left_out[0].name}=input"
        )


def _check_columns(schema: Schema, given: Mapping[str, pa.Table]) -> None:
    """Refuse rows to be scored that lack a column, before any work is done.

    Raises:
        SchemaError: there are such rows.
    """
    used = [column.name for column in schema.of_role(Role.INPUT, Role.TARGET)]
    for part, table in given.items():
        names = set(table.column_names)
        absent = [name for name in used if name not in names]
        if absent:
            raise SchemaError(
                f"the {part} rows lack {len(absent)} columns; {unknown_name('column', absent[0], table.column_names)}"
            )


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


def _to_score(
    given: Mapping[str, pa.Table], schema: Schema, large: Selection | None
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """The rows that are given for choosing and for the final score, with the labels that training has."""
    classes = [column.name for column in schema.of_role(Role.TARGET) if column.kind.name == "category"]
    train = Selection(given["train"]) if large is None else large
    known = {name: distinct_values(train, name) for name in classes if len(given) > 1}
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


def _split_words(train: pa.Table | Selection, valid: pa.Table | None, test: pa.Table | None, *, given: bool) -> str:
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
