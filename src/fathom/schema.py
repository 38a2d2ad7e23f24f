"""What the columns of a table are: their kinds and roles, inferred, checked, fitted and shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from fathom.data.columns import emptied, holds_numbers
from fathom.data.source import base_of
from fathom.data.store import TensorStore
from fathom.errors import SchemaError, lacking, unknown_name
from fathom.inference import infer_column
from fathom.kinds import KINDS, Kind, Statistics
from fathom.progress import one_by_one
from fathom.registry import Choice
from fathom.signals import WEIGHT, Batch, Ragged, Role, Samples, beside_key, input_key, pack_key, target_key

__all__ = ["Column", "Schema"]

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


@dataclass(frozen=True)
class Schema:
    """The columns of a table."""

    columns: tuple[Column, ...]

    @classmethod
    def infer(
        cls,
        table: pa.Table,
        targets: Iterable[str],
        *,
        kinds: Mapping[str, Any] | None = None,
        roles: Mapping[str, str] | None = None,
        missing: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Schema:
        """Decide the kind and the role of every column from all cells of a table.

        Args:
            table: the rows.
            targets: the columns that are asked for; none asks for every input to be rebuilt.
            kinds: column to kind, where the user says it.
            roles: column to role, where the user says it.
            missing: column to values of it that mean unknown; the cells of ``table`` that hold them are empty.

        Raises:
            SchemaError: a column, kind or role that does not exist, a target without a label, or two columns of a
                role that only one can have.
        """
        given_roles = {name: _role(name, role) for name, role in (roles or {}).items()}
        given_roles |= dict.fromkeys(targets, Role.TARGET)
        for name in (*given_roles, *(kinds or {}), *(missing or {})):
            if name not in table.column_names:
                raise SchemaError(unknown_name("column", name, table.column_names))
        columns = [
            _inferred(name, table, given_roles.get(name), (kinds or {}).get(name)) for name in table.column_names
        ]
        unknown = {name: tuple(values) for name, values in (missing or {}).items()}
        if not any(column.role is Role.INPUT for column in columns):
            columns = [_alone(column) for column in columns]
        schema = cls(tuple(replace(column, missing=unknown.get(column.name, ())) for column in columns))
        schema._check_targets(table)
        schema._check_single_roles()
        if not schema.of_role(Role.INPUT) and not schema.of_role(Role.TARGET):
            raise SchemaError("no column is left to learn from: every one has a role other than input and target")
        return schema

    def of_role(self, *roles: Role) -> list[Column]:
        return [column for column in self.columns if column.role in roles]

    @property
    def weight(self) -> str | None:
        """The name of the column that holds sample weights."""
        return next((column.name for column in self.of_role(Role.WEIGHT)), None)

    def words(self, role: Role) -> dict[str, list[str]]:
        """The columns of a role that hold one word of a known set, each with that set."""
        states = {
            column.name: column.fitted.state
            for column in self.of_role(role)
            if column.kind.name == "category" and column.fitted
        }
        return {name: list(state["values"]) for name, state in states.items() if state["type"] == "string"}

    def fit(self, table: pa.Table) -> Schema:
        """The same schema with every kind fitted on the rows of ``table`` (training rows alone)."""
        return self.fit_counted(self.count(table))

    def count(self, table: pa.Table, *, whole: bool = True) -> Counts:
        """The statistics of some training rows, plain JSON: of a shard, of one of several hospitals.

        Args:
            table: the rows.
            whole: whether these are all the rows, so that not every weight may be 0.
        """
        weight, used = self.weights(table, whole=whole), self.of_role(Role.INPUT, Role.TARGET)
        told = one_by_one([column for column in used if not column.fixed], "fitting columns", "columns")
        return {column.name: _counted(column, self._cells(table, column), weight) for column in told}

    def merge(self, first: Counts, second: Counts) -> Counts:
        """The statistics of two sets of rows together."""
        used = [column for column in self.columns if column.name in first]
        return {column.name: _merged(column, first[column.name], second[column.name]) for column in used}

    def fit_counted(self, counts: Counts) -> Schema:
        """The same schema with every kind fitted on the rows that were counted, wherever they are."""
        columns = [column for column in self.columns if column.name in counts]
        fitted = {column.name: _fitted(column, counts, _sharing(column, columns)) for column in columns}
        return Schema(tuple(fitted.get(column.name, column) for column in self.columns))

    def weights(self, table: pa.Table, *, whole: bool = True) -> np.ndarray | None:
        """(N,) float64 sample weights, or None where no column has that role.

        Args:
            table: the rows.
            whole: whether these are all the rows, so that not every weight may be 0.

        Raises:
            SchemaError: a weight is missing, negative or infinite, or all are 0.
        """
        if self.weight is None:
            return None
        cells = table[self.weight]
        if not holds_numbers(cells.type):
            raise SchemaError(f"column {self.weight!r} holds weights; numbers were expected, not {cells.type}")
        values = pc.cast(cells, pa.float64()).to_numpy()
        allowed = np.isfinite(values) & (values >= 0)
        if not allowed.all():
            raise SchemaError(f"column {self.weight!r} holds weights; row {int(np.argmin(allowed))} is not 0 or more")
        if whole and not values.any():
            raise SchemaError(f"column {self.weight!r} holds weights; every one is 0")
        return values

    def check(self, table: pa.Table) -> None:
        """Look at the cells of rows that are encoded late, so that one that cannot be read is told early.

        Raises:
            SourceError: there is one.
        """
        for column in self.of_role(Role.INPUT, Role.TARGET):
            KINDS.get(column.kind.name).factory.check(self._cells(table, column))

    def encode(self, table: pa.Table, *, targets: bool = True, whole: bool = True) -> TensorStore:
        """Turn rows into tensors.

        Args:
            table: rows with every input column, and every target column if ``targets``.
            targets: whether targets are encoded too.
            whole: whether these are all the rows, so that not every weight may be 0.

        Raises:
            SchemaError: a column is missing, or a cell does not fit its column's kind.
        """
        wanted = self.of_role(Role.INPUT, Role.TARGET, Role.WEIGHT) if targets else self.of_role(Role.INPUT)
        given = set(table.column_names)
        absent = [column.name for column in wanted if column.name not in given]
        if absent:
            raise SchemaError(lacking(absent, table.column_names))
        tensors, samples = self._encode_inputs(table), None
        windowed: set[str] = set()
        padded = {input_key(column.name) for column in self.of_role(Role.INPUT) if _is_padded(column)}
        for column in self.of_role(Role.TARGET) if targets else ():
            encoded = self._encode(table, column)
            tensors |= {beside_key(target_key(column.name), name): value for name, value in encoded.items()}
            padded |= {target_key(column.name)} if _is_padded(column) else set()
            drawn = _kind(column).samples(encoded[""])
            if drawn.starts is not None:
                samples, windowed = drawn, windowed | {target_key(column.name)}
        weights = self.weights(table, whole=whole) if targets else None
        if weights is not None:
            tensors[WEIGHT] = torch.from_numpy(weights.astype(np.float32))
        if not tensors:
            tensors = {"rows": torch.arange(table.num_rows)}
        return TensorStore(tensors, samples or Samples.whole(table.num_rows), frozenset(windowed), frozenset(padded))

    def inputs(self) -> dict[str, tuple[str, Any]]:
        """Each input tensor of a batch, with the kind whose nets and heads it takes, and its spec."""
        found: dict[str, tuple[str, Any]] = {}
        for kind, packed in self._packs().items():
            specs = [_kind(column).spec for column in packed]
            found[pack_key(kind)] = (kind, type(specs[0]).join(specs))
        for column in self.of_role(Role.INPUT):
            if not column.packed:
                found[input_key(column.name)] = (_form(column), _kind(column).spec)
        return found

    def targets(self) -> dict[str, tuple[str, Any]]:
        """Each target column, with the kind whose nets and heads it takes, and its spec."""
        return {column.name: (_form(column), _kind(column).spec) for column in self.of_role(Role.TARGET)}

    def answered(self, key: str) -> Kind | None:
        """The kind of the one column that a head answers: a target, or an input that travels alone and is rebuilt."""
        targets = {column.name: column for column in self.of_role(Role.TARGET)}
        alone = {input_key(column.name): column for column in self.of_role(Role.INPUT) if not column.packed}
        column = (targets or alone).get(key)
        return None if column is None else _kind(column)

    def decode(self, key: str, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """The columns of a prediction: of a target, or of an input tensor that was rebuilt."""
        targets = {column.name: column for column in self.of_role(Role.TARGET)}
        if key in targets:
            decoded = _kind(targets[key]).decode(prediction)
            return {_beside(key, name, targets) if name else key: values for name, values in decoded.items()}
        rebuilt = [column for column in self.of_role(Role.INPUT) if key == _batch_key(column)]
        decoded, start = {}, 0
        for column in rebuilt:
            part = dict(prediction)
            if column.packed:
                end = start + _kind(column).spec.num_outputs
                part = {name: value[:, start:end] for name, value in prediction.items()}
                start = end
            decoded[column.name] = _kind(column).decode(part)[""]
        return decoded

    def state(self) -> list[dict[str, Any]]:
        """This schema as JSON."""
        return [
            {
                "name": column.name,
                "role": str(column.role),
                "kind": KINDS.explicit(column.kind),
                "reason": column.reason,
                "state": column.fitted.state if column.fitted else None,
                "missing": list(column.missing),
            }
            for column in self.columns
        ]

    @classmethod
    def from_state(cls, state: Iterable[Mapping[str, Any]]) -> Schema:
        return cls(tuple(_restored(item) for item in state))

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Name, role, kind and reason of each column, for the table that is shown before training."""
        return [(column.name, str(column.role), column.kind.name, column.reason) for column in self.columns]

    def _check_targets(self, table: pa.Table) -> None:
        for column in self.of_role(Role.TARGET):
            if table.num_rows and table[column.name].null_count == table.num_rows:
                raise SchemaError(f"target column {column.name!r} has no value in any of {table.num_rows:,} rows")

    def _check_single_roles(self) -> None:
        for role in (Role.GROUP, Role.TIME, Role.WEIGHT):
            names = [column.name for column in self.of_role(role)]
            if len(names) > 1:
                raise SchemaError(f"only one column can have the role {role}; got {', '.join(names)}")

    def _packs(self) -> dict[str, list[Column]]:
        packs: dict[str, list[Column]] = {}
        for column in self.of_role(Role.INPUT):
            if column.packed:
                packs.setdefault(column.kind.name, []).append(column)
        return packs

    def _encode_inputs(self, table: pa.Table) -> Batch:
        tensors: Batch = {}
        for kind, packed in self._packs().items():
            parts = [self._encode(table, column)[""] for column in packed]
            tensors[pack_key(kind)] = torch.cat([part for part in parts if not isinstance(part, Ragged)], dim=1)
        for column in self.of_role(Role.INPUT):
            if not column.packed:
                encoded = self._encode(table, column)
                tensors |= {beside_key(input_key(column.name), name): value for name, value in encoded.items()}
        return tensors

    def _encode(self, table: pa.Table, column: Column) -> dict[str, Any]:
        with _named(column):
            return _kind(column).encode(self._cells(table, column))

    def _cells(self, table: pa.Table, column: Column) -> pa.ChunkedArray:
        return emptied(_located(table[column.name], base_of(table), column.kind.name), column.missing)


