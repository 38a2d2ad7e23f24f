"""What is registered, and what each thing's options are."""

from __future__ import annotations

import inspect
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fathom.augment import AUGMENTS
from fathom.checks import CHECKS
from fathom.cli.text import bold
from fathom.data import READERS
from fathom.data.source import KnownSet
from fathom.errors import ConfigError, unknown_name
from fathom.heads import HEADS, METRICS
from fathom.kinds import KINDS
from fathom.layout import SIGNAL_PARTS
from fathom.nets import ACTIVATIONS, DECODERS, INITIALIZATIONS, NETS, NORMS
from fathom.registry import Choice, Entry, Option, Registry, options_of
from fathom.tracking import TRACKERS
from fathom.training import ADAPTERS, AVERAGES, OPTIMIZERS, SCHEDULES
from fathom.training.engine import Trainer
from fathom.typeset import aligned, width

__all__ = ["Described", "Sort", "described", "listed", "plain", "sorts"]

PARTS = (
    NETS, DECODERS, HEADS, KINDS, AUGMENTS, OPTIMIZERS, SCHEDULES, AVERAGES, ADAPTERS, ACTIVATIONS, NORMS,
    INITIALIZATIONS,
)  # fmt: skip
ALL = (*PARTS, METRICS, READERS, CHECKS, TRACKERS)
TRAINING = "training"
SETS = "sets"
# Where the options of a thing of each sort are given on the command line.
PLACES = {name: name for name in ("net", "head", "optimizer", "schedule", TRAINING)} | {
    "kind": "kinds.COLUMN",
    "decoder": "net",
    "average": "training.average",
    "check": "checks.NAME",
    "reader": "reading",
}
NEEDS = {"parts": "test rows"}


@dataclass(frozen=True)
class Described:
    """One thing: what sort it is, its name, what it was registered with, its docstring and its options."""

    what: str
    name: str
    facts: Mapping[str, Any]
    doc: str
    options: Mapping[str, Option]

    @property
    def facts_text(self) -> str:
        """What it was registered with, in words."""
        return _facts_words(self.what, self.facts)

    @property
    def paragraphs(self) -> list[str]:
        """What its docstring says, but of its options."""
        return _split_doc(self.doc)[0]

    @property
    def told(self) -> list[tuple[Option, str, str]]:
        """Each option, what is said of it, and what it may be."""
        about = _split_doc(self.doc)[1]
        return [(option, about.get(name, ""), _allowed(option)) for name, option in self.options.items()]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        options = [_plain_option(option, about) for option, about, _ in self.told]
        return {"what": self.what, "name": self.name, **_plain(self.facts), "doc": self.doc, "options": options}

    def text(self) -> str:
        """As a person reads it."""
        parts = [bold(f"{self.what} {self.name}".strip())]
        parts += [textwrap.fill(self.facts_text, width())] if self.facts_text else []
        for paragraph in self.paragraphs:
            parts += ["", textwrap.fill(paragraph, width())]
        return "\n".join([*parts, "", *self._options_lines()])

    def _options_lines(self) -> list[str]:
        if "options" in self.facts:
            return ["Its options are those of what reads the files in it, such as csv."]
        if not self.options:
            return ["It has no options."]
        lines = [f"Options{self.example}:"]
        for option, about, allowed in self.told:
            lines.append(f"  {bold(option.name)} = {option.default_text}")
            words = [*([about] if about else []), f"allowed: {allowed}"]
            lines += [textwrap.fill(line, width(), initial_indent=" " * 6, subsequent_indent=" " * 6) for line in words]
        return lines

    @property
    def example(self) -> str:
        """How an option is given on the command line."""
        place, first = PLACES.get(self.what, "").replace("NAME", self.name), _telling(self.options.values())
        value = _shown_value(first.default)
        if self.what == AUGMENTS.what:
            return f" (as in --set 'augment=[{{name=\"{self.name}\", {first.name}={value}}}]')"
        before = f"--kind COLUMN={self.name} " if self.what == "kind" else ""
        if self.what == "net" and self.facts.get("entry") and self.facts["takes"] not in SIGNAL_PARTS:
            place = f"nets.{self.facts['takes']}"
            before = f"--set {place}={self.name} "
        return f" (as in {before}--set {place}.{first.name}={value})" if place else ""


