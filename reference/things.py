"""One registered thing as Markdown: what it is, its options, a command that uses it, and where its source stands."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from fathom.cli.catalogue import ALL, Described, described
from fathom.kinds import KINDS
from fathom.layout import SIGNAL_PARTS

COMMANDS = {
    "kind": "fathom fit DATA --kind COLUMN={name}",
    "net": "fathom fit DATA --net {name}",
    "head": "fathom fit DATA --target COLUMN --head {name}",
    "optimizer": "fathom fit DATA --set optimizer.name={name}",
    "schedule": "fathom fit DATA --set schedule={name}",
    "average": "fathom fit DATA --set training.average={name}",
    "augmentation": "fathom fit DATA --augment {name}",
    "activation": "fathom fit DATA --net mlp --set net.activation={name}",
    "norm": "fathom fit DATA --net mlp --set net.norm={name}",
    "initialization": "fathom fit DATA --net mlp --set net.initialization={name}",
    "metric": "fathom fit DATA --set monitor={name}",
    "check": "fathom check DATA --set checks.{name}=false",
    "set": "fathom fit {name}",
}
"""How a thing of each sort is asked for; a check, how it is left out. What is missing here, such as a reader, is chosen
by what it is to be used on."""


def thing(root: Path, what: str, name: str, *, level: int = 2) -> str:
    """A section on one thing, under an anchor of its own."""
    found = described(what, name)
    found = replace(found, doc=found.doc.replace("``", "`"))
    parts = [f"{'#' * level} `{name}` {{#{what}-{name}}}"]
    parts += [f"*{plain(found.facts_text)}*"] if found.facts_text else []
    parts += [plain(paragraph) for paragraph in found.paragraphs]
    parts += options(found)
    parts += [f"```console\n$ {line}\n```"] if (line := command(what, name)) else []
    parts += [source_line(root, what, name)] if what != "set" else []
    return "\n\n".join(parts)


def options(found: Described) -> list[str]:
    """Each option with its default and what it may be: a list, for tables of words are too wide for a phone."""
    lines = [
        f"- `{option.name} = {option.default_text}`{f': {plain(about)}' if about else ''} *({plain(allowed)})*"
        for option, about, allowed in found.told
    ]
    example = re.sub(r"as in (.*)\)$", r"as in `\1`)", found.example) if lines else ""
    return [f"Options{example}:", "\n".join(lines)] if lines else []


def command(what: str, name: str) -> str | None:
    """A command that uses a thing, or None where it is not asked for by name."""
    facts = described(what, name).facts
    if what == "net" and facts.get("entry"):
        # What makes tokens stands before the nets that take them, and is not named by itself.
        behind = facts["takes"] in SIGNAL_PARTS or "vector" not in facts["gives"]
        return None if behind else f"fathom fit DATA --set nets.{facts['takes']}={name}"
    if what == "head" and facts.get("hides"):
        return "fathom pretrain DATA"
    if what == "head" and name not in {kind.facts.get("head") for kind in KINDS} and _rebuilds(name):
        return "fathom fit DATA --target none"
    return COMMANDS[what].format(name=name) if what in COMMANDS else None


def source_line(root: Path, what: str, name: str) -> str:
    """Where its source stands, as a link."""
    factory = _factory(what, name)
    path = Path(inspect.getsourcefile(factory) or "").resolve().relative_to(root)
    depth = "../../" if what == "kind" else "../"
    return f"Code: [`{factory.__qualname__}`]({depth}{path.as_posix()}) in `{path.as_posix()}`"


def _rebuilds(head: str) -> bool:
    return head in {kind.facts.get("rebuild") for kind in KINDS}


def _factory(what: str, name: str) -> Any:
    return inspect.unwrap(next(registry for registry in ALL if registry.what == what).get(name).factory)


def plain(words: str) -> str:
    """Words of a docstring in which nothing but code is Markdown."""
    pieces = re.split(r"(`[^`]*`)", words)
    return "".join(piece if k % 2 else re.sub(r"([<*_\[\]|])", r"\\\1", piece) for k, piece in enumerate(pieces))
