"""Pictures: how good fathom gets with default options and how soon, beside plain PyTorch loops.

Fashion-MNIST beside the net of Keras's MNIST example (two convolutions), and 10,000 pictures of CIFAR-10 beside
ResNet-20. The plain loop of a set comes first; its time and its score say how long fathom may take and what it is
to reach. Test rows are looked at once, when a training is over; on its way fathom looks at validation rows alone.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from report import table, told_with, write_section

DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "vision"
COMMAND = "python benchmarks/pictures.py"
HEAD = ("", "test accuracy", "seconds", "validation reached {level} after")
SECONDS_BETWEEN_LOOKS, MOST_SECONDS = 0.05, 7200
FEW_ROWS, FEW_SECONDS = 1200, "4s"  # of --quick
EXPLAINED = """\
Everyone takes the same arrays from memory and may use every core. Of fathom all of `fathom.fit` is counted, in seconds
on the clock: checks of the data, encoding, rehearsal, training, the linear model beside it, the scores; also before
the validation rows first reach a level. A plain loop counts nothing but its training. fathom keeps {valid:.0%} of the
training rows to validate on, the plain loops learn from all of them."""


class Pictures(NamedTuple):
    """Rows to learn from and rows for the final score; pictures are (N, H, W) or (N, H, W, 3) uint8."""

    rows: np.ndarray
    labels: np.ndarray
    test_rows: np.ndarray
    test_labels: np.ndarray


class Measured(NamedTuple):
    """How good a training became, how long it took, and when its validation first reached what was asked for."""

    accuracy: float
    seconds: float
    reached_s: float | None = None


@dataclass(frozen=True)
class Contest:
    """A set, its plain loop, and how long fathom may take.

    Attributes:
        title: as the page's heading has it.
        read: the set.
        plain: the plain loop's name, and what trains it for so many epochs.
        epochs: of the plain loop.
        budgets: of fathom, as lines of the table; a number is a share of the plain loop's time.
        level: of validation accuracy that is waited for; None waits for the plain loop's final score.
    """

    title: str
    read: Callable[[], Pictures]
    plain: tuple[str, Callable[[Pictures, int, int], Measured]]
    epochs: int
    budgets: tuple[str | float, ...]
    level: float | None = None


def main() -> None:
    """Measure, print, and write the page where everything was measured."""
    asked = _arguments()
    if asked.measure:
        print(json.dumps(_measured(asked.measure[0], json.loads(asked.measure[1]), quick=asked.quick)))
        return
    names = asked.sets or list(CONTESTS)
    sections = [_section(name, asked) for name in names]
    if asked.quick or asked.sets:
        print("a part of it is not written to docs/benchmarks.md")
        return
    from fathom.config import Config

    told = told_with(f"{COMMAND} --rounds {asked.rounds}", ("torch", "fathom-nn"))
    parts = ["## Pictures", EXPLAINED.format(valid=Config().valid), told, *sections]
    write_section("pictures", "\n\n".join(parts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often everyone is measured, each with its seed")
    parser.add_argument("--sets", nargs="+", choices=list(CONTESTS), help="these alone")
    parser.add_argument("--quick", action="store_true", help=f"{FEW_ROWS:,} rows, an epoch: whether it works at all")
    parser.add_argument("--measure", nargs=2, metavar=("SET", "WHAT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _section(name: str, asked: argparse.Namespace) -> str:
    contest = CONTESTS[name]
    found: dict[str, list[Measured]] = {}
    for seed in range(1 if asked.quick else asked.rounds):
        plain = _in_own_process(name, {"seed": seed}, asked, found, contest.plain[0])
        level = contest.level or plain.accuracy
        for budget in contest.budgets:
            line = budget if isinstance(budget, str) else f"{budget:g} of its time"
            given = budget if isinstance(budget, str) else f"{budget * plain.seconds:.1f}s"
            what = {"seed": seed, "budget": FEW_SECONDS if asked.quick else given, "level": level}
            _in_own_process(name, what, asked, found, f"fathom, {line}")
    level = "its score" if contest.level is None else f"{contest.level:g}"
    head = tuple(word.format(level=level) for word in HEAD)
    section = f"### {contest.title}\n\n{table(head, [_row(line, each) for line, each in found.items()])}"
    print(section, flush=True)
    return section


def _row(line: str, each: list[Measured]) -> tuple[str, ...]:
    """The medians of a line; whoever did not reach the level reached it never."""
    reached = statistics.median([math.inf if one.reached_s is None else one.reached_s for one in each])
    accuracy, seconds = (statistics.median(values) for values in list(zip(*each, strict=True))[:2])
    waited = "" if not line.startswith("fathom") else "not reached" if reached == math.inf else f"{reached:.0f} s"
    return line, f"{accuracy:.4f}", f"{seconds:.0f}", waited


def _in_own_process(
    name: str, what: dict[str, Any], asked: argparse.Namespace, found: dict[str, list[Measured]], line: str
) -> Measured:
    """One measurement, added to what was found; a contestant that fails ends the benchmark."""
    command = [sys.executable, __file__, "--measure", name, json.dumps(what), *["--quick"] * asked.quick]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS)
    if done.returncode:
        raise SystemExit(f"{line} failed on {name}:\n{done.stderr}")
    measured = Measured(*json.loads(done.stdout.splitlines()[-1]))
    print(f"{name} {line}: {measured}", file=sys.stderr, flush=True)
    found.setdefault(line, []).append(measured)
    return measured


# --- in a process of its own --------------------------------------------------------------------------------


def _measured(name: str, what: dict[str, Any], *, quick: bool) -> Measured:
    warnings.simplefilter("ignore")
    contest = CONTESTS[name]
    data = _few(contest.read()) if quick else contest.read()
    if "budget" in what:
        return _fathom(data, what["seed"], what["budget"], what["level"])
    return contest.plain[1](data, what["seed"], 1 if quick else contest.epochs)


def _few(data: Pictures) -> Pictures:
    rows = np.random.default_rng(0).permutation(len(data.rows))[:FEW_ROWS]
    return Pictures(data.rows[rows], data.labels[rows], data.test_rows[:FEW_ROWS], data.test_labels[:FEW_ROWS])


def _fathom(data: Pictures, seed: int, budget: str, level: float) -> Measured:
    """fathom with all its defaults but the budget; validation is told as accuracy."""
    import fathom

    rows = {"picture": data.rows, "label": data.labels}
    test = {"picture": data.test_rows, "label": data.test_labels}
    with tempfile.TemporaryDirectory() as place:
        watch = Watch(Path(place) / "run" / "log.jsonl", level)
        run = fathom.fit(rows, "label", test=test, out=f"{place}/run", seed=seed, budget=budget, monitor="accuracy")
        return Measured(run.metrics["label"]["accuracy"].value, *watch.stop())


class Watch:
    """Waits beside a run until the log of its looks at the validation rows holds an accuracy.

    Args:
        log: the file, which need not be there yet.
        level: the accuracy.
    """

    def __init__(self, log: Path, level: float) -> None:
        self._log, self._level, self._reached_s = log, level, None
        self._over, self._started = threading.Event(), time.perf_counter()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[float, float | None]:
        """Seconds since the start, and when the level was reached."""
        seconds = time.perf_counter() - self._started
        self._over.set()
        self._thread.join()
        return seconds, self._reached_s

    def _look_on(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            if self._best() >= self._level:
                self._reached_s = time.perf_counter() - self._started
                return

    def _best(self) -> float:
        """The best look so far; a line that is still being written is read the next time."""
        lines = self._log.read_text().split("\n")[:-1] if self._log.exists() else []
        return max((json.loads(line)["accuracy"] for line in lines), default=0.0)


def _keras_example(data: Pictures, seed: int, epochs: int) -> Measured:
    """The net and the loop of Keras's MNIST example ("Simple MNIST convnet"): Adam at 0.001, batches of 128."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10)]
    network = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    return _loop(data, network, optimizer, None, epochs, batch_size=128)


