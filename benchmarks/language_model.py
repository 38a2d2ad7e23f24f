"""A language model of characters: fathom's command beside the plain PyTorch loop, from process start to exit.

Both take turns, run after run, each in a process of its own. The loss is that of every character of the last tenth of
the text, in windows of 64.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import table, told_with, write_section

DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).parents[2] / "shared" / "data"))
TEXT = DATA / "text" / "tiny_shakespeare" / "input.txt"
PLAIN = Path(__file__).with_name("plain_gpt.py")
COMMAND = "python benchmarks/language_model.py"
HEAD = ("tiny Shakespeare, characters", "loss", "seconds [min-max]", "parameters")
SETTINGS = ("--kind", "text=text", "--set", "kinds.text.tokenizer=char", "--set", "kinds.text.length=64")
OVERHEAD_S = 13.0
SPLIT = ("--set", "valid=0.02", "--set", "test=0.1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    plain, half, full = [], [], []
    for seed in range(rounds):
        plain.append(_plain(seed))
        half.append(_fathom(seed, plain[-1][1] * 0.5))
        full.append(_fathom(seed, plain[-1][1]))
        print(plain[-1], half[-1], full[-1], flush=True)
    names = ("plain PyTorch, 2,000 iterations", "fathom, half of that time", "fathom, all of that time")
    rows = [_row(name, runs) for name, runs in zip(names, (plain, half, full), strict=True)]
    told = told_with(f"{COMMAND} --rounds {rounds}", ("torch", "fathom-nn"))
    write_section("language-model", "\n\n".join(["## A language model of characters", told, table(HEAD, rows)]))


def _row(name: str, runs: list[tuple[float, float, int]]) -> tuple[str, ...]:
    losses, seconds = [loss for loss, _, _ in runs], [took for _, took, _ in runs]
    spread = f"{statistics.median(seconds):.1f} [{min(seconds):.1f}-{max(seconds):.1f}]"
    return name, f"{statistics.median(losses):.3f} [{min(losses):.3f}-{max(losses):.3f}]", spread, f"{runs[0][2]:,}"


def _plain(seed: int) -> tuple[float, float, int]:
    started = time.perf_counter()
    told = subprocess.run(
        [sys.executable, PLAIN, TEXT, "--seed", str(seed)], check=True, capture_output=True, text=True
    )
    took, found = time.perf_counter() - started, json.loads(told.stdout)
    return found["loss"], took, found["parameters"]


def _fathom(seed: int, seconds: float) -> tuple[float, float, int]:
    """The loss, the time and the size of fathom's model, told to be done within seconds."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        command = [
            sys.executable,
            "-m",
            "fathom.cli",
            "fit",
            TEXT,
            *SETTINGS,
            *SPLIT,
            "--seed",
            str(seed),
            "--out",
            out,
        ]
        command += ["--budget", f"{_training_seconds(seconds):.1f}s", "--no-report", "--json"]
        started = time.perf_counter()
        told = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        took = time.perf_counter() - started
        metrics = json.loads(told.stdout)["metrics"]["text"]
        from safetensors import safe_open

        with safe_open(out / "model" / "weights.safetensors", "pt") as weights:
            parameters = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
    return metrics["token_loss"]["value"], took, parameters


def _training_seconds(seconds: float) -> float:
    """What of the time is left to training, beside start, reading, encoding and scoring."""
    return seconds - OVERHEAD_S


if __name__ == "__main__":
    main()
