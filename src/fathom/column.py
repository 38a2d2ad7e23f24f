"""One column of a table: its kind and role, and what its kind does with its cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.columns import holds_words
from fathom.data.source import base_of
from fathom.errors import SchemaError, unknown_name
from fathom.inference import infer_column
from fathom.kinds import KINDS, Kind, Statistics
from fathom.registry import Choice
from fathom.signals import Role, input_key, pack_key

__all__ = ["Column", "Counts"]

Counts = Mapping[str, Statistics]
"""Each column that is used to its kind's statistics of some rows."""


@dataclass(frozen=True)
class Column:
    """One column: what it is for, what kind it is, and why that was inferred.

    Attributes:
        name: the column's name.
        role: what it is for.
        kind: the kind's name and options.
        reason: a few words for the table.
        fitted: the kind with its state, once fitted; ignored columns never are.
        missing: values of it that mean unknown.
        fixed: whether ``fitted`` is another run's, and stays as it is.
    """

    name: str
    role: Role
    kind: Choice
    reason: str
    fitted: Kind | None = None
    missing: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def packed(self) -> bool:
        return bool(KINDS.get(self.kind.name).facts["packed"])


def inferred(name: str, table: pa.Table, role: Role | None, kind: Any) -> Column:
    found, choice, reason = infer_column(name, partial(located, table[name], base_of(table)), role, kind)
    return Column(name, found, choice, reason)


def reads(column: Column) -> dict[str, str]:
    """The other columns that a column's kind reads, by the option that names each."""
    options = KINDS.get(column.kind.name).facts.get("reads", ())
    return {option: column.kind.options[option] for option in options if column.kind.options.get(option)}


def settled(column: Column, columns: Sequence[Column], table: pa.Table) -> Column:
    """A target with the other columns named that its kind reads.

    Raises:
        SchemaError: there is no such column, or not of texts that come in.
    """
    entry = KINDS.get(column.kind.name)
    if column.role is not Role.TARGET or "reads" not in entry.facts:
        return column
    texts = [other.name for other in columns if other.role is Role.INPUT and form_of(other) == "text"]
    with named(column):
        for name in reads(column).values():
            if name not in table.column_names:
                raise SchemaError(unknown_name("column", name, table.column_names))
        if not texts:
            none = "and none does (--kind COLUMN=text makes a column one)"
            raise SchemaError(f"kind {column.kind.name!r} answers from a text that comes in, {none}")
        options = entry.factory.settle(table, column.name, texts, column.kind.options)
    return replace(column, kind=Choice(column.kind.name, options))


def with_texts(columns: Sequence[Column], table: pa.Table, said: Collection[str]) -> list[Column]:
    """Columns of lists of words as texts, where a target is told from a text and no other text comes in.

    Args:
        columns: as they were inferred.
        table: all rows.
        said: the columns of which the user says what they are.
    """
    asks = any(column.role is Role.TARGET and "reads" in KINDS.get(column.kind.name).facts for column in columns)
    if not asks or any(column.role is Role.INPUT and form_of(column) == "text" for column in columns):
        return list(columns)
    others = [column.name for column in columns if column.role is not Role.TARGET and column.name not in said]
    lists = [name for name in others if holds_words(table.schema.field(name).type)]
    return [_as_text(column) if column.name in lists else column for column in columns]


def _as_text(column: Column) -> Column:
    return replace(column, role=Role.INPUT, kind=Choice("text"), reason="lists of words")


def alone(column: Column) -> Column:
    """A target that nothing comes in for, with the options that its kind has then."""
    options = KINDS.get(column.kind.name).facts.get("alone", {}) if column.role is Role.TARGET else {}
    return replace(column, kind=Choice(column.kind.name, {**options, **column.kind.options}))


def located(cells: pa.ChunkedArray, base: str, kind: str) -> pa.ChunkedArray:
    """A column's cells, with file names made whole where the source has a folder."""
    return KINDS.get(kind).factory.locate(cells, base) if base else cells


@contextmanager
def named(column: Column) -> Iterator[None]:
    """Put the column's name before what its kind says of it."""
    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"column {column.name!r}: {error}") from error


def counted(column: Column, cells: pa.ChunkedArray, weight: np.ndarray | None) -> Statistics:
    with named(column):
        statistics: Statistics = KINDS.get(column.kind.name).factory.count(cells, weight)
        return statistics


def merged(column: Column, first: Statistics, second: Statistics) -> Statistics:
    with named(column):
        statistics: Statistics = KINDS.get(column.kind.name).factory.merge(first, second)
        return statistics


def sharing(column: Column, columns: Sequence[Column]) -> list[Column]:
    """The columns, itself among them, that share with one what is fitted on all of them; none where nothing is."""
    shared = bool(KINDS.get(column.kind.name).facts.get("shared"))
    return [other for other in columns if shared and other.kind == column.kind]


def fitted_on(column: Column, counts: Counts, sharing: Sequence[Column], *, exact: bool) -> Column:
    factory = KINDS.get(column.kind.name).factory
    with named(column):
        state = factory.fit(counts[column.name])
        if sharing:
            together = reduce(factory.merge, (counts[other.name] for other in sharing))
            told = exact or any(other.role is Role.TARGET for other in sharing)
            state = factory.share(state, together, told=told)
        return replace(column, fitted=KINDS.build(column.kind, state))


def kind_of(column: Column) -> Kind:
    assert column.fitted is not None, f"column {column.name!r} is not fitted"
    return column.fitted


def form_of(column: Column) -> str:
    """The kind whose nets and heads a column takes: its own, unless that has the form of another."""
    return str(KINDS.get(column.kind.name).facts.get("form", column.kind.name))


def is_padded(column: Column) -> bool:
    """Whether networks pad a column's ragged rows to the longest of a batch."""
    return bool(KINDS.get(column.kind.name).facts.get("padded"))


def batch_key(column: Column) -> str:
    return pack_key(column.kind.name) if column.packed else input_key(column.name)


def restored(item: Mapping[str, Any]) -> Column:
    kind = Choice.of(item["kind"])
    fitted = None if item["state"] is None else KINDS.build(kind, item["state"])
    missing = tuple(map(str, item.get("missing", ())))
    return Column(item["name"], Role(item["role"]), kind, item["reason"], fitted, missing)
