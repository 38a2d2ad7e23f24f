"""fit: wires the stages, from a source to a trained, scored and saved network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F

from fathom.api.augmenting import altered_inputs
from fathom.api.choosing import chosen_net, mixes_members
from fathom.api.columns import columns_told
from fathom.api.directory import CONFIG, MODEL, REPORT, START, check_directory, locked, open_directory, record
from fathom.api.examining import Say
from fathom.api.folding import cross_validated
from fathom.api.learning import train_on
from fathom.api.linear import linear_model
from fathom.api.reporting import keep_cost, keep_report
from fathom.api.rows import Rows, prepare
from fathom.api.run import Run
from fathom.api.starting import Start, start_of
from fathom.api.stores import training_store
from fathom.api.wishes import with_wishes
from fathom.config import Config
from fathom.data import read
from fathom.data.readers import accepted_options
from fathom.data.store import TensorStore
from fathom.errors import ConfigError, Interrupted, SchemaError, first_line
from fathom.kinds import KINDS
from fathom.layout import Layout, choose_layout
from fathom.model import SKILL, Model
from fathom.progress import shown
from fathom.report.cost import CostMeter
from fathom.runtime import seed_from
from fathom.schema import Schema
from fathom.signals import MEMBER_WEIGHT, Role
from fathom.tracking import Followers, followed, require
from fathom.training.budget import DEFAULT_SECONDS, Budget
from fathom.training.engine import Outcome
from fathom.training.hooks import Hook, Progress

__all__ = ["fit", "fit_rows", "layout_for", "model_for"]

TRAINING, PRIVATE = "training", "private"
ROWS_AT_ONCE = 1024


def fit(
    source: Any,
    target: str | Iterable[str] | None = None,
    *,
    test: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Say | None = None,
    report: bool | str = True,
    **config: Any,
) -> Run:
    """Read data, build the network that fits it, train it, score it, and keep it.

    Args:
        source: a path, a folder, a data frame, a dict of arrays, or the name of a public set.
        target: the column or columns to predict; "none" for no target; None takes the source's own.
        test: rows for the final score, or the share of rows to hold out for it, 0 for no such score; without it the
            source's own test rows are used, or some are held out.
        out: the run's directory; None keeps nothing on disk.
        resume: continue a run that was stopped.
        overwrite: delete what ``out`` holds first.
        say: called with each line that tells a person what was found and decided.
        report: whether ``out`` gets a page that tells all of it; "private" keeps rows and pictures out of the page.
        config: the keys of ``config.Config``, ``optimizer`` and ``schedule``; as in ``net="mlp"``, ``budget="2m"``.

    Raises:
        InputError: what was handed in cannot be used; says what, where, what was allowed.
        Diverged: training produced NaN, infinity or an explosion.
        Interrupted: a signal stopped the run; a checkpoint is kept.
    """
    started = time.perf_counter()
    if isinstance(test, int | float):
        config, test = {**config, "test": test}, None
    asked = Config.of({"target": target, **config} if target is not None else config)
    _check_report(report)
    tell = say or (lambda line: None)
    require(asked.log, kept=out is not None)
    if out is not None:
        check_directory(Path(out), resume=resume, overwrite=overwrite)
    with shown(say is not None):
        others = None if test is None else read(test, **accepted_options(test, asked.reading))
        start = start_of(asked, Path(out) if out is not None and resume else None)
        rows = prepare(read(source, **asked.reading), others, asked, tell, start)
        asked = replace(asked, folds=rows.folds)
        run = fit_rows(rows, asked, out, resume=resume, overwrite=overwrite, say=say, report=report)
    run.seconds = time.perf_counter() - started
    return run


def fit_rows(
    rows: Rows,
    asked: Config,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    say: Say | None = None,
    report: bool | str = True,
) -> Run:
    """Build the network that fits rows that are read and split, train it, score it, and keep it; as ``fit``."""
    started, tell = time.perf_counter(), say or (lambda line: None)
    count = rows.train.num_rows
    asked = asked if rows.start is None else rows.start.named(rows.schema, asked)
    model = model_for(rows.schema, asked, count, rows.start, tell)
    asked = with_wishes(asked, model.layout)
    tell(_described(model) + (f" for each of {asked.folds} folds" if asked.folds else ""))
    if (choice := chosen_net(rows.schema, asked, count)) is not None:
        tell(f"chosen: {choice.why} (--net names another)")
    if words := _budget_words(Budget.parse(asked.budget), watched=rows.valid is not None or bool(asked.folds)):
        tell(words)
    if out is None:
        run = _followed(model, rows, asked, None, say)
    else:
        # Opened only now: a mistake in what was asked for deletes no earlier run and leaves no empty directory.
        with locked(Path(out)):
            directory = open_directory(Path(out), resume=resume, overwrite=overwrite)
            earlier = (directory / CONFIG).exists()
            record(directory, _explicit(asked, model), rows)
            if rows.start is not None:
                rows.start.save(directory / START)
            with CostMeter() as meter:
                run = _followed(model, rows, asked, directory, say)
            keep_cost(directory, meter.cost(), resumed=earlier)
            if report:
                _report(run, directory, rows, say, private=report == PRIVATE)
    run.answers = None
    if asked.training.get("group_l1"):
        tell(columns_told(run.model))
    run.seconds = time.perf_counter() - started
    return run


def _report(run: Run, directory: Path, rows: Rows, say: Say | None, *, private: bool) -> None:
    """Write the page that tells of a finished run; the run is kept, whatever becomes of the page."""
    try:
        keep_report(run, directory, rows, private=private)
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001 - drawing takes libraries and fonts that may fail in any way
        tell = say or warnings.warn
        tell(f"warning: {REPORT} could not be written ({type(error).__name__}: {first_line(error)}); the model is kept")


def _check_report(report: bool | str) -> None:
    if report not in (True, False, PRIVATE):
        raise ConfigError(f"report = {report!r} is not allowed (allowed: True, False, {PRIVATE!r})")


def _followed(model: Model, rows: Rows, asked: Config, directory: Path | None, say: Say | None) -> Run:
    """Carry the run out, followed by the trackers that were asked for."""
    name = rows.source.name if directory is None else directory.resolve().name
    config = _explicit(asked, model)
    with followed(asked.log, name, config, directory, say or warnings.warn) as followers:
        run = _carried_out(model, rows, asked, directory, _Watchers(say, followers))
        followers.scored(run.metrics, None if directory is None else directory / MODEL)
    return run


def _carried_out(model: Model, rows: Rows, asked: Config, directory: Path | None, watchers: _Watchers) -> Run:
    """Train the model, or one for each fold, and the linear one, score them, and keep them."""
    train = partial(_train, watchers=watchers)
    if asked.folds:
        together = partial(_train_together, watchers=watchers)
        build = partial(model_for, start=rows.start)
        model, outcome, folds = cross_validated(rows, asked, directory, build, train, together)
    else:
        outcome, folds = train(model, rows, asked, directory, TRAINING), None
        if rows.valid is not None:
            model.calibrate(rows.valid)
    linear = linear_model(model, rows, asked, directory, watchers.say) if asked.baseline else None
    answers = None
    scored = rows.test if folds or rows.test is not None or not asked.test else rows.valid
    if scored is not None:
        answers = model.judged(scored, linear)  # the report takes them too: to write texts twice would be dear
        model.metrics = model.scores_on(scored, *answers, seed=asked.seed)
    elif folds is not None:
        model.metrics = folds.together
    if directory is not None and not (directory / MODEL).exists():
        model.save(directory / MODEL)
    count = scored.num_rows if scored is not None else folds.rows if folds is not None else 0
    return Run(
        model,
        linear,
        directory,
        outcome=outcome,
        rows=count,
        reading=asked.reading,
        findings=rows.findings,
        folds=folds,
        answers=answers,
    )


def model_for(schema: Schema, asked: Config, rows: int, start: Start | None = None, say: Say | None = None) -> Model:
    """A network, as it starts, that fits the columns, and where none was named so many rows.

    Raises:
        ConfigError: nets and heads do not fit, augmentations do not fit what comes in, or no head has the metric that
            is to be watched.
    """
    model = Model(schema, layout_for(schema, asked, rows), seed=seed_from("weights", asked.seed))
    if asked.monitor != SKILL:
        model.heads_with(asked.monitor)
    model.network.altered = altered_inputs(schema, asked)
    if start is not None and start.members:
        taken = start.fill(model)
        if say is not None:
            say(taken)
    return model


def layout_for(schema: Schema, asked: Config, rows: int) -> Layout:
    """The nets and heads that were asked for, and for the rest those that fit the columns."""
    heads = dict(asked.heads)
    if asked.head is not None:
        heads = dict.fromkeys(schema.targets() or schema.inputs(), asked.head) | heads
    net, nets = asked.net, asked.nets
    if (choice := chosen_net(schema, asked, rows)) is not None:
        net, nets = choice.net, {**choice.nets, **nets}
    layout = choose_layout(schema.inputs(), schema.targets(), net=net, nets=nets, heads=heads)
    return replace(layout, members=asked.ensemble, apart=mixes_members(asked))


def _explicit(asked: Config, model: Model) -> dict[str, Any]:
    """The config as it was carried out: every kind, role, net and head named, with every option."""
    used = [column for column in model.schema.columns if column.role in (Role.INPUT, Role.TARGET)]
    plain = asked.plain()
    for name in ("net", "head"):
        plain.pop(name, None)
    return plain | {
        "target": model.targets or ["none"],
        "nets": model.layout.named(model.schema.inputs()),
        "heads": model.layout.state()["heads"] if model.targets or asked.head or asked.heads else {},
        "kinds": {column.name: KINDS.explicit(column.kind) for column in used},
        "roles": {column.name: str(column.role) for column in model.schema.columns if column.role != Role.TARGET},
    }


@dataclass(frozen=True)
class _Watchers:
    """Who is told of a run: a person, who also sees how far it is, and trackers."""

    say: Say | None
    followers: Followers

    def hooks(self, what: str, asked: Config) -> tuple[Hook, ...]:
        """What looks on while something is trained."""
        ends_early = Budget.parse(asked.budget).open_ended or bool(asked.training.get("patience"))
        progress = (Progress(what, at_most=ends_early),) if self.say else ()
        return (*progress, *self.followers.hooks(what))


def _train(
    model: Model, rows: Rows, asked: Config, directory: Path | None, what: str, *, watchers: _Watchers
) -> Outcome:
    """Train a network on a run's rows."""
    valid = None if rows.valid is None else model.prepared(rows.valid)
    if valid is not None and not _teaches(model, valid):
        valid = None
        if watchers.say is not None:
            watchers.say("note: of no row to choose by is an answer known that could be learned; none is chosen by")
    with training_store(model, rows, directory) as train:
        if isinstance(train, TensorStore) and not _teaches(model, train):
            told = "; ".join(model.schema.left_out(train)) or "no row has a target that counts"
            raise SchemaError(f"there is nothing to learn: {told}")
        if watchers.say is not None and isinstance(train, TensorStore):
            for line in model.schema.left_out(train):
                watchers.say(f"note: {line}")
        return train_on(model, train, valid, asked, directory, watchers.hooks(what, asked), watchers.say)


