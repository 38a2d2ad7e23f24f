"""Seconds from a cold start: the help text, and a small table fitted, scored and saved; peers beside them.

Every measurement is a process of its own, the contestants taking turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from report import installed, table, told_with, write_section

ROWS, SEED = 1000, 0
COMMAND = "python benchmarks/start_up.py"
FATHOM = str(Path(sys.executable).with_name("fathom"))
HEAD = ("", "best, s", "median [min-max], s")

IMPORTS = {
    "`python -c pass`": ("pip", "pass"),
    "`import torch`": ("torch", "import torch"),
    "`import skorch`": ("skorch", "import skorch"),
    "`import lightning`": ("lightning", "import lightning"),
    "`import keras`": ("keras", "import keras"),
    "`from transformers import Trainer`": ("transformers", "from transformers import Trainer"),
}
SKLEARN = """
import sys, joblib, pandas
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
rows = pandas.read_csv(sys.argv[1])
train, test = train_test_split(rows, test_size=0.15, random_state=0)
for network in MLPClassifier((256, 128), early_stopping=True), LogisticRegression():
    numbers = StandardScaler(), make_column_selector(dtype_include="number")
    words = OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")
    model = make_pipeline(make_column_transformer(numbers, words), network).fit(train.drop(columns="y"), train["y"])
    print(model.score(test.drop(columns="y"), test["y"]))
    joblib.dump(model, sys.argv[2] + type(network).__name__)
"""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--rounds", type=int, default=10, help="how often the short ones are run; the fits half as often"
    )
    rounds = parser.parse_args().rounds
    short = {"`fathom --help`": ("fathom-nn", [FATHOM, "--help"])}
    short |= {name: (package, [sys.executable, "-c", code]) for name, (package, code) in IMPORTS.items()}
    with tempfile.TemporaryDirectory() as place:
        csv, new = f"{place}/rows.csv", f"{place}/{{}}"
        _write_rows(csv)
        script = [sys.executable, "-c", SKLEARN, csv, new]
        fits = {
            "`fathom fit rows.csv --target y`": ("fathom-nn", [FATHOM, "fit", csv, "--target", "y", "--out", new]),
            "scikit-learn script": ("pandas", script),
            "scikit-learn script, 1 thread": ("pandas", ["env", "OMP_NUM_THREADS=1", *script]),
        }
        told = [table(HEAD, _measured(short, rounds)), table(HEAD, _measured(fits, max(1, rounds // 2)))]
    text = f"""## Start-up

{told_with(f"{COMMAND} --rounds {rounds}", ("torch", "fathom-nn", "scikit-learn"))}

Until the help is printed, and for scale until others are imported:

{told[0]}

{ROWS:,} rows of 8 numbers and 2 categories, 3 classes, from CSV to a trained, scored and saved network. fathom trains
until validation stops improving, beside a linear model, and gives every score an interval; the script has
`MLPClassifier(early_stopping=True)` and `LogisticRegression` do as much of that as they do,
with the machine's own number of threads and with one.

{told[1]}"""
    print(text)
    write_section("start_up", text)


def _measured(commands: dict[str, tuple[str, list[str]]], rounds: int) -> list[tuple[str, ...]]:
    found: dict[str, list[float]] = {name: [] for name, (package, _) in commands.items() if installed(package)}
    for number in range(rounds):
        for name, seconds in found.items():
            seconds.append(_seconds([part.format(f"{name[:3]}{number}") for part in commands[name][1]]))
            print(f"{number + 1}/{rounds} {name}: {seconds[-1]:.3f} s", file=sys.stderr, flush=True)
    rows = [_row(name, found[name]) if name in found else (name, "not installed", "") for name in commands]
    return rows


def _row(name: str, seconds: list[float]) -> tuple[str, ...]:
    spread = f"{statistics.median(seconds):.2f} [{min(seconds):.2f}-{max(seconds):.2f}]"
    return name, f"{min(seconds):.2f}", spread


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr}")
    return time.perf_counter() - started


def _write_rows(path: str) -> None:
    """A table whose class depends on its numbers and categories, with some noise."""
    random = np.random.default_rng(SEED)
    numbers, colour, shape = random.standard_normal((ROWS, 8)), random.integers(0, 4, ROWS), random.integers(0, 3, ROWS)
    score = numbers[:, 0] + numbers[:, 1] * (colour - 1.5) + 0.5 * shape + 0.3 * random.standard_normal(ROWS)
    label = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    lines = [",".join([*(f"x{j}" for j in range(8)), "colour", "shape", "y"])]
    for k in range(ROWS):
        words = [*(f"{value:.4f}" for value in numbers[k]), f"c{colour[k]}", f"s{shape[k]}", f"class{label[k]}"]
        lines.append(",".join(words))
    Path(path).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