@dataclass(frozen=True)
class Sort:
    """Things of one sort: what they are called together, each one's name and words, and the same as JSON holds it."""

    name: str
    rows: list[tuple[str, str]]
    plain: list[dict[str, Any]]


def sorts(what: str | None) -> list[Sort]:
    """All sorts of things that have names, or one, named in the singular or the plural.

    Raises:
        ConfigError: there is no such sort.
    """
    registries = {f"{registry.what}s": registry for registry in ALL}
    names = [*registries, SETS] if what is None else [_plural(what)]
    return [_sort_of_sets() if name == SETS else _sort_of(registries[name]) for name in names]


def listed(found: list[Sort]) -> str:
    """Names, facts and summaries, for a person."""
    return "\n\n".join(f"{bold(sort.name)}\n{aligned(sort.rows, indent=2)}" for sort in found)


def plain(found: list[Sort]) -> dict[str, Any]:
    """Names, facts and summaries as JSON holds them."""
    return {sort.name: sort.plain for sort in found}


def _sort_of(registry: Registry) -> Sort:
    rows = [(entry.name, _summary_words(registry.what, entry)) for entry in registry]
    plain = [{"name": entry.name, "summary": entry.summary, **_plain(entry.facts)} for entry in registry]
    return Sort(f"{registry.what}s", rows, plain)


def _sort_of_sets() -> Sort:
    sets = _known_sets()
    rows = [(name, f"{known.summary} ({_rows(known.rows)})") for name, known in sets.items()]
    return Sort(SETS, rows, [{"name": name, "summary": known.summary, **known.facts()} for name, known in sets.items()])


def _known_sets() -> dict[str, KnownSet]:
    found = {name: known for entry in READERS for name, known in entry.facts.get("sets", {}).items()}
    return dict(sorted(found.items()))


def _plural(what: str) -> str:
    name, names = what if what.endswith("s") else f"{what}s", [*(f"{registry.what}s" for registry in ALL), SETS]
    if name not in names:
        raise ConfigError(unknown_name("sort of thing", what, names))
    return name


def described(what: str, name: str | None) -> Described:
    """One thing of a sort, or the engine under "training".

    Raises:
        ConfigError: there is no such sort or name.
    """
    if what == TRAINING and name is None:
        return Described(TRAINING, "", {}, inspect.getdoc(Trainer) or "", options_of(Trainer))
    sort = _plural(what)
    if name is None:
        raise ConfigError(f"which {sort[:-1]}? ({', '.join(name for name, _ in sorts(sort)[0].rows)})")
    if sort == SETS:
        return _described_set(name)
    registry = next(registry for registry in ALL if f"{registry.what}s" == sort)
    entry = registry.get(name)
    return Described(registry.what, name, entry.facts, inspect.getdoc(entry.factory) or "", entry.options)


def _described_set(name: str) -> Described:
    sets = _known_sets()
    if name not in sets:
        raise ConfigError(unknown_name("data set", name, sets))
    return Described("set", name, sets[name].facts(), sets[name].summary, {})


def _summary_words(what: str, entry: Entry) -> str:
    facts = _facts_words(what, entry.facts)
    spared = "; ".join(f"exempt from {contract}: {reason}" for contract, reason in entry.exempt.items())
    words = "; ".join(part for part in (facts, spared) if part)
    summary = entry.summary.replace("``", "")
    return f"{summary} ({words})" if words else summary


def _facts_words(what: str, facts: Mapping[str, Any]) -> str:
    """The facts of a registration in words, the usual ones in the order of the data's way."""
    words = FACTS.get(what, _any_facts)(facts)
    return "; ".join(word for word in words if word)


def _net_facts(facts: Mapping[str, Any]) -> list[str]:
    rates = [f"{name}'s lr is {rate:g} by default" for name, rate in facts.get("rates", {}).items()]
    average = f"{facts['average']} of its weights by default" if "average" in facts else ""
    coarse = "bears bfloat16" if facts.get("bfloat16") else ""
    return [f"takes {facts['takes']}", f"gives {', '.join(facts['gives'])}", *rates, average, coarse]


def _head_facts(facts: Mapping[str, Any]) -> list[str]:
    needs = f"needs {facts['needs']}" if facts["needs"] else ""
    return [f"target {facts['target']}", needs, f"scored by {', '.join(facts['metrics'])}"]


def _kind_facts(facts: Mapping[str, Any]) -> list[str]:
    net, head = facts.get("net") or facts.get("entry"), facts.get("head")
    return [f"net {net}" if net else "never comes in", f"as a target: head {head}" if head else "never a target"]


