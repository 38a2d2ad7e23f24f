"""What every probe shares: a short training, and the proof that a run that was kept answers as before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fathom
from fathom.api import Run, plain_scores


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Run]:
    """Return ``fathom.fit`` as far as the probes agree."""
    return partial(
        fathom.fit,
        out=tmp_path / "run",
        budget="300steps",
        optimizer={"name": "adamw", "lr": 0.005},
        training={"threads": 1, "batch_size": 32},
        measure=False,
        baseline=False,
    )


@pytest.fixture
def kept() -> Callable[[Run, Any], Run]:
    """Return a check: what a run wrote, once loaded, predicts and scores rows bit for bit as the run does."""

    def check(run: Run, rows: Any) -> Run:
        again, answers = fathom.load(run.directory), run.predict(rows)
        assert answers.num_rows > 0
        assert again.predict(rows).equals(answers)
        assert plain_scores(again.evaluate(rows)) == plain_scores(run.evaluate(rows))
        assert plain_scores(again.metrics) == plain_scores(run.metrics)
        return again

    return check
