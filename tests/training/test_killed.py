"""Nothing is lost: a run killed or interrupted anywhere, and resumed, ends as one that nothing interrupted.

The same check is shown to fail where a run does lose something.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from fathom.api import directory
from fathom.api.directory import OURS
from fathom.errors import ConfigError, FathomError
from fathom.model import Model
from fathom.training.checkpoint import read_checkpoint
from fathom.training.plan import Plan

CHECKPOINT = "checkpoints/last.safetensors"
MODEL_FILES = ("MANIFEST.json", "metrics.json", "network.json", "schema.json", "weights.safetensors")
MODELS = tuple(f"{place}/{name}" for place in ("linear", "model") for name in MODEL_FILES)
VALUES = ("config.toml", "plan.json", "log.jsonl", "depths.jsonl", *MODELS)
TIMES, COST = "times.jsonl", "cost.json"
KNOWN = {*VALUES, TIMES, COST, CHECKPOINT}

# Of one run from its start to its end: the phases in which it is killed, and how long they last at most (s).
LIFE = (
    "read",
    "plan",
    "step",
    "save",
    "evaluate",
    "step",
    "save",
    "save",
    "evaluate",
    "linear",
    "linear",
    "model",
    "model",
)
LASTS_S = {"read": 0.03, "plan": 0.003, "step": 0.003, "save": 0.004, "evaluate": 0.002, "linear": 0.2, "model": 0.01}
LATEST_ENTRY = {"step": 60, "save": 8, "evaluate": 4}


def files(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def assert_readable(directory: Path) -> None:
    """Whatever a killed run left is whole, or bears the name of what is not yet there."""
    found = files(directory)
    readers = {
        CHECKPOINT: lambda path: read_checkpoint(path)["progress"]["step"],
        "plan.json": Plan.load,
        "config.toml": lambda path: tomllib.loads(path.read_text()),
        "model/MANIFEST.json": lambda path: Model.load(path.parent),
        "linear/MANIFEST.json": lambda path: Model.load(path.parent),
    }
    for name, reader in readers.items():
        if name in found:
            reader(directory / name)
    unfinished = {name for name in found - KNOWN if ".tmp" not in name}
    assert not unfinished, f"unknown files: {unfinished}"


def assert_same(directory: Path, reference: Path) -> None:
    """Two finished runs hold the same files, and the same values bit for bit; only their times differ."""
    assert files(directory) == files(reference) == KNOWN
    differing = [name for name in VALUES if (directory / name).read_bytes() != (reference / name).read_bytes()]
    assert not differing, f"other bytes than those of a run that nothing interrupted: {differing}"
    ours, theirs = (read_checkpoint(place / CHECKPOINT) for place in (directory, reference))
    assert differences(without_times(ours), without_times(theirs)) == []
    assert steps_logged(directory / TIMES) == steps_logged(directory / "log.jsonl")


def without_times(tree: dict[str, Any]) -> dict[str, Any]:
    progress = {key: value for key, value in tree["progress"].items() if key != "elapsed_s"}
    return {**tree, "progress": {**progress, "log_place": progress["log_place"][0]}}


def differences(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """Where two trees differ by so much as a bit."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return [line for key in ours for line in differences(ours[key], theirs[key], f"{place}/{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            line for k, pair in enumerate(zip(ours, theirs, strict=True)) for line in differences(*pair, f"{place}/{k}")
        ]
    if isinstance(ours, Tensor) and isinstance(theirs, Tensor):
        same = ours.dtype == theirs.dtype and ours.numpy().tobytes() == theirs.numpy().tobytes()
        return [] if same and ours.shape == theirs.shape else [place]
    return [] if type(ours) is type(theirs) and repr(ours) == repr(theirs) else [place]


