"""One training: a network learns from rows that it prepared, is watched on others, and says where it learns badly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fathom.api.augmenting import decided, drawn_by
from fathom.api.examining import Say
from fathom.api.wishes import bears_bfloat16, with_wishes
from fathom.config import Config
from fathom.data.store import Store, TensorStore
from fathom.errors import Diverged
from fathom.heads import METRICS
from fathom.model import SKILL, Model
from fathom.runtime import default_device
from fathom.training.budget import Budget
from fathom.training.engine import Outcome, Task, Trainer
from fathom.training.hooks import Hook
from fathom.training.plan import apply_layout
from fathom.training.symptoms import symptoms

__all__ = ["train_on"]


def train_on(
    model: Model,
    train: Store,
    valid: TensorStore | None,
    asked: Config,
    directory: Path | None = None,
    hooks: tuple[Hook, ...] = (),
    say: Say | None = None,
) -> Outcome:
    """Train a network on rows that it prepared, as asked; plan, log and checkpoints go into the directory."""
    asked = with_wishes(asked, model.layout)
    model.network.to(default_device())
    choices, spent_s = decided(model, train, valid, asked, directory, say)
    task = Task(
        model.network,
        drawn_by(model.schema, train, choices, asked.seed),
        len(train),
        None if valid is None else partial(_validate, model, valid, asked.monitor),
        directory,
        asked.seed,
        hooks,
        asked.measure,
        1.0 if asked.monitor == SKILL else None,
        bears_bfloat16(model.layout),
        1.0 if train.lengths is None else float(train.lengths.float().mean()),
    )
    trainer = Trainer(task, **asked.training)
    try:
        outcome = trainer.run(Budget.parse(asked.budget).less(spent_s))
    except Diverged:
        _tell_symptoms(trainer.depths, say)  # which may say why
        raise
    _tell_symptoms(outcome.depths, say)
    model.network.to("cpu")
    apply_layout(model.network, channels_last=False)
    return outcome


def _tell_symptoms(depths: Sequence[Mapping[str, Any]], say: Say | None) -> None:
    if say is not None:
        for symptom in symptoms(depths):
            say(f"warning: {symptom.words}")


def _validate(model: Model, store: TensorStore, monitor: str) -> tuple[float, dict[str, float]]:
    """What validation watches, larger being better, and what is logged."""
    if monitor == SKILL:
        skill = model.skill(store)
        return skill, {SKILL: skill}
    value = model.score(store, monitor)
    return value if METRICS.get(monitor).facts["higher"] else -value, {monitor: value}
