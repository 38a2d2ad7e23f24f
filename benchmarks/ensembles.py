"""Seconds of a step: one network, eight trained together in one pass, and eight one after another.

All take turns in one process, step by step; each is shown with the number of threads that suits it best.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from report import table, told_with, write_section

from fathom.ensemble import built_network
from fathom.layout import choose_layout
from fathom.registry import Choice
from fathom.runtime import available_threads, seeded, threads
from fathom.schema import Schema
from fathom.signals import Batch
from fathom.training.update import Update

ROWS, BATCH, INPUTS, HIDDEN, MEMBERS = 4096, 256, 14, (64, 64), 8
STEPS, WARM_UP = 20, 10
COMMAND = "python benchmarks/ensembles.py"
HEAD = ("", "median, ms a step", "of one network", "best", "of one network", "threads")
EXPLAINED = f"""\
{MEMBERS} networks of two hidden layers of {HIDDEN[0]} on {INPUTS} numbers, two classes, batches of {BATCH}, AdamW,
clipping: whole steps, from the loss to the update. "one pass" is what `--ensemble {MEMBERS}` does where the layers can
be stacked; "one after another" what it does elsewhere. Members of either come to the same weights (tested without
dropout)."""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=30, help=f"how often everyone makes {STEPS} steps")
    rounds = parser.parse_args().rounds
    parts = [EXPLAINED, told_with(f"{COMMAND} --rounds {rounds}", ("torch", "fathom-nn"))]
    for dropout in (0.0, 0.1):
        parts += [f"Dropout {dropout:g}:", table(HEAD, _rows(dropout, rounds))]
        print(parts[-1], flush=True)
    write_section("ensembles", "## Ensembles\n\n" + "\n\n".join(parts))


def _rows(dropout: float, rounds: int) -> list[tuple[str, ...]]:
    times = _measured(dropout, rounds)
    best: dict[str, tuple[float, float, int]] = {}
    for (name, count), seconds in times.items():
        found = (statistics.median(seconds), min(seconds), count)
        best[name] = min(found, best.get(name, found))
    alone = best["one network"]
    rows = []
    for name, (middle, least, count) in best.items():
        cells = [f"{1e3 * middle:.2f}", f"{middle / alone[0]:.1f}", f"{1e3 * least:.2f}", f"{least / alone[1]:.1f}"]
        rows.append((name, *cells, str(count)))
    return rows


def _measured(dropout: float, rounds: int) -> dict[tuple[str, int], list[float]]:
    """The seconds of each step, for each contestant and number of threads."""
    contestants = {
        "one network": _prepared(dropout, 1, apart=False),
        f"{MEMBERS} in one pass": _prepared(dropout, MEMBERS, apart=False),
        f"{MEMBERS} one after another": _prepared(dropout, MEMBERS, apart=True),
    }
    counts = sorted({1, available_threads()})
    times: dict[tuple[str, int], list[float]] = {(name, count): [] for count in counts for name in contestants}
    for _ in range(rounds):
        for (name, count), found in times.items():
            with threads(count):
                found += _steps(*contestants[name])
    return {key: found[WARM_UP:] for key, found in times.items()}


def _steps(update: Update, batches: list[Batch]) -> list[float]:
    seconds = []
    for step in range(STEPS):
        started = time.perf_counter()
        update(batches[step % len(batches)], step, 1.0)
        seconds.append(time.perf_counter() - started)
    return seconds


def _prepared(dropout: float, members: int, *, apart: bool) -> tuple[Update, list[Batch]]:
    draw = np.random.default_rng(0)
    columns = {f"x{k}": draw.normal(size=ROWS) for k in range(INPUTS)} | {"y": draw.choice(["a", "b"], ROWS)}
    rows = pa.table(columns)
    schema = Schema.infer(rows, ["y"]).fit(rows)
    layout = choose_layout(
        schema.inputs(),
        schema.targets(),
        net=Choice("mlp", {"hidden": HIDDEN, "dropout": dropout}),
    )
    with seeded(0):
        layout = replace(layout, members=members, apart=apart)
        network = built_network(schema.inputs(), schema.targets(), layout).train()
    encoded = schema.encode(rows)
    store = encoded.holding(network.prepared(encoded.tensors))
    batches = [store.batch(torch.arange(start, start + BATCH)) for start in range(0, ROWS, BATCH)]
    return Update(network, Choice("adamw"), seed=0, clip_norm=1.0), batches


if __name__ == "__main__":
    main()