def steps_logged(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def killed_at(phase: str, entry: int = 1, delay_s: float = 0.0) -> tuple[str, int, float, int]:
    return phase, entry, delay_s, signal.SIGKILL


def random_kills(seed: int) -> Iterator[tuple[str, int, float, int]]:
    """The kills of one life after another, each at a random moment of its phase."""
    chance = random.Random(seed)
    for life in itertools.count():
        for phase in LIFE:
            entry = chance.randint(1, LATEST_ENTRY.get(phase, 1))
            # In the first life at once: an evaluation takes 2 ms, and a busy machine may let it end before.
            yield killed_at(phase, entry, chance.uniform(0, LASTS_S[phase]) if life else 0.0)


def live(trainings: Any, directory: Path, kills: Sequence[tuple[str, int, float, int]], **more: Any) -> Counter[str]:
    """Train a run to its end, killed on the way; say in which phases it died."""
    died: Counter[str] = Counter()
    for number, kill in enumerate([*kills, None]):
        ending = trainings.train(directory, resume=number > 0, signals=[kill] if kill else [], **more)
        assert_readable(directory)
        if ending.status == 0:
            return died
        assert ending.status == -signal.SIGKILL, ending.trace
        died[kill[0] if kill and kill[0] == "read" else " in ".join(reversed(ending.phases)) or "between"] += 1
    raise AssertionError("the last of these is not killed")


def killed_lives(trainings: Any, place: Path, reference: Path, count: int, seed: int) -> Counter[str]:
    """Kill runs ``count`` times in all, each of them until it ends; see that each ends as the reference."""
    kills, died = random_kills(seed), Counter[str]()
    while died.total() < count:
        directory = place / f"run{died.total()}"
        left = min(len(LIFE), count - died.total())
        died += live(trainings, directory, [next(kills) for _ in range(left)])
        assert_same(directory, reference)
    return died


def test_the_run_that_is_killed_has_all_that_can_be_lost(whole: Path):
    tree = read_checkpoint(whole / CHECKPOINT)
    progress = tree["progress"]
    assert progress["finished"]
    assert progress["cooldown"] is not None
    assert 0 < progress["best_step"] < progress["step"]
    assert any("running_mean" in name for name in tree["weights"])
    assert differences(tree["weights"], tree["best_weights"])


def test_a_run_killed_four_times_ends_as_if_nothing_had_happened(trainings: Any, whole: Path, tmp_path: Path):
    kills = [
        killed_at("plan"),
        killed_at("save", 9, 0.001),
        killed_at("evaluate", 4, 0.001),
        killed_at("linear", 1, 0.05),
    ]
    assert live(trainings, tmp_path / "run", kills).total() == len(kills)
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
def test_fifty_kills_lose_nothing(trainings: Any, whole: Path, tmp_path: Path):
    died = killed_lives(trainings, tmp_path, whole, count=50, seed=0)
    assert died.total() == 50
    for phase in ("read", "plan", "step", "save", "evaluate", "linear", "model"):
        assert any(phase in where.split() for where in died), f"none died in {phase}: {died}"


def test_a_kill_before_the_plan_is_there_leaves_a_directory_to_resume(trainings: Any, tmp_path: Path, whole: Path):
    ending = trainings.train(tmp_path / "run", signals=[killed_at("plan")])
    assert ending.status == -signal.SIGKILL
    assert "plan.json" not in files(tmp_path / "run")
    assert trainings.train(tmp_path / "run", resume=True).status == 0
    assert_same(tmp_path / "run", whole)


def test_a_run_that_is_done_is_resumed_to_the_same(trainings: Any, whole: Path, tmp_path: Path):
    assert trainings.train(tmp_path / "run").status == 0
    assert trainings.train(tmp_path / "run", resume=True).status == 0
    assert_same(tmp_path / "run", whole)


def test_a_python_that_is_killed_ends_as_if_nothing_had_happened(trainings: Any, whole: Path, tmp_path: Path):
    directory = tmp_path / "run"
    for number, awaited in enumerate([CHECKPOINT, None]):
        call = {"out": str(directory), "resume": number > 0, **trainings.options}
        code = f"import fathom; fathom.fit({str(trainings.data)!r}, 'y', **{call!r})"
        process = subprocess.Popen([sys.executable, "-c", code], env=trainings.environment)
        deadline = time.monotonic() + 60
        while awaited and process.poll() is None and not (directory / awaited).exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        if awaited:
            process.kill()
        assert process.wait(timeout=60) == (-signal.SIGKILL if awaited else 0)
        assert_readable(directory)
    assert_same(directory, whole)


@pytest.mark.parametrize("done", range(len(OURS)))
def test_a_deletion_that_is_killed_leaves_a_run_to_resume(
    trainings: Any, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
):
    """Overwriting stops after some names are gone: never is a checkpoint left without the plan that it belongs to."""

    class KilledError(Exception):
        pass

    removed: list[Path] = []

    def remove_or_die(path: Path) -> None:
        if len(removed) == done:
            raise KilledError
        removed.append(path)
        remove(path)

    remove = directory.remove
    shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr(directory, "remove", remove_or_die)
    with pytest.raises(KilledError):
        directory.open_directory(tmp_path / "run", resume=False, overwrite=True)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    for earlier, later in pairwise(["config.toml", "plan.json", "checkpoints", "linear", "model"]):
        assert later not in left or earlier in left
    if done % 2:
        assert trainings.train(tmp_path / "run", resume=True).status == 0
        assert_same(tmp_path / "run", whole)


def test_overwriting_deletes_all_of_a_run_and_nothing_else(whole: Path, tmp_path: Path):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    directory.open_directory(tmp_path / "link", resume=False, overwrite=True)
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"holds thesis\.tex; nothing was touched"):
        directory.open_directory(tmp_path / "run", resume=False, overwrite=True)


