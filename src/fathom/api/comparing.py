"""compare: which of several runs is better on the same test rows, or whether that cannot be told."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.api.directory import CONFIG
from fathom.api.rows import Rows, prepare, rows_fingerprint
from fathom.api.run import Run, load
from fathom.checks import CHECKS
from fathom.config import RECORDS, Config
from fathom.data import read
from fathom.data.readers import accepted_options
from fathom.errors import ConfigError, InputError, SchemaError
from fathom.heads.pairing import Comparison, compared
from fathom.model import Model
from fathom.resampling import resampled_together

__all__ = ["Compared", "compare", "rows_again"]

MOST_RUNS = 20


@dataclass(frozen=True)
class Compared:
    """Several runs beside each other.

    Attributes:
        runs: their names.
        rows: how many rows they were compared on.
        targets: each target to its metrics, the first being the one to quote.
    """

    runs: tuple[str, ...]
    rows: int
    targets: dict[str, list[Comparison]]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "runs": list(self.runs),
            "rows": self.rows,
            "targets": {
                target: {one.metric: self._plain(one) for one in found} for target, found in self.targets.items()
            },
        }

    def _plain(self, one: Comparison) -> dict[str, Any]:
        pairs = []
        for difference in one.differences:
            fields = {key: _finite(value) for key, value in asdict(difference).items()}
            names = {key: self.runs[getattr(difference, key)] for key in ("first", "second")}
            better = one.better(difference)
            pairs.append({**fields, **names, "better": None if better is None else self.runs[better]})
        return {"values": [_finite(value) for value in one.values], "differences": pairs}


def compare(runs: Sequence[str | Path], source: Any = None, **reading: Any) -> Compared:
    """Score several runs on the same rows, and test each difference on these rows.

    Args:
        runs: directories that ``fit`` wrote, two at least.
        source: rows with the targets; without it the rows that were held out for the final score of every run, read
            again from where the runs' data was.
        reading: options of the source's reader; those of ``fit`` hold where none is given.

    Raises:
        InputError: a run cannot be loaded, its rows cannot be read again or differ from another's, or the runs answer
            nothing in common.
    """
    if not 2 <= len(runs) <= MOST_RUNS:
        raise ConfigError(f"{len(runs)} run(s) cannot be compared (allowed: 2 to {MOST_RUNS})")
    loaded = [load(run) for run in runs]
    targets = _common_targets([run.model for run in loaded], [str(run) for run in runs])
    if source is None:
        table = _recorded_rows(loaded)
        tables = [table] * len(loaded)
    else:
        tables = [pa.concat_tables(run.read(source, **reading).parts.values()) for run in loaded]
    answers = [run.model.judged(table) for run, table in zip(loaded, tables, strict=True)]
    groups = resampled_together(loaded[0].model.schema, tables[0], answers[0][1])
    found = {}
    for target, metrics in targets.items():
        judged = [one[target] for one, _ in answers]
        if not np.logical_and.reduce([one.known for one in judged]).any():
            raise SchemaError(f"no row has a value of {target!r}")
        found[target] = compared(metrics, judged, groups)
    return Compared(tuple(map(str, runs)), tables[0].num_rows, found)


def _common_targets(models: Sequence[Model], names: Sequence[str]) -> dict[str, list[str]]:
    """Each target of all models to the metrics that all their heads have."""
    found = {}
    for target in models[0].targets:
        if all(target in model.targets for model in models):
            each = [model.metrics_of(target) for model in models]
            found[target] = [metric for metric in each[0] if all(metric in others for others in each)]
    found = {target: metrics for target, metrics in found.items() if metrics}
    if not found:
        asked = "; ".join(f"{name}: {', '.join(model.targets)}" for name, model in zip(names, models, strict=True))
        raise SchemaError(f"these runs have no target in common that is scored alike ({asked})")
    return found


def _recorded_rows(runs: Sequence[Run]) -> pa.Table:
    """The rows held out for the final score of all runs, by the first that can read them again.

    Raises:
        ConfigError: a run recorded none, or others than another run.
    """
    recorded = [_record(run) for run in runs]
    prints = {record["source"].get("scored", "") for record in recorded}
    if "" in prints:
        place = next(
            run.directory for run, record in zip(runs, recorded, strict=True) if not record["source"].get("scored")
        )
        raise ConfigError(f"{place} recorded no test rows; name rows to compare on: fathom compare RUN RUN DATA")
    if len(prints) > 1:
        raise ConfigError(
            "the runs held different test rows out (other data, seed or shares); "
            "name rows from which none of them learned: fathom compare RUN RUN DATA"
        )
    return _read_again(recorded[0], prints.pop())


def _record(run: Run) -> dict[str, Any]:
    place = None if run.directory is None else run.directory / CONFIG
    if place is None or not place.is_file():
        raise ConfigError("a model alone has no test rows; name rows to compare on: fathom compare RUN RUN DATA")
    try:
        record = tomllib.loads(place.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{place} cannot be read: {error}") from error
    return {"source": {}, **record}


def _read_again(record: dict[str, Any], expected: str) -> pa.Table:
    """A run's test rows, split off again as they were.

    Raises:
        InputError: its data is not there any more.
        ConfigError: the data has changed.
    """
    unchecked = dict.fromkeys(CHECKS.names(), False)
    try:
        rows = rows_again({**record, "checks": unchecked})
    except InputError as error:
        raise ConfigError(f"the runs' test rows cannot be read again ({error}); name rows to compare on") from error
    if rows.test is None or rows_fingerprint(rows.test) != expected:
        place = record["source"].get("place") or record["source"].get("name")
        raise ConfigError(f"the data in {place} is not what the runs learned from; name rows to compare on")
    return rows.test


def rows_again(record: Mapping[str, Any]) -> Rows:
    """The rows of a run, read, checked and split again as they were.

    Args:
        record: its ``config.toml``.

    Raises:
        InputError: its data is not there any more, or cannot be split so.
    """
    asked = Config.of({key: value for key, value in record.items() if key not in RECORDS})
    about = record["source"]
    place, test_place = about.get("place") or about.get("name"), about.get("test_place")
    source = read(place, **asked.reading)
    test = read(test_place, **accepted_options(test_place, asked.reading)) if test_place else None
    return prepare(source, test, asked, lambda line: None)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
