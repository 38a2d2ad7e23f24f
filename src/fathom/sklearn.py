"""The scikit-learn face: a classifier and a regressor that obey every rule of ``check_estimator``."""

from __future__ import annotations

import numbers
import signal
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_X_y, validate_data

from fathom.api import fit
from fathom.data import read
from fathom.data.columnar import ArrowStream
from fathom.data.columns import coded, holds_numbers, holds_single_values
from fathom.errors import Interrupted, SchemaError
from fathom.model import Model

__all__ = ["NeuralClassifier", "NeuralRegressor"]

BLOCK, TARGET, WEIGHT = "X", "y", "weight"

Columns: TypeAlias = dict[str, "np.ndarray | pa.ChunkedArray"]


class _NeuralEstimator(BaseEstimator):
    """What both estimators share: from rows to a trained ``Model`` and from rows to its answers.

    Args:
        net: a net by name, or as a dict of ``name`` and options; None for the one that suits the data.
        head: what stands on it, likewise.
        budget: "20epochs", "500steps", "2m"; None trains until validation stops improving, at most ten minutes.
        optimizer: by name, or as a dict of ``name`` and options.
        schedule: of the learning rate, likewise.
        valid: the share of distinct rows held out to choose the best weights by; 0 for none.
        ensemble: how many networks of different first weights answer together, by the mean.
        training: more options of the engine, as in ``{"batch_size": 64, "clip_norm": 0.0}``.
        random_state: decides all that is random; None draws from numpy's global generator.
    """

    def __init__(
        self,
        *,
        net: Any = None,
        head: Any = None,
        budget: str | None = None,
        optimizer: Any = None,
        schedule: Any = None,
        valid: float = 0.15,
        ensemble: int = 1,
        training: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.net = net
        self.head = head
        self.budget = budget
        self.optimizer = optimizer
        self.schedule = schedule
        self.valid = valid
        self.ensemble = ensemble
        self.training = training
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The parameters and fitted attributes, the model as the bytes of its files."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = state["model_"].files()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take up a state; the model is loaded from its files as from disk.

        Raises:
            ModelError: a file is missing, altered, or of a format that this version does not read.
        """
        loaded = {"model_": Model.from_files(state["model_"])} if "model_" in state else {}
        super().__setstate__({**state, **loaded})

    def _checked(self, X: Any, y: Any, *, numeric: bool) -> tuple[Columns, np.ndarray]:
        """The rows to learn from, as one block of numbers or as the columns of a frame, and their targets."""
        checks = {"multi_output": numeric, "y_numeric": numeric}
        table = _mixed_frame(X)
        self._is_block = table is None
        if table is None:
            X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", **checks)
            return {BLOCK: X}, y
        validate_data(self, X, y, skip_check_array=True)
        _, y = check_X_y(np.zeros((table.num_rows, 1)), y, **checks)
        return _columns_of(table), y

    def _learn(self, columns: Columns, y: np.ndarray, weight: np.ndarray, *, kind: str) -> Self:
        """Train on distinct rows, so that the outcome depends on the rows and their weights alone.

        Args:
            columns: the features, N rows each.
            y: (N,) or (N, D) targets.
            weight: (N,) float64, above 0.
            kind: of the target.
        """
        target, extra = _free_name(TARGET, columns), _free_name(WEIGHT, columns)
        merged, total = _merged({**columns, target: y}, weight)
        kinds, roles = {target: kind}, {}
        if self._is_block:
            kinds[BLOCK], roles[BLOCK] = _number_kind(columns[BLOCK]), "input"
        if total.min() < total.max():
            merged[extra], roles[extra] = _with_mean_one(total), "weight"
        try:
            run = fit(
                merged,
                target,
                test=0.0,
                kinds=kinds,
                roles=roles,
                net=self.net,
                head=self.head,
                budget=self.budget,
                optimizer=self.optimizer,
                schedule=self.schedule,
                valid=self.valid if len(total) > 1 else 0.0,
                ensemble=self.ensemble,
                training={"threads": 1, **(self.training or {})},
                seed=_seed(self.random_state),
                baseline=False,
                measure=False,
            )
        except Interrupted as error:
            # A grid search takes an Exception for a failed fit and goes on, so it must not see one here.
            stopped = error.exit_status == 128 + signal.SIGINT
            raise (KeyboardInterrupt() if stopped else SystemExit(error.exit_status)) from error
        self.model_ = run.model
        return self

    def _answers(self, X: Any) -> pa.Table:
        """What the model answers for each row, computed in float64."""
        check_is_fitted(self)
        if self._is_block:
            X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
            columns: Columns = {BLOCK: X}
        elif _is_frame(X):
            validate_data(self, X, reset=False, skip_check_array=True)
            columns = _columns_of(_table(X))
        else:
            raise SchemaError(
                f"{type(self).__name__} was fitted on a frame with columns that are not numbers; "
                f"it needs such a frame here too, not a {type(X).__name__}"
            )
        return self.model_.predict(read(columns).parts["train"], double=True)


class NeuralClassifier(ClassifierMixin, _NeuralEstimator):
    """A neural network that says the class of a row.

    X is an array of numbers (NaN is missing), or a data frame; a frame with columns that are not numbers gets a kind
    for each column. Equal rows are merged and their weights added, so that a weight of 2 is the row twice.

    Args:
        net: a net by name, or as a dict of ``name`` and options; None for the one that suits the data.
        head: what stands on it, likewise, as in ``{"name": "classify", "class_weight": "balanced"}``.
        budget: "20epochs", "500steps", "2m"; None trains until validation stops improving, at most ten minutes.
        optimizer: by name, or as a dict of ``name`` and options.
        schedule: of the learning rate, likewise.
        valid: the share of distinct rows held out to choose the best weights by; 0 for none.
        ensemble: how many networks of different first weights answer together, by the mean.
        training: more options of the engine, as in ``{"batch_size": 64, "clip_norm": 0.0}``.
        random_state: decides all that is random; None draws from numpy's global generator.

    Attributes:
        model_: the trained ``fathom.Model``.
        classes_: (K,) the classes, sorted; those of rows without weight are not among them.
        n_features_in_: D.
        feature_names_in_: (D,) the columns of X, where they are all strings.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (N, D) with classes y (N,), each row weighed by sample_weight (N,).

        Raises:
            InputError: a parameter or a column that is not allowed.
            Diverged: training produced NaN, infinity or an explosion.
        """
        columns, y = self._checked(X, y, numeric=False)
        check_classification_targets(y)
        columns, y, weight = _weighed(columns, y, sample_weight)
        self.classes_, code = np.unique(y, return_inverse=True)
        return self._learn(columns, code.astype(np.int64), weight, kind="category")

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row, (N,)."""
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (N, K) float64."""
        answers = self._answers(X)
        probability = np.zeros((answers.num_rows, len(self.classes_)))
        for code in range(len(self.classes_)):
            # A rare class may stand among the validation rows alone; the network then knows nothing of it.
            name = f"{self.model_.targets[0]} probability {code}"
            if name in answers.column_names:
                probability[:, code] = answers[name].to_numpy()
        return probability

    def decision_function(self, X: Any) -> np.ndarray:
        """With two classes the log-odds of the second, (N,); else the log-probability of each, (N, K)."""
        log = np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))
        return log[:, 1] - log[:, 0] if log.shape[1] == 2 else log


class NeuralRegressor(RegressorMixin, _NeuralEstimator):
    """A neural network that says a number of a row, or several.

    X is an array of numbers (NaN is missing), or a data frame; a frame with columns that are not numbers gets a kind
    for each column. Equal rows are merged and their weights added, so that a weight of 2 is the row twice.

    Args:
        net: a net by name, or as a dict of ``name`` and options; None for the one that suits the data.
        head: what stands on it, likewise, as in ``{"name": "regress", "estimate": "robust"}``.
        budget: "20epochs", "500steps", "2m"; None trains until validation stops improving, at most ten minutes.
        optimizer: by name, or as a dict of ``name`` and options.
        schedule: of the learning rate, likewise.
        valid: the share of distinct rows held out to choose the best weights by; 0 for none.
        ensemble: how many networks of different first weights answer together, by the mean.
        training: more options of the engine, as in ``{"batch_size": 64, "clip_norm": 0.0}``.
        random_state: decides all that is random; None draws from numpy's global generator.

    Attributes:
        model_: the trained ``fathom.Model``.
        n_features_in_: D.
        feature_names_in_: (D,) the columns of X, where they are all strings.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (N, D) with numbers y (N,) or (N, outputs), each row weighed by sample_weight (N,).

        Raises:
            InputError: a parameter or a column that is not allowed.
            Diverged: training produced NaN, infinity or an explosion.
        """
        columns, y = self._checked(X, y, numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns, y, weight = _weighed(columns, y.astype(np.float64), sample_weight)
        return self._learn(columns, y, weight, kind=_number_kind(y))

    def predict(self, X: Any) -> np.ndarray:
        """The number of each row, (N,) float64, or the numbers, (N, outputs)."""
        answer = self._answers(X)[self.model_.targets[0]].combine_chunks()
        if pa.types.is_fixed_size_list(answer.type):
            return answer.flatten().to_numpy().reshape(-1, answer.type.list_size)
        return answer.to_numpy()


def _number_kind(values: np.ndarray) -> str:
    return "vector" if values.ndim == 2 and values.shape[1] > 1 else "number"


def _mixed_frame(X: Any) -> pa.Table | None:
    """The table of a frame in which not every column holds numbers; None for anything else."""
    if not _is_frame(X):
        return None
    table = _table(X)
    return None if all(_is_number(kind) for kind in table.schema.types) else table


def _is_frame(X: Any) -> bool:
    return isinstance(X, ArrowStream) and len(getattr(X, "shape", ())) == 2


def _table(frame: Any) -> pa.Table:
    """The columns of a frame; what Arrow adds of a pandas index stands behind them and is left out."""
    return read(frame).parts["train"].select(list(range(frame.shape[1])))


def _columns_of(table: pa.Table) -> Columns:
    return dict(zip(table.column_names, table.columns, strict=True))


def _is_number(kind: pa.DataType) -> bool:
    return holds_numbers(kind) or bool(pa.types.is_boolean(kind))


def _weighed(columns: Columns, y: np.ndarray, sample_weight: Any) -> tuple[Columns, np.ndarray, np.ndarray]:
    """The rows that have any weight, and their weights, (N,) float64."""
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    if weight.all():
        return columns, y, weight
    rows = np.flatnonzero(weight)
    return {name: _taken(values, rows) for name, values in columns.items()}, y[rows], weight[rows]


def _merged(columns: Columns, weight: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Equal rows as one, with their weights added, in an order that depends on the set of rows alone."""
    keys = np.ascontiguousarray(np.hstack([_keys(values) for values in columns.values()]))
    # Compared as bytes, each row at once: quick, and NaN is equal to NaN.
    rows = keys.view(np.dtype((np.void, keys.strides[0]))).ravel()
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    # The sum of floats depends on their order, which must not be that of the rows.
    order = np.argsort(weight, kind="stable")
    total = np.bincount(place[order], weights=weight[order])
    return {name: _taken(values, first) for name, values in columns.items()}, total


def _keys(values: np.ndarray | pa.ChunkedArray) -> np.ndarray:
    """(N, D) float64 whose bytes are equal where the values are, and in no order that depends on that of the rows."""
    if isinstance(values, pa.ChunkedArray):
        values = _ranks(values)
    keys = values.reshape(len(values), -1) + 0.0  # makes 0 of -0
    keys[np.isnan(keys)] = np.nan
    return keys


def _ranks(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, the place of each cell among the distinct ones, sorted."""
    if not holds_single_values(column.type):
        column = pa.chunked_array([[repr(cell) for cell in column.to_pylist()]])
    codes, values = coded(column, missing="encode")
    ranks = np.argsort(pc.array_sort_indices(values).to_numpy())
    return ranks[codes]


def _taken(values: np.ndarray | pa.ChunkedArray, rows: np.ndarray) -> np.ndarray | pa.ChunkedArray:
    return values[rows] if isinstance(values, np.ndarray) else values.take(pa.array(rows))


def _with_mean_one(weight: np.ndarray) -> np.ndarray:
    """Weights of which only the ratios count; the engine holds them in float32."""
    share = weight / weight.max()
    return share / share.mean()


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _seed(random_state: Any) -> int:
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