# What is lost is seen: each fault is planted into the run that is killed and, but for the kill, into its reference.

# Each dies in the save after one of the evaluations: the first, the third, the last.
LOSSES = {
    "dropout_by_process": 0,
    "optimizer_forgotten": 0,
    "order_forgotten": 0,
    "log_kept": 2,
    "cooldown_forgotten": -1,
    "best_weights_forgotten": -1,
    "average_forgotten": 2,
}


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[pytest.mark.slow] if name != "dropout_by_process" else []) for name in LOSSES]
)
def test_what_is_lost_is_seen(trainings: Any, tmp_path: Path, fault: str):
    # A checkpoint after every step: one that stood before what is lost would find it again.
    always = {**trainings.options, "training": {**trainings.options["training"], "checkpoint_s": 0.0}}
    options = {"options": always, "faults": [fault]}
    assert trainings.train(tmp_path / "reference", **options).status == 0
    evaluated = sorted(set(steps_logged(tmp_path / "reference" / TIMES)))
    dies = ("save", evaluated[LOSSES[fault]])
    assert trainings.train(tmp_path / "run", **options, dies=dies).status == -signal.SIGKILL
    assert trainings.train(tmp_path / "run", **options, resume=True).status == 0
    with pytest.raises(AssertionError, match="other bytes"):
        assert_same(tmp_path / "run", tmp_path / "reference")


def test_a_checkpoint_written_in_place_is_seen(trainings: Any, tmp_path: Path):
    with pytest.raises(FathomError, match="not a readable checkpoint"):
        live(trainings, tmp_path / "run", [killed_at("save", 3, 0.06)], faults=["checkpoint_in_place"])


def test_two_runs_do_not_write_into_one_directory(tmp_path: Path):
    refused = pytest.raises(ConfigError, match="another run is writing")
    with directory.locked(tmp_path / "run"), refused, directory.locked(tmp_path / "run"):
        pass
    with directory.locked(tmp_path / "run"):
        pass


def test_an_orphan_is_seen(trainings: Any, tmp_path: Path):
    with pytest.raises(AssertionError, match="unknown files"):
        live(trainings, tmp_path / "run", [], faults=["checkpoint_left_beside"])


# A signal that asks: the run stops where it is safe.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("phase", "entry"), [("step", 60), ("evaluate", 5)])
def test_an_interrupted_run_says_so_and_is_resumed_to_the_same(
    trainings: Any, whole: Path, tmp_path: Path, number: int, phase: str, entry: int
):
    slowly = {**trainings.options, "training": {**trainings.options["training"], "checkpoint_s": 60.0}}
    ending = trainings.train(tmp_path / "run", signals=[(phase, entry, 0.0, number)], options=slowly)
    assert ending.status == 128 + number, ending.trace
    assert "continue with --resume" in ending.trace
    step = read_checkpoint(tmp_path / "run" / CHECKPOINT)["progress"]["step"]
    assert step == pytest.approx(60 if phase == "step" else 125, abs=10)
    assert trainings.train(tmp_path / "run", resume=True, options=slowly).status == 0
    assert (
        differences(*(without_times(read_checkpoint(place / CHECKPOINT)) for place in (tmp_path / "run", whole))) == []
    )


@pytest.mark.parametrize("phase", ["finish", "linear"])
def test_a_signal_after_the_last_step_is_not_swallowed(trainings: Any, whole: Path, tmp_path: Path, phase: str):
    signals = [(phase, 1, 0.05, signal.SIGTERM)]
    ending = trainings.train(tmp_path / "run", signals=signals, faults=["finish_lingers"])
    assert ending.status == 128 + signal.SIGTERM, ending.trace
    assert trainings.train(tmp_path / "run", resume=True).status == 0
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills(trainings: Any, tmp_path: Path, first: int, second: int):
    signals = [("evaluate", 1, 0.05, first), ("evaluate", 0, 0.05, second)]
    ending = trainings.train(tmp_path / "run", signals=signals, faults=["evaluation_hangs"])
    assert (ending.status, ending.sent) == (-second, 2), ending.trace
    assert ending.seconds < 20