def _inferred(name: str, table: pa.Table, role: Role | None, kind: Any) -> Column:
    found, choice, reason = infer_column(name, partial(_located, table[name], base_of(table)), role, kind)
    return Column(name, found, choice, reason)


def _alone(column: Column) -> Column:
    """A target that nothing comes in for, with the options that its kind has then."""
    options = KINDS.get(column.kind.name).facts.get("alone", {}) if column.role is Role.TARGET else {}
    return replace(column, kind=Choice(column.kind.name, {**options, **column.kind.options}))


def _role(name: str, role: str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        raise SchemaError(f"column {name!r}: {unknown_name('role', role, list(Role))}") from error


def _located(cells: pa.ChunkedArray, base: str, kind: str) -> pa.ChunkedArray:
    """A column's cells, with file names made whole where the source has a folder."""
    return KINDS.get(kind).factory.locate(cells, base) if base else cells


@contextmanager
def _named(column: Column) -> Iterator[None]:
    """Put the column's name before what its kind says of it."""
    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"column {column.name!r}: {error}") from error


def _counted(column: Column, cells: pa.ChunkedArray, weight: np.ndarray | None) -> Statistics:
    with _named(column):
        statistics: Statistics = KINDS.get(column.kind.name).factory.count(cells, weight)
        return statistics


