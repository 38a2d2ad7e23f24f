"""What diagnostics of the layers cost: the steps that are looked on at beside those around them.

The speed of a shared machine changes from second to second by more than diagnostics cost. So each step that is looked
on at is compared with its neighbours, which are not, in the same training.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from report import table, told_with, write_section
from workloads import WORKLOADS

import fathom
from fathom.training.engine import Trainer
from fathom.training.update import Update

ROWS, COLUMNS, FOLDS, NEIGHBOURS = 900, 10, 8, 4
STEPS = {"mlp": 4000, "convnet": 200, "folds": 1500}
COMMAND = "python benchmarks/diagnostics.py"
HEAD = ("", "steps", "looked on at", "a step, ms", "one looked on at, ms", "speed with / without [min-max]")
EXPLAINED = """\
What [depths.md](depths.md) tells costs time in the steps that are looked on at, the more rarely the longer a run is.
Such a step stands beside the median of the {neighbours} before and after it; without diagnostics it would have taken as
long as those. Everything else is as `fathom.fit` does it, on rows in memory, one thread."""


@dataclass(frozen=True)
class Work:
    """What is trained.

    Attributes:
        title: as the table has it.
        steps: of a training.
        columns: the rows.
        options: of ``fathom.fit``.
    """

    title: str
    steps: int
    columns: dict[str, np.ndarray]
    options: dict[str, Any]


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is trained")
    rounds = parser.parse_args().rounds
    rows = []
    for work in _works():
        rows.append(_row(work, [_measured(work) for _ in range(rounds)]))
        print(rows[-1], flush=True)
    told = told_with(f"{COMMAND} --rounds {rounds}", ("torch", "fathom-nn"))
    explained = EXPLAINED.format(neighbours=NEIGHBOURS)
    write_section("diagnostics", "\n\n".join(["## Diagnostics of the layers", explained, told, table(HEAD, rows)]))


def _row(work: Work, found: list[tuple[float, float, int, float]]) -> tuple[str, ...]:
    plain, watched = (1e3 * statistics.median(one[k] for one in found) for k in (0, 1))
    shares = [one[3] for one in found]
    spread = f"{statistics.median(shares):.3f} [{min(shares):.3f}-{max(shares):.3f}]"
    return work.title, f"{work.steps:,}", str(found[0][2]), f"{plain:.2f}", f"{watched:.2f}", spread


def _measured(work: Work) -> tuple[float, float, int, float]:
    """Seconds of a usual step and of one looked on at, how many were, and the speed with them over that without."""
    took, watched = _trained(work)
    without = took.copy()
    for step in watched:
        around = [*range(step - NEIGHBOURS, step), *range(step + 1, step + 1 + NEIGHBOURS)]
        without[step] = np.median([took[near] for near in around if 0 < near < len(took) and near not in watched])
    some = sorted(watched)
    return float(np.median(took)), float(np.median(took[some])), len(some), float(without.sum() / took.sum())


def _trained(work: Work) -> tuple[np.ndarray, set[int]]:
    """The seconds of every step of one training, but the first, which warms up; and which steps were looked on at."""
    took: dict[int, float] = {}
    watched: set[int] = set()
    update, look = Update.__call__, Trainer._watched

    def timed(self: Update, batch: Any, step: int, factor: float) -> float:
        started = time.perf_counter()
        loss = update(self, batch, step, factor)
        took[step] = time.perf_counter() - started
        return loss

    def timed_look(self: Trainer, one: Callable[[], float]) -> float:
        step, started = self._now.step, time.perf_counter()
        loss = look(self, one)
        took[step] = time.perf_counter() - started
        watched.add(step)
        return loss

    training = {**work.options["training"], "diagnostics": True, "threads": 1}
    options = {**work.options, "training": training, "budget": f"{work.steps}steps", "measure": False}
    with (
        patch.object(Update, "__call__", timed),
        patch.object(Trainer, "_watched", timed_look),
        tempfile.TemporaryDirectory() as place,
    ):
        fathom.fit(work.columns, "label", out=f"{place}/run", baseline=False, test=0, report=False, **options)
    return np.array([took[step] for step in range(1, work.steps)]), {step - 1 for step in watched if step}


def _works() -> Iterator[Work]:
    for name, title in (("mlp", "perceptron 3×256, batch 128"), ("convnet", "small ResNet, batch 64")):
        work = WORKLOADS[name]()
        training = {"batch_size": work.batch_size, "optimizer": "adam"}
        yield Work(title, STEPS[name], work.columns(), {"net": work.net, "training": training, "valid": 0})
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, COLUMNS))
    columns = {f"x{k}": column for k, column in enumerate(numbers.T)}
    columns["label"] = np.where(numbers[:, 0] * numbers[:, 1] + draw.normal(size=ROWS) > 0, "a", "b")
    title = f"default network of a table of {ROWS} rows, {FOLDS} folds in one pass"
    yield Work(title, STEPS["folds"], columns, {"folds": FOLDS, "training": {}})


if __name__ == "__main__":
    main()
