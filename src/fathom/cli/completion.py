"""Completion in a shell: the script that asks for it, and names, runs and files for what is typed.

A shell waits for the answer, so names are read from the source of what registers them: importing it takes PyTorch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fathom

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

__all__ = ["SHELLS", "VARIABLE", "answer", "data", "names", "one_of_sort", "registered", "runs", "script", "sorts"]

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_FATHOM_COMPLETE"
PROGRAM = "fathom"

# Each sort of thing: its registry, and the room whose files register such things.
REGISTRIES = {
    "net": ("NETS", "nets"),
    "decoder": ("DECODERS", "nets"),
    "head": ("HEADS", "heads"),
    "kind": ("KINDS", "kinds"),
    "augmentation": ("AUGMENTS", "augment"),
    "optimizer": ("OPTIMIZERS", "training"),
    "schedule": ("SCHEDULES", "training"),
    "average": ("AVERAGES", "training"),
    "adapter": ("ADAPTERS", "training"),
    "activation": ("ACTIVATIONS", "nets"),
    "initialization": ("INITIALIZATIONS", "nets"),
    "norm": ("NORMS", "nets"),
    "metric": ("METRICS", "heads"),
    "reader": ("READERS", "data"),
    "check": ("CHECKS", "checks"),
    "tracker": ("TRACKERS", "tracking"),
}
SETS = "set"
SET = r'(?m)^    "([\w-]+)": (?:NamedSet|KnownSet)\('

Complete = Callable[["click.Context", "click.Parameter", str], "list[CompletionItem]"]


def script(shell: str, command: click.Command) -> str:
    """What a shell reads so that it completes the command line."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, shell
    return found(command, {}, PROGRAM, VARIABLE).source()


def answer(command: click.Command) -> int | None:
    """Answer a shell that asks what may follow; None where none asks."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    from click.shell_completion import shell_complete

    return shell_complete(command, {}, PROGRAM, VARIABLE, asked)


def registered(sort: str) -> list[str]:
    """The names of things of a sort, as the source registers them."""
    if sort == SETS:
        return sorted({name for text in _sources("data") for name in re.findall(SET, text)})
    registry, room = REGISTRIES[sort]
    pattern = re.compile(rf'^@{registry}\.register\(\s*"([^"]+)"', re.MULTILINE)
    return sorted({name for text in _sources(room) for name in pattern.findall(text)})


def names(sort: str) -> Complete:
    """Completes the names of things of a sort; of several divided by commas the last."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        before, comma, begun = typed.rpartition(",")
        return _starting(begun, registered(sort), before + comma)

    return complete


def sorts(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes sorts of things, in the singular and the plural."""
    singular = [*REGISTRIES, SETS]
    return _starting(typed, [f"{name}s" for name in singular] if context.info_name == "list" else singular)


def one_of_sort(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the names of the sort that the argument before names."""
    sort = str(context.params.get("what")).removesuffix("s")
    return _starting(typed, registered(sort)) if sort in (*REGISTRIES, SETS) else []


def data(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes data sets that have a name, and files."""
    from click.shell_completion import CompletionItem

    sets = [name for name in registered(SETS) if name.startswith(typed)]
    if not sets:
        return [CompletionItem(typed, type="file")]
    files = [f"{path}/" if path.is_dir() else str(path) for path in sorted(Path().glob(f"{typed}*"))]
    return [CompletionItem(name) for name in [*sets, *(name for name in files if not name.startswith("."))]]


def runs(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the directories of runs in runs/, and others."""
    from click.shell_completion import CompletionItem

    found = [str(path.parent) for path in sorted(Path("runs").glob("*/config.toml"))]
    return _starting(typed, found) or [CompletionItem(typed, type="dir")]


def _starting(typed: str, names: Iterable[str], before: str = "") -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(before + name) for name in names if name.startswith(typed)]


def _sources(room: str) -> Iterator[str]:
    """The text of a room's files, and of what other packages add to fathom."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    assert fathom.__file__ is not None
    places = sorted((Path(fathom.__file__).parent / room).glob("*.py"))
    specs = [find_spec(point.module) for point in entry_points(group=PROGRAM)]
    places += [Path(spec.origin) for spec in specs if spec is not None and spec.origin]
    for place in places:
        yield place.read_text(encoding="utf-8")
