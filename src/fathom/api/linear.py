"""The linear model that stands beside every network: the same columns and heads, and nothing between."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.api.directory import LINEAR
from fathom.api.examining import Say
from fathom.api.large import rows_in_memory
from fathom.api.learning import train_on
from fathom.api.rows import Rows
from fathom.api.stores import training_store
from fathom.config import Config
from fathom.errors import Diverged
from fathom.heads import HEADS
from fathom.layout import choose_layout
from fathom.model import Model
from fathom.registry import Choice
from fathom.runtime import seed_from
from fathom.training.hooks import Progress

__all__ = ["linear_model"]

FEW_ROWS, SEARCHES = 5000, "20steps"  # of which each look at the loss may see all
STEPS, EPOCHS, BATCH = 2000, 60, 256
PLAIN = {"number": Choice("scale", {"clip": 0.0}), "text": Choice("bag", {"width": 16, "ngrams": 1})}
"""Where a kind's entry has options that a linear model does without, or can do with less of.

Of texts it is linear in the counts of tokens, through a matrix of low rank, as fastText is."""


def linear_model(model: Model, rows: Rows, asked: Config, directory: Path | None, say: Say | None) -> Model | None:
    """The linear model of a network's columns and heads, trained a little while; None where there can be none.

    Args:
        model: the network.
        rows: that it learns from.
        asked: of the run.
        directory: where the linear model is kept; one that is there already is loaded.
        say: called with a line where it does not learn.
    """
    place = None if directory is None else directory / LINEAR
    if place is not None and place.exists():
        return Model.load(place)
    inputs, targets = rows.schema.inputs(), rows.schema.targets()
    needs = {HEADS.get(head.name).facts["needs"] for head in model.layout.heads.values()}
    if not inputs or needs != {"vector"}:
        return None
    heads = model.layout.heads if targets else None
    plain = {kind: PLAIN[kind] for kind, _ in inputs.values() if kind in PLAIN}
    layout = choose_layout(inputs, targets, net=Choice("linear"), heads=heads)
    branches = {key: (plain.get(inputs[key][0], chain[0]),) for key, chain in layout.branches.items()}
    linear = Model(rows.schema, replace(layout, branches=branches), seed=seed_from("linear", asked.seed))
    training, budget = _training(rows.train.num_rows)
    simple = replace(asked, training=training, measure=False, augment=(), budget=budget)
    few = _few(rows)
    valid = None if few.valid is None else linear.prepared(few.valid)
    hooks = (Progress("linear model", ends=False),) if say else ()
    try:
        with training_store(linear, few, None) as train:
            train_on(linear, train, valid, simple, None, hooks)
    except Diverged as error:  # the network is what was asked for
        (say or warnings.warn)(f"warning: there is no linear model to compare with: {error}")
        return None
    if place is not None:
        linear.save(place)
    return linear


def _few(rows: Rows) -> Rows:
    """As many rows as the linear model gets to see, where the table is larger than memory."""
    if isinstance(rows.train, pa.Table):
        return rows
    return replace(rows, train=rows.train.spread(rows_in_memory(rows.train, STEPS * BATCH)))


def _training(rows: int) -> tuple[dict[str, Any], str]:
    """Options and budget that bring a linear model near its best, penalized as scikit-learn's of two classes is."""
    penalty = {"l2": 2 / rows, "threads": 1, "diagnostics": False}
    if rows <= FEW_ROWS:
        return {**penalty, "optimizer": Choice("lbfgs")}, SEARCHES
    adamw = {"optimizer": Choice("adamw", {"lr": 0.01}), "schedule": Choice("cosine"), "batch_size": BATCH}
    return {**penalty, **adamw}, f"{min(STEPS, EPOCHS * rows // BATCH)}steps"
