"""Every table beside every peer, with default options: who is how good, and how long it takes.

`--peers` measures the peers' scores that are still missing, and keeps them in tables_peers.json after every fit.
Without it fathom is measured and compared with what is kept. `--times` measures fathom, RealMLP and LightGBM in turns,
`--nets` what fathom chooses beside each of its nets, on the sets that made no default.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from report import installed, table, told_with, write_section

PEERS_KEPT = Path(__file__).with_name("tables_peers.json")
COMMAND = "python benchmarks/tables.py"
SEEDS = 5
WARM_UP_ROWS = 100
LARGE_ROWS = 8_000
TIMED = ("fathom", "RealMLP", "LightGBM")
SLOW = {  # who takes long: in which place come (small sets, large sets), the first seed and the others
    "RealMLP": {(False, True): 1, (False, False): 1, (True, True): 2, (True, False): 5},
    "TabM": {(False, True): 3, (False, False): 4, (True, True): 6, (True, False): 7},
}
EXPLAINED = """\
Points are accuracy or R² times 100. A seed is a split of the rows, 80 to learn from and 20 to be scored on, and the
learner's own seed; the test rows of Adult are its publisher's. The gap is taken seed by seed against each peer, and the
best peer of a set is the one to which the median gap is lowest. Columns that give the target away are dropped for
everyone. All have default options, but that fathom is told that the marks of a wine are numbers, as its peers are by
their class. fathom takes the CSV file, its peers take a pandas frame with numbers, categories and days. RealMLP and
TabM were measured on a GPU in part, which changes their times and not what they compute. What few rows get was chosen
by rows held out within training rows, but after earlier runs of this benchmark were seen: abalone's scores prompted
coarser bins, and a first run with folds that kept copies of a row together, 7.6 points behind on white wine, that folds
are drawn as rows come. The sets on which no default was tuned are not wholly unseen."""

Task = tuple[str, str, int]
"""Contestant, set, seed."""


def main() -> None:
    """Measure what is asked for, and tell what it comes to."""
    asked = _arguments()
    if asked.measure:
        name, table_set, *seeds = asked.measure
        _measure(name, table_set, [int(seed) for seed in seeds], asked)
        return
    if asked.times:
        _times(asked)
    elif asked.nets:
        _nets(asked)
    elif asked.peers:
        _measure_peers(asked)
    else:
        _compare(asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", action="store_true", help="measure the peers' scores that are missing")
    parser.add_argument("--times", action="store_true", help=f"measure the time of {', '.join(TIMED)}, in turns")
    parser.add_argument("--nets", action="store_true", help="measure fathom with each of its nets for tables")
    parser.add_argument("--only", action="append", help="peers whose name holds this; may be repeated")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="these sets, instead of all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for each fit")
    parser.add_argument(
        "--device", default="cpu", help="where RealMLP and TabM compute (their times count on cpu alone)"
    )
    parser.add_argument("--scores", type=Path, help="keep fathom's scores in this file, and measure what it lacks")
    parser.add_argument("--measure", nargs="+", metavar="NAME", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure_peers(asked: argparse.Namespace) -> None:
    """The quick ones on all sets, then RealMLP and TabM on small sets, then on large ones."""
    from table_scores import Kept
    from table_sets import SETS

    kept = Kept(PEERS_KEPT)
    missing = [task for task in _tasks(asked, _peers(asked)) if task[2] not in kept.seeds(*task[:2])]

    def place(task: Task) -> tuple[int, int]:
        contestant, name, seed = task
        rows = SETS[name].rows
        return SLOW[contestant][rows > LARGE_ROWS, seed == 0] if contestant in SLOW else 0, rows

    if not _measured(sorted(missing, key=place), kept, asked):
        raise SystemExit("some could not be measured; the same command tries them again")


def _compare(asked: argparse.Namespace) -> None:
    """fathom beside what is kept of its peers."""
    from table_peers import FATHOM
    from table_scores import Kept, gap_table, markers, score_table, seconds_table, versions_of

    kept = Kept(asked.scores)
    tasks = [task for task in _tasks(asked, [FATHOM]) if task[2] not in kept.seeds(*task[:2])]
    complete = _measured(tasks, kept, asked)
    both = Kept(None)
    both.entries = {**Kept(PEERS_KEPT).entries, FATHOM: kept.entries.get(FATHOM, {})}
    names, shown = list(dict.fromkeys(task[1] for task in _tasks(asked, [FATHOM]))), [FATHOM, *_peers(asked)]
    both.entries = {one: found for one, found in both.entries.items() if one in shown}
    sections = [
        EXPLAINED,
        told_with(f"{COMMAND} --seeds {asked.seeds}", ("torch",)) + f" Measured with: {versions_of(both, shown)}.",
        "### How far from the best\n\n" + gap_table(both, names, asked.seeds),
        "### Scores, in points\n\n" + score_table(both, shown, names, asked.seeds),
        "### Figures that are known well\n\n" + markers(both, shown, asked.seeds),
        "### Seconds to fit and predict\n\nWith one thread on a machine that had other work: `--times` compares.\n\n"
        + seconds_table(both, shown, names, asked.seeds),
    ]
    print("\n\n".join(sections))
    if asked.sets or asked.only or asked.seeds != SEEDS or not complete:
        print("a part of it is not written to docs/benchmarks.md")
    else:
        write_section("tables", "## Tables\n\n" + "\n\n".join(sections))


def _times(asked: argparse.Namespace) -> None:
    """The seconds of those whose time matters, one after another for each set and seed."""
    from table_peers import CONTESTANTS
    from table_scores import Kept

    present = [name for name in TIMED if all(installed(package) for package in CONTESTANTS[name].packages)]
    kept, tasks = Kept(None), sorted(_tasks(asked, present), key=lambda task: task[2])  # seed by seed, all in turns
    if not _measured(tasks, kept, asked):
        raise SystemExit("some could not be measured")
    names = list(dict.fromkeys(task[1] for task in tasks))
    medians = {
        (one, name): statistics.median(scores["seconds"] for scores in kept.seeds(one, name).values())
        for one in present
        for name in names
    }
    totals = {one: sum(medians[one, name] for name in names) for one in present}
    rows = [(name, *_time_cells({one: medians[one, name] for one in present})) for name in names]
    rows.append(("all", *_time_cells(totals)))
    head = ("median seconds", *TIMED, "fathom / RealMLP", f"fathom / LightGBM with {SEEDS} seeds")
    command = f"{COMMAND} --times --seeds {asked.seeds} --threads {asked.threads}"
    packages = dict.fromkeys(package for one in present for package in CONTESTANTS[one].packages)
    sections = [
        "To fit and to predict the test rows, in turns, in processes that have trained before; fathom also reads the "
        "CSV file, trains the linear model and scores itself.",
        told_with(command, packages),
        table(head, rows),
    ]
    print("\n\n".join(sections))
    if asked.sets:
        print("a part of it is not written to docs/benchmarks.md")
    else:
        write_section("tables_times", "## Time on tables\n\n" + "\n\n".join(sections))


def _nets(asked: argparse.Namespace) -> None:
    """What fathom chooses, beside each net for tables, by the points of the median seed."""
    from table_peers import FATHOM_NETS
    from table_scores import Kept, median_of
    from table_sets import SETS

    kept = Kept(asked.scores)
    names = [name for name, one in SETS.items() if not one.tuning and name in (asked.sets or SETS)]
    wanted = [(net, name, seed) for name in names for net in FATHOM_NETS for seed in range(asked.seeds)]
    if not _measured([task for task in wanted if task[2] not in kept.seeds(*task[:2])], kept, asked):
        raise SystemExit("some could not be measured")
    rows = []
    for net in FATHOM_NETS:
        points = [median_of(kept, net, name, SETS[name].metric, asked.seeds) * 100 for name in names]
        seconds = sum(median_of(kept, net, name, "seconds", asked.seeds) for name in names)
        rows.append((net, *(f"{value:.1f}" for value in points), f"{statistics.mean(points):.2f}", f"{seconds:.0f}"))
    sections = [
        "Points (accuracy or R² times 100) of the median seed, on the sets on which no default was tuned. Every net "
        "has its own default options.",
        told_with(f"{COMMAND} --nets --seeds {asked.seeds} --threads {asked.threads}", ("torch", "fathom-nn")),
        table(("", *names, "mean", "seconds, all"), rows),
    ]
    print("\n\n".join(sections))
    if asked.sets:
        print("a part of it is not written to docs/benchmarks.md")
    else:
        write_section("tables_nets", "## Nets for tables\n\n" + "\n\n".join(sections))


def _time_cells(seconds: dict[str, float]) -> list[str]:
    def ratio(peer: str, times: int) -> str:
        return f"{seconds['fathom'] / (times * seconds[peer]):.2f}" if peer in seconds else "not measured"

    shown = [f"{seconds[one]:.2f}" if one in seconds else "not installed" for one in TIMED]
    return [*shown, ratio("RealMLP", 1), ratio("LightGBM", SEEDS)]


def _peers(asked: argparse.Namespace) -> list[str]:
    from table_peers import CONTESTANTS, FATHOM

    return [name for name in CONTESTANTS if name != FATHOM and any(part in name for part in asked.only or [""])]


def _tasks(asked: argparse.Namespace, contestants: list[str]) -> list[Task]:
    """All that is asked for, the smallest set first."""
    from table_sets import SETS

    unknown = set(asked.sets or ()) - set(SETS)
    if unknown:
        raise SystemExit(f"--sets {' '.join(sorted(unknown))}: there is {', '.join(SETS)}")
    names = [name for name in SETS if not asked.sets or name in asked.sets]
    return [(one, name, seed) for name in names for one in contestants for seed in range(asked.seeds)]


def _measured(tasks: list[Task], kept: Any, asked: argparse.Namespace) -> bool:
    """Measure, keep and tell each task; whether all could be measured."""
    from table_sets import SETS

    number, complete = 0, True
    for (contestant, name), group in groupby(tasks, key=lambda task: task[:2]):
        seeds = [task[2] for task in group]
        number += len(seeds)
        for seed, scores, facts in _in_own_process(contestant, name, seeds, asked):
            kept.add(contestant, name, seed, scores, facts)
            told = f"{scores[SETS[name].metric]:.4f} in {scores['seconds']:.1f} s"
            print(f"{number}/{len(tasks)} {contestant}, {name}, seed {seed}: {told}", file=sys.stderr, flush=True)
        if not set(seeds) <= set(kept.seeds(contestant, name)):
            print(f"{number}/{len(tasks)} {contestant}, {name}: failed", file=sys.stderr, flush=True)
            complete = False
    return complete


def _in_own_process(
    contestant: str, name: str, seeds: list[int], asked: argparse.Namespace
) -> Iterator[tuple[int, Any, Any]]:
    """Each seed's scores and facts, as soon as they are there; what goes wrong is told where it does."""
    threads = asked.threads
    command = [sys.executable, __file__, "--threads", str(threads), "--device", asked.device]
    command += ["--measure", contestant, name, *map(str, seeds)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                found = json.loads(line)
                yield found["seed"], found["scores"], found["facts"]


def _measure(contestant: str, name: str, seeds: list[int], how: argparse.Namespace) -> None:
    """Learn a few rows first, so that nothing is imported while the clock runs; then print each seed's scores."""
    warnings.simplefilter("ignore")
    from table_peers import CONTESTANTS, FATHOM_NETS, Job
    from table_sets import SETS, frames, split

    one, asked = SETS[name], {**CONTESTANTS, **FATHOM_NETS}[contestant]
    told = ", ".join(f"{package} {installed(package)}" for package in asked.packages)
    for number, seed in enumerate([seeds[0], *seeds]):
        with tempfile.TemporaryDirectory() as folder:
            parts = split(one, seed, Path(folder), most=None if number else WARM_UP_ROWS)
            rows = frames(one, parts)
            started = time.perf_counter()
            answer = asked.learn(Job(one, parts, rows, seed, how.threads, how.device))
            seconds = time.perf_counter() - started
        if number:
            scores = {**_scores(one, answer, rows.test_target), "seconds": round(seconds, 3)}
            day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            facts = {"versions": told, "date": day, "threads": how.threads, "device": how.device}
            facts["rows"] = [len(rows.train), len(rows.test)]
            print(json.dumps({"seed": seed, "scores": scores, "facts": facts}), flush=True)


def _scores(one: Any, answer: Any, truth: Any) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score, root_mean_squared_error

    if one.classes:
        found = {"accuracy": accuracy_score(truth, answer.values), "auc": roc_auc_score(truth, answer.chances)}
    else:
        error = root_mean_squared_error(truth, answer.values) / one.scale
        found = {"r2": r2_score(truth, answer.values), "rmse": error}
    return {name: round(float(value), 6) for name, value in found.items()}


if __name__ == "__main__":
    main()
