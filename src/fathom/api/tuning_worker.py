"""One worker of a study in a process of its own: what it needs comes on standard input, the rows from files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fathom.errors
from fathom.api.tuning_space import space_for
from fathom.api.tuning_study import open_study, worker_name
from fathom.api.tuning_trials import Given, work
from fathom.config import Config
from fathom.data.tensorfile import TensorFile, read_joined, write_tensor_file
from fathom.schema import Schema

__all__ = ["Question", "main", "workers"]

STOPPING_S = 30.0
ROWS = ("train", "valid")


@dataclass(frozen=True)
class Question:
    """What a study asks, as plain data.

    Attributes:
        url: of the database; it may hold a password, so that it is never written down.
        study: its name there.
        said: the config where nothing is tuned.
        names: what is varied, as ``--space`` has it.
        about: what every worker must agree on.
        workers: how many run here.
    """

    url: str
    study: str
    said: Mapping[str, Any]
    names: tuple[str, ...]
    about: Mapping[str, Any]
    workers: int


@contextmanager
def workers(question: Question, given: Given, *, loud: bool) -> Iterator[Callable[[], list[str]]]:
    """Have all workers but this process run while the block does, and end them with it.

    Args:
        question: what they are to answer.
        given: the rows, which they read from files that go away with the block.
        loud: whether they tell on stderr how their trials ended.

    Yields:
        Waits for them to end by themselves, and returns the names of those that died.
    """
    if question.workers < 2:
        yield list
        return
    with tempfile.TemporaryDirectory(prefix="fathom-tune-") as folder:
        for part in ROWS:
            write_tensor_file(Path(folder) / part, getattr(given, part))
        started = [_started(question, given, folder, loud=loud) for _ in range(question.workers - 1)]
        try:
            yield lambda: [worker_name(child.pid) for child in started if child.wait() != 0]
        finally:
            for child in started:
                child.terminate()
            for child in started:
                _ended(child)


def _started(question: Question, given: Given, folder: str, *, loud: bool) -> subprocess.Popen[bytes]:
    task = {
        **vars(question),
        "folder": folder,
        "schema": given.schema.state(),
        "trials": given.trials,
        "started_s": given.started_s,
        "budget_s": given.budget_s,
        "parent": os.getpid(),
        "loud": loud,
    }
    place = str(Path(fathom.errors.__file__).parents[1])
    path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", f"import sys; from {__name__} import main; sys.exit(main())"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})
    assert child.stdin is not None
    child.stdin.write(json.dumps(task).encode())
    child.stdin.close()
    return child


def _ended(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(STOPPING_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main() -> int:
    """Do a worker's share of a study; the exit status is that of the command line."""
    task = json.load(sys.stdin)
    try:
        _work(task)
    except fathom.errors.FathomError as error:
        if not isinstance(error, fathom.errors.Interrupted):
            sys.stderr.write(f"fathom: a worker ended: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return fathom.errors.FathomError.exit_status
    return 0


def _work(task: Mapping[str, Any]) -> None:
    schema, asked = Schema.from_state(task["schema"]), Config.of(task["said"])
    train, valid = (read_joined([TensorFile(Path(task["folder"]) / part)]) for part in ROWS)
    space = space_for(schema, asked, len(train), task["names"])
    given = Given(
        schema, train, valid, space, task["trials"], task["started_s"], float(task["budget_s"]), task["parent"]
    )
    tell = _tell if task["loud"] else lambda line: None
    with open_study(task["url"], task["study"], asked, task["about"], workers=task["workers"]) as study:
        work(study, given, tell)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
