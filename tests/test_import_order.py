"""What the source may not do, read from its syntax.

It may not import against the layout, grow long, or run code from a file. Each rule is
a pure function from source text to complaints, and each is shown to complain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"

# The rooms of src/fathom, as the design lists them: each imports only from what stands before it.
ORDER = (
    "errors", "registry", "runtime", "typeset", "progress", "specs", "signals", "data", "kinds", "inference", "column",
    "schema",
    "resampling", "checks", "nets", "heads", "augment", "layout", "fusion", "network", "ensemble", "training",
    "tracking", "manifest", "model", "trust", "compress", "control", "federate", "deploy", "report", "config", "api",
    "sklearn", "cli",
)  # fmt: skip
MEANING = frozenset({"data", "kinds", "inference", "column", "schema", "resampling", "checks"})
BANS = {"nets": MEANING, "heads": MEANING}
# `fathom` itself, the package's face, shows everything but the command line.
FACE = "fathom"
RANK = {room: rank for rank, room in enumerate(ORDER)} | {FACE: ORDER.index("cli") - 0.5}
MAX_LINES = 400
WRITTEN_BY_HAND = frozenset({".py", ".html", ".css", ".js"})

RUNS_CODE = (
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
    "torch.load", "torch.save", "torch.serialization", "torch.jit.load", "torch.hub", "torch.package",
    "pandas.read_pickle", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load",
    "eval", "exec", "builtins.eval", "builtins.exec",
)  # fmt: skip


def sources() -> dict[str, str]:
    """Return the text of each hand-written file of the package, by its path below src."""
    paths = (path for path in SOURCE.glob("fathom/**/*") if path.suffix in WRITTEN_BY_HAND)
    return {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def python_sources() -> dict[str, str]:
    return {path: text for path, text in sources().items() if path.endswith(".py")}


def absolute(path: str, level: int, name: str | None) -> str:
    """Return the absolute name of what `from {level dots}{name} import` names in the file at path."""
    if level == 0:
        return name or ""
    # One dot is the package that holds the file; for an __init__.py, that is itself.
    package = path.split("/")[:-1]
    if level > len(package):
        raise ValueError(f"{path}: {'.' * level}{name or ''} leaves the package")
    return ".".join(package[: len(package) - level + 1] + ([name] if name else []))


def imported_by(node: ast.AST, path: str) -> Iterator[tuple[str, str | None]]:
    """Yield (dotted name, the name bound to it) for an import statement, or an import by a literal string."""
    match node:
        case ast.Import(names=names):
            # `import a.b` binds a, `import a.b as c` binds c to a.b.
            for alias in names:
                yield alias.name, alias.asname
        case ast.ImportFrom(module=module, names=names, level=level):
            base = absolute(path, level, module)
            for alias in names:
                yield f"{base}.{alias.name}", alias.asname or alias.name
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name, None


def without_lazy_parts(tree: ast.Module) -> Iterator[ast.AST]:
    """Walk what runs when the module is imported: no function bodies, nothing under `if TYPE_CHECKING`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                waiting += node.orelse
            case _:
                waiting += ast.iter_child_nodes(node)


def room_of(dotted: str) -> str | None:
    """Return the room that a dotted name lies in, FACE for a public name, None for the rest."""
    package, *rest = dotted.split(".")
    if package != "fathom" or rest == ["__version__"]:
        return None
    return rest[0] if rest and rest[0] in ORDER else FACE


def imports_against_the_order(path: str, text: str) -> list[str]:
    """Return a complaint for each import by which the file at path reaches what it must not."""
    tree = ast.parse(text)
    at_home = path == "fathom/__init__.py"
    home = FACE if at_home else path.split("/")[1].removesuffix(".py")
    if home not in RANK:
        return [f"{path}: {home} is no room of the layout"]
    complaints = []
    for node in without_lazy_parts(tree) if at_home else ast.walk(tree):
        for dotted, _ in imported_by(node, path):
            room = room_of(dotted)
            if room is None or room == home:
                continue
            allowed = room == "errors" if at_home else RANK[room] < RANK[home]
            if not allowed or room in BANS.get(home, ()):
                complaints.append(f"{path}:{node.lineno}: {home} may not import {dotted}")
    return complaints


def too_long(texts: Mapping[str, str]) -> list[str]:
    """Return a complaint for each file of more than MAX_LINES lines."""
    lengths = {path: len(text.splitlines()) for path, text in texts.items()}
    return [f"{path}: {length} lines" for path, length in lengths.items() if length > MAX_LINES]


def spelled_out(node: ast.AST, bound: Mapping[str, str]) -> str | None:
    """Return the dotted name of `a.b.c` with `a` replaced by what the imports bound it to."""
    match node:
        case ast.Name(id=name):
            return bound.get(name, name)
        case ast.Attribute(value=value, attr=attr):
            start = spelled_out(value, bound)
            return start and f"{start}.{attr}"
    return None


def code_from_files(path: str, text: str) -> list[str]:
    """Return a complaint for each use of what unpickles, or runs text as code."""
    nodes = list(ast.walk(ast.parse(text)))
    imports = [(node, dotted, name) for node in nodes for dotted, name in imported_by(node, path)]
    bound = {name: dotted for _, dotted, name in imports if name}
    used = [(node, dotted) for node, dotted, _ in imports]
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            used.append((node, spelled_out(node, bound) or ""))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            safe = isinstance(node.value, ast.Constant) and node.value.value is False
            used.append((node, "" if safe else "pickle"))
    return sorted(
        {
            f"{path}:{node.lineno}: {banned} runs code from what it reads"
            for node, dotted in used
            for banned in RUNS_CODE
            if f"{dotted}.".startswith(f"{banned}.")
        }
    )


