"""Which augmentations a run applies: those that were named, or those that its pictures bear, decided once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fathom.api.directory import DECISION
from fathom.api.examining import Say
from fathom.api.mirroring import FEWEST_ROWS, MOST_STEPS, Mirrored, Probe, mirrored
from fathom.augment import AUGMENTS, AUTO, chosen, explicit
from fathom.augment.batches import Augmentation, Augmented
from fathom.augment.hiding import Hiding
from fathom.config import Config
from fathom.data.store import Batches, Store, TensorStore
from fathom.errors import InputError, ModelError
from fathom.model import Model
from fathom.registry import Choice
from fathom.runtime import available_threads, write_atomic
from fathom.schema import Schema
from fathom.signals import TextSpec, target_key
from fathom.training.budget import DEFAULT_SECONDS, Budget
from fathom.training.engine import Drawn
from fathom.training.plan import usual_batch_size

__all__ = ["Decision", "altered_inputs", "decided", "drawn_by"]

SHARE_OF_BUDGET, MOST_SECONDS = 0.05, 20.0  # what finding out may take
MANY_STEPS = 1000
FLIP, SHIFT = Choice("flip"), Choice("shift")
LABELS = ("category", "multilabel")
"""Kinds of targets that do not move with what a picture shows; a steering angle does."""


@dataclass(frozen=True)
class Decision:
    """The augmentations of a run, in ``augment.json``.

    Attributes:
        augment: names and options.
        mirrored: what was found where flips were tried, else None.
        why: one line.
    """

    augment: tuple[Choice, ...]
    mirrored: Mirrored | None
    why: str

    def save(self, path: Path) -> None:
        found = None if self.mirrored is None else asdict(self.mirrored)
        tree = {"augment": explicit(self.augment), "mirrored": found, "why": self.why}
        write_atomic(path, (json.dumps(tree, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Decision:
        """Read what ``save`` wrote.

        Raises:
            ModelError: the file is no such decision.
        """
        try:
            tree = json.loads(path.read_text())
            found = None if tree["mirrored"] is None else Mirrored(**tree["mirrored"])
            return cls(chosen(tree["augment"]), found, str(tree["why"]))
        except (InputError, OSError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not a readable decision ({type(error).__name__}: {error})") from error


def altered_inputs(schema: Schema, asked: Config) -> frozenset[str]:
    """The inputs that each batch may alter, which nothing is computed of beforehand.

    Raises:
        ConfigError: an augmentation that was named does not fit what comes in.
    """
    if _is_auto(asked):
        return frozenset(_pictures(schema)) if _bears_any(schema) else frozenset()
    return _augmentation(schema, asked.augment, asked.seed).altered


def decided(
    model: Model,
    train: Store,
    valid: TensorStore | None,
    asked: Config,
    directory: Path | None = None,
    say: Say | None = None,
) -> tuple[tuple[Choice, ...], float]:
    """The augmentations that were asked for; of AUTO those of the directory's earlier decision, or of a new one.

    Args:
        model: the network, which stays as it is.
        train: the rows to learn from.
        valid: the rows to choose by, or None.
        asked: what the run is asked to do.
        directory: the run's, where a new decision is written before anything follows it; or None.
        say: is told a new decision.

    Returns:
        Names and options, and the seconds that the decision took.
    """
    started = time.perf_counter()
    if not _is_auto(asked):
        return asked.augment, 0.0
    if not _bears_any(model.schema):
        return (), 0.0
    path = None if directory is None else directory / DECISION
    if path is not None and path.exists():
        return Decision.load(path).augment, 0.0
    decision = _decision(model, train, valid, asked)
    if path is not None:
        decision.save(path)
    if say is not None:
        say(f"augmentation: {decision.why}")
    return decision.augment, time.perf_counter() - started


def drawn_by(
    schema: Schema, train: Store, choices: tuple[Choice, ...], seed: int, hidden: Mapping[str, TextSpec] | None = None
) -> Callable[[int], Drawn]:
    """What draws batches of a size, altered; of the texts in ``hidden`` some tokens are hidden."""
    if hidden:
        plain, hiding = drawn_by(schema, train, choices, seed), Hiding(hidden, seed)
        return lambda size: Augmented(plain(size), hiding)
    if not choices:
        return partial(Batches, train, seed=seed)
    augmentation = _augmentation(schema, choices, seed)
    return lambda size: Augmented(Batches(train, size, seed=seed), augmentation)


def _decision(model: Model, train: Store, valid: TensorStore | None, asked: Config) -> Decision:
    labelled = all(kind in LABELS for kind, _ in model.schema.targets().values())
    steps, seconds = _allowance(asked, len(train))
    if valid is None or min(len(valid), len(train)) < FEWEST_ROWS or steps == 0:
        reason = "too short a budget" if valid is not None and len(valid) >= FEWEST_ROWS else "too few rows"
        return Decision((), None, f"none ({reason} to find out what harms)")
    shifted = (SHIFT,) if labelled else ()
    probe = Probe(
        drawn_by(model.schema, train, shifted, asked.seed),
        len(train),
        valid,
        _pictures(model.schema),
        _classes(model.schema),
        steps,
        seconds,
        asked.training.get("threads", 0) or (available_threads() if asked.measure else 1),
    )
    found = mirrored(model.network, probe, asked.seed)
    if found.earned:
        moves = (*shifted, FLIP)
        return Decision(moves, found, f"{', '.join(move.name for move in moves)} ({found.why})")
    # What has its right and left has its place too: learning it anywhere takes longer, and pays in a long run alone.
    if shifted and _steps(asked, len(train), found.step_s) >= MANY_STEPS:
        return Decision(shifted, found, f"{SHIFT.name}; no flips ({found.why})")
    return Decision((), found, f"none ({found.why})")


def _steps(asked: Config, samples: int, step_s: float) -> float:
    """About how many steps a run will have, by its budget and the seconds that a step takes."""
    budget = Budget.parse(asked.budget)
    if budget.steps is not None:
        return budget.steps
    if budget.epochs is not None:
        return budget.epochs * samples / (asked.training.get("batch_size") or usual_batch_size(samples, pictures=True))
    return (budget.seconds or DEFAULT_SECONDS) / step_s if step_s else 0.0


def _allowance(asked: Config, samples: int) -> tuple[int, float | None]:
    """The steps that finding out may take, and the seconds, if it goes by a clock."""
    budget = Budget.parse(asked.budget)
    if budget.steps is not None:
        return min(MOST_STEPS, int(SHARE_OF_BUDGET * budget.steps)), None
    if budget.epochs is not None:
        per_epoch = max(1, samples // usual_batch_size(samples, pictures=True))
        return min(MOST_STEPS, int(SHARE_OF_BUDGET * budget.epochs * per_epoch)), None
    if budget.open_ended and not asked.measure:
        return MOST_STEPS, None
    return MOST_STEPS, min(MOST_SECONDS, SHARE_OF_BUDGET * (budget.seconds or DEFAULT_SECONDS))


def _augmentation(schema: Schema, choices: tuple[Choice, ...], seed: int) -> Augmentation:
    return Augmentation(choices, schema.inputs(), [target_key(name) for name in schema.targets()], seed)


def _is_auto(asked: Config) -> bool:
    return any(choice.name == AUTO for choice in asked.augment)


def _bears_any(schema: Schema) -> bool:
    """Whether pictures come in and something is asked for: what is rebuilt is rebuilt as it came."""
    return bool(_pictures(schema)) and bool(schema.targets())


def _pictures(schema: Schema) -> Mapping[str, Any]:
    takes = AUGMENTS.get(FLIP.name).facts["takes"]
    return {key: spec for key, (kind, spec) in schema.inputs().items() if kind in takes}


def _classes(schema: Schema) -> str | None:
    """The tensor of the one category that is asked for."""
    names = [name for name, (kind, _) in schema.targets().items() if kind == "category"]
    return target_key(names[0]) if len(names) == 1 else None
