"""Who learns a table: fathom, and seven peers with their own defaults.

A peer gets no more preparation than its manual asks for: missing numbers are replaced where it takes none, categories
are said to be such, and scikit-learn's perceptron gets scaled numbers, indicators for categories and a scaled target.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from table_sets import Frames, Split, TableSet, plain_label

__all__ = ["CONTESTANTS", "FATHOM", "FATHOM_NETS", "Answer", "Contestant", "Job"]

FATHOM = "fathom"
MISSING = "missing"
MOST_CATEGORIES = 254  # of HistGradientBoosting, one more being for what is missing


class Job(NamedTuple):
    """What there is to learn, in both forms, from which seed, with how many threads, where PyTorch computes."""

    table: TableSet
    parts: Split
    frames: Frames
    seed: int
    threads: int
    device: str = "cpu"


class Answer(NamedTuple):
    """For the test rows: (N,) codes of classes or numbers, and (N,) the probability of the class with code 1."""

    values: np.ndarray
    chances: np.ndarray | None = None


@dataclass(frozen=True)
class Contestant:
    """Who learns.

    Attributes:
        learn: fits and predicts.
        packages: what has to be installed.
    """

    learn: Callable[[Job], Answer]
    packages: tuple[str, ...]


def _fathom(job: Job, **named: str) -> Answer:
    import fathom

    target = job.table.target
    # A peer is told by its class whether it classifies; fathom finds that by itself, except that few distinct whole
    # numbers (marks of a wine) look like classes.
    told = {} if job.table.classes else {"kinds": {target: "number"}}
    run = fathom.fit(job.parts.train, target, test=job.parts.test, seed=job.seed, **told, **named)
    answer = run.predict(job.parts.test)
    values = answer[target].to_numpy(zero_copy_only=False)
    if not job.table.classes:
        return Answer(values.astype(float))
    labels, begin = job.frames.labels, f"{target} probability "
    (chance,) = (name for name in answer.column_names if name.startswith(begin) and _is(name, begin, labels[1]))
    return Answer(np.array([labels.index(plain_label(value)) for value in values]), answer[chance].to_numpy())


def _is(name: str, begin: str, label: str) -> bool:
    return plain_label(name.removeprefix(begin)) == label


def _perceptron(job: Job) -> Answer:
    from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepared = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
        remainder=make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
    )
    rows = _changed(job.frames, _words)
    if job.table.classes:
        return _answer(make_pipeline(prepared, MLPClassifier(early_stopping=True, random_state=job.seed)), rows)
    learner = make_pipeline(prepared, MLPRegressor(early_stopping=True, random_state=job.seed))
    return _answer(TransformedTargetRegressor(learner, transformer=StandardScaler()), rows)


def _hist_gradient_boosting(job: Job) -> Answer:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    learner = HistGradientBoostingClassifier if job.table.classes else HistGradientBoostingRegressor
    return _answer(learner(random_state=job.seed), _changed(job.frames, _frequent(job.frames.train)))


def _lightgbm(job: Job) -> Answer:
    from lightgbm import LGBMClassifier, LGBMRegressor

    learner = LGBMClassifier if job.table.classes else LGBMRegressor
    return _answer(learner(random_state=job.seed, n_jobs=job.threads, verbose=-1), job.frames)


def _xgboost(job: Job) -> Answer:
    from xgboost import XGBClassifier, XGBRegressor

    learner = XGBClassifier if job.table.classes else XGBRegressor
    return _answer(learner(random_state=job.seed, n_jobs=job.threads, enable_categorical=True), job.frames)


def _catboost(job: Job) -> Answer:
    from catboost import CatBoostClassifier, CatBoostRegressor

    learner = CatBoostClassifier if job.table.classes else CatBoostRegressor
    rows = _changed(job.frames, _words)
    asked = {"random_seed": job.seed, "thread_count": job.threads, "verbose": 0, "allow_writing_files": False}
    return _answer(learner(cat_features=_categories(job.frames.train), **asked), rows)


def _realmlp(job: Job) -> Answer:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    return _of_pytabkit(RealMLP_TD_Classifier if job.table.classes else RealMLP_TD_Regressor, job)


def _tabm(job: Job) -> Answer:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    return _of_pytabkit(TabM_D_Classifier if job.table.classes else TabM_D_Regressor, job)


def _of_pytabkit(learner: Callable[..., Any], job: Job) -> Answer:
    """Its networks take no missing numbers."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    rows = _changed(job.frames, _imputed(job.frames.train))
    asked = {"random_state": job.seed, "n_threads": job.threads, "device": job.device}
    return _answer(learner(**asked), rows, cat_col_names=_categories(rows.train))


def _answer(learner: Any, rows: Frames, **fitting: Any) -> Answer:
    learner.fit(rows.train, rows.train_target, **fitting)
    values = np.asarray(learner.predict(rows.test)).ravel()
    return Answer(values, np.asarray(learner.predict_proba(rows.test))[:, 1] if rows.labels else None)


def _changed(rows: Frames, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Frames:
    return rows._replace(train=change(rows.train), test=change(rows.test))


def _categories(frame: pd.DataFrame) -> list[str]:
    return [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]


def _words(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as plain words, a missing one being a word too."""
    words = {name: frame[name].astype(object).where(frame[name].notna(), MISSING) for name in _categories(frame)}
    return frame.assign(**words)


def _frequent(train: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """At most MOST_CATEGORIES of a column, the others being missing."""
    kept = {name: train[name].value_counts().index[:MOST_CATEGORIES] for name in _categories(train)}
    kinds = {name: pd.CategoricalDtype(sorted(values)) for name, values in kept.items()}
    return lambda frame: frame.assign(**{name: frame[name].astype(object).astype(kinds[name]) for name in kinds})


def _imputed(train: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A missing number is the median of the training rows."""
    medians = train.median(numeric_only=True).to_dict()
    return lambda frame: frame.fillna(medians)


CONTESTANTS = {
    FATHOM: Contestant(_fathom, ("fathom-nn", "torch")),
    "scikit-learn MLP": Contestant(_perceptron, ("scikit-learn",)),
    "HistGradientBoosting": Contestant(_hist_gradient_boosting, ("scikit-learn",)),
    "LightGBM": Contestant(_lightgbm, ("lightgbm",)),
    "XGBoost": Contestant(_xgboost, ("xgboost-cpu",)),
    "CatBoost": Contestant(_catboost, ("catboost",)),
    "RealMLP": Contestant(_realmlp, ("pytabkit", "torch")),
    "TabM": Contestant(_tabm, ("pytabkit", "torch")),
}
"""Everyone by name."""

FATHOM_NETS = {
    f"fathom, {net}": Contestant(partial(_fathom, net=net), ("fathom-nn", "torch"))
    for net in ("auto", "tabm", "mlp", "tab_resnet", "realmlp", "ft_transformer")
}
"""fathom with each of its nets for tables; "auto" is what it chooses itself."""