def _teaches(model: Model, store: TensorStore) -> bool:
    """Whether any sample has a target that is learned, where there are targets."""
    if not model.targets:
        return True
    weighed = (
        model.network.weigh(batch, part) for part in model.network.parts for batch in store.in_order(ROWS_AT_ONCE)
    )
    return any(bool(weight > 0) for weights in weighed for weight in weights.values())


def _train_together(
    model: Model, table: pa.Table, fold_of: np.ndarray, asked: Config, directory: Path | None, *, watchers: _Watchers
) -> Outcome:
    """Train a stack, each member of which learns from all rows but its fold's, and is watched on those."""
    store = model.prepared(table)
    own = F.one_hot(torch.from_numpy(fold_of)).float()  # (N, M)
    learned, watched = (store.holding({**store.tensors, MEMBER_WEIGHT: weight}) for weight in (1 - own, own))
    return train_on(model, learned, watched, asked, directory, watchers.hooks(TRAINING, asked), watchers.say)


def _budget_words(budget: Budget, *, watched: bool) -> str:
    """What a person should know of a budget that does not count steps; empty for others."""
    if budget.seconds is not None:
        return f"budget: {budget.seconds:g} s of training; checks, linear model, scores and report come on top"
    if not budget.open_ended:
        return ""
    ending = "until validation stops improving" if watched else "until a usual number of steps"
    return f"budget: {ending}, at most {DEFAULT_SECONDS / 60:g} minutes (--budget sets another)"


def _described(model: Model) -> str:
    nets = [net.name for chain in model.layout.branches.values() for net in chain]
    nets += [model.layout.body.name] if model.layout.body else []
    heads = ", ".join(dict.fromkeys(head.name for head in model.layout.heads.values()))
    count = sum(parameter.numel() for parameter in model.network.parameters())
    return f"network: {' → '.join([*dict.fromkeys(nets), heads])}, {count:,} parameters"
