"""From options, ``--set`` and a TOML file to the one table that Config reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fathom.config import RECORDS, Config, parse_setting
from fathom.errors import ConfigError

__all__ = ["config_from", "reading_from"]

# Tables whose keys are the user's; every other table is a name and its options.
TABLES = ("nets", "heads", "kinds", "roles", "missing", "reading", "checks", "training")
ROLES = ("weight", "group", "time")
Tree = dict[str, Any]


def config_from(options: Mapping[str, Any]) -> Tree:
    """The keys of Config, from the options of ``fathom fit``.

    What the command line says goes before the file. ``--net NAME`` and ``--set net.option=`` make one choice; another
    name than the file's drops the file's options, which were those of another thing.

    Raises:
        ConfigError: an option that cannot be read, or a file that is no TOML.
    """
    said: Tree = {}
    for key in ("target", "budget", "seed", "start", "net", "head", "augment", "ensemble", "folds", "log"):
        if options.get(key) is not None and options[key] != ():
            said[key] = options[key]
    for option in ("kind", "role"):
        for column, name in _pairs(option, options[option]):
            _put(said, [f"{option}s", column], name)
    for role in ROLES:
        if options[role] is not None:
            _put(said, ["roles", options[role]], role)
    for column, value in _gaps(options):
        said.setdefault("missing", {}).setdefault(column, []).append(value)
    reading = reading_from(options)
    if reading:
        said["reading"] = reading
    for text in options["set"]:
        _put(said, *parse_setting(text))
    recorded = sorted(said.keys() & set(RECORDS))
    if recorded:
        raise ConfigError(f"--set {recorded[0]}: a run records that, and takes no word for it")
    file = {} if options["config"] is None else Config.read(Path(options["config"]))
    asked = {key: value for key, value in file.items() if key not in RECORDS}
    return _over(_lifted(asked), _lifted(said))


def reading_from(options: Mapping[str, Any]) -> Tree:
    """What was said of how the source is to be read."""
    columns, header = options.get("columns"), options.get("header")
    said: Tree = {} if columns is None else {"columns": [name.strip() for name in columns.split(",")]}
    said |= {} if header is None else {"header": "yes" if header else "no"}
    said |= {"lines": True} if options.get("lines") else {}
    said |= {name: options[name] for name in ("decimal", "skip_rows") if options.get(name) is not None}
    words = [word for word in options.get("missing", ()) if "=" not in word]
    return said | {name: list(given) for name, given in (("missing", words), ("text", options.get("text"))) if given}


def _gaps(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each ``--missing COLUMN=VALUE``: a column, and a value of it that means unknown."""
    said = [word.rpartition("=") for word in options.get("missing", ()) if "=" in word]
    return [(column, value) for column, _, value in said]


def _pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """``column=kind``, read from the right: a column's name may hold an equals sign, a kind's never does."""
    pairs = []
    for text in texts:
        column, found, name = text.rpartition("=")
        if not found or not column or not name:
            raise ConfigError(f"--{option} {text!r} is not understood (expected column={option})")
        pairs.append((column, name))
    return pairs


def _put(tree: Tree, keys: list[str], value: Any) -> None:
    """Set a nested key; a plain value that is given options becomes their name, in whichever order they come."""
    *outer, last = keys
    for key in outer:
        inner = tree.get(key, {})
        tree[key] = inner if isinstance(inner, dict) else {"name": inner}
        tree = tree[key]
    before = tree.get(last)
    if isinstance(before, dict) and isinstance(value, str):
        before["name"] = value
    else:
        tree[last] = value


def _lifted(tree: Tree) -> Tree:
    """Optimizer and schedule under their short names, where a run's own config.toml has them under training."""
    if not isinstance(tree.get("training"), Mapping):
        return tree
    training = dict(tree["training"])
    short = {key: training.pop(key) for key in ("optimizer", "schedule") if key in training}
    return {**short, **tree, "training": training}


def _over(file: Tree, said: Tree) -> Tree:
    """The file's table with what was said laid over it."""
    merged = dict(file)
    for key, value in said.items():
        before = file.get(key)
        if key in TABLES and isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[key] = {**before, **{name: _choice_over(before.get(name), item) for name, item in value.items()}}
        else:
            merged[key] = _choice_over(before, value)
    return merged


def _choice_over(before: Any, said: Any) -> Any:
    if not isinstance(said, Mapping):
        return said
    if isinstance(before, str):
        before = {"name": before}
    if not isinstance(before, Mapping) or said.get("name", before.get("name")) != before.get("name"):
        return said
    return {**before, **{key: _choice_over(before.get(key), item) for key, item in said.items()}}
