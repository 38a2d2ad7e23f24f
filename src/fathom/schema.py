"""What the columns of a table are: their kinds and roles, inferred, checked, fitted and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from fathom.column import (
    Column,
    Counts,
    alone,
    batch_key,
    counted,
    fitted_on,
    form_of,
    inferred,
    is_padded,
    kind_of,
    located,
    merged,
    named,
    reads,
    restored,
    settled,
    sharing,
    with_texts,
)
from fathom.data.columns import emptied, holds_numbers
from fathom.data.source import base_of
from fathom.data.store import TensorStore
from fathom.errors import SchemaError, lacking, unknown_name
from fathom.kinds import KINDS, LEFT_OUT, Kind
from fathom.kinds.beside import WITHIN, joined
from fathom.progress import one_by_one
from fathom.signals import WEIGHT, Batch, Ragged, Role, Samples, beside_key, input_key, pack_key, target_key

__all__ = ["Column", "Schema"]


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
        columns = [inferred(name, table, given_roles.get(name), (kinds or {}).get(name)) for name in table.column_names]
        columns = with_texts(columns, table, {*given_roles, *(kinds or {})})
        unknown = {name: tuple(values) for name, values in (missing or {}).items()}
        if not any(column.role is Role.INPUT for column in columns):
            columns = [alone(column) for column in columns]
        columns = _told_apart([settled(column, columns, table) for column in columns], given_roles)
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
        columns = one_by_one([column for column in used if not column.fixed], "fitting columns", "columns")
        return {column.name: counted(column, self._cells(table, column), weight) for column in columns}

    def merge(self, first: Counts, second: Counts) -> Counts:
        """The statistics of two sets of rows together."""
        used = [column for column in self.columns if column.name in first]
        return {column.name: merged(column, first[column.name], second[column.name]) for column in used}

    def fit_counted(self, counts: Counts) -> Schema:
        """The same schema with every kind fitted on the rows that were counted, wherever they are."""
        columns = [column for column in self.columns if column.name in counts]
        targets = self.of_role(Role.TARGET)
        exact = not targets or any("reads" in KINDS.get(column.kind.name).facts for column in targets)
        fitted = {column.name: fitted_on(column, counts, sharing(column, columns), exact=exact) for column in columns}
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
        used = [column for column in wanted if column.role != Role.WEIGHT]
        columns = one_by_one(used, "encoding", "columns", even=False)
        cells = {column.name: self._cells(table, column, whole=True) for column in self._reading}
        encoded = {column.name: self._encode(table, column, cells.get(column.name)) for column in columns}
        tensors, samples = self._joined_inputs(encoded), None
        windowed: set[str] = set()
        padded = {input_key(column.name) for column in self.of_role(Role.INPUT) if is_padded(column)}
        for column in self.of_role(Role.TARGET) if targets else ():
            parts = encoded[column.name]
            tensors |= {beside_key(target_key(column.name), name): value for name, value in parts.items()}
            padded |= {target_key(column.name)} if is_padded(column) else set()
            drawn = kind_of(column).samples(parts[""])
            if drawn.starts is not None:
                samples, windowed = drawn, windowed | {target_key(column.name)}
        weights = self.weights(table, whole=whole) if targets else None
        if weights is not None:
            tensors[WEIGHT] = torch.from_numpy(weights.astype(np.float32))
        if not tensors:
            tensors = {"rows": torch.arange(table.num_rows)}
        samples = samples or Samples.whole(table.num_rows)
        return TensorStore(tensors, samples, frozenset(windowed), frozenset(padded), cells)

    def inputs(self) -> dict[str, tuple[str, Any]]:
        """Each input tensor of a batch, with the kind whose nets and heads it takes, and its spec."""
        found: dict[str, tuple[str, Any]] = {}
        for kind, packed in self._packs().items():
            specs = [kind_of(column).spec for column in packed]
            found[pack_key(kind)] = (kind, type(specs[0]).join(specs))
        for column in self.of_role(Role.INPUT):
            if not column.packed:
                found[input_key(column.name)] = (form_of(column), kind_of(column).spec)
        return found

    def targets(self) -> dict[str, tuple[str, Any]]:
        """Each target column, with the kind whose nets and heads it takes, and its spec."""
        return {column.name: (form_of(column), kind_of(column).spec) for column in self.of_role(Role.TARGET)}

    def answered(self, key: str, store: TensorStore | None = None) -> Kind | None:
        """The kind of the one column that a head answers: a target, or an input that travels alone and is rebuilt.

        Args:
            key: the head's name.
            store: the rows that are answered, into which some kinds look.
        """
        targets = {column.name: column for column in self.of_role(Role.TARGET)}
        alone = {input_key(column.name): column for column in self.of_role(Role.INPUT) if not column.packed}
        column = (targets or alone).get(key)
        return None if column is None else kind_of(column).of_rows(None if store is None else store.cells.get(key))

    def left_out(self, store: TensorStore) -> list[str]:
        """What of the targets of encoded rows is not learned, in words, where that is not for want of a value."""
        found = []
        for column in self.of_role(Role.TARGET):
            key = beside_key(target_key(column.name), LEFT_OUT)
            if key in store.tensors:
                found += [f"{column.name}: {words}" for words in kind_of(column).left_out(store.drawn(key))]
        return found

    def texts(self, store: TensorStore) -> dict[str, np.ndarray]:
        """The texts that come in, (N,) each, by column, as they come back from their tokens."""
        columns = {column.name: kind_of(column) for column in self.of_role(Role.INPUT) if column.kind.name == "text"}
        read = {name: kind.truth(store.drawn(input_key(name))) for name, kind in columns.items()}
        return {name: texts for name, texts in read.items() if texts is not None}

    def decode(
        self, key: str, prediction: Mapping[str, np.ndarray], store: TensorStore | None = None
    ) -> dict[str, pa.Array]:
        """The columns of a prediction: of a target, or of an input tensor that was rebuilt; as ``answered``."""
        targets = {column.name: column for column in self.of_role(Role.TARGET)}
        kind = self.answered(key, store)
        if key in targets and kind is not None:
            decoded = kind.decode(prediction)
            return {_beside(key, name, targets) if name else key: values for name, values in decoded.items()}
        rebuilt = [column for column in self.of_role(Role.INPUT) if key == batch_key(column)]
        decoded, start = {}, 0
        for column in rebuilt:
            part = dict(prediction)
            if column.packed:
                end = start + kind_of(column).spec.num_outputs
                part = {name: value[:, start:end] for name, value in prediction.items()}
                start = end
            decoded[column.name] = kind_of(column).decode(part)[""]
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
        return cls(tuple(restored(item) for item in state))

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

    def _joined_inputs(self, encoded: dict[str, dict[str, Any]]) -> Batch:
        """The input tensors of a batch; what is joined is taken out of ``encoded``, to be there but once."""
        tensors: Batch = {}
        for kind, packed in self._packs().items():
            parts = [encoded.pop(column.name)[""] for column in packed]
            tensors[pack_key(kind)] = torch.cat([part for part in parts if not isinstance(part, Ragged)], dim=1)
        for column in self.of_role(Role.INPUT):
            if not column.packed:
                alone = encoded[column.name]
                tensors |= {beside_key(input_key(column.name), name): value for name, value in alone.items()}
        return tensors

    def _encode(self, table: pa.Table, column: Column, cells: pa.ChunkedArray | None) -> dict[str, Any]:
        with named(column):
            return kind_of(column).encode(self._cells(table, column) if cells is None else cells)

    def _cells(self, table: pa.Table, column: Column, *, whole: bool = False) -> pa.ChunkedArray:
        """A column's cells, joined with those of columns that its kind reads; ``whole`` with their tokens' places."""
        if not (beside := reads(column)):
            return emptied(located(table[column.name], base_of(table), column.kind.name), column.missing)
        names = set(table.column_names)
        others = {part: name for part, name in beside.items() if name in names}
        own = pa.chunked_array([pa.nulls(table.num_rows)])
        if column.name in names:
            own = emptied(located(table[column.name], base_of(table), column.kind.name), column.missing)
        cells = {part: emptied(table[name], self._named(name).missing) for part, name in others.items()}
        within = self._named(others[WITHIN])
        return joined(own, cells, kind_of(within).places(cells[WITHIN]) if whole else None)

    def _named(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def _reading(self) -> list[Column]:
        """The targets whose kinds read other columns."""
        return [column for column in self.of_role(Role.TARGET) if reads(column)]


def _told_apart(columns: list[Column], given: Mapping[str, Role]) -> list[Column]:
    """The columns, without those among the inputs that tell where a target's answers stand."""
    telling = {name: column.name for column in columns for part, name in reads(column).items() if part != WITHIN}
    return [
        replace(column, role=Role.IGNORE, reason=f"tells where answers of {telling[column.name]!r} stand")
        if column.name in telling and column.role is Role.INPUT and column.name not in given
        else column
        for column in columns
    ]


def _role(name: str, role: str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        raise SchemaError(f"column {name!r}: {unknown_name('role', role, list(Role))}") from error


def _beside(target: str, name: str, taken: Iterable[str]) -> str:
    """What a column beside a target's prediction is called, no target being called so."""
    joined = f"{target} {name}"
    return _beside(target, f"{name}_", taken) if joined in taken else joined
