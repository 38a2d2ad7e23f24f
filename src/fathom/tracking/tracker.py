"""What a tracker is: it is told of a run, and takes it down somewhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fathom.heads.scoring import Scores
from fathom.registry import Registry

__all__ = ["TRACKED", "TRACKERS", "Followed", "Tracker"]

TRACKERS = Registry("tracker", "fathom.tracking")
TRACKED = ("tensorboard", "mlflow.json")
"""What trackers leave in a run's directory."""


@dataclass(frozen=True)
class Followed:
    """The run that is followed.

    Attributes:
        name: of its directory, or of its data.
        config: every option, as ``config.toml`` has it.
        directory: the run's, or None where nothing is kept.
    """

    name: str
    config: Mapping[str, Any]
    directory: Path | None


class Tracker(ABC):
    """Takes a run down. What it raises is told in a line, and the run goes on without it.

    A run that was stopped is followed again from the start, and must stand there once: the tracker is told after which
    step each training goes on.

    Args:
        run: the run.
    """

    @abstractmethod
    def __init__(self, run: Followed) -> None: ...

    @abstractmethod
    def trained(self, what: str, step: int) -> None:
        """Something ("training", or "fold 2 of 5") is about to be trained, or trained on, after so many steps."""

    @abstractmethod
    def looked(self, what: str, step: int, values: Mapping[str, float]) -> None:
        """The validation rows were looked at; the values are those of ``log.jsonl``."""

    @abstractmethod
    def scored(self, scores: Scores, model: Path | None) -> None:
        """The run has its scores, and where it is kept the files of its model stand in a directory."""

    @abstractmethod
    def closed(self, *, failed: bool) -> None:
        """The run is over; after ``scored``, or because it failed or was stopped."""
