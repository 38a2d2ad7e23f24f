"""The tables on which learners are compared: what is asked of each, and how its rows are split.

A split is two CSV files whose cells stand as they were published, without the columns that give the target away.
fathom is given the files, its peers are given them as pandas reads them.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["SETS", "Frames", "Split", "TableSet", "frames", "plain_label", "split"]

DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).parents[2] / "shared" / "data"))
TEST_SHARE = 0.2
WORDS_THAT_NAME_A_ROW = 0.2
"""A column of text with more distinct values than this share of the rows is kept from the peers: no value of it comes
back often enough to be learned. fathom is left to find it."""

# Charges, custody and follow-up that were recorded after the two years began.
AFTER_THE_OUTCOME = (
    *("is_recid", "r_case_number", "r_charge_degree", "r_days_from_arrest", "r_offense_date", "r_charge_desc"),
    *("r_jail_in", "r_jail_out", "violent_recid", "is_violent_recid", "vr_case_number", "vr_charge_degree"),
    *("vr_offense_date", "vr_charge_desc", "in_custody", "out_custody", "start", "end", "event"),
)
COMPAS_DATES = (
    *("compas_screening_date", "dob", "c_jail_in", "c_jail_out", "c_offense_date", "c_arrest_date"),
    *("screening_date", "v_screening_date"),
)


@dataclass(frozen=True)
class TableSet:
    """A table and what is asked of it.

    Attributes:
        file: its name, without the ending.
        target: the column to predict.
        classes: whether the target is a class, scored by accuracy, or a number, scored by R².
        test_file: the publisher's own test rows; without it they are drawn by the seed.
        separator: between cells.
        dropped: columns that give the target away, dropped for everyone.
        dates: columns that the peers get as days.
        above: where given, the class is whether the target is larger.
        scale: in which unit RMSE is told.
        tuning: whether defaults may be chosen by it, within its training rows; the others are only reported on.
    """

    file: str
    target: str
    classes: bool
    test_file: str | None = None
    separator: str = ","
    dropped: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    above: float | None = None
    scale: float = 1.0
    tuning: bool = False

    @cached_property
    def rows(self) -> int:
        """How many there are."""
        return sum(len(_cells(self, file)[1]) for file in (self.file, self.test_file) if file)

    @property
    def metric(self) -> str:
        """What is compared."""
        return "accuracy" if self.classes else "r2"


class Split(NamedTuple):
    """The two files of a split."""

    train: Path
    test: Path


class Frames(NamedTuple):
    """A split as the peers take it: (N, columns) of numbers and categories, (N,) codes of classes or numbers."""

    train: pd.DataFrame
    train_target: np.ndarray
    test: pd.DataFrame
    test_target: np.ndarray
    labels: tuple[str, ...]
    """The names of the classes in the order of their codes; none where the target is a number."""


def split(table: TableSet, seed: int, folder: Path, *, most: int | None = None) -> Split:
    """Write the training and the test rows of a seed into a folder, at most so many of each."""
    header, rows = _cells(table, table.file)
    if table.test_file:
        train, test = rows, _cells(table, table.test_file)[1]
    else:
        train, test = _drawn(table, header, rows, seed)
    parts = Split(folder / "train.csv", folder / "test.csv")
    for place, part in zip(parts, (train, test), strict=True):
        with place.open("w", newline="") as file:
            csv.writer(file, delimiter=table.separator).writerows([header, *part[:most]])
    return parts


def frames(table: TableSet, parts: Split) -> Frames:
    """Both parts with numbers as numbers, text as categories (of the training rows) and dates as days."""
    read = [pd.read_csv(place, sep=table.separator, na_values="?", skipinitialspace=True) for place in parts]
    targets, labels = _targets(table, [frame.pop(table.target) for frame in read])
    train, test = read
    for name in list(train):
        if name in table.dates:
            train[name], test[name] = _days(train[name]), _days(test[name])
        elif not all(pd.api.types.is_numeric_dtype(frame[name]) for frame in read):
            if train[name].nunique() > WORDS_THAT_NAME_A_ROW * len(train):
                del train[name], test[name]
                continue
            known = pd.CategoricalDtype(sorted(train[name].dropna().astype(str).unique()))
            train[name], test[name] = train[name].astype(known), test[name].astype(known)
    return Frames(train, targets[0], test, targets[1], labels)


def plain_label(label: object) -> str:
    """A class as it is compared: Adult's test file ends each with a full stop."""
    return str(label).strip().removesuffix(".")


def _cells(table: TableSet, file: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a file, without what is dropped."""
    with (DATA / "tabular" / f"{file}.csv").open(newline="", encoding="utf-8-sig") as lines:
        header, *rows = [row for row in csv.reader(lines, delimiter=table.separator) if row]
    kept = [place for place, name in enumerate(header) if name not in table.dropped]
    if table.above is not None:
        target = header.index(table.target)
        for row in rows:
            row[target] = str(int(float(row[target]) > table.above))
    return [header[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _drawn(table: TableSet, header: list[str], rows: list[list[str]], seed: int) -> list[list[list[str]]]:
    from sklearn.model_selection import train_test_split

    target = header.index(table.target)
    labels = [row[target] for row in rows] if table.classes else None
    return train_test_split(rows, test_size=TEST_SHARE, random_state=seed, stratify=labels)


def _targets(table: TableSet, columns: list[pd.Series]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    if not table.classes:
        return [column.to_numpy(float) for column in columns], ()
    plain = [column.map(plain_label) for column in columns]
    labels = sorted(plain[0].unique())
    return [column.map(labels.index).to_numpy() for column in plain], tuple(labels)


def _days(column: pd.Series) -> pd.Series:
    """Days since 1970."""
    return (pd.to_datetime(column) - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)


COUNTED = ("casual", "registered")  # their sum is the target
SETS = {
    one.file.removesuffix("_train"): one
    for one in (
        TableSet("heart_cleveland", "num", True, above=0),
        TableSet("bike_sharing_day", "cnt", False, dropped=COUNTED, dates=("dteday",)),
        TableSet("pima_diabetes", "Outcome", True),
        TableSet("titanic", "Survived", True, tuning=True),
        TableSet("german_credit", "class", True, tuning=True),
        TableSet("winequality-red", "quality", False, separator=";"),
        # How long the call lasted is known once its outcome is.
        TableSet("bank-additional", "y", True, separator=";", dropped=("duration",), tuning=True),
        TableSet("abalone", "Rings", False),
        TableSet("winequality-white", "quality", False, separator=";", tuning=True),
        TableSet(
            "compas-scores-two-years",
            "two_year_recid",
            True,
            dropped=AFTER_THE_OUTCOME,
            dates=COMPAS_DATES,
            tuning=True,
        ),
        TableSet("bike_sharing_hour", "cnt", False, dropped=COUNTED, dates=("dteday",), tuning=True),
        TableSet("california_housing", "median_house_value", False, scale=1e5, tuning=True),
        TableSet("adult_train", "income", True, test_file="adult_test", tuning=True),
    )
}
"""The tables by name, the smallest first."""