def _resnet_20(data: Pictures, seed: int, epochs: int) -> Measured:
    """ResNet-20 as He et al. 2016 train it on CIFAR-10, crops and flips included, with a one-cycle schedule."""
    import torch
    from torch import nn
    from workloads import Residual

    torch.manual_seed(seed)
    widths = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    blocks = [Residual(a, b, 1 if a == b else 2) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    network = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    steps = epochs * -(-len(data.rows) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
    return _loop(data, network, optimizer, schedule, epochs, batch_size=128, augmented=True)


def _loop(
    data: Pictures,
    network: Any,
    optimizer: Any,
    schedule: Any,
    epochs: int,
    *,
    batch_size: int,
    augmented: bool = False,
) -> Measured:
    """The loop that everyone writes, on pixels scaled to mean 0 and deviation 1 for each channel."""
    import torch
    import torch.nn.functional as F

    rows, labels = _scaled(data.rows, data.rows), torch.from_numpy(data.labels)
    started = time.perf_counter()
    network.train()
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(batch_size):
            batch = _moved(rows[index]) if augmented else rows[index]
            loss = F.cross_entropy(network(batch), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
    seconds = time.perf_counter() - started
    network.eval()
    with torch.no_grad():
        answers = torch.cat([network(batch).argmax(1) for batch in _scaled(data.test_rows, data.rows).split(500)])
    return Measured(float((answers.numpy() == data.test_labels).mean()), seconds)


def _scaled(pictures: np.ndarray, training: np.ndarray) -> Any:
    """(N, H, W) or (N, H, W, C) uint8 as (N, C, H, W) float32 of the training rows' scale."""
    import torch

    pictures, training = (x[..., None] if x.ndim == 3 else x for x in (pictures, training))
    sample = training[:1000].astype(np.float32)
    scaled = (pictures - sample.mean((0, 1, 2))) / sample.std((0, 1, 2))
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32))


def _moved(batch: Any) -> Any:
    """Each picture flipped by a coin and cut out of a frame of 4 pixels of the mean, at a place of its own."""
    import torch
    import torch.nn.functional as F

    count, _, height, width = batch.shape
    top, left = torch.randint(0, 9, (2, count, 1, 1))
    y, x = torch.arange(height).view(1, -1, 1) + top, torch.arange(width).view(1, 1, -1)
    x = torch.where(torch.rand(count, 1, 1) < 0.5, width - 1 - x, x) + left
    framed = F.pad(batch, (4, 4, 4, 4)).permute(0, 2, 3, 1)  # (B, H + 8, W + 8, C)
    return framed[torch.arange(count).view(-1, 1, 1), y, x].permute(0, 3, 1, 2).contiguous()


# --- the sets -----------------------------------------------------------------------------------------------


def _fashion_mnist() -> Pictures:
    """All of it, as its publisher divides it."""
    from fathom.data import read

    return _arrays(read(DATA / "fashion_mnist").parts, lambda column: column.combine_chunks().to_numpy_ndarray())


def _cifar_10() -> Pictures:
    """The subset that stands in the data folder."""
    from PIL import Image

    from fathom.data import read

    def decoded(column: Any) -> np.ndarray:
        return np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in column.to_pylist()])

    return _arrays(read(DATA / "cifar10_12k.zip").parts, decoded)


def _arrays(parts: Any, pixels: Callable[[Any], np.ndarray]) -> Pictures:
    """The parts of a source as arrays, its labels counted from 0."""
    names = sorted(set(parts["train"]["label"].to_pylist()))
    found = []
    for part in (parts["train"], parts["test"]):
        labels = np.searchsorted(names, part["label"].to_pylist())
        found += [np.ascontiguousarray(pixels(part["image"])), labels]
    return Pictures(*found)


CONTESTS = {
    "fashion_mnist": Contest(
        "Fashion-MNIST, 60,000 rows",
        _fashion_mnist,
        ("plain loop, Keras's MNIST example, 15 epochs", _keras_example),
        15,
        (0.4, "8m"),
        0.9,
    ),
    "cifar10": Contest(
        "CIFAR-10, 10,000 rows", _cifar_10, ("plain loop, ResNet-20, 30 epochs", _resnet_20), 30, (0.5,)
    ),
}


if __name__ == "__main__":
    main()