def test_every_import_goes_up_the_layout():
    texts = python_sources()
    assert texts, f"no source under {SOURCE}"
    assert [line for path, text in texts.items() for line in imports_against_the_order(path, text)] == []


def test_every_file_fits_its_length():
    assert too_long(sources()) == []


def test_nothing_runs_code_from_a_file():
    assert [line for path, text in python_sources().items() for line in code_from_files(path, text)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fathom/data/readers.py", "import fathom.kinds"),
        ("fathom/data/readers.py", "from fathom import kinds"),
        ("fathom/data/readers.py", "from ..kinds import number"),
        ("fathom/data/readers.py", "from .. import kinds"),
        ("fathom/data/__init__.py", "from ..kinds import number"),
        ("fathom/data/tables/csv.py", "from ...kinds import number"),
        ("fathom/errors.py", "from . import registry"),
        ("fathom/errors.py", "from .registry import Registry"),
        ("fathom/errors.py", "def late():\n    from .registry import Registry"),
        ("fathom/errors.py", "if TYPE_CHECKING:\n    from .registry import Registry"),
        ("fathom/errors.py", "import importlib\nimportlib.import_module('fathom.registry')"),
        ("fathom/model.py", "from fathom import fit"),
        ("fathom/model.py", "import fathom"),
        ("fathom/api.py", "import os, fathom.cli as cli"),
        ("fathom/nets/mlp.py", "from ..heads import classify"),
        ("fathom/nets/mlp.py", "from fathom.data import read"),
        ("fathom/nets/mlp.py", "from ..kinds import number"),
        ("fathom/nets/mlp.py", "def forward():\n    from ..schema import Schema"),
        ("fathom/heads/classify.py", "from ..kinds.category import Category"),
        ("fathom/utils.py", "import os"),
        ("fathom/__init__.py", "from .api import fit"),
        ("fathom/__init__.py", "from fathom.registry import Registry"),
        ("fathom/__init__.py", "class Lazy:\n    from . import api"),
        ("fathom/__init__.py", "if TYPE_CHECKING:\n    pass\nelse:\n    from . import api"),
    ],
)
def test_an_import_against_the_layout_is_found(path: str, text: str):
    assert len(imports_against_the_order(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fathom/data/readers.py", "import torch, numpy as np\nfrom pyarrow import csv"),
        (
            "fathom/data/readers.py",
            "from . import splits\nfrom .splits import split\nfrom ..errors import SourceError",
        ),
        (
            "fathom/nets/mlp.py",
            "from ..registry import Registry\nfrom ..signals import Signal\nfrom . import NETS",
        ),
        (
            "fathom/nets/__init__.py",
            "from . import mlp\nfrom .mlp import MLP\nfrom ..registry import Registry",
        ),
        ("fathom/model.py", "from fathom import __version__"),
        ("fathom/heads/generate.py", "from fathom.nets import NETS"),
        ("fathom/cli.py", "import fathom\nfrom fathom import fit\nfrom .api import Run"),
        ("fathom/sklearn.py", "from sklearn.base import BaseEstimator\nfrom .api import fit"),
        (
            "fathom/__init__.py",
            "from .errors import FathomError\ndef __getattr__(name):\n    from . import api",
        ),
        ("fathom/__init__.py", "if TYPE_CHECKING:\n    from .api import fit"),
    ],
)
def test_an_import_along_the_layout_is_let_be(path: str, text: str):
    assert imports_against_the_order(path, text) == []


def test_an_import_that_leaves_the_package_is_refused():
    with pytest.raises(ValueError, match="leaves the package"):
        imports_against_the_order("fathom/errors.py", "from .. import os")


def test_a_file_of_one_line_too_many_is_found():
    texts = {"long.py": "x = 1\n" * (MAX_LINES + 1), "full.py": "x = 1\n" * MAX_LINES}
    assert too_long(texts) == [f"long.py: {MAX_LINES + 1} lines"]


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import os, joblib as j",
        "from joblib import load",
        "def late():\n    from pickle import loads",
        "__import__('pickle')",
        "from importlib import import_module\nimport_module('dill')",
        "import torch\ntorch.load('w.pt')",
        "import torch as t\nread = t.load",
        "from torch import load",
        "from torch import jit\njit.load('m.pt')",
        "import torch.jit\ntorch.jit.load('m.pt')",
        "import torch\ntorch.save({}, 'w.pt')",
        "eval('1')",
        "exec('x = 1')",
        "import builtins\nbuiltins.eval('1')",
        "import yaml\nyaml.load(text)",
        "from yaml import unsafe_load",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
    ],
)
def test_a_way_to_run_code_from_a_file_is_found(text: str):
    assert code_from_files("fathom/model.py", text)


@pytest.mark.parametrize(
    "text",
    [
        "def evaluate(network):\n    network.eval()",
        "class Model:\n    def __getstate__(self): ...\n    def __setstate__(self, state): ...",
        "from fathom.model import load\nload('runs/adult')",
        "import torch\ntorch.loading = 1",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "from safetensors.torch import load_file, save_file\nload_file(path)",
        "import yaml\nyaml.safe_load(text)",
    ],
)
def test_what_only_looks_like_it_is_let_be(text: str):
    assert code_from_files("fathom/model.py", text) == []
