"""A run's own rows, read again, and one of them walked through its network."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from fathom.api.directory import CONFIG
from fathom.api.run import Run
from fathom.config import RECORDS, Config
from fathom.errors import ConfigError, InputError
from fathom.registry import Choice, options_of
from fathom.training.engine import Trainer
from fathom.training.plan import Plan
from fathom.training.range_test import with_rate
from fathom.trust.walk import Walk, walked

__all__ = ["PLAIN_RATE", "rows_of", "walk"]

PLAIN_RATE = 0.01


def walk(run: Run, row: int, source: Any = None, *, rate: float = PLAIN_RATE, **reading: Any) -> Walk:
    """Walk one row through a run's network: forward pass, loss, gradients, and what updates would do.

    Args:
        run: a run, or a model alone; it stays as it is.
        row: its number, from 0, in the order of the source.
        source: rows with the targets; without it those that the run learned from, read again.
        rate: of the step of plain gradient descent; beside it stands the first step of the run's own optimizer.
        reading: options of the source's reader; those of ``fit`` hold where none is given.

    Raises:
        InputError: the rows cannot be read, there is no such row, or it lacks every target.
    """
    table = rows_of(run, source, **reading)
    if not 0 <= row < table.num_rows:
        raise ConfigError(f"there is no row {row} (allowed: 0 to {table.num_rows - 1:,})")
    plain, training = Choice("sgd", {"lr": rate, "momentum": 0.0}), _training(run)
    own = [] if training is None else [training["optimizer"]]
    clip_norm = 0.0 if training is None else training["clip_norm"]
    return walked(run.model, table.slice(row, 1), [plain, *own], clip_norm=clip_norm)


def rows_of(run: Run, source: Any = None, **reading: Any) -> pa.Table:
    """All rows of a source, or of the one that a run learned from, in its order.

    Raises:
        InputError: they cannot be read; of the run's own, too, where they have changed since.
    """
    about = {} if source is not None else _record(run).get("source", {})
    place = about.get("place") or about.get("name") if source is None else source
    if place is None:
        raise ConfigError("a model alone does not say what it learned from: name rows by --data DATA")
    try:
        found = run.read(place, **reading)
    except InputError as error:
        if source is not None:
            raise
        raise ConfigError(
            f"what the run learned from cannot be read again ({error}); name rows by --data DATA"
        ) from error
    if about and found.fingerprint != about.get("fingerprint"):
        raise ConfigError(f"{place} is no longer what the run learned from; name rows by --data DATA")
    return pa.concat_tables(found.parts.values())


def _training(run: Run) -> dict[str, Any] | None:
    """The engine's options as the run had them, the learning rate in numbers; None of a model alone."""
    record = _record(run)
    if not record:
        return None
    asked = Config.of({key: value for key, value in record.items() if key not in RECORDS})
    options = {name: option.default for name, option in options_of(Trainer).items()} | dict(asked.training)
    plan = None if run.directory is None else run.directory / "plan.json"
    rate = Plan.load(plan).lr if plan is not None and plan.is_file() else None
    return options | {"optimizer": with_rate(options["optimizer"], rate)}


def _record(run: Run) -> dict[str, Any]:
    place = None if run.directory is None else run.directory / CONFIG
    return {} if place is None or not place.is_file() else Config.read(place)
