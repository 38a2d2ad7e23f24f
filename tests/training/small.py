"""A module so small that whatever the engine does with it can be written down beside it."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from fathom.data.store import Batches, TensorStore
from fathom.signals import Batch, Loss
from fathom.training.budget import Budget
from fathom.training.engine import Outcome, Task, Trainer
from fathom.training.hooks import Hook, Moment

ROWS = 64


class MadeClock:
    """A clock that only a sleep moves on: what computes, here or beside this process, takes no time by it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def by_a_made_clock(test: Callable[..., None]) -> Callable[..., None]:
    """A test of wall times in which nothing takes time but ``time.sleep``, so that a busy machine spoils nothing."""

    @wraps(test)
    def timed(**arguments: Any) -> None:
        clock = MadeClock()
        with patch.multiple(time, perf_counter=clock.perf_counter, sleep=clock.sleep):
            test(**arguments)

    return timed


class Small(nn.Module):
    """A perceptron and its squared error, under the name of a head; what is to go wrong can be put into it."""

    whole_batch = False

    def __init__(self, *, dropout: float = 0.0, norm: bool = False, before: Callable[[], None] | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = [nn.Linear(3, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout)]
            self.layers = nn.Sequential(*layers, nn.Linear(8, 1))
        self.before = before
        self.calls = 0

    @property
    def parts(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        """batch["x"] (B, 3), batch["y"] (B, 1), batch["known"] (B, 1)."""
        self.calls += 1
        if self.before is not None:
            self.before()
        error = (self.layers(batch["x"]) - batch["y"]) * batch["known"]
        return {"y": Loss(error.square().sum(), self.weigh(batch, part)["y"])}

    def weigh(self, batch: Batch, part: str) -> dict[str, Tensor]:
        return {"y": batch["known"].sum()}


def rows(count: int = ROWS, *, known: float = 1.0) -> TensorStore:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 3, generator=generator)
    y = (x[:, :1] * 2 - x[:, 1:2]).tanh() + 0.1 * torch.randn(count, 1, generator=generator)
    return TensorStore({"x": x, "y": y, "known": (torch.rand(count, 1, generator=generator) < known).float()})


def scripted(scores: Sequence[float], weights: list[Any], module: nn.Module) -> Callable[[], tuple[float, Any]]:
    """A validation that answers with one score after another, the last one for ever, and keeps what it looked at."""

    def validate() -> tuple[float, dict[str, float]]:
        score = scores[min(len(weights), len(scores) - 1)]
        weights.append({name: value.clone() for name, value in module.state_dict().items()})
        return score, {"score": score}

    return validate


class Trained:
    """A small module, trained.

    Attributes:
        looks: the module's weights at each validation.
    """

    def __init__(
        self,
        budget: str | None = "40steps",
        *,
        module: Small | None = None,
        store: TensorStore | None = None,
        scores: Sequence[float] | None = None,
        directory: Path | None = None,
        hooks: tuple[Hook, ...] = (),
        measured: bool = False,
        perfect: float | None = None,
        bears_bfloat16: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.module, self.store, self.directory = module or Small(), store or rows(), directory
        self.looks: list[dict[str, Tensor]] = []
        self._rates: dict[int, float] = {}
        validate = None if scores is None else scripted(scores, self.looks, self.module)
        draw = partial(Batches, self.store, seed=seed)
        if directory is not None:
            directory.mkdir(exist_ok=True)
        task = Task(
            self.module, draw, len(self.store), validate, directory, seed, hooks, measured, perfect, bears_bfloat16
        )
        self.trainer = Trainer(task, **{"threads": 1, "batch_size": 16, "layout": "contiguous", **options})
        self.budget = Budget.parse(budget)

    def run(self) -> Trained:
        rate = self.trainer._rate

        def noted(plan: Any, step: int) -> float:
            return self._rates.setdefault(step, rate(plan, step))

        self.trainer._rate = noted  # type: ignore[method-assign]
        self.outcome: Outcome = self.trainer.run(self.budget)
        return self

    @property
    def rates(self) -> list[float]:
        """The schedule's factor in each step."""
        return list(self._rates.values())

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.module.state_dict().items()}

    def file(self, name: str) -> Any:
        assert self.directory is not None
        text = (self.directory / name).read_text()
        return json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]


def trained(*arguments: Any, **named: Any) -> Trained:
    return Trained(*arguments, **named).run()


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


class Sleep(Hook):
    """Makes each step take time.

    Args:
        seconds: of a step.
        later: of a step after ``share`` of the steps that are planned when training starts.
        share: when the machine slows down.
    """

    def __init__(self, seconds: float, later: float = 0.0, share: float = 1.0) -> None:
        self._seconds, self._later, self._share = seconds, later, share
        self._slow_from, self._calls = math.inf, 0

    def started(self, moment: Moment) -> None:
        self._slow_from, self._calls = self._share * moment.steps, 0

    def __call__(self) -> None:
        self._calls += 1
        time.sleep(self._later if self._calls > self._slow_from else self._seconds)


def poisoned(step: int, value: float) -> tuple[Small, TensorStore]:
    """A module whose loss is ``value`` in one step."""
    module = Small()
    original = module.loss

    def loss(batch: Batch, part: str) -> dict[str, Loss]:
        found = original(batch, part)["y"]
        return {"price": found._replace(total=found.total * value) if module.calls == step + 1 else found}

    module.loss = loss  # type: ignore[method-assign]
    return module, rows()


def stopping(step: int) -> Callable[[], None]:
    """What sends this process a signal to stop, in that step."""
    left = step

    def stop() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGTERM)

    return stop
