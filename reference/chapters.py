"""The pages of the reference: one for each kind with its nets and heads, and one for each other sort of thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from examples_of_kinds import example
from things import options, plain, thing

from fathom.cli.catalogue import described, sorts
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.layout import SIGNAL_PARTS
from fathom.nets import NETS
from fathom.registry import Entry

OWN_PLACE = ("kinds", "nets", "heads")
TITLES = {"sets": "Public data sets"}
LETTERS = """
Letters in shapes: `N` rows of a table, `B` samples of a batch, `T` positions of a sequence, `D` features, `K` classes,
`C` channels, `H` height, `W` width, `M` members of an ensemble. `M·B` is `M` blocks of `B`.
"""


@dataclass(frozen=True)
class Chapter:
    """A page that is made: under which heading of the menu, its title, where it stands, and its Markdown."""

    part: str
    title: str
    place: str
    text: str


def chapters(root: Path) -> list[Chapter]:
    """All pages that are made; everything that is registered has its section on exactly one."""
    kinds = [_of_kind(root, kind) for kind in KINDS]
    found = [_of_all_inputs(root), _of_training(root)]
    for sort in sorts(None):
        if sort.name not in OWN_PLACE:
            title = TITLES.get(sort.name, sort.name.capitalize())
            sections = [thing(root, sort.name.removesuffix("s"), name) for name, _ in sort.rows]
            text = "\n\n".join([f"# {title}", *sections])
            found.append(Chapter("Other parts", title, f"reference/{sort.name}.md", text))
    return [_overview([*kinds, *found]), *kinds, *found]


def _overview(others: list[Chapter]) -> Chapter:
    lines = [f"- [{other.title}]({other.place.removeprefix('reference/')})" for other in others]
    text = [
        "# Reference",
        "Everything that can be chosen by name, as it is registered: these pages are made from the same signatures and "
        "docstrings that `fathom list` and `fathom show` read. What `--set` takes, a TOML file and Python take too.",
        "\n".join(lines),
        LETTERS.strip(),
    ]
    return Chapter("", "Overview", "reference/index.md", "\n\n".join(text))


def _of_kind(root: Path, kind: Entry) -> Chapter:
    form = kind.facts.get("form", kind.name)
    parts = [f"# Kind `{kind.name}` {{#kind-{kind.name}}}", *thing(root, "kind", kind.name).split("\n\n")[1:]]
    parts += ["## From cells to tensors, and back", *example(kind), LETTERS.strip()]
    if form != kind.name:
        parts += [
            f"## Nets and heads\n\nIts tensor has the form of `{form}`: it takes [its nets and heads]({form}.md)."
        ]
        return Chapter("Kinds", kind.name, f"reference/kinds/{kind.name}.md", "\n\n".join(parts))
    default = kind.facts.get("net", kind.facts.get("entry"))
    taking = sorted((net.name for net in NETS if net.facts["takes"] == kind.name), key=lambda name: name != default)
    parts += ["## Nets that take it", f"`{default}` is taken where none is named. Behind it stand nets that take all "
              "inputs together: [Nets on all inputs](../nets.md)."] if taking else []  # fmt: skip
    parts += [_deeper(thing(root, "net", name, level=3)) for name in taking]
    answering = [head.name for head in HEADS if head.facts["target"] == kind.name]
    first = kind.facts.get("head")
    parts += ["## Heads that answer it", _default_heads(kind)] if answering else []
    parts += [_of_head(root, name) for name in sorted(answering, key=lambda name: name != first)]
    return Chapter("Kinds", kind.name, f"reference/kinds/{kind.name}.md", "\n\n".join(parts))


def _default_heads(kind: Entry) -> str:
    head, rebuild = kind.facts.get("head"), kind.facts.get("rebuild")
    words = [f"As a target it is answered by `{head}` where no head is named."] if head else []
    return " ".join([*words, *([f"With no target, `{rebuild}` rebuilds it."] if rebuild else [])])


def _of_head(root: Path, name: str) -> str:
    """A head, its loss and its prediction as its methods say them, and links to its metrics."""
    entry = HEADS.get(name)
    metrics = ", ".join(f"[{metric}](../metrics.md#metric-{metric})" for metric in entry.facts["metrics"])
    loss, predict = (_docstring(getattr(entry.factory, method)) for method in ("loss", "predict"))
    return "\n\n".join(
        [_deeper(thing(root, "head", name, level=3)), f"Loss: {loss}\n\nPrediction: {predict}\n\nMetrics: {metrics}"]
    )


def _docstring(method: Any) -> str:
    return plain(" ".join((method.__doc__ or "").split()).replace("``", "`"))


def _deeper(section: str) -> str:
    """A section of a page that stands one folder deeper than the others."""
    return section.replace("](../src/", "](../../src/")


def _of_all_inputs(root: Path) -> Chapter:
    taken = {kind.name for kind in KINDS}
    nets = [thing(root, "net", net.name) for net in NETS if net.facts["takes"] in SIGNAL_PARTS]
    heads = [thing(root, "head", head.name) for head in HEADS if head.facts["target"] not in taken]
    words = "Nets that take what all inputs have become together: one vector, tokens, or maps."
    text = "\n\n".join(["# Nets on all inputs", words, *nets, *heads])
    return Chapter("", "Nets on all inputs", "reference/nets.md", text)


def _of_training(root: Path) -> Chapter:
    found = described("training", None)
    found = replace(found, doc=found.doc.replace("``", "`"))
    source = "Code: [`Trainer`](../src/fathom/training/engine.py)"
    text = "\n\n".join(["# Training", *map(plain, found.paragraphs), *options(found), source])
    return Chapter("", "Training", "reference/training.md", text)