def _metric_facts(facts: Mapping[str, Any]) -> list[str]:
    return ["higher is better" if facts["higher"] else "lower is better"]


def _check_facts(facts: Mapping[str, Any]) -> list[str]:
    needs = " and ".join(NEEDS.get(need, need) for need in facts["needs"])
    return [
        f"needs {needs}" if needs else "",
        "" if facts["cost"] == "cheap" else "before a training only where it takes little",
    ]


def _schedule_facts(facts: Mapping[str, Any]) -> list[str]:
    ends = "ends near zero" if facts["anneals"] else "followed by a cool-down to zero" if facts["cools"] else ""
    return [ends, "depends on validation" if facts.get("watches") else ""]


def _average_facts(facts: Mapping[str, Any]) -> list[str]:
    return ["in the place of the cool-down" if facts["holds"] else ""]


def _reader_facts(facts: Mapping[str, Any]) -> list[str]:
    ends = ", ".join(facts.get("suffixes", ()))
    return [f"files that end in {ends}" if ends else "", "see fathom list sets" if "sets" in facts else ""]


def _set_facts(facts: Mapping[str, Any]) -> list[str]:
    size_bytes = sum(file["size_bytes"] for file in facts.get("files", ()))
    words = [_rows(facts["rows"]), f"target {', '.join(facts['target']) or 'none'}", f"licence: {facts['licence']}"]
    return [*words, f"downloaded the first time, {size_bytes / 1e6:,.1f} MB" if size_bytes else "needs no file"]


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _any_facts(facts: Mapping[str, Any]) -> list[str]:
    words = []
    for key, value in _plain(facts).items():
        if isinstance(value, bool):
            words += [key] if value else []
        else:
            words.append(f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return words


FACTS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "net": _net_facts,
    "head": _head_facts,
    "kind": _kind_facts,
    "metric": _metric_facts,
    "reader": _reader_facts,
    "set": _set_facts,
    "schedule": _schedule_facts,
    "average": _average_facts,
    "check": _check_facts,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if not inspect.isfunction(item)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Choice):
        return value.plain()
    if isinstance(value, KnownSet):
        return value.summary
    return value.__name__ if isinstance(value, type) else value


def _split_doc(doc: str) -> tuple[list[str], dict[str, str]]:
    """A Google-style docstring as paragraphs without their lines' ends, and what it says of each argument.

    What calling it returns and raises is for who writes Python.
    """
    paragraphs, about = [], {}
    for block in doc.replace("``", "").split("\n\n"):
        heading, *lines = block.split("\n")
        if heading in ("Raises:", "Returns:"):
            continue
        if heading != "Args:":
            paragraphs.append(" ".join(line.strip() for line in (heading, *lines)))
            continue
        for line in lines:
            name, found, words = line.strip().partition(": ")
            if found and line.startswith("    ") and not line.startswith("     "):
                about[name] = words
            elif about:
                last = next(reversed(about))
                about[last] += f" {line.strip()}"
    return paragraphs, about


def _plain_option(option: Option, about: str) -> dict[str, Any]:
    found = {"name": option.name, "type": option.type_name, "default": _plain(option.default), "about": about}
    if option.range is not None:
        found |= {"low": option.range.low, "high": option.range.high, "log": option.range.log}
    choices = _choices(option)
    return found | ({"choices": choices} if choices else {})


def _choices(option: Option) -> list[Any]:
    if option.registry is not None:
        return list(option.registry.names())
    return list(typing.get_args(option.annotation)) if typing.get_origin(option.annotation) is typing.Literal else []


def _allowed(option: Option) -> str:
    choices = _choices(option)
    if choices:
        plain = all(str(choice).replace("-", "_").isidentifier() for choice in choices)
        return ", ".join(map(str if plain else repr, choices))
    return f"{option.type_name}, {option.range}" if option.range else option.type_name


def _telling(options: Iterable[Option]) -> Option:
    """The option of an example: the first whose default is a value that one can type."""
    several = list(options)
    return next((option for option in several if option.default not in (None, ())), several[0])


def _shown_value(default: Any) -> str:
    if isinstance(default, Choice):
        return default.name
    if isinstance(default, tuple):
        return "[" + ",".join(map(str, default)) + "]"
    return str(default).lower() if isinstance(default, bool) else str(default)
