"""Registry and Choice: the only extension mechanism.

A registered thing is a class or a function. Its positional parameters come from the data; its keyword-only
parameters are its options, each with an annotation from a closed list and a default that is written nowhere
else. Whatever is known about an option (type, range, default) is read from the signature.
"""

from __future__ import annotations

import importlib
import inspect
import math
import numbers
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar

from fathom.errors import ConfigError, unknown_name

__all__ = ["Choice", "Entry", "Option", "Range", "Registry", "check_options", "options_of"]

ENTRY_POINT_GROUP = "fathom"
PLAIN_TYPES = (bool, int, float, str)

Thing = TypeVar("Thing", bound=Callable[..., Any])


@dataclass(frozen=True)
class Range:
    """The values an option may take: low to high, both allowed; ``log`` says how to search between them."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        return f"{low} to {high}"


@dataclass(frozen=True)
class Choice:
    """A registered name with the options that differ from its defaults.

    Attributes:
        name: a name in some registry.
        options: keyword-only arguments of that thing.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Choice | str | Mapping[str, Any]) -> Choice:
        """Read a choice as people write it: ``"relu"`` or ``{name = "leaky_relu", slope = 0.1}``."""
        if isinstance(value, Choice):
            return value
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            raise ConfigError(f"expected a name or a table with a name, as in {{name = ...}}; got {value!r}")
        return cls(value["name"], {key: item for key, item in value.items() if key != "name"})

    def plain(self) -> dict[str, Any]:
        """This choice as JSON and TOML hold it."""
        return {"name": self.name, **{key: _plain(value) for key, value in self.options.items()}}


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter of a registered thing.

    Attributes:
        name: the parameter's name.
        annotation: its type, without ``Annotated``.
        default: the value it has when nobody names it.
        range: the values allowed, where the annotation carries a Range.
        registry: where a Choice is looked up, where the annotation carries a Registry.
    """

    name: str
    annotation: Any
    default: Any
    range: Range | None = None
    registry: Registry | None = None

    def check(self, value: Any, owner: str) -> Any:
        """Return ``value`` as the annotated type, or say what was allowed.

        Raises:
            ConfigError: the value has another type, is out of range, or names nothing.
        """
        where = f"{owner}.{self.name}" if owner else self.name
        if isinstance(self.default, Choice) and isinstance(value, Mapping) and "name" not in value:
            value = {**self.default.plain(), **value}  # options alone are those of the default
        checked = _converted(value, self.annotation, where)
        if isinstance(checked, Choice) and self.registry is not None:
            return self.registry.checked(checked)
        if self.range is not None:
            for number in checked if isinstance(checked, tuple) else (checked,):
                if isinstance(number, int | float) and not self.range.low <= number <= self.range.high:
                    raise ConfigError(f"{where} = {number!r} is out of range (allowed: {self.range})")
        return checked

    def explicit(self, value: Any) -> Any:
        """A value of this option as plain data; of a choice, with the defaults of what it names."""
        if isinstance(value, Choice) and self.registry is not None:
            return self.registry.explicit(value)
        return _plain(value)

    @property
    def type_name(self) -> str:
        """The type as people write it: ``list of int``, ``float | none``."""
        return _type_name(self.annotation)

    @property
    def default_text(self) -> str:
        """The default as TOML writes it, as far as TOML can."""
        return _shown(self.default)

    def __str__(self) -> str:
        allowed = f" ({self.range})" if self.range else f" (one of: {self.registry.what}s)" if self.registry else ""
        return f"{self.name}: {self.type_name} = {self.default_text}{allowed}"


@dataclass(frozen=True)
class Entry:
    """A registered thing: the class or function, and the facts it was registered with.

    The fact ``exempt`` maps each contract that the thing cannot pass to the reason, as in
    ``exempt={"weights": "pictures are normalised alike whatever they weigh"}``; there is no other list of exceptions.
    """

    name: str
    factory: Any  # a class or a function; whatever else it has is between its kind and who looks it up
    facts: Mapping[str, Any]

    @cached_property
    def options(self) -> dict[str, Option]:
        return options_of(self.factory)

    @property
    def exempt(self) -> Mapping[str, str]:
        """Contract to the reason why the tests do not ask it of this thing."""
        return dict(self.facts.get("exempt", {}))

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.factory) or "").split("\n", 1)[0]


class Registry:
    """Names of things that can be chosen, found by importing every module of a package once.

    Args:
        what: the sort of thing, as messages call it (``"net"``).
        package: the package whose modules register such things.
    """

    def __init__(self, what: str, package: str) -> None:
        self.what = what
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._discovered = False

    def register(self, name: str, **facts: Any) -> Callable[[Thing], Thing]:
        """Decorate a class or a function so that it can be chosen by ``name``.

        Raises:
            ConfigError: the name is taken by another thing.
        """

        def add(thing: Thing) -> Thing:
            known = self._entries.get(name)
            if known is not None and known.factory.__qualname__ != thing.__qualname__:
                raise ConfigError(f"two {self.what}s are called {name!r}: {known.factory} and {thing}")
            self._entries[name] = Entry(name, thing, facts)
            return thing

        return add

    def get(self, name: str) -> Entry:
        """Look a name up.

        Raises:
            ConfigError: nothing has that name; the message says what is near.
        """
        if name not in self._entries:
            self._discover()
        if name not in self._entries:
            raise ConfigError(unknown_name(self.what, name, self.names()))
        return self._entries[name]

    def names(self) -> list[str]:
        self._discover()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter([self._entries[name] for name in self.names()])

    def checked(self, choice: Choice | str | Mapping[str, Any]) -> Choice:
        """Return the choice with its options checked and converted.

        Raises:
            ConfigError: the name or one of its options is not allowed.
        """
        choice = Choice.of(choice)
        entry = self.get(choice.name)
        return Choice(choice.name, check_options(f"{self.what} {choice.name}", entry.options, choice.options))

    def build(self, choice: Choice | str | Mapping[str, Any], *positional: Any) -> Any:
        """Call what the choice names with ``positional`` and its checked options."""
        choice = self.checked(choice)
        return self.get(choice.name).factory(*positional, **choice.options)

    def explicit(self, choice: Choice | str | Mapping[str, Any]) -> dict[str, Any]:
        """The choice as plain data with every default written out."""
        choice = self.checked(choice)
        options = {
            name: option.explicit(choice.options.get(name, option.default))
            for name, option in self.get(choice.name).options.items()
        }
        return {"name": choice.name, **options}

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True  # at once: a module may look something up while it is imported
        try:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                _import_named(f"{self._package}.{module.name}", self.what)
            _load_entry_points()
        except ConfigError:
            self._discovered = False  # so that the next look-up names the module again, not an unknown name
            raise


def _import_named(module: str, what: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"the module {module}, which may register a {what}, fails to import: {error}") from error


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"the extension {point.name} ({point.value}) fails to import: {error}") from error


@cache
def options_of(thing: Callable[..., Any]) -> dict[str, Option]:
    """Read the options of a class or function from its signature.

    Raises:
        TypeError: an option lacks an annotation or a default (a mistake of whoever registered it).
    """
    function = thing.__init__ if inspect.isclass(thing) else thing
    hints = typing.get_type_hints(function, include_extras=True)
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.name not in hints or parameter.default is inspect.Parameter.empty:
            raise TypeError(f"option {parameter.name!r} of {thing} needs an annotation and a default")
        found[parameter.name] = _option(parameter.name, hints[parameter.name], parameter.default)
    return found


def check_options(owner: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check given values against the options they name.

    Args:
        owner: whose options they are, as the message calls it (``"net mlp"``).
        options: what may be given.
        given: name to value, as read from TOML, the command line or Python.

    Raises:
        ConfigError: an unknown option, or a value that is not allowed.
    """
    checked = {}
    for name, value in given.items():
        if name not in options:
            raise ConfigError(unknown_name(f"option of {owner}", name, options))
        checked[name] = options[name].check(value, owner)
    return checked


