"""One gradient, however a batch is cut: each head's total over the weight of the whole batch."""

from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from fathom.heads import HEADS, Head
from fathom.kinds import KINDS, Kind
from fathom.layout import choose_layout
from fathom.model import Model
from fathom.registry import Choice
from fathom.schema import Schema
from fathom.signals import WEIGHT, Batch, Loss, Ragged
from fathom.training.update import Update

ROWS = 64
TOLERANCE = 1e-6


@KINDS.register("probe_bag", packed=False, head="probe_guess_all")
class Bag(Kind):
    """Any number of numbers in a row."""

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


@HEADS.register("probe_guess_all", target="probe_bag", needs="vector", metrics=())
class GuessAll(Head):
    """One guess for all numbers of a row."""

    def __init__(self, state, target):
        super().__init__()
        self.output = nn.Linear(state.width, 1)

    def loss(self, signal, target, weight):
        row = torch.arange(len(target)).repeat_interleave(target.lengths)
        cost = (target.values - self.output(signal.vector)[row, 0]).square()
        return Loss((cost if weight is None else cost * weight[row]).sum(), self.weigh(target, weight))

    def weigh(self, target, weight):
        return (target.lengths if weight is None else target.lengths * weight).sum()

    def predict(self, signal):
        return {"value": self.output(signal.vector)[:, 0]}


class EachByItsOwn(nn.Module):
    """The mistake that the weights are there against: every micro-batch is divided by its own weight."""

    whole_batch = False

    def __init__(self, network: nn.Module, pieces: int) -> None:
        super().__init__()
        self.network, self.pieces = network, pieces

    @property
    def parts(self):
        return self.network.parts

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        losses = self.network.loss(batch, part)
        own = {name: loss.total / loss.weight.clamp(min=1e-9) for name, loss in losses.items()}
        return {name: loss._replace(total=own[name], weight=torch.ones(())) for name, loss in losses.items()}

    def weigh(self, batch: Batch, part: str) -> dict[str, torch.Tensor]:
        return dict.fromkeys(self.network.weigh(batch, part), torch.tensor(float(self.pieces)))


def example(*, weighted: bool) -> tuple[nn.Module, Batch]:
    """A network and one batch: a category of which the later half is missing, a number, and ragged rows."""
    draw = np.random.default_rng(0)
    table = pa.table(
        {
            "x": draw.normal(size=ROWS),
            "y": draw.normal(size=ROWS),
            "style": pa.array(draw.choice(["a", "b", "c"], ROWS), mask=np.arange(ROWS) >= ROWS // 2),
            "price": pa.array(draw.normal(size=ROWS), mask=draw.random(ROWS) < 0.2),
            "bag": [draw.normal(size=n).tolist() for n in draw.integers(0, 9, ROWS)],
            "importance": draw.integers(0, 4, ROWS),
        }
    )
    role = "weight" if weighted else "ignore"
    targets = ["style", "price", "bag"]
    schema = Schema.infer(table, targets, kinds={"bag": "probe_bag"}, roles={"importance": role}).fit(table)
    net = Choice("mlp", {"hidden": (16,), "dropout": 0.0, "activation": "tanh"})
    network = Model(schema, choose_layout(schema.inputs(), schema.targets(), net=net)).network
    return network, schema.encode(table).batch(torch.arange(ROWS))


def step(module: nn.Module, batch: Batch, pieces: int) -> tuple[float, torch.Tensor]:
    """The loss of one update that cuts its batch into pieces, and the gradient that it followed."""
    module = copy.deepcopy(module)
    before = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
    update = Update(module, Choice("sgd", {"lr": 1.0, "momentum": 0.0}), seed=0, accumulate=pieces)
    loss = update(batch, 0, 1.0)
    return loss, before - nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pieces", [2, 4])
def test_micro_batches_give_the_gradient_of_the_whole(pieces, weighted):
    network, batch = example(weighted=weighted)
    (whole_loss, whole), (loss, cut) = step(network, batch, 1), step(network, batch, pieces)
    assert whole.norm() > 0.1
    assert (cut - whole).abs().max() < TOLERANCE
    assert loss == pytest.approx(whole_loss, abs=TOLERANCE)


def test_a_row_of_weight_three_is_that_row_thrice():
    network, batch = example(weighted=True)
    rows = torch.arange(ROWS).repeat_interleave(batch[WEIGHT].long())
    thrice = {key: value.select(rows) if isinstance(value, Ragged) else value[rows] for key, value in batch.items()}
    del thrice[WEIGHT]
    (weighted_loss, weighted), (loss, repeated) = step(network, batch, 4), step(network, thrice, 1)
    assert (weighted - repeated).abs().max() < TOLERANCE
    assert weighted_loss == pytest.approx(loss, abs=TOLERANCE)


@pytest.mark.parametrize("pieces", [2, 4])
def test_dividing_each_micro_batch_by_its_own_weight_is_noticed(pieces):
    network, batch = example(weighted=False)
    (_, whole), (_, cut) = (step(EachByItsOwn(network, n), batch, n) for n in (1, pieces))
    assert (whole - step(network, batch, 1)[1]).abs().max() < TOLERANCE
    assert (cut - whole).abs().max() > 1000 * TOLERANCE
