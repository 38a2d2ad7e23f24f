"""Run: a trained model, and where and how it came to be."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.api.directory import CONFIG, LINEAR, MODEL
from fathom.data import read
from fathom.errors import ModelError
from fathom.model import MANIFEST, Model, Scores
from fathom.training.engine import Outcome

__all__ = ["Run", "load", "plain_scores"]


class Run:
    """A trained model, and where and how it came to be.

    Attributes:
        model: the model.
        linear: the linear model of the same columns, or None.
        directory: the run's directory, or None where nothing was kept.
        outcome: how the training ended, or None where the run was loaded.
        rows: how many rows the final score was measured on.
        seconds: how long the whole run took.
    """

    def __init__(
        self,
        model: Model,
        linear: Model | None,
        directory: Path | None,
        *,
        outcome: Outcome | None = None,
        rows: int = 0,
        seconds: float = math.nan,
    ) -> None:
        self.model, self.linear, self.directory = model, linear, directory
        self.outcome, self.rows, self.seconds = outcome, rows, seconds

    @property
    def metrics(self) -> Scores:
        """Scores on the rows held out for the final score, by target and metric."""
        return self.model.metrics

    def predict(self, source: Any) -> pa.Table:
        """Predict each row of a source; see ``Model.predict``."""
        return self.model.predict(_one_table(source))

    def evaluate(self, source: Any) -> Scores:
        """Score the model on a source that has the targets; see ``Model.evaluate``."""
        return self.model.evaluate(_one_table(source), linear=self.linear)

    def embed(self, source: Any) -> np.ndarray:
        """The vectors on which the heads stand, (N, D)."""
        return self.model.embed(_one_table(source))

    def save(self, directory: str | Path) -> None:
        """Write the model into a directory of its own."""
        self.model.save(Path(directory))

    def summary(self) -> dict[str, Any]:
        """What ``fathom fit --json`` prints."""
        return {
            "run": None if self.directory is None else str(self.directory),
            "rows": self.rows,
            "metrics": plain_scores(self.metrics),
            "seconds": round(self.seconds, 3),
        }


def load(directory: str | Path) -> Run:
    """Load a run's directory, or a model's; no code is run from it.

    Raises:
        ModelError: it is neither, or a file is missing or altered.
    """
    place = Path(directory)
    if (place / MANIFEST).is_file():
        return Run(Model.load(place), None, None)
    if not (place / MODEL).is_dir():
        unfinished = (place / CONFIG).exists()
        hint = "its training has not finished; continue it with --resume" if unfinished else f"it holds no {MODEL}/"
        raise ModelError(f"{place} cannot be loaded: {hint if place.exists() else 'there is no such directory'}")
    linear = Model.load(place / LINEAR) if (place / LINEAR).is_dir() else None
    return Run(Model.load(place / MODEL), linear, place)


def plain_scores(scores: Scores) -> dict[str, dict[str, dict[str, float | None]]]:
    """Scores as JSON holds them; what is not a number is null."""
    return {
        target: {name: {key: _finite(value) for key, value in asdict(metric).items()} for name, metric in found.items()}
        for target, found in scores.items()
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _one_table(source: Any) -> pa.Table:
    """The rows of a source, all its parts one after another."""
    return pa.concat_tables(read(source).parts.values())
