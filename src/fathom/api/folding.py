"""Cross-validation: as many networks as folds, none of which learns from its own, and all of them as one model.

Where networks can be stacked they are trained in one pass: each batch is given to all of them, the rows of its own
fold weigh nothing for a member, and they stop together, by what each answers to its own. Others are trained one after
another, each stopping by its own fold.

The schema (scales, vocabularies) is fitted on the rows of all folds: a fold's targets are unseen by the network that
it scores, the spread of its inputs is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from torch.nn.modules.batchnorm import _BatchNorm

from fathom.api.directory import FOLDS, MODEL, SCORES
from fathom.api.rows import Rows
from fathom.api.splitting import split_rows, without_copies
from fathom.api.starting import Start
from fathom.config import Config
from fathom.ensemble import joined_weights, member_weights
from fathom.errors import ConfigError, ModelError
from fathom.heads.scoring import Judged
from fathom.model import SKILL, Metric, Model, Scores
from fathom.network import Network
from fathom.resampling import resampled_together
from fathom.runtime import seed_from, write_atomic
from fathom.schema import Schema
from fathom.training.engine import Outcome

__all__ = ["Folds", "cross_validated", "read_folds"]

Build = Callable[[Schema, Config, int], Model]
Train = Callable[[Model, Rows, Config, Path | None, str], Outcome]
TrainTogether = Callable[[Model, pa.Table, np.ndarray, Config, Path | None], Outcome]


@dataclass(frozen=True)
class Folds:
    """What cross-validation tells.

    Attributes:
        scores: of each fold, by the network that did not learn from it.
        together: the scores of all these answers taken together, with their intervals.
        rows: how many were scored: those of the folds that have no copy in another.
    """

    scores: tuple[Scores, ...]
    together: Scores
    rows: int

    def spread(self, target: str, metric: str) -> tuple[float, float]:
        """The mean of a metric over the folds that have it, and its standard deviation; NaN of fewer than two."""
        values = [found[target][metric].value for found in self.scores if metric in found[target]]
        return (float(np.mean(values)), float(np.std(values, ddof=1))) if len(values) > 1 else (np.nan, np.nan)

    def save(self, place: Path) -> None:
        plain = {"scores": [_plain(one) for one in self.scores], "together": _plain(self.together), "rows": self.rows}
        write_atomic(place, (json.dumps(plain, indent=1) + "\n").encode())


def read_folds(directory: Path) -> Folds | None:
    """What cross-validation told of a run, or None where there was none.

    Raises:
        ModelError: the file is not as it was written.
    """
    place = directory / FOLDS / SCORES
    if not place.is_file():
        return None
    try:
        plain = json.loads(place.read_text())
        return Folds(tuple(map(_restored, plain["scores"])), _restored(plain["together"]), int(plain["rows"]))
    except (AttributeError, OSError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{place} is not as fathom writes it ({error!r:.200})") from error


def cross_validated(
    rows: Rows, asked: Config, directory: Path | None, build: Build, train: Train, train_together: TrainTogether
) -> tuple[Model, Outcome | None, Folds]:
    """Train a network for each fold, and join them into one model.

    Args:
        rows: those that are not for the final score are cut into folds: by time, by whole groups, or at random.
        asked: says how many folds.
        directory: of the run, each fold having one of its own in it; a fold that was trained is not trained again.
        build: a network that was not trained.
        train: trains one on rows, into a directory, and is told what that is, in words.
        train_together: trains a stack on rows of which the fold is told, (N,), into a directory.

    Returns:
        The networks as members of one model, the outcome of the last training (None where all were trained before),
        and the scores.

    Raises:
        ConfigError: the table is larger than memory, or has fewer rows than folds.
        SchemaError: there are fewer groups or times than folds.
    """
    table, schema = _rows_of_folds(rows, asked)
    count, seed = asked.folds or 0, seed_from("folds", asked.seed)
    parts, _ = split_rows(table, (1 / count,) * count, schema, seed, scored=0, fewest=2)
    scored = without_copies(table, parts, schema)
    whole, outcome = _stack(build(schema, asked, table.num_rows), count, asked, rows.start), None
    if whole is not None:
        fold_of = np.empty(table.num_rows, dtype=np.int64)
        for number, part in enumerate(parts):
            fold_of[part] = number
        outcome = train_together(whole, table, fold_of, asked, directory)
        models = _alone(whole)
        judged = [_judged(model, table, part, asked.seed) for model, part in zip(models, scored, strict=True)]
    else:
        models, judged, outcome = _one_after_another(table, parts, scored, schema, rows, asked, directory, build, train)
        whole = _joined(models)
    together = _together(models[0], judged, table, scored, asked.seed)
    folds = Folds(tuple(model.metrics for model in models), together, sum(map(len, scored)))
    if directory is not None:
        (directory / FOLDS).mkdir(exist_ok=True)
        folds.save(directory / FOLDS / SCORES)
    return whole, outcome, folds


def _stack(model: Model, folds: int, asked: Config, start: Start | None) -> Model | None:
    """A network for each fold in one, all of which see every row; None where they are to be trained one by one.

    That is where a norm would take statistics of rows that its network must not learn from, where augmentation mixes
    them, and where validation watches what the answers of all members together are worth.
    """
    norms = any(isinstance(layer, _BatchNorm) for layer in model.network.modules())
    if model.layout.members > 1 or norms or model.network.altered or asked.monitor != SKILL:
        return None
    stack = Model(model.schema, replace(model.layout, members=folds), seed=seed_from("weights", asked.seed))
    if start is not None and start.members:
        start.fill(stack)
    return stack if isinstance(stack.network, Network) else None


def _alone(whole: Model) -> list[Model]:
    """Each member of a stack as a model of its own."""
    models = []
    for weights in member_weights(whole.network):
        model = Model(whole.schema, replace(whole.layout, members=1))
        model.network.load_state_dict(weights)
        model.network.eval()
        models.append(model)
    return models


def _judged(model: Model, table: pa.Table, part: np.ndarray, seed: int) -> dict[str, Judged]:
    """What a network answers to a fold's rows, beside the truth; its metrics are set by them."""
    held_out = table.take(pa.array(part))
    answers, samples = model.judged(held_out)
    model.metrics = model.scores_of(answers, resampled_together(model.schema, held_out, samples), seed=seed)
    return answers


