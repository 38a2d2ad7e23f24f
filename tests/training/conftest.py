"""What the tests of the engine share: a process that trains on request, and a small thing to train in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SERVER = Path(__file__).with_name("fork_server.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"

# Dropout, batch norm, micro-batches, an end that validation decides, a cool-down and an average of weights: whatever a
# checkpoint must hold.
# Nothing is measured, so that a run depends on its arguments alone; to look for wrong labels would take half its time.
OPTIONS: dict[str, Any] = {
    "report": False,
    "seed": 3,
    "measure": False,
    "checks": {"labels": False},
    "net": {"name": "mlp", "hidden": [24, 16], "dropout": 0.3, "norm": "batch"},
    "training": {
        "threads": 1,
        "batch_size": 32,
        "accumulate": 2,
        "patience": 3,
        "cooldown": 0.5,
        "average": "ema",
        "checkpoint_s": 0.03,
        "optimizer": {"name": "adamw", "lr": 0.03},
    },
}


def one_thread() -> dict[str, str]:
    """The environment of a process that computes with one thread, on the source of this checkout."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}


@dataclass(frozen=True)
class Ending:
    """How a child of the fork server ended; ``status`` as ``subprocess`` has it, the rest as in ``fork_server``."""

    status: int
    phases: list[str]
    sent: int
    seconds: float
    trace: str


class Trainings:
    """Trains in processes of its own, which signals reach at a moment asked for; see ``fork_server``."""

    def __init__(self, data: Path) -> None:
        self.data, self.options, self.environment = data, OPTIONS, one_thread()
        self._server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            env=self.environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def train(
        self,
        directory: Path,
        *,
        resume: bool = False,
        signals: Sequence[tuple[str, int, float, int]] = (),
        faults: Sequence[str] = (),
        **more: Any,
    ) -> Ending:
        request = {"directory": str(directory), "resume": resume, "signals": list(signals), "faults": list(faults)}
        return Ending(**self._ask({**request, "data": str(self.data), "options": self.options, **more}))

    def preload(self, modules: list[str]) -> None:
        self._ask({"modules": modules})

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=150)
        self._server.stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV of 240 rows: a category that numbers and a category tell roughly."""
    random = np.random.default_rng(0)
    numbers, letters = random.normal(size=(240, 3)), random.choice(["a", "b", "c"], 240)
    clear = numbers[:, 0] * numbers[:, 1] + (letters == "a")
    answers = np.where(clear + random.normal(size=240) * 0.7 > 0.3, "yes", "no")
    lines = [f"{a:.6f},{b:.6f},{c:.6f},{d},{y}" for (a, b, c), d, y in zip(numbers, letters, answers, strict=True)]
    path = tmp_path_factory.mktemp("data") / "table.csv"
    path.write_text("\n".join(["a,b,c,d,y", *lines]) + "\n")
    return path


@pytest.fixture(scope="session")
def trainings(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    """Return the process that trains; it has imported what a whole run imports."""
    made = Trainings(table)
    place = tmp_path_factory.mktemp("warm")
    try:
        ending = made.train(place / "run", loaded=str(place / "modules.json"))
        assert ending.status == 0, ending.trace
        made.preload(json.loads((place / "modules.json").read_text()))
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def whole(trainings: Trainings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    ending = trainings.train(directory)
    assert ending.status == 0, ending.trace
    return directory
