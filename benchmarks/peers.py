"""Who trains it: a plain loop, fathom, and four frameworks, each the way its own guide shows it.

Every one draws shuffled batches from arrays in memory and steps Adam with a learning rate of 0.001. The clock runs
from the frameworks' own "training begins" to "training ends": building and compiling is nobody's time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from workloads import Workload

__all__ = ["Contestant", "Trained", "contestants"]

LEARNING_RATE = 1e-3


class Trained(NamedTuple):
    """What a training did: samples drawn, seconds, parameters of the network, and what is worth telling."""

    samples: float
    seconds: float
    parameters: int
    note: str = ""


@dataclass(frozen=True)
class Contestant:
    """Who trains.

    Attributes:
        train: trains on about so many samples; one that is drawn again counts again.
        package: what has to be installed.
        threads: of torch; None leaves their number as it comes.
    """

    train: Callable[[Workload, int], Trained]
    package: str
    threads: int | None = None


def contestants(*, pictures: bool) -> dict[str, Contestant]:
    """Everyone by name. A peer is also timed with one thread, which suits a small network better than its default."""
    found = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        for fused in (False, True):
            for last in (False, True) if pictures else (False,):
                words = ["plain loop", _count(threads), *["fused Adam"] * fused, *["channels last"] * last]
                train = partial(_plain, fused=fused, channels_last=last)
                found[", ".join(words)] = Contestant(train, "torch", threads)
    found["fathom"] = Contestant(_fathom, "fathom-nn")
    found["fathom, valid=0"] = Contestant(partial(_fathom, valid=0.0), "fathom-nn")
    for title, package, train in FRAMEWORKS:
        found[title] = Contestant(train, package)
        found[f"{title}, {_count(1)}"] = Contestant(train, package, 1)
    return found


def _plain(work: Workload, samples: int, *, fused: bool, channels_last: bool) -> Trained:
    rows, labels = work.tensor(), torch.from_numpy(work.labels)
    network = work.build().train()
    if channels_last:  # pictures are kept as they come, (N, H, W, C): a batch of them, turned, is channels-last
        rows, network = torch.from_numpy(work.rows), network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=fused)
    started, drawn = time.perf_counter(), 0
    while drawn < samples:
        for index in torch.randperm(len(rows)).split(work.batch_size):
            batch = rows.index_select(0, index)
            batch = batch.permute(0, 3, 1, 2) if channels_last else batch
            loss = F.cross_entropy(network(batch), labels.index_select(0, index))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            drawn += len(index)
            if drawn >= samples:
                break
    return Trained(drawn, time.perf_counter() - started, _parameters(network))


def _fathom(work: Workload, samples: int, **config: Any) -> Trained:
    import fathom
    from fathom.training.plan import Plan

    budget = f"{-(-samples // work.batch_size)}steps"
    training = {"batch_size": work.batch_size, "precision": "float32"}  # as everyone else here
    config |= {"optimizer": "adam", "training": training, "budget": budget, **work.asked}
    with tempfile.TemporaryDirectory() as place:
        run = fathom.fit(work.columns(), "label", out=f"{place}/run", **config)
        setting = Plan.load(Path(place) / "run" / "plan.json").setting
    seconds, drawn = run.outcome.elapsed_s, run.outcome.samples_per_s * run.outcome.elapsed_s
    note = f"chose {_count(setting.threads)}" + ", channels last" * setting.channels_last
    return Trained(drawn, seconds, _parameters(run.model.network), note)


def _skorch(work: Workload, samples: int) -> Trained:
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    epochs, count = _epochs(work, samples)
    network, watch = work.build(), _stopwatch(Callback, "on_train_begin", "on_train_end")
    classifier = NeuralNetClassifier(
        network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=work.batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[watch],
        verbose=0,
    )
    classifier.fit(work.tensor()[:count], work.labels[:count])
    return Trained(epochs * count, watch.seconds, _parameters(network))


def _lightning(work: Workload, samples: int) -> Trained:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = work.build()

        def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
            loss = F.cross_entropy(self.network(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), LEARNING_RATE)

    steps = -(-samples // work.batch_size)
    data = TensorDataset(work.tensor(), torch.from_numpy(work.labels))
    module, watch = Module(), _stopwatch(lightning.Callback, "on_train_start", "on_train_end")
    with tempfile.TemporaryDirectory() as place:
        trainer = lightning.Trainer(
            max_steps=steps,
            callbacks=[watch],
            default_root_dir=place,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(data, work.batch_size, shuffle=True))
    return Trained(_drawn(work, steps), watch.seconds, _parameters(module))


def _keras(work: Workload, samples: int) -> Trained:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras_networks import NETWORKS

    epochs, count = _epochs(work, samples)
    model = NETWORKS[work.name](work)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)
    watch = _stopwatch(keras.callbacks.Callback, "on_train_begin", "on_train_end")
    model.fit(work.rows[:count], work.labels[:count], work.batch_size, epochs, verbose=0, callbacks=[watch])
    return Trained(epochs * count, watch.seconds, sum(int(np.prod(w.shape)) for w in model.trainable_weights))


def _transformers(work: Workload, samples: int) -> Trained:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Rows(Dataset):
        def __init__(self) -> None:
            self.rows, self.labels = work.tensor(), torch.from_numpy(work.labels)

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, place: int) -> dict[str, Tensor]:
            return {"rows": self.rows[place], "labels": self.labels[place]}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = work.build()

        def forward(self, rows: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.network(rows)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    steps = -(-samples // work.batch_size)
    model, watch = Model(), _stopwatch(TrainerCallback, "on_train_begin", "on_train_end")
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(  # its own optimizer, AdamW without decay, is Adam
            output_dir=place,
            max_steps=steps,
            per_device_train_batch_size=work.batch_size,
            learning_rate=LEARNING_RATE,
            disable_tqdm=True,
        )
        Trainer(model, arguments, train_dataset=Rows(), callbacks=[watch]).train()
    return Trained(_drawn(work, steps), watch.seconds, _parameters(model))


def _stopwatch(base: type, begin: str, end: str) -> Any:
    """A callback of a framework that notes how long training took."""

    def started(self: Any, *_: Any, **__: Any) -> None:
        self.seconds = -time.perf_counter()

    def ended(self: Any, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter()

    return type("Stopwatch", (base,), {begin: started, end: ended})()


def _epochs(work: Workload, samples: int) -> tuple[int, int]:
    """Epochs, and of how many rows, that make about so many samples, for who counts in epochs."""
    count = min(len(work.rows), samples)
    return -(-samples // count), count


def _drawn(work: Workload, steps: int) -> int:
    """Samples of so many batches, the last of each epoch being a remainder."""
    per_epoch = -(-len(work.rows) // work.batch_size)
    return steps // per_epoch * len(work.rows) + steps % per_epoch * work.batch_size


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _count(threads: int) -> str:
    return f"{threads} thread" + "s" * (threads > 1)


FRAMEWORKS = (
    ("skorch", "skorch", _skorch),
    ("Lightning", "lightning", _lightning),
    ("Keras", "keras", _keras),
    ("Hugging Face Trainer", "transformers", _transformers),
)
