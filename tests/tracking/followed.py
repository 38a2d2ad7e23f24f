"""A small run that is followed, and one that is stopped in the middle."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import fathom
from fathom.errors import Interrupted
from fathom.training.engine import Trainer

__all__ = ["fit", "logged", "stopped"]

QUICK: dict[str, Any] = {"budget": "80steps", "folds": 0, "baseline": False, "measure": False}
TRAINING = {"threads": 1, "checkpoint_s": 0.0}


def fit(place: Path | None, log: Any, **options: Any) -> fathom.Run:
    return fathom.fit("iris", out=place, log=log, **{**QUICK, "training": TRAINING, **options})


def stopped(place: Path, log: Any, step: int, **options: Any) -> None:
    """Start a run, and send it SIGINT once it has looked at the validation rows at that step or later."""
    evaluate = Trainer._evaluate

    def stopping(self: Trainer, *arguments: Any) -> None:
        evaluate(self, *arguments)
        if self._now.step >= step:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_evaluate", stopping)
        with pytest.raises(Interrupted):
            fit(place, log, **options)
    second = int(time.time())
    while int(time.time()) == second:  # by which TensorBoard orders the files of one process
        time.sleep(0.02)


def logged(place: Path) -> list[dict[str, float]]:
    """The lines of ``log.jsonl``."""
    return [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
