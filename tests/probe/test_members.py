"""Four members in one net, in the manner of BatchEnsemble: one matrix, scaled by each member in its own way."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import fathom
from fathom.nets import NETS
from fathom.signals import Signal, SignalSpec

ROWS = 800


@NETS.register("probe_members", takes="vector", gives=("vector",))
class Members(nn.Module):
    """One hidden layer for all members, before and behind which each flips some features (Wen et al. 2020)."""

    def __init__(self, spec: SignalSpec, *, members: int = 4, width: int | None = None):
        super().__init__()
        width = width or 8 * spec.width
        self.shared = nn.Linear(spec.width, width)
        self.before = nn.Parameter(torch.randn(members, 1, spec.width).sign())
        self.behind = nn.Parameter(torch.randn(members, 1, width).sign())
        self.gives = SignalSpec(width, members=members)

    def forward(self, vector: Tensor) -> Signal:
        """vector (B, D) to (M·B, width)."""
        hidden = torch.relu(self.shared(vector * self.before) * self.behind)  # (M, B, width)
        return Signal(vector=hidden.flatten(0, 1), members=len(self.before))


def test_members_differ_and_their_mean_is_the_prediction(fit, kept):
    x = np.random.default_rng(2).normal(size=(ROWS, 5))
    rows = {f"x{k}": x[:, k] for k in range(5)} | {"y": np.where(x[:, 0] * x[:, 1] + x[:, 2] > 0, "yes", "no")}
    run = fit(rows, "y", net="probe_members")
    accuracy = run.metrics["y"]["accuracy"]
    assert accuracy.low > accuracy.trivial + 0.1
    kept(run, rows)

    network, table = run.model.network, fathom.read(rows).parts["train"]
    with torch.inference_mode():
        signal = network(run.model.schema.encode(table).batch(torch.arange(ROWS)))
        each = network.heads[0].output(signal.vector).softmax(1).view(4, ROWS, 2).numpy()
    apart = np.abs(each[:, None] - each).mean(axis=(2, 3))  # (M, M)
    assert apart[~np.eye(4, dtype=bool)].min() > 1e-3
    answers = run.predict(rows)
    for k, value in enumerate(("no", "yes")):
        np.testing.assert_allclose(answers[f"y probability {value}"], each[:, :, k].mean(axis=0), atol=1e-6)
