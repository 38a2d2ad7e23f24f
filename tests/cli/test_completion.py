"""Completion in a shell: what bash offers, that names are those of the registries, and that it loads nothing heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from fathom.cli import completion
from fathom.cli.catalogue import ALL, sorts
from fathom.cli.commands import fathom

SOURCE = Path(__file__).resolve().parents[2] / "src"
LIMIT_S = 0.5
ASK = """
eval "$(fathom completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_fathom_completion fathom 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a command called fathom."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "fathom"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{SOURCE}" exec "{sys.executable}" -m fathom.cli "$@"\n')
    command.chmod(0o755)
    return folder


def environment(program: Path) -> dict[str, str]:
    return os.environ | {"PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}


def in_bash(program: Path, place: Path, *words: str) -> list[str]:
    """What bash is offered for the last of the words."""
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", *words],
        cwd=place,
        env=environment(program),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.what)
def test_the_names_read_from_the_source_are_those_registered(registry):
    assert completion.registered(registry.what) == registry.names()


def test_the_sets_read_from_the_source_are_those_known():
    (known,) = sorts("sets")
    assert completion.registered("set") == [name for name, _ in known.rows]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fi"], ["fit"]),
        (["fit", "--resu"], ["--resume"]),
        (["fit", "iris", "--net", "ta"], ["tab_resnet", "tabm"]),
        (["fit", "iris", "--head", "regr"], ["regress", "regress_time"]),
        (["fit", "iris", "--augment", "flip,ro"], ["flip,rotate"]),
        (["fit", "iris", "--log", "t"], ["tensorboard"]),
        (["fit", "iri"], ["iris", "iris.csv"]),
        (["check", "no-such"], []),
        (["list", "no"], ["norms"]),
        (["show", "schedule", "co"], ["constant", "cosine", "coslog4"]),
        (["inspect", "runs/"], ["runs/iris-class"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_bash_completes(words: list[str], offered: list[str], program: Path, tmp_path: Path):
    (tmp_path / "iris.csv").touch()
    run = tmp_path / "runs/iris-class"
    run.mkdir(parents=True)
    (run / "config.toml").touch()
    assert in_bash(program, tmp_path, "fathom", *words) == offered


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_gets_a_script_that_asks_fathom(shell: str, program: Path):
    done = subprocess.run(
        [program / "fathom", "completion", shell], capture_output=True, text=True, timeout=60, check=True
    )
    assert f"{completion.VARIABLE}={shell}_complete" in done.stdout
    if shutil.which(shell):
        check = subprocess.run([shell, "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert (check.returncode, check.stderr) == (0, "")


def test_every_option_that_takes_a_name_completes_it():
    asked = ShellComplete(fathom, {}, "fathom", completion.VARIABLE)
    for command in ("fit", "tune"):
        assert [item.value for item in asked.get_completions([command, "x.csv", "--net"], "ml")] == ["mlp"]
    assert [item.type for item in asked.get_completions(["predict", "runs/x"], "no-such")] == ["file"]
    assert [item.type for item in asked.get_completions(["evaluate"], "no-such")] == ["dir"]


def answered(*flags: str) -> subprocess.CompletedProcess[str]:
    asking = {"COMP_WORDS": "fathom fit iris --net", "COMP_CWORD": "4", completion.VARIABLE: "bash_complete"}
    return subprocess.run(
        [sys.executable, *flags, "-m", "fathom.cli"],
        env=os.environ | {"PYTHONPATH": str(SOURCE), **asking},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_completion_loads_nothing_heavy():
    done = answered("-X", "importtime")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "plain,mlp" in done.stdout
    assert not loaded & {"torch", "numpy", "pyarrow", "rich"}


def test_completion_is_quick():
    def seconds() -> float:
        """Of the processor, which other work on the machine does not lengthen."""
        before = os.times()
        answered()
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(5)) < LIMIT_S