def _one_after_another(
    table: pa.Table,
    parts: list[np.ndarray],
    scored: list[np.ndarray],
    schema: Schema,
    rows: Rows,
    asked: Config,
    directory: Path | None,
    build: Build,
    train: Train,
) -> tuple[list[Model], list[dict[str, Judged]], Outcome | None]:
    models, judged, outcome = [], [], None
    for number, part in enumerate(parts):
        held_out = table.take(pa.array(part))
        others = table.take(pa.array(np.setdiff1d(np.arange(table.num_rows), part)))
        own = replace(asked, seed=seed_from("fold", asked.seed, number))
        place = None if directory is None else directory / FOLDS / str(number)
        model = build(schema, own, table.num_rows)
        if place is not None and (place / MODEL).exists():
            model = Model.load(place / MODEL)
        else:
            if place is not None:
                place.mkdir(parents=True, exist_ok=True)
            what = f"fold {number + 1} of {len(parts)}"
            outcome = train(model, replace(rows, schema=schema, train=others, valid=held_out), own, place, what)
        judged.append(_judged(model, table, scored[number], asked.seed))
        if place is not None and not (place / MODEL).exists():
            model.save(place / MODEL)
        models.append(model)
    return models, judged, outcome


def _rows_of_folds(rows: Rows, asked: Config) -> tuple[pa.Table, Schema]:
    """All rows that are not for the final score, and the schema fitted on them."""
    if not isinstance(rows.train, pa.Table):
        raise ConfigError("folds need rows that fit into memory; leave folds out (rows to choose by are held out then)")
    if rows.train.num_rows + (0 if rows.valid is None else rows.valid.num_rows) < 2 * (asked.folds or 0):
        raise ConfigError(f"folds = {asked.folds} is too many for {rows.train.num_rows:,} rows (at least 2 rows each)")
    if rows.valid is None:
        return rows.train, rows.schema
    table = pa.concat_tables([rows.train, rows.valid.select(rows.train.column_names).cast(rows.train.schema)])
    return table, rows.schema.fit(table)


def _together(
    model: Model, judged: list[dict[str, Judged]], table: pa.Table, parts: list[np.ndarray], seed: int
) -> Scores:
    """The scores of all rows, each answered by the network that did not learn from it."""
    joined = {name: Judged.joined([found[name] for found in judged]) for name in judged[0]}
    order = np.concatenate(parts)
    groups = resampled_together(model.schema, table.take(pa.array(order)), np.arange(len(order)))
    return model.scores_of(joined, groups, seed=seed)


def _joined(models: list[Model]) -> Model:
    """One model whose members are the networks of several."""
    first = models[0]
    count = sum(model.layout.members for model in models)
    whole = Model(first.schema, replace(first.layout, members=count))
    members = [weights for model in models for weights in member_weights(model.network)]
    whole.network.load_state_dict(joined_weights(whole.network, members))
    whole.network.eval()
    return whole


def _plain(scores: Scores) -> dict[str, dict[str, dict[str, float | None]]]:
    return {target: {name: metric.plain() for name, metric in found.items()} for target, found in scores.items()}


def _restored(plain: dict[str, dict[str, dict[str, float | None]]]) -> Scores:
    return {target: {name: Metric.restored(m) for name, m in found.items()} for target, found in plain.items()}
