"""The whole run, declared: one frozen dataclass, read from TOML, the command line or Python."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fathom.augment import AUTO, chosen, explicit
from fathom.checks import checked_choices
from fathom.errors import ConfigError, unknown_name
from fathom.heads import HEADS, METRICS
from fathom.kinds import KINDS
from fathom.layout import DEFAULT, DEFAULT_BODIES
from fathom.model import SKILL
from fathom.nets import DECODERS, NETS
from fathom.registry import Choice, Registry, check_options, options_of
from fathom.signals import Role
from fathom.tracking import TRACKERS
from fathom.training.budget import Budget
from fathom.training.course import check_patience
from fathom.training.engine import Trainer

__all__ = ["Config", "parse_setting"]

MOST_MEMBERS, MOST_FOLDS = 256, 50
TYPES: dict[str, type] = {
    **dict.fromkeys(("seed", "ensemble", "folds"), int),
    **dict.fromkeys(("valid", "test"), float),
    **dict.fromkeys(("baseline", "measure"), bool),
}
AUTO_NET = "auto"
RECORDS = ("versions", "source")  # tables that a run adds to its config.toml, and that say nothing new


@dataclass(frozen=True)
class Config:
    """What a run is asked to do. None and empty mean: as the data suggests.

    Attributes:
        target: the columns that are asked for; empty asks for the source's own, ("none",) for no target.
        budget: "2m", "20epochs", "5000steps".
        seed: decides all that is random.
        start: a run, or a model, whose weights, nets and tokenizer are taken to start from.
        net: a net that goes where it fits; None, or "auto", chooses one by kinds, rows and budget.
        nets: a net for each kind, or under "vector" or "tokens" the one on all inputs together.
        head: a head for every target.
        heads: a head for each target.
        kinds: a kind for each column.
        roles: a role for each column.
        missing: for each column, values of it that mean unknown.
        reading: the options of the source's reader.
        checks: options of the checks of the data, or False to leave one out.
        augment: what is done to training samples, one after another; AUTO decides by what the data bears.
        ensemble: how many networks of different first weights are trained together, whose answers are averaged.
        folds: into how many folds the rows are cut, each network choosing by one of them; 0 holds rows out instead, and
            None cuts where rows are few and no share to hold out was named.
        monitor: what validation watches: "skill", or a metric's name.
        log: the trackers that follow the run.
        training: the engine's options.
        valid: the share of rows held out to choose by.
        test: the share of rows held out for the final score, where no test data is given.
        baseline: whether the linear model is trained too.
        measure: whether threads, batch and memory layout may be chosen by a measurement.
    """

    target: tuple[str, ...] = ()
    budget: str | None = None
    seed: int = 0
    start: str | None = None
    net: Choice | None = None
    nets: Mapping[str, Choice] = field(default_factory=dict)
    head: Choice | None = None
    heads: Mapping[str, Choice] = field(default_factory=dict)
    kinds: Mapping[str, Choice] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    augment: tuple[Choice, ...] = (Choice(AUTO),)
    ensemble: int = 1
    folds: int | None = None
    monitor: str = SKILL
    log: tuple[Choice, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    valid: float = 0.15
    test: float = 0.15
    baseline: bool = True
    measure: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Config:
        """Check and convert what was given, before any data is read.

        Raises:
            ConfigError: an unknown key, name or option, or a value that is not allowed.
        """
        given = {key: value for key, value in given.items() if key not in RECORDS}
        if given.get("net") == AUTO_NET:
            given["net"] = None
        training = dict(_table("training", given.pop("training", {})))
        named = {key: given.pop(key, None) for key in ("optimizer", "schedule")}
        training |= {key: choice for key, choice in named.items() if choice is not None}
        known = [item.name for item in fields(cls)]
        for key in given:
            if key not in known:
                raise ConfigError(unknown_name("key", key, [*known, "optimizer", "schedule"]))
        chosen = {key: _converted(key, value) for key, value in given.items() if value is not None}
        if chosen.get("folds") and "valid" in chosen:
            raise ConfigError("folds and valid exclude each other: each fold is held out to choose by, once")
        if "valid" in chosen:
            chosen["folds"] = 0
        options = check_options("training", options_of(Trainer), training)
        return cls(**chosen, training=options)._checked()

    @classmethod
    def read(cls, path: Path) -> dict[str, Any]:
        """The keys of a TOML file, to be merged with others and given to ``of``.

        Raises:
            ConfigError: the file cannot be read.
        """
        try:
            return tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} cannot be read as TOML: {error}") from error

    def plain(self) -> dict[str, Any]:
        """This config as TOML holds it, without what is None; of the engine every option, down to the optimizer's."""
        options = options_of(Trainer)
        trained = {name: option.explicit(self.training.get(name, option.default)) for name, option in options.items()}
        found = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        found |= {"training": trained, "augment": explicit(self.augment)}
        if self.folds != 0:
            del found["valid"]
        return {key: value for key, value in found.items() if value is not None}

    def _checked(self) -> Config:
        Budget.parse(self.budget)
        check_patience(self.training)
        _check_places(self.nets)
        if self.monitor not in (SKILL, *METRICS.names()):
            raise ConfigError(unknown_name("metric", self.monitor, [SKILL, *METRICS.names()]))
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed = {self.seed} is out of range (allowed: 0 to 2^63 - 1)")
        if not 1 <= self.ensemble <= MOST_MEMBERS:
            raise ConfigError(f"ensemble = {self.ensemble} is out of range (allowed: 1 to {MOST_MEMBERS})")
        if self.folds not in (None, 0) and not 2 <= self.folds <= MOST_FOLDS:
            raise ConfigError(f"folds = {self.folds} is out of range (allowed: 2 to {MOST_FOLDS}, or 0 for none)")
        if not (self.valid >= 0 and self.test >= 0 and self.valid + self.test < 1):
            raise ConfigError(f"valid = {self.valid} and test = {self.test} must leave rows to train on")
        return replace(
            self,
            net=_known_net(self.net),
            nets={place: _known(NETS, net) for place, net in self.nets.items()},
            head=_known(HEADS, self.head),
            log=tuple(TRACKERS.checked(tracker) for tracker in self.log),
            heads={name: _known(HEADS, head) for name, head in self.heads.items()},
            kinds={name: KINDS.checked(kind) for name, kind in self.kinds.items()},
        )


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Read ``net.depth=4``: the keys, and the value as TOML reads it, or as the string it is.

    Raises:
        ConfigError: there is no ``=``.
    """
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise ConfigError(f"--set {text!r} is not understood (expected key=value, as in net.dropout=0.2)")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return [part.strip() for part in key.split(".")], parsed


def _converted(key: str, value: Any) -> Any:
    if key == "target":
        return _strings(value)
    if key in ("net", "head"):
        return _choice(value)
    if key == "augment":
        return chosen(value)
    if key == "log":
        return tuple(Choice.of(item) for item in (value if isinstance(value, list | tuple) else (value,)))
    if key == "kinds":
        return {name: _kind(name, item) for name, item in _table(key, value).items()}
    if key in ("nets", "heads"):
        return {name: _choice(item) for name, item in _table(key, value).items()}
    if key == "checks":
        return checked_choices(_table(key, value))
    if key == "missing":
        return {name: _strings(item) for name, item in _table(key, value).items()}
    if key == "reading":
        return dict(_table(key, value))
    if key == "roles":
        return {name: _role(name, str(role)) for name, role in _table(key, value).items()}
    return _scalar(key, str(value) if key == "start" and isinstance(value, Path) else value)


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _choice(value: Any) -> Choice:
    return Choice.of({"name": DEFAULT, **value} if isinstance(value, Mapping) else value)


def _kind(column: str, value: Any) -> Choice:
    """The kind of a column.

    Raises:
        ConfigError: options of it are named, and it is not.
    """
    if isinstance(value, Mapping) and value and "name" not in value:
        having = [entry.name for entry in KINDS if value.keys() <= entry.options.keys()]
        usual = having[0] if len(having) == 1 else "KIND"
        raise ConfigError(
            f"kinds.{column} sets {', '.join(value)} of column {column!r}, but not which kind the column is: add "
            f"--kind {shlex.quote(f'{column}={usual}')} (with such options: {', '.join(having) or 'no kind'})"
        )
    return Choice.of(value)


def _known(registry: Registry, choice: Choice | None) -> Any:
    if choice is None or choice.name != DEFAULT:
        return choice if choice is None else registry.checked(choice)
    for name, value in choice.options.items():
        _check_any_takes(registry, name, value)
    return choice


def _check_any_takes(registry: Registry, name: str, value: Any) -> None:
    """Refuse an option that nothing has, or a value that nothing takes, of what the data will choose.

    Raises:
        ConfigError: it is one.
    """
    having = [entry for entry in registry if name in entry.options]
    if not having:
        names = sorted({option for entry in registry for option in entry.options})
        raise ConfigError(unknown_name(f"option of any {registry.what}", name, names))
    refused: ConfigError | None = None
    for entry in having:
        try:
            check_options(f"{registry.what} {entry.name}", entry.options, {name: value})
        except ConfigError as error:
            refused = refused or error
        else:
            return
    assert refused is not None
    raise refused


def _check_places(nets: Iterable[str]) -> None:
    allowed = [*KINDS.names(), *DEFAULT_BODIES]
    for place in nets:
        if place not in allowed:
            raise ConfigError(unknown_name("place for a net:", place, allowed))


def _role(column: str, role: str) -> str:
    if role not in list(Role):
        raise ConfigError(f"column {column!r}: {unknown_name('role', role, list(Role))}")
    return role


def _known_net(choice: Choice | None) -> Any:
    """A net for what comes in, or where nothing does, the one that a head holds."""
    decodes = choice is not None and choice.name in DECODERS.names() and choice.name not in NETS.names()
    return _known(DECODERS if decodes else NETS, choice)


def _scalar(key: str, value: Any) -> Any:
    expected = TYPES.get(key, str)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not expected:
        raise ConfigError(f"{key} = {value!r} is not allowed (expected {expected.__name__})")
    return value


def _table(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} = {value!r} is not allowed (expected a table of names and values)")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return value.plain()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
