"""Samples a second of training: plain PyTorch loops, fathom with all its defaults, and four frameworks.

Each measurement is a process of its own that trains a little to warm up and then for some seconds at least. Everyone is
measured once before anyone is measured again, so that a machine that slows down does so for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import warnings
from collections import Counter
from typing import Any

from report import installed, table, told_with, write_section

WARM_UP_BATCHES, MOST_SECONDS = 20, 600
NAMES = ("mlp", "convnet", "lstm", "transformer")
PACKAGES = ("torch", "fathom-nn", "skorch", "lightning", "keras", "transformers")
COMMAND = "python benchmarks/training_speed.py"
HEAD = ("", "samples/s, median [min-max]", "of the fastest plain loop", "")
EXPLAINED = """\
All train the same network from arrays in memory with Adam, in float32. Else fathom runs as `fathom.fit` does by
default: it measures threads and memory layout, logs, clips, looks for NaN at every step, validates and writes
checkpoints; `valid=0` holds no rows back to validate on. No other contestant validates. Time counts from "training
begins" to "training ends" (of fathom, its `Outcome`): building, compiling and fathom's short rehearsal come before
it, its linear model and final score after it. A peer is shown with torch's own number of threads and with one.
All texts are of one length, so that nobody pads: fathom reads them as words, all others as the ids of the same tokens,
its begin and end among them. Their plain networks are of PyTorch's own `nn.LSTM` and `nn.TransformerEncoderLayer`, with
learned positions everywhere; fathom's embedding has one vector more, and Keras's LSTM one bias less, so that their
parameters differ by less than one in a hundred."""


def main() -> None:
    """Measure, print, and write the page where everything was measured."""
    asked = _arguments()
    if asked.measure:
        print(json.dumps(_measured(*asked.measure)))
        return
    sections = [EXPLAINED]
    for name in [asked.workload] if asked.workload else NAMES:
        sections.append(_section(name, asked.rounds, asked.only or [""]))
        print(sections[-1], flush=True)
    sections.insert(1, told_with(f"{COMMAND} --rounds {asked.rounds}", PACKAGES))
    if asked.workload or asked.only:
        print("a part of it is not written to docs/benchmarks.md")
    else:
        write_section("training_speed", "## Training speed\n\n" + "\n\n".join(sections))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone is measured")
    parser.add_argument("--workload", choices=NAMES, help="one of them")
    parser.add_argument("--only", action="append", help="contestants whose name holds this; may be repeated")
    parser.add_argument("--measure", nargs=2, metavar=("WORKLOAD", "CONTESTANT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _section(workload: str, rounds: int, only: list[str]) -> str:
    from peers import contestants
    from workloads import WORKLOADS

    work = WORKLOADS[workload]()
    entered = contestants(pictures=work.pictures)
    entered = {name: one for name, one in entered.items() if any(part in name for part in only)}
    present = [name for name, one in entered.items() if installed(one.package)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in present}
    for number in range(rounds):
        for name in present:
            found[name].append(_in_own_process(workload, name))
            print(f"{workload} {number + 1}/{rounds} {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    sizes = [one["parameters"] for measured in found.values() for one in measured]
    assert max(sizes, default=0) <= (1 + work.slack) * min(sizes, default=0), f"the networks differ: {found}"
    missing = [(name, "not installed", "", "") for name in entered if name not in found]
    return f"### {work.title}\n\n{table(HEAD, _rows(found) + missing)}"


def _in_own_process(workload: str, name: str) -> dict[str, Any]:
    """One measurement; a contestant that fails ends the benchmark."""
    command = [sys.executable, __file__, "--measure", workload, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS)
    if done.returncode:
        raise SystemExit(f"{name} failed on {workload}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _measured(workload: str, name: str) -> dict[str, Any]:
    """Warm up, then train for longer and longer until it takes the workload's seconds."""
    warnings.simplefilter("ignore")
    import torch
    from peers import contestants
    from workloads import WORKLOADS

    work = WORKLOADS[workload]()
    contestant = contestants(pictures=work.pictures)[name]
    if contestant.threads is not None:
        torch.set_num_threads(contestant.threads)
    samples = WARM_UP_BATCHES * work.batch_size
    trained = contestant.train(work, samples)
    while True:
        samples = round(samples * min(50, max(1.2, 1.2 * work.seconds / trained.seconds)))
        trained = contestant.train(work, samples)
        if trained.seconds >= work.seconds:
            rate = trained.samples / trained.seconds
            return {"rate": rate, "parameters": trained.parameters, "note": trained.note}


def _rows(found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    """A line for each contestant, the fastest first."""
    rates = {name: [one["rate"] for one in measured] for name, measured in found.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    plain = max((median for name, median in medians.items() if name.startswith("plain")), default=None)
    rows = []
    for name in sorted(medians, key=medians.__getitem__, reverse=True):
        notes = Counter(one["note"] for one in found[name])
        note = "; ".join(f"{note} ({count}×)" if len(notes) > 1 else note for note, count in notes.most_common())
        spread = f"{medians[name]:,.0f} [{min(rates[name]):,.0f}-{max(rates[name]):,.0f}]"
        rows.append((name, spread, "" if plain is None else f"{medians[name] / plain:.2f}", note))
    return rows


if __name__ == "__main__":
    main()