def _merged(column: Column, first: Statistics, second: Statistics) -> Statistics:
    with _named(column):
        statistics: Statistics = KINDS.get(column.kind.name).factory.merge(first, second)
        return statistics


def _sharing(column: Column, columns: Sequence[Column]) -> list[Column]:
    """The columns, itself among them, that share with one what is fitted on all of them; none where nothing is."""
    shared = bool(KINDS.get(column.kind.name).facts.get("shared"))
    return [other for other in columns if shared and other.kind == column.kind]


def _fitted(column: Column, counts: Counts, sharing: Sequence[Column]) -> Column:
    factory = KINDS.get(column.kind.name).factory
    with _named(column):
        state = factory.fit(counts[column.name])
        if sharing:
            state = factory.share(state, reduce(factory.merge, (counts[other.name] for other in sharing)))
        return replace(column, fitted=KINDS.build(column.kind, state))


def _kind(column: Column) -> Kind:
    assert column.fitted is not None, f"column {column.name!r} is not fitted"
    return column.fitted


def _form(column: Column) -> str:
    """The kind whose nets and heads a column takes: its own, unless that has the form of another."""
    return str(KINDS.get(column.kind.name).facts.get("form", column.kind.name))


def _beside(target: str, name: str, taken: Iterable[str]) -> str:
    """What a column beside a target's prediction is called, no target being called so."""
    joined = f"{target} {name}"
    return _beside(target, f"{name}_", taken) if joined in taken else joined


def _is_padded(column: Column) -> bool:
    """Whether networks pad a column's ragged rows to the longest of a batch."""
    return bool(KINDS.get(column.kind.name).facts.get("padded"))


def _batch_key(column: Column) -> str:
    return pack_key(column.kind.name) if column.packed else input_key(column.name)


def _restored(item: Mapping[str, Any]) -> Column:
    kind = Choice.of(item["kind"])
    fitted = None if item["state"] is None else KINDS.build(kind, item["state"])
    missing = tuple(map(str, item.get("missing", ())))
    return Column(item["name"], Role(item["role"]), kind, item["reason"], fitted, missing)
