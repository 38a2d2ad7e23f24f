"""TensorBoard: event files below the run's directory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from fathom.heads.scoring import Scores
from fathom.tracking.tracker import TRACKERS, Followed, Tracker

__all__ = ["TensorBoard"]

FOLDER = "tensorboard"
SUMMARY = "summary"


@TRACKERS.register("tensorboard", package="tensorboard", extra="track", kept=True, files=(FOLDER,))
class TensorBoard(Tracker):
    """Event files for TensorBoard, in ``tensorboard/`` below the run's directory.

    Each training has a folder there; the config and the final scores stand in ``summary``. What a run that was killed
    had written beyond its last checkpoint is taken back.

    Args:
        run: the run.
    """

    def __init__(self, run: Followed) -> None:
        assert run.directory is not None, "require() asks for a directory"
        self._folder = run.directory / FOLDER
        self._writers: dict[str, Any] = {}
        summary = self._open(SUMMARY, 0)
        summary.add_text("config", _quoted(tomli_w.dumps(_without_none(run.config))), 0)
        summary.flush()

    def trained(self, what: str, step: int) -> None:
        self._open(what, step + 1)

    def looked(self, what: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writers[what].add_scalar(name, value, step)
        self._writers[what].flush()  # no later than a checkpoint, from which a killed run goes on

    def scored(self, scores: Scores, model: Path | None) -> None:
        for target, metrics in scores.items():
            for name, metric in metrics.items():
                for end, value in (("", metric.value), ("/low", metric.low), ("/high", metric.high)):
                    self._writers[SUMMARY].add_scalar(f"{target}/{name}{end}", value, 0)

    def closed(self, *, failed: bool) -> None:
        for writer in self._writers.values():
            writer.close()

    def _open(self, what: str, purge_step: int) -> Any:
        """A writer whose file takes back what earlier ones say of that step and later ones."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own dependencies, at import
            from torch.utils.tensorboard import SummaryWriter
        writer = SummaryWriter(str(self._folder / what.replace(" ", "-")), purge_step=purge_step)
        self._writers[what] = writer
        return writer


def _quoted(text: str) -> str:
    """Text as Markdown shows it unchanged."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in tree.items() if value is not None}
    return {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in kept.items()}
