"""What a source holds: targets found, kinds inferred, the data checked, before any row is learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.api.labels import matched
from fathom.api.large import bounded, distinct_values, looked_at
from fathom.api.splitting import GROUP_BY_PATTERN, with_group
from fathom.checks import Examined, Finding, brief, run_checks
from fathom.checks.check import counted
from fathom.config import Config
from fathom.data import Source
from fathom.data.columns import emptied, holds_text
from fathom.data.selection import Selection, is_large
from fathom.errors import SchemaError, listed, unknown_name
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.layout import DEFAULT
from fathom.schema import Schema
from fathom.signals import Role
from fathom.typeset import aligned, one_line, shortened

__all__ = ["FEWEST_ROWS_TO_SPLIT", "Examination", "Say", "columns_shown", "examine"]

FEWEST_ROWS_TO_SPLIT = 10
NO_TARGET = ("none",)
MOST_COLUMNS, LONGEST_NAME = 40, 28

Say = Callable[[str], None]


@dataclass(frozen=True)
class Examination:
    """What a source holds.

    Attributes:
        schema: kinds and roles, not yet fitted.
        train: rows for training; of a table larger than memory, those that were looked at.
        large: all rows for training, where the table is larger than memory; else None.
        held_out: "valid" and "test" where such rows are given, their labels as training has them.
        places: (N,) of each of these, where its rows stand in the part of the source that they were given in.
        notes: what a person should know of the rows that are held out, one sentence each.
        findings: what the checks found in the rows as the source has them, the gravest first.
    """

    schema: Schema
    train: pa.Table
    large: Selection | None
    held_out: Mapping[str, pa.Table]
    places: Mapping[str, np.ndarray]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]


def examine(source: Source, test: Source | None, asked: Config, say: Say, *, limit_s: float) -> Examination:
    """Infer kinds and roles, and look for what would mislead.

    Args:
        source: what was read.
        test: rows for the final score, if others than the source's own.
        asked: what the run is asked to do.
        say: is told what was found.
        limit_s: seconds that a check may take.

    Raises:
        SchemaError: no target is named, or columns, kinds and roles do not fit.
    """
    say(f"{source.name}: {_counts(source)}")
    for note in source.notes:
        say(f"note: {note}")
    targets, roles = _targets(asked, source), _roles(asked, source)
    if not targets:
        roles |= dict.fromkeys(source.target, "ignore")
    given, places, drawn = _bounded(source.parts, asked.seed)
    given = {part: _with_groups(table, roles) for part, table in given.items()}
    large = Selection(given["train"]) if is_large(given["train"]) else None
    if large is not None:
        given["train"] = looked_at(large)
        say(f"note: kinds are inferred from {given['train'].num_rows:,} rows, spread evenly over {large.num_rows:,}")
    given = _with_gaps(given, asked.missing)
    whole = pa.concat_tables(given.values())
    kinds = {**_kinds_of_heads(asked, targets), **asked.kinds}
    schema = Schema.infer(whole, targets, kinds=kinds, roles=roles, missing=asked.missing)
    if test is not None:
        others, at, more = _bounded({"test": _named_as(_only(test), source.parts["train"], say)}, asked.seed)
        given["test"], drawn = _with_groups(others["test"], roles), (*drawn, *more)
        places |= at
    say(columns_shown(schema.rows()))
    _check_inputs(schema, roles)
    _check_columns(schema, given)
    _check_classes(schema, given["train"])
    held_out, notes = _to_score(given, schema, large)
    findings = run_checks(Examined(given["train"], schema, held_out), limit_s=limit_s, asked=asked.checks)
    for line in brief(findings):
        say(line)
    return Examination(schema, given["train"], large, held_out, places, (*drawn, *notes), findings)


def _bounded(
    parts: Mapping[str, pa.Table], seed: int
) -> tuple[dict[str, pa.Table], dict[str, np.ndarray], tuple[str, ...]]:
    """The parts, those that are scored with no more rows than memory can hold; where these rows stand; and notes."""
    found = {part: bounded(table, part, seed) for part, table in parts.items() if part != "train"}
    notes = tuple(note for *_, told in found.values() for note in told)
    places = {part: at for part, (_, at, _) in found.items()}
    return dict(parts) | {part: table for part, (table, *_) in found.items()}, places, notes


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
        table = source.parts["train"]
        if table.num_columns == 1 and holds_text(table.schema.field(0).type):
            return (table.column_names[0],)  # text alone: a language model
        columns = ", ".join(source.parts["train"].column_names[:20])
        raise SchemaError(f"name the column to predict (target = one of: {columns}; or none for an autoencoder)")
    return targets


def _kinds_of_heads(asked: Config, targets: Sequence[str]) -> dict[str, str]:
    """The kinds of targets that a head asks for by its name, where such a kind reads other columns too."""
    heads = {**(dict.fromkeys(targets, asked.head) if asked.head is not None else {}), **asked.heads}
    kinds = {name: HEADS.get(head.name).facts["target"] for name, head in heads.items() if head.name != DEFAULT}
    return {name: kind for name, kind in kinds.items() if name in targets and KINDS.get(kind).facts.get("reads")}


def _roles(asked: Config, source: Source) -> dict[str, str]:
    """What columns are for: as the source tells, but where the user says otherwise, or groups by another column."""
    roles = dict(source.roles)
    if Role.GROUP in asked.roles.values():
        roles = {name: Role.IGNORE if role == Role.GROUP else role for name, role in roles.items()}
    return {**roles, **asked.roles}


def _check_inputs(schema: Schema, roles: Mapping[str, str]) -> None:
    """Refuse columns of which none is left to learn from.

    Raises:
        SchemaError: every column but the targets was found to be of no use.
    """
    others = [column for column in schema.columns if column.role not in (Role.INPUT, Role.TARGET)]
    others = [column for column in others if roles.get(column.name) != Role.IGNORE]
    if others and not schema.of_role(Role.INPUT):
        told = listed(
            [f"{column.name}: {column.reason if column.role is Role.IGNORE else column.role}" for column in others]
        )
        raise SchemaError(
            f"no column is left to learn from ({told}); to use one all the same: --role {others[0].name}=input"
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
                "name another target, or another kind of it (number for quantities, text for what is written freely)"
            )


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


def _only(source: Source) -> pa.Table:
    """The test rows of a source that was named for testing: its own test part, else all of it."""
    return source.parts.get("test", source.parts["train"])


def _named_as(test: pa.Table, train: pa.Table, say: Say) -> pa.Table:
    """Rows for testing under the names of training's columns, where their own file names none.

    Raises:
        SchemaError: they have other columns than training's rows, and nothing tells which is which.
    """
    numbered = [f"column_{number}" for number in range(1, test.num_columns + 1)]
    names = train.column_names
    if test.column_names != numbered or set(numbered) & set(names):
        return test
    if len(names) != len(numbered):
        raise SchemaError(
            f"the rows for testing have {len(numbered)} columns and no names, those for training {len(names)} "
            f"({listed(names)}); put names above them, of training's columns at least"
        )
    say(f"note: the columns of the rows for testing have no names; they are taken to be {listed(names)}")
    return test.rename_columns(names)


def _counts(source: Source) -> str:
    parts = ", ".join(f"{table.num_rows:,} {name}" for name, table in source.parts.items())
    train = source.parts["train"]
    rows = f"{parts} rows" if len(source.parts) > 1 else counted(train.num_rows, "row")
    return f"{rows}, {counted(train.num_columns, 'column')}"


def columns_shown(columns: Sequence[Sequence[str]]) -> str:
    """The table of columns: name, role, kind and reason of each, as it is shown before training."""
    shown = columns if len(columns) <= MOST_COLUMNS + 1 else columns[:MOST_COLUMNS]
    more = [(f"... {len(columns) - len(shown):,} more", "", "", "")] if len(shown) < len(columns) else []
    rows = [(shortened(one_line(name), LONGEST_NAME), *others) for name, *others in shown]
    return aligned([("column", "role", "kind", "because"), *rows, *more])
