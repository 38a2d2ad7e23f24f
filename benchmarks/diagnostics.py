"""Samples a second of a processor in training with diagnostics of the layers, and without.

Both take turns, training after training, in one process and with one thread; which of them begins changes every round.
What is counted is the processor's time, less that of a training of one step: what else runs takes little of it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from report import table, told_with, write_section
from workloads import WORKLOADS

import fathom
from fathom.training.diagnostics import next_sample

ROWS, COLUMNS, FOLDS = 900, 10, 8
STEPS = {"mlp": 4000, "convnet": 200, "folds": 1500}
COMMAND = "python benchmarks/diagnostics.py"
HEAD = ("", "steps", "looked on at", "without, samples/CPU s", "with, samples/CPU s", "with / without [min-max]")
EXPLAINED = """\
What [depths.md](depths.md) tells costs time in the steps that are looked on at, the more rarely the longer a run is.
Times are the processor's, one thread, without what comes before the first step. Medians; the last column is the median
of what each round gave. Everything else is as `fathom.fit` does it, on rows in
memory, without rows to choose by (but for the folds, which need them)."""


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
    parser.add_argument("--rounds", type=int, default=9, help="how often each is trained with and without")
    rounds = parser.parse_args().rounds
    rows = []
    for work in _works():
        rows.append(_row(work, rounds))
        print(rows[-1], flush=True)
    told = told_with(f"{COMMAND} --rounds {rounds}", ("torch", "fathom-nn"))
    write_section("diagnostics", "\n\n".join(["## Diagnostics of the layers", EXPLAINED, told, table(HEAD, rows)]))


def _row(work: Work, rounds: int) -> tuple[str, ...]:
    rates: dict[bool, list[float]] = {False: [], True: []}
    _rate(work, on=True)  # warms up
    for number in range(rounds):
        for on in (bool(number % 2), not number % 2):
            rates[on].append(_rate(work, on=on))
    shares = [with_them / without for without, with_them in zip(rates[False], rates[True], strict=True)]
    spread = f"{statistics.median(shares):.3f} [{min(shares):.3f}-{max(shares):.3f}]"
    medians = (f"{statistics.median(rates[on]):,.0f}" for on in (False, True))
    looks = sum(next_sample(step) == step for step in range(work.steps))
    return work.title, f"{work.steps:,}", str(looks), *medians, spread


def _rate(work: Work, *, on: bool) -> float:
    """Samples a second of the processor in one training, but for its first step and all before that."""
    samples, seconds = _trained(work, work.steps, on=on)
    first_samples, first_seconds = _trained(work, 1, on=on)
    return (samples - first_samples) / (seconds - first_seconds)


def _trained(work: Work, steps: int, *, on: bool) -> tuple[float, float]:
    """The samples that a training draws, and the processor's seconds that it takes."""
    training = {**work.options["training"], "diagnostics": on, "threads": 1}
    options = {**work.options, "training": training, "budget": f"{steps}steps"}
    started = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        run = fathom.fit(
            work.columns, "label", out=f"{place}/run", measure=False, baseline=False, test=0, report=False, **options
        )
    return run.outcome.epochs * len(next(iter(work.columns.values()))), time.process_time() - started


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
