"""The rows of a run: examined, split, and the schema fitted on those that are learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from fathom.api.choosing import folds_for
from fathom.api.examining import FEWEST_ROWS_TO_SPLIT, Say, examine
from fathom.api.large import fit_large, rows_to_learn_from, split_large
from fathom.api.splitting import split_rows
from fathom.checks import Finding
from fathom.config import Config
from fathom.data import Source
from fathom.data.fingerprint import fingerprint
from fathom.data.selection import Selection
from fathom.data.source import base_of
from fathom.errors import SchemaError
from fathom.kinds import KINDS
from fathom.runtime import seed_from
from fathom.schema import Schema
from fathom.signals import Role

if TYPE_CHECKING:
    from fathom.api.starting import Start

__all__ = ["Rows", "prepare", "rows_fingerprint"]

CHECKS_S = 5.0
"""What a check may take before a training."""


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
        folds: into how many folds ``train`` is to be cut, each to choose by once; 0 for none.
        test_source: what the test rows were read from, where that is another source.
        numbers: of "valid" and "test" (N,) int64, each row's number, from 0, in the source that it was read from, whose
            parts stand one after another.
        start: what the network starts from, where that is another run.
    """

    source: Source
    schema: Schema
    train: pa.Table | Selection
    valid: pa.Table | None
    test: pa.Table | None
    findings: tuple[Finding, ...] = ()
    folds: int = 0
    test_source: Source | None = None
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    start: Start | None = None


def rows_fingerprint(rows: pa.Table) -> str:
    """What tells these rows from others, wherever their pictures' files are."""
    return fingerprint({"test": rows}, base_of(rows))


def prepare(source: Source, test: Source | None, asked: Config, say: Say, start: Start | None = None) -> Rows:
    """Examine, split and fit.

    Args:
        source: what was read.
        test: rows for the final score, if others than the source's own.
        asked: what the run is asked to do.
        say: is told what was found and decided.
        start: another run, what whose columns mean is not fitted anew.

    Raises:
        SchemaError: no target is named, columns, kinds and roles do not fit, or there is nothing to learn.
    """
    found = examine(source, test, asked, say, limit_s=CHECKS_S)
    hopeless = next((finding for finding in found.findings if finding.severity == "error"), None)
    if hopeless is not None:
        raise SchemaError(f"{hopeless.message}; {hopeless.remedy}")
    start = None if start is None else start.reading(found.schema)
    schema, held_out = found.schema if start is None else start.given_to(found.schema), found.held_out
    train: pa.Table | Selection
    folds = asked.folds or 0
    if found.large is not None:
        train, scored, cut, notes = split_large(found.large, held_out, schema, asked)
    else:
        kept, left_out = rows_to_learn_from(Selection(found.train), schema, held_out.values())
        train = found.train if kept.kept is None else found.train.filter(kept.kept)
        if asked.folds is None and start is None and "valid" not in held_out:
            folds = folds_for(schema, asked, train.num_rows)
        if folds:
            asked = replace(asked, valid=0.0)  # each fold is held out to choose by, once
        train, scored, cut, notes = _split(train, held_out, schema, asked)
        cut, notes = {part: kept.numbers[places] for part, places in cut.items()}, (*left_out, *notes)
    valid, test_rows = scored.get("valid"), scored.get("test")
    for note in (*notes, *found.notes):
        say(f"note: {note}")
    say(f"rows: {_split_words(train, valid, test_rows, given='test' in held_out, folds=folds)}")
    fitted = schema.fit(train) if isinstance(train, pa.Table) else fit_large(schema, train)
    if test_rows is not None:
        fitted.check(test_rows)
    numbers = {part: _first_row(source, "train") + places for part, places in cut.items()}
    for part in held_out:
        given = source if part == "valid" or test is None else test
        numbers[part] = _first_row(given, part if part in given.parts else "train") + found.places[part]
    return Rows(source, fitted, train, valid, test_rows, found.findings, folds, test, numbers, start)


def _first_row(source: Source, part: str) -> int:
    """The number of a part's first row in the whole source."""
    before = list(source.parts)[: list(source.parts).index(part)]
    return sum(source.parts[name].num_rows for name in before)


def _split(
    table: pa.Table, given: Mapping[str, pa.Table], schema: Schema, asked: Config
) -> tuple[pa.Table, dict[str, pa.Table], dict[str, np.ndarray], tuple[str, ...]]:
    """Training rows; "valid" and "test", cut off or as they are given; where those cut off stood; and notes."""
    shares = {"valid": asked.valid, "test": asked.test}
    wanted = {name: share for name, share in shares.items() if share > 0 and name not in given}
    if not wanted or 1 < table.num_rows < FEWEST_ROWS_TO_SPLIT:
        return table, dict(given), {}, ()
    fractions = (1 - sum(wanted.values()), *wanted.values())
    seed = seed_from("split", asked.seed)
    parts, places, notes = _shared_out(table, fractions, schema, seed, scored=int("test" in wanted))
    cut, at = (dict(zip(wanted, found[1:], strict=True)) for found in (parts, places))
    return parts[0], {**given, **cut}, at, notes


def _shared_out(
    table: pa.Table, fractions: tuple[float, ...], schema: Schema, seed: int, *, scored: int
) -> tuple[list[pa.Table], list[np.ndarray], tuple[str, ...]]:
    if table.num_rows == 1:
        return _cut(table, fractions, schema), [np.zeros(1, np.int64)] * len(fractions), ()
    places, notes = split_rows(table, fractions, schema, seed, scored=scored)
    return [table.take(pa.array(rows)) for rows in places], places, notes


def _cut(table: pa.Table, fractions: tuple[float, ...], schema: Schema) -> list[pa.Table]:
    """One long row, cut into rows; every column is cut alike, before anything is fitted."""
    used = [column for column in schema.columns if column.role in (Role.INPUT, Role.TARGET)]
    pieces = {column.name: KINDS.get(column.kind.name).factory.cut(table[column.name], fractions) for column in used}
    return [pa.table({name: cut[k] for name, cut in pieces.items()}) for k in range(len(fractions))]


def _split_words(
    train: pa.Table | Selection, valid: pa.Table | None, test: pa.Table | None, *, given: bool, folds: int
) -> str:
    if folds:
        both = train.num_rows + (0 if valid is None else valid.num_rows)
        words = [f"{both:,} in {folds} folds to train on and to choose by"]
    else:
        words = [f"{train.num_rows:,} to train on"]
        words += [f"{valid.num_rows:,} to choose by"] if valid is not None else ["too few to choose by"]
    words += [f"{test.num_rows:,} {'given' if given else 'held out'} for the final score"] if test is not None else []
    return ", ".join(words)
