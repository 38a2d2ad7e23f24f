"""Long rows cut into windows are scored window by window, each with its row's weight and group."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from fathom.errors import ConfigError
from fathom.heads import HEADS, Head
from fathom.heads.head import over_members
from fathom.kinds import KINDS, Kind
from fathom.signals import Loss, Ragged, Samples


@KINDS.register("probe_signal", packed=False, head="probe_level")
class Levels(Kind):
    """A long row of numbers."""

    @classmethod
    def count(cls, column, weight=None):
        return {}

    @classmethod
    def merge(cls, first, second):
        return {}

    @property
    def spec(self):
        return None

    def encode(self, column):
        return {"": Ragged.of([torch.tensor(row, dtype=torch.float32) for row in column.to_pylist()])}

    def decode(self, prediction):
        return {"": pa.array(prediction["value"])}

    def truth(self, encoded):
        return encoded.padded(float("nan"))[0].numpy()

    def values(self, prediction):
        return {"value": prediction["value"][:, None]}

    def samples(self, encoded):
        return Samples.windowed(encoded.lengths, 8, 8)


@HEADS.register("probe_level", target="probe_signal", needs="vector", metrics=("rmse",))
class Level(Head):
    """One number for a whole window."""

    def __init__(self, state, target):
        super().__init__()
        self.output = nn.Linear(state.width, 1)

    def loss(self, signal, target, weight):
        row = torch.arange(len(target)).repeat_interleave(target.lengths)
        level = self.output(signal.vector).view(signal.members, -1)[:, row]  # (M, values)
        cost = (target.values - level).square()
        total = (cost * (1 if weight is None else weight[row])).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target, weight):
        return (target.lengths * (1 if weight is None else weight)).sum()

    def predict(self, signal):
        return {"value": over_members(self.output(signal.vector), signal.members)[:, 0]}

    def trivial(self, rows):
        return {"value": torch.zeros(rows)}


def test_windows_carry_their_rows_weight_and_group(fit, kept):
    draw = np.random.default_rng(5)
    level, length = draw.normal(size=60), draw.integers(5, 40, 60)
    signal = [(shift + 0.1 * draw.normal(size=n)).tolist() for shift, n in zip(level, length, strict=True)]
    rows = {"level": level, "signal": signal, "importance": draw.integers(1, 3, 60), "patient": np.arange(60) // 2}
    roles = {"importance": "weight", "patient": "group"}
    run = fit(rows, "signal", kinds={"signal": "probe_signal"}, roles=roles)
    kept(run, rows)

    found, counts = run.evaluate(rows)["signal"]["rmse"], -(-length // 8)
    windows = [np.array(row[k : k + 8]) for row in signal for k in range(0, len(row), 8)]
    guesses = np.repeat(run.predict(rows)["signal"].to_numpy(), counts)
    errors = [np.mean((window - guess) ** 2) for window, guess in zip(windows, guesses, strict=True)]
    expected = np.sqrt(np.average(errors, weights=np.repeat(rows["importance"], counts)))
    assert found.value == pytest.approx(expected, rel=1e-5)
    assert found.value < 0.5 * found.trivial


def test_a_net_without_a_place_is_refused(fit):
    with pytest.raises(ConfigError, match="net 'mlp' has no place: nothing comes in"):
        fit({"signal": [[1.0, 2.0]] * 20}, "signal", kinds={"signal": "probe_signal"}, net="mlp")


def test_a_kind_without_an_entry_cannot_come_in(fit):
    with pytest.raises(ConfigError, match="'probe_signal' cannot come in"):
        fit({"signal": [[1.0, 2.0]] * 20, "y": [*range(20)]}, "y", kinds={"signal": "probe_signal"})