def _option(name: str, hint: Any, default: Any) -> Option:
    extras: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *rest = typing.get_args(hint)
        extras = tuple(rest)
    return Option(
        name,
        hint,
        default,
        next((extra for extra in extras if isinstance(extra, Range)), None),
        next((extra for extra in extras if isinstance(extra, Registry)), None),
    )


def _converted(value: Any, annotation: Any, where: str) -> Any:
    """``value`` as ``annotation`` asks: int, float, bool, str, Literal, tuple[X, ...], Choice, or X | None."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _converted_union(value, annotation, where)
    if origin is Literal:
        if not any(value == allowed and type(value) is type(allowed) for allowed in typing.get_args(annotation)):
            raise ConfigError(unknown_name(f"value for {where}:", str(value), map(str, typing.get_args(annotation))))
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else (value,)
        return tuple(_converted(item, typing.get_args(annotation)[0], where) for item in items)
    if annotation is Choice:
        return Choice.of(value)
    # The abstract classes take numpy's scalars too; a bool is an Integral, but not meant.
    if annotation is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if annotation is float and isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = float(value)
    if annotation not in PLAIN_TYPES:
        raise TypeError(f"{where}: the annotation {annotation} is not one that options may have")
    if type(value) is not annotation or (annotation is float and not math.isfinite(value)):
        raise ConfigError(f"{where} = {value!r} is not allowed (expected {_type_name(annotation)})")
    return value


def _converted_union(value: Any, annotation: Any, where: str) -> Any:
    members = typing.get_args(annotation)
    if value is None and type(None) in members:
        return None
    for member in members:
        if member is not type(None):
            try:
                return _converted(value, member, where)
            except ConfigError:
                continue
    raise ConfigError(f"{where} = {value!r} is not allowed (expected {_type_name(annotation)})")


def _type_name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type_name(member) for member in typing.get_args(annotation))
    if origin is Literal:
        return " | ".join(repr(value) for value in typing.get_args(annotation))
    if origin is tuple:
        return f"list of {_type_name(typing.get_args(annotation)[0])}"
    if annotation is type(None):
        return "none"
    return getattr(annotation, "__name__", str(annotation)).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return value.plain()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _shown(value: Any) -> str:
    if isinstance(value, Choice):
        inside = "".join(f", {key} = {_shown(item)}" for key, item in value.options.items())
        return f"{{name = {value.name!r}{inside}}}" if inside else repr(value.name)
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return repr(value) if not isinstance(value, bool) else str(value).lower()
