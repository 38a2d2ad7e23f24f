"""A run's directory: opened, taken up again, and what is written into it before training."""

from __future__ import annotations

import os
import platform
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from fathom import __version__
from fathom.api.rows import Rows, rows_fingerprint
from fathom.config import Config
from fathom.errors import ConfigError
from fathom.runtime import exclusive, write_atomic
from fathom.tracking import TRACKED
from fathom.training.log import FILES

__all__ = [
    "CONFIG",
    "COST",
    "DECISION",
    "FOLDS",
    "LINEAR",
    "MODEL",
    "REPORT",
    "SCORES",
    "START",
    "check_directory",
    "locked",
    "open_directory",
    "record",
    "remove",
    "without_none",
]

CONFIG, MODEL, LINEAR, DECISION = "config.toml", "model", "linear", "augment.json"
REPORT, COST, START = "report.html", "cost.json", "start.json"
FOLDS, SCORES = "folds", "scores.json"  # a directory for each fold, and beside them what they tell together
SAYS_NOTHING = ("versions", "log")  # of what a run computes
BUDGET = "budget"
# Rates fall towards the planned end: weights that were trained to one end are not those of a longer run halfway.
NO_OTHER_BUDGET = (
    ", but a run is planned to its end, so that it goes on by the budget that it began with; for another, train anew "
    "into another --out"
)
# What a run writes last stands first and is deleted first, so that a killed deletion leaves the run at an earlier time.
OURS = (
    *(REPORT, COST, MODEL, LINEAR, FOLDS, *TRACKED, "checkpoints"),
    *(*FILES, "plan.json", DECISION, START, CONFIG),
)


def check_directory(
    path: Path, *, resume: bool, overwrite: bool, ours: tuple[str, ...] = OURS, what: str = "run"
) -> None:
    """Say what keeps a run from this directory; nothing is touched.

    Args:
        path: may exist.
        resume: whether what it holds is to be continued.
        overwrite: whether that is to be deleted.
        ours: names of all that may stand in it; the last is there from the beginning.
        what: whose directory it is, as messages call it.

    Raises:
        ConfigError: it exists and neither ``resume`` nor ``overwrite`` is asked for, or it is no run's directory.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite cannot be asked for together")
    if os.path.lexists(path) and not path.is_dir():
        raise ConfigError(f"{path} is a file; name a directory for the {what}")
    held = {entry.name for entry in path.iterdir()} if path.exists() else set()
    if held and not (resume or overwrite):
        raise ConfigError(f"{path} exists already (--resume continues it, --overwrite deletes it, --out names another)")
    foreign = sorted(name for name in held if name.removesuffix(".tmp") not in ours)
    if not foreign and held and not held & {ours[-1], f"{ours[-1]}.tmp"}:
        foreign = sorted(held)
    if foreign:
        raise ConfigError(f"{path} is no {what}'s directory: it holds {', '.join(foreign[:3])}; nothing was touched")


def open_directory(
    path: Path, *, resume: bool, overwrite: bool, ours: tuple[str, ...] = OURS, what: str = "run"
) -> Path:
    """Make a run's directory, or take up one that exists, what a killed process left half-written cleared away.

    Raises:
        ConfigError: as ``check_directory``.
    """
    check_directory(path, resume=resume, overwrite=overwrite, ours=ours, what=what)
    path.mkdir(parents=True, exist_ok=True)
    for leftover in [*path.glob("*.tmp"), *path.glob("checkpoints/*.tmp"), *path.glob("folds/**/*.tmp")]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    for name in ours if overwrite else ():
        remove(path / name)
    return path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make a directory, and keep other runs out of it; the lock ends with the process, however that ends.

    Raises:
        ConfigError: another process holds it.
    """

    def busy() -> None:
        raise ConfigError(f"another run is writing into {directory}; wait for it, or name another --out")

    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory, busy):
        yield


def remove(path: Path) -> None:
    """Take a file or a directory away; a kill leaves it whole, or under a name that the next run clears."""
    if path.is_dir():
        shutil.rmtree(path.rename(path.with_name(path.name + ".tmp")))
    else:
        path.unlink(missing_ok=True)


def record(directory: Path, config: Mapping[str, Any], rows: Rows) -> None:
    """Write ``config.toml``: every option, the versions, and the data's fingerprint.

    Raises:
        ConfigError: the directory's run was asked for otherwise, or on other data.
    """
    written = {
        **without_none(config),
        "source": _source(rows),
        "versions": _versions(),
    }
    path = directory / CONFIG
    if not path.exists():
        write_atomic(path, tomli_w.dumps(written).encode())
        return
    before, now = Config.read(path), tomllib.loads(tomli_w.dumps(written))
    differing = sorted(_differences(_deciding(before), _deciding(now)))
    if len(differing) == 1 and differing[0].startswith(f"{BUDGET} "):
        raise ConfigError(f"{directory}: {differing[0]}{NO_OTHER_BUDGET}")
    if differing:
        raise ConfigError(f"{directory} was started otherwise, so it cannot be resumed: {'; '.join(differing[:3])}")


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides what comes of a run: whether diagnostics look on does not, and older runs do not say it."""
    training = config.get("training")
    if not isinstance(training, Mapping):
        return dict(config)
    return {**config, "training": {name: value for name, value in training.items() if name != "diagnostics"}}


def _source(rows: Rows) -> dict[str, str]:
    """What the rows were read from, and what tells those for the final score from others."""
    about = {"name": rows.source.name, "place": rows.source.place or "", "fingerprint": rows.source.fingerprint}
    if rows.test_source is not None:
        about["test_place"] = rows.test_source.place or ""
    return about | ({} if rows.test is None else {"scored": rows_fingerprint(rows.test)})


def without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of tables without options that are None, which TOML cannot say; network.json says them."""
    kept = {key: value for key, value in tree.items() if value is not None}
    return {key: without_none(value) if isinstance(value, Mapping) else value for key, value in kept.items()}


def _versions() -> dict[str, str]:
    import numpy
    import pyarrow
    import torch

    return {
        "fathom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pyarrow": pyarrow.__version__,
    }


def _differences(before: Any, now: Any, key: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        names = [name for name in {**before, **now} if name not in SAYS_NOTHING]
        return [
            found
            for name in names
            for found in _differences(before.get(name), now.get(name), f"{key}.{name}".strip("."))
        ]
    return [] if before == now else [f"{key} was {before!r} and is now {now!r}"]
