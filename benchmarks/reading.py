"""Seconds from a CSV to tensors: Adult's training file, fathom beside pandas and scikit-learn, taking turns."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from report import table, told_with, write_section

COMMAND = "python benchmarks/reading.py"
DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).parents[2] / "shared" / "data"))
ADULT, TARGET = DATA / "tabular" / "adult_train.csv", "income"
HEAD = ("", "median [min-max], s", "of the first row")


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if not ADULT.is_file():
        raise SystemExit(f"{ADULT} is not there; set FATHOM_DATA to the folder that holds the data sets")
    found = _measured(rounds)
    first = statistics.median(next(iter(found.values())))
    rows = [
        (name, f"{statistics.median(s):.3f} [{min(s):.3f}-{max(s):.3f}]", f"{statistics.median(s) / first:.2f}")
        for name, s in found.items()
    ]
    text = f"""## Reading

{told_with(f"{COMMAND} --rounds {rounds}", ("fathom-nn", "pyarrow", "pandas", "scikit-learn"))}

32,561 rows of Adult from CSV to arrays. fathom decides each column's type and kind from all of its cells, finds what is
missing, and takes statistics (moments, quantiles, counts) on the way; pandas is told what is missing and that blanks
follow commas, scikit-learn which columns are numbers.

{table(HEAD, rows)}"""
    print(text)
    write_section("reading", text)


def _measured(rounds: int) -> dict[str, list[float]]:
    contestants: dict[str, Callable[[], object]] = {
        "pandas.read_csv + ColumnTransformer (StandardScaler, OneHotEncoder)": lambda: _with_pandas("OneHotEncoder"),
        "pandas.read_csv + ColumnTransformer (StandardScaler, OrdinalEncoder)": lambda: _with_pandas("OrdinalEncoder"),
        "fathom: read, infer, fit, encode": _with_fathom,
    }
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for round_number in range(rounds + 1):
        for name, work in contestants.items():
            started = time.perf_counter()
            work()
            if round_number:  # the first round imports
                found[name].append(time.perf_counter() - started)
    print(f"{rounds} rounds of {len(contestants)}", file=sys.stderr)
    return found


def _with_pandas(encoder: str) -> object:
    import pandas
    from sklearn import preprocessing
    from sklearn.compose import make_column_selector, make_column_transformer

    rows = pandas.read_csv(ADULT, skipinitialspace=True, na_values="?")
    unseen = {"handle_unknown": "ignore"} if encoder == "OneHotEncoder" else {}
    numbers = preprocessing.StandardScaler(), make_column_selector(dtype_include="number")
    words = getattr(preprocessing, encoder)(**unseen), make_column_selector(dtype_exclude="number")
    encoded = make_column_transformer(numbers, words).fit_transform(rows.drop(columns=TARGET))
    return encoded, preprocessing.LabelEncoder().fit_transform(rows[TARGET])


def _with_fathom() -> object:
    from fathom.data import read
    from fathom.schema import Schema

    rows = read(ADULT).parts["train"]
    return Schema.infer(rows, [TARGET]).fit(rows).encode(rows)


if __name__ == "__main__":
    main()
