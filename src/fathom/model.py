"""The trained thing: a schema and a network, with what it predicts, how good it is, and how it is kept."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from fathom.augment.hiding import Hiding
from fathom.data.store import TensorStore, stacked_rows
from fathom.ensemble import built_network
from fathom.errors import ConfigError, InputError, ModelError, SchemaError, unknown_name
from fathom.heads import HEADS
from fathom.heads.head import over_members
from fathom.heads.scoring import Judged, Metric, Scores, metrics_of, plain_metric
from fathom.heads.temperature import checked_temperatures, temperature
from fathom.heads.trivial_texts import trivial_texts
from fathom.kinds import UNSEEN
from fathom.layout import Layout
from fathom.manifest import FORMAT, MANIFEST, METRICS_FILE, NETWORK, SCHEMA, WEIGHTS, as_json, check_manifest
from fathom.progress import Work
from fathom.resampling import resampled_together
from fathom.runtime import fsync_directory, seeded, write_atomic
from fathom.schema import Schema
from fathom.signals import WEIGHT, Batch, Prediction, Ragged, Role, beside_key, doubled, target_key, to_device
from fathom.training.weights import load_weights, no_larger_than, read_weights, saved_weights

__all__ = ["SKILL", "Metric", "Model", "Scores"]

SKILL = "skill"  # what ``Model.skill`` tells, beside the names of metrics
ROWS_AT_ONCE, NUMBERS_AT_ONCE, OF_A_TOKEN = (64, 1024), 2**18, 64  # what rows become should stay in the caches
ENCODED_BYTES = 1 << 24  # of rows that are encoded together

# What reading values of a wrong type, size or name can raise, in files that fathom did not write.
MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

Answers = dict[str, dict[str, np.ndarray]]
Totals = dict[str, tuple[float, float]]
"""Each head to the sum of its losses and that of their weights."""


class Model:
    """A network and the schema of the rows it takes.

    Args:
        schema: fitted columns.
        layout: the nets and heads.
        seed: of the network's first weights.
    """

    def __init__(self, schema: Schema, layout: Layout, *, seed: int = 0) -> None:
        self.schema = schema
        self.layout = layout
        self.metrics: Scores = {}
        self.temperatures: dict[str, float] = {}
        self.hidden = Hiding.needed(layout.heads, schema.inputs(), seed=0)  # each look hides the same
        with seeded(seed):
            self.network = built_network(schema.inputs(), schema.targets(), layout)

    @cached_property
    def targets(self) -> list[str]:
        return [column.name for column in self.schema.of_role(Role.TARGET)]

    def predict(self, table: pa.Table, *, double: bool = False) -> pa.Table:
        """What the network answers for each row.

        Args:
            table: rows with every input column.
            double: compute in float64, so that a row's answer does not depend on the rows beside it.

        Returns:
            One column a target, beside it its probabilities or quantiles; with no target, the rebuilt columns.
        """
        return pa.concat_tables(self.predictions(table, double=double))

    def predictions(self, table: pa.Table, *, double: bool = False) -> Iterator[pa.Table]:
        """What ``predict`` returns, some rows after another: of a table that memory cannot hold."""
        for _, store in self._encoded(table, targets=False):
            columns: dict[str, pa.Array] = {}
            for name, answer in self.answers(store, double=double).items():
                columns |= self.schema.decode(name, answer, store)
            yield pa.table(columns)

    def embed(self, table: pa.Table) -> np.ndarray:
        """The vectors on which the heads stand, (N, D) float32, averaged over members."""
        if "vector" not in self.network.gives.gives:
            raise ModelError("this network has no vector to embed rows in")
        stores = (store for _, store in self._encoded(table, targets=False))
        signals = (self.network(batch) for store in stores for batch in self._batches(store))
        return torch.cat([over_members(signal.vector, signal.members).cpu() for signal in signals]).numpy()

    def answers(
        self, store: TensorStore, heads: Collection[str] | None = None, *, double: bool = False, measured: bool = False
    ) -> Answers:
        """The prediction of each head, or of those named, for all samples of a store; see ``Network.predict``."""
        parts: dict[str, dict[str, list[Tensor]]] = {}
        # A copy in double, so that another thread may use the network meanwhile.
        network = copy.deepcopy(self.network).double().eval() if double else self.network
        for batch in self._batches(store, double=double) if heads is None or heads else ():
            for name, prediction in network.predict(batch, heads, measured=measured).items():
                for key, value in self._tempered(name, prediction).items():
                    parts.setdefault(name, {}).setdefault(key, []).append(value.cpu())
        return {name: {key: stacked_rows(v).numpy() for key, v in heads.items()} for name, heads in parts.items()}

    def prepared(self, table: pa.Table | TensorStore, *, whole: bool = True) -> TensorStore:
        """Rows, or a piece of them, encoded for training and choosing, with all computed that no training changes."""
        store = table if isinstance(table, TensorStore) else self.schema.encode(table, whole=whole)
        self.network.eval()
        return store.holding(self.network.prepared(store.tensors))

    def losses(self, store: TensorStore) -> dict[str, float]:
        """Each head's loss, a unit of weight and of its baseline; NaN where no sample has its target."""
        totals: Totals = {}
        self._add_losses(store, totals)
        return self._mean_losses(totals)

    def skill(self, store: TensorStore) -> float:
        """The mean over heads of 1 - loss / trivial loss: 0 is no better than not looking, 1 is perfect."""
        return 1 - float(np.nanmean(list(self.losses(store).values())))

    def heads_with(self, metric: str) -> list[str]:
        """The names of the heads that have a metric.

        Raises:
            ConfigError: none has it.
        """
        having = [name for name in self.network.head_names if metric in self.metrics_of(name)]
        if not having:
            known = {other for name in self.network.head_names for other in self.metrics_of(name)}
            raise ConfigError(unknown_name("metric", metric, [SKILL, *sorted(known)]))
        return having

    def score(self, store: TensorStore, metric: str) -> float:
        """A metric's mean over the heads that have it.

        Raises:
            ConfigError: no head has it.
        """
        judged = self._judged(store, self.heads_with(metric), None)
        return float(np.mean([plain_metric(metric, self._with_truth(k, one), one.answer) for k, one in judged.items()]))

    def evaluate(self, table: pa.Table, *, linear: Model | None = None, seed: int = 0) -> Scores:
        """Score the network on rows that have their targets.

        Args:
            table: rows with every input and target column.
            linear: the linear model of the same schema, to stand beside.
            seed: of the intervals' resampling.

        Returns:
            Metrics by target (or rebuilt input) and name, the one to quote first.

        Raises:
            SchemaError: no row has a target.
        """
        return self.scores_on(table, *self.judged(table, linear), seed=seed)

    def scores_on(self, table: pa.Table, judged: Mapping[str, Judged], rows: np.ndarray, *, seed: int = 0) -> Scores:
        """What ``evaluate`` returns, by the answers that ``judged`` gave to the same rows."""
        groups = resampled_together(self.schema, table, rows)
        losses: Totals = {}
        if len(judged) < len(self.network.head_names):
            for _, store in self._encoded(table, targets=True):
                self._add_losses(store, losses)
        scores = {name: {"loss": Metric(loss, np.nan, np.nan)} for name, loss in self._mean_losses(losses).items()}
        scores |= self.scores_of(judged, groups, seed=seed)
        return {name: scores[name] for name in self.network.head_names}

    def judged(self, table: pa.Table, linear: Model | None = None) -> tuple[dict[str, Judged], np.ndarray]:
        """What the heads that have metrics answer to rows, beside the truth; and the row of each sample, (S,)."""
        measured = [name for name in self.network.head_names if self.metrics_of(name)]
        parts: dict[str, list[Judged]] = {name: [] for name in measured}
        rows = []
        for start, store in self._encoded(table, targets=True):
            for name, one in self._judged(store, measured, linear).items():
                parts[name].append(one)
            rows.append(start + store.samples.rows.numpy())
        self.schema.weights(table)  # that not all are 0 is known only now
        return {name: Judged.joined(found) for name, found in parts.items()}, np.concatenate(rows)

    def metrics_of(self, name: str) -> list[str]:
        """The metrics of a head, the one to quote first."""
        first = self._head(name).quoted
        return sorted(HEADS.get(self.layout.heads[name].name).facts["metrics"], key=lambda metric: metric != first)

    def scores_of(self, judged: Mapping[str, Judged], groups: np.ndarray | None, *, seed: int = 0) -> Scores:
        """The metrics of each head's answers.

        Args:
            judged: what ``judged`` returns.
            groups: (S,) which samples are resampled together, or None.
            seed: of the intervals' resampling.
        """
        scores: Scores = {}
        for name, found in judged.items():
            one = self._with_truth(name, found)
            scores[name] = metrics_of(self.metrics_of(name), one, self._trivial(name, one), groups, seed=seed)
        return scores

    def calibrate(self, table: pa.Table) -> None:
        """Set the temperature of each head's probabilities by rows from which the network did not learn."""
        self.temperatures = {}
        facts = {name: HEADS.get(choice.name).facts.get("probabilities") for name, choice in self.layout.heads.items()}
        judged = self.judged(table)[0] if any(facts.values()) else {}  # to write texts for nothing would be dear
        for name, one in judged.items():
            found = temperature(one.answer, one.truth, one.weight, of=str(of)) if (of := facts[name]) else None
            if found is not None:
                self.temperatures[name] = found

    def save(self, directory: Path) -> None:
        """Write the model's files into a new directory, which appears whole or not at all.

        Raises:
            ModelError: the directory exists.
        """
        if directory.exists():
            raise ModelError(f"{directory} exists already; name another place")
        temporary = directory.with_name(directory.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in self.files().items():
            write_atomic(temporary / name, content)
        temporary.rename(directory)
        fsync_directory(directory.parent)

    def files(self) -> dict[str, bytes]:
        """The model's files by name; the manifest holds the sha256 of every other."""
        metrics = {head: {name: m.plain() for name, m in scores.items()} for head, scores in self.metrics.items()}
        files = {
            NETWORK: as_json({"format": FORMAT, "layout": self.layout.state(), "temperatures": self.temperatures}),
            SCHEMA: as_json({"format": FORMAT, "columns": self.schema.state()}),
            WEIGHTS: saved_weights(self.network),
            METRICS_FILE: as_json(metrics),
        }
        digests = {name: sha256(content).hexdigest() for name, content in files.items()}
        return {**files, MANIFEST: as_json({"format": FORMAT, "torch": torch.__version__, "sha256": digests})}

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Read a model's directory; no code is run from it.

        Raises:
            ModelError: a file is missing, altered, or of a format that this version does not read.
        """
        if not (directory / MANIFEST).is_file():
            raise ModelError(f"{directory} is no model: it has no {MANIFEST}")
        names = (NETWORK, SCHEMA, WEIGHTS, METRICS_FILE, MANIFEST)
        return cls.from_files({name: (directory / name).read_bytes() for name in names if (directory / name).is_file()})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Model:
        """Rebuild a model from its files, the manifest checked first.

        Raises:
            ModelError: as ``load``.
        """
        check_manifest(files)
        try:
            return cls._rebuilt(files)
        except InputError:
            raise
        except MISFITS as error:
            raise ModelError(f"the model's files are not as fathom writes them ({error!r:.200})") from error

    @classmethod
    def _rebuilt(cls, files: Mapping[str, bytes]) -> Model:
        weights = read_weights(files[WEIGHTS])
        network, schema = json.loads(files[NETWORK]), json.loads(files[SCHEMA])
        with no_larger_than(weights):
            model = cls(Schema.from_state(schema["columns"]), Layout.from_state(network["layout"]))
        load_weights(model.network, weights)
        model.temperatures = checked_temperatures(network.get("temperatures", {}), model.network.head_names)
        stored = json.loads(files[METRICS_FILE])
        model.metrics = {
            head: {name: Metric.restored(m) for name, m in scores.items()} for head, scores in stored.items()
        }
        model.network.eval()
        return model

    def _encoded(self, table: pa.Table, *, targets: bool) -> Iterator[tuple[int, TensorStore]]:
        """Rows encoded some after another, so that few are there at once; each with the number of its first row."""
        start, count = 0, ROWS_AT_ONCE[1]
        with Work("evaluating" if targets else "predicting", table.num_rows, "rows") as done:
            while start == 0 or start < table.num_rows:
                done(start)
                try:
                    store = self.schema.encode(table.slice(start, count), targets=targets, whole=False)
                except SchemaError as error:
                    raise (SchemaError(f"{error} (counted from row {start:,})") if start else error) from error
                yield start, store
                start += count
                count = max(ROWS_AT_ONCE[0], count * ENCODED_BYTES // max(1, store.size_bytes))

    def _add_losses(self, store: TensorStore, totals: Totals) -> None:
        for batch in self._batches(store):
            posed = batch if self.hidden is None else self.hidden(batch, 0)
            for name, loss in self.network.loss(posed, "network").items():
                total, weight = totals.get(name, (0.0, 0.0))
                totals[name] = total + float(loss.total) / loss.unit, weight + float(loss.weight)

    def _mean_losses(self, totals: Totals) -> dict[str, float]:
        heads = len(self.network.head_names)
        return {name: heads * total / weight if weight else np.nan for name, (total, weight) in totals.items()}

    def _batches(self, store: TensorStore, *, double: bool = False) -> Iterator[Batch]:
        """Batches in order, if asked in double, with the network in eval mode as long as they are drawn."""
        network, training = self.network, self.network.training
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        network.eval()
        try:
            with torch.inference_mode():
                for batch in store.in_order(_rows_at_once(store)):
                    yield to_device(doubled(batch) if double else batch, device)
        finally:
            network.train(training)

    def _tempered(self, name: str, prediction: Prediction) -> Prediction:
        if name not in self.temperatures:
            return prediction
        tempered: Prediction = self._head(name).tempered(prediction, self.temperatures[name])
        return tempered

    def _head(self, name: str) -> Any:
        return self.network.heads[self.network.head_names.index(name)]

    def _judged(self, store: TensorStore, heads: Collection[str], linear: Model | None) -> dict[str, Judged]:
        """What the heads, and those of the linear model, answer to all samples of a store, beside the truth."""
        answers = self.answers(store, heads, measured=True)  # one that no metric takes may be dear: a text, a picture
        beside = linear.answers(store, heads, measured=True) if linear is not None else {}
        return {
            name: Judged(
                self._truth_or_unseen(name, store),
                _weights(store),
                self._values(name, answers[name], store),
                self._values(name, beside[name], store) if name in beside else None,
                self.schema.texts(store) if name in self.targets and {"ids", "begin"} & answers[name].keys() else {},
            )
            for name in heads
        }

    def _with_truth(self, name: str, judged: Judged) -> Judged:
        """The same.

        Raises:
            SchemaError: no sample has a value that the model knows.
        """
        answered = judged.known
        if judged.truth.dtype.kind in "iu" and judged.truth.ndim == 1:
            answered &= judged.truth < self.schema.targets()[name][1].num_outputs
        if not answered.any():
            raise SchemaError(f"none of {len(judged.truth):,} rows has a value of {name!r} that the model knows")
        return judged

    def _truth_or_unseen(self, name: str, store: TensorStore) -> np.ndarray:
        truth = self._truth(name, store)
        assert truth is not None, f"head of {name!r} has metrics, but its kind gives no truth"
        key = beside_key(target_key(name), UNSEEN)
        unseen = store.drawn(key) if key in store.tensors else None
        if isinstance(unseen, Tensor):
            truth = np.where(unseen.numpy(), self.schema.targets()[name][1].num_outputs, truth)
        return truth

    def _truth(self, name: str, store: TensorStore) -> np.ndarray | None:
        kind = self.schema.answered(name, store)
        if kind is not None:
            return kind.truth(store.drawn(target_key(name) if name in self.targets else name))
        return np.asarray(self._head(name).truth(store.drawn(name)))

    def _values(self, name: str, answer: Mapping[str, np.ndarray], store: TensorStore | None) -> dict[str, np.ndarray]:
        """A prediction in the column's own unit; what was rebuilt of several stays in the unit of their tensor."""
        return dict(answer) if (kind := self.schema.answered(name, store)) is None else kind.values(answer)

    def _trivial(self, name: str, judged: Judged) -> Answers:
        if judged.truth.dtype.kind == "O":
            return trivial_texts(judged.truth, judged.answer, judged.texts)
        answers = self.network.trivial(len(judged.truth)).get(name)
        plain = None if answers is None else {key: value.cpu().numpy() for key, value in answers.items()}
        return {} if plain is None else {"": self._values(name, plain, None)}


def _rows_at_once(store: TensorStore) -> int:
    """How many samples pass the network together, by how many numbers the first of them holds or becomes."""
    first = store.batch(torch.arange(min(1, len(store)))).values()
    numbers = sum(OF_A_TOKEN * v.values.numel() if isinstance(v, Ragged) else v.numel() for v in first)
    return max(ROWS_AT_ONCE[0], min(ROWS_AT_ONCE[1], NUMBERS_AT_ONCE // max(1, numbers)))


def _weights(store: TensorStore) -> np.ndarray | None:
    weight: Any = store.drawn(WEIGHT) if WEIGHT in store.tensors else None
    return None if weight is None else weight.numpy().astype(np.float64)
