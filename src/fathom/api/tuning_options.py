"""How one option is searched: what the registry says of it, narrowed to where a few dozen trials find something.

An annotation's range says what is allowed, which is far more than can pay: a study looks around the value that the
option has without it.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fathom.errors import ConfigError
from fathom.registry import Choice, Option, Range

__all__ = ["Dimension", "Suggest", "Tuned", "bounds_of", "tuned"]

FLOAT_FACTOR = 10.0
"""A rate is searched from a tenth of what it would be to ten times that."""

DOUBLINGS = 2
"""A size is halved or doubled so many times at most, which keeps it divisible by what it was divisible by."""

MORE_LAYERS = 2
SMALL_SHARE = 0.05
"""What stands so low in its range is searched in equal factors, not in equal steps."""

LINEAR_SHARE = 0.5
SHARE_FROM_ZERO = 0.25
LOG_FROM = 20.0  # bounds that far apart are searched in equal factors


@dataclass(frozen=True)
class Dimension:
    """One axis of a study.

    Attributes:
        key: its name in the study.
        default: its value where nothing is tuned; None where none of its values says that.
        low: the least value, of numbers.
        high: the largest.
        log: whether equal factors are equally likely, else equal steps.
        choices: the values, where they are no numbers or only few.
    """

    key: str
    default: Any
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return not self.choices and isinstance(self.low, int) and isinstance(self.high, int)


Suggest = Callable[[Dimension], Any]


@dataclass(frozen=True)
class Tuned:
    """An option, the axes on which it is searched, and what their values make of it.

    Attributes:
        option: which.
        base: its value where nothing is tuned.
        form: "plain" takes the value of one axis; "doublings" doubles ``base`` so often; "layers" takes a depth, and
            doublings of every width.
        dimensions: the axes.
    """

    option: Option
    base: Any
    form: Literal["plain", "doublings", "layers"]
    dimensions: tuple[Dimension, ...]

    def value(self, suggest: Suggest) -> Any:
        """The option's value, from a value for each axis."""
        drawn = [suggest(dimension) for dimension in self.dimensions]
        if self.form == "doublings":
            return _doubled(self.base, drawn[0], self.option.range)
        if self.form == "layers":
            depth, doublings = drawn
            return [_doubled(width, doublings, self.option.range) for width in _deeper(self.base, depth)]
        plain = self.base.plain() if isinstance(self.base, Choice) else self.base
        return plain if isinstance(plain, Mapping) and plain["name"] == drawn[0] else drawn[0]


def tuned(key: str, option: Option, base: Any, said: str | None = None) -> Tuned | None:
    """How an option is searched, or None where nothing says how.

    Args:
        key: the option's name in the study.
        option: from a registered thing's signature.
        base: its value where nothing is tuned.
        said: the values to search, as in "1e-4..1e-2" or "relu|gelu"; None takes what is around ``base``.

    Raises:
        ConfigError: ``said`` cannot be read, or names values that the option cannot have.
    """
    if said is not None:
        return _as_said(key, option, base, said)
    if option.registry is not None or isinstance(base, Choice):
        names = tuple(option.registry.names()) if option.registry is not None else (base.name,)
        return _plain(option, base, Dimension(key, base.name, choices=names))
    kinds = _types(option)
    literals = [value for kind in kinds if typing.get_origin(kind) is Literal for value in typing.get_args(kind)]
    if (literals and option.range is None) or bool in kinds:
        return _plain(option, base, Dimension(key, base, choices=tuple(literals or (False, True))))
    if option.range is None:
        return None
    if isinstance(base, tuple):
        return _layers(key, option, base)
    if int in kinds and not isinstance(base, float):
        return _size(key, option, base)
    return _rate(key, option, base) if float in kinds else None


def bounds_of(said: str) -> tuple[str, str] | None:
    """The two ends of "1e-4..1e-2", or None where it is a list of values."""
    match = re.fullmatch(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*", said)
    return None if match is None else (match[1], match[2])


def _types(option: Option) -> tuple[Any, ...]:
    """The types that an option may have, its union taken apart."""
    if typing.get_origin(option.annotation) in (typing.Union, types.UnionType):
        return typing.get_args(option.annotation)
    return (option.annotation,)


def _plain(option: Option, base: Any, dimension: Dimension) -> Tuned:
    return Tuned(option, base, "plain", (dimension,))


def _size(key: str, option: Option, base: Any) -> Tuned | None:
    """A whole number: halved and doubled where it is large or its range says so, else a few more and less."""
    assert option.range is not None
    low, high = int(option.range.low), int(option.range.high)
    if not isinstance(base, int) or base <= 0:  # 0 stands for "choose by itself"
        return None
    if not option.range.log and base < 2 ** (DOUBLINGS + 2):
        ends = max(low, base // 2), min(high, max(2 * base, base + MORE_LAYERS))
        return None if ends[0] >= ends[1] else _plain(option, base, Dimension(key, base, *ends))
    halvings = next(n for n in range(DOUBLINGS, -1, -1) if n == 0 or base >> n >= max(low, 1))
    doublings = next(n for n in range(DOUBLINGS, -1, -1) if n == 0 or base << n <= high)
    return Tuned(option, base, "doublings", (Dimension(f"{key}.doublings", 0, -halvings, doublings),))


def _layers(key: str, option: Option, base: tuple[Any, ...]) -> Tuned | None:
    """Widths of layers, as deep and as wide."""
    if not base or not all(type(width) is int for width in base):
        return None
    depth = Dimension(f"{key}.depth", len(base), 1, len(base) + MORE_LAYERS)
    return Tuned(option, base, "layers", (depth, Dimension(f"{key}.doublings", 0, -DOUBLINGS, DOUBLINGS)))


def _rate(key: str, option: Option, base: Any) -> Tuned | None:
    """A number: in equal factors where it is a rate, in equal steps where it is a share."""
    assert option.range is not None
    low, high = float(option.range.low), float(option.range.high)
    if not isinstance(base, int | float) or isinstance(base, bool):
        # Measured, unless said: no value is the one to search around, so the middle half of what is allowed is.
        if not option.range.log:
            return None
        quarter = (math.log(high) - math.log(low)) / 4
        ends = math.exp(math.log(low) + quarter), math.exp(math.log(high) - quarter)
        return _plain(option, base, Dimension(key, None, *ends, log=True))
    base = float(base)
    if base == 0:
        within = min(high, low + SHARE_FROM_ZERO * (high - low))
        return _plain(option, base, Dimension(key, base, low, within)) if low == 0 and high <= 1 else None
    if base > 0 and (option.range.log or base < low + SMALL_SHARE * (high - low)):
        ends = max(low, base / FLOAT_FACTOR), min(high, base * FLOAT_FACTOR)
        return _plain(option, base, Dimension(key, base, *ends, log=True))
    return _plain(option, base, Dimension(key, base, low, min(high, max(low + LINEAR_SHARE * (high - low), 2 * base))))


def _as_said(key: str, option: Option, base: Any, said: str) -> Tuned:
    ends = bounds_of(said)
    if ends is None:
        words = [word.strip() for word in said.split("|") if word.strip()]
        values = tuple(_checked(option, word) for word in words)
        plain = tuple(value.name if isinstance(value, Choice) else value for value in values)
        start = base.name if isinstance(base, Choice) else base
        if not plain or any(isinstance(value, tuple) for value in plain):
            raise ConfigError(f"space {key}={said}: not understood (allowed: LOW..HIGH, or values divided by |)")
        return _plain(option, base, Dimension(key, start if start in plain else None, choices=plain))
    low, high = (_checked(option, end) for end in ends)
    if any(isinstance(end, bool | str | Choice) for end in (low, high)):
        raise ConfigError(f"space {key}={said}: {option.name} is no number (allowed: values divided by |)")
    if isinstance(low, tuple):
        return _layers_as_said(key, option, base, low[0], high[0], said)
    if not low < high:
        raise ConfigError(f"space {key}={said}: the first end must be below the second")
    log = low > 0 and (high / low >= LOG_FROM or (option.range is not None and option.range.log))
    inside = isinstance(base, int | float) and low <= base <= high
    return _plain(option, base, Dimension(key, base if inside else None, low, high, log))


def _layers_as_said(key: str, option: Option, base: tuple[Any, ...], low: int, high: int, said: str) -> Tuned:
    """Layers of which the first has a width between two ends that a doubling of it reaches."""
    layers = _layers(key, option, base)
    if layers is None or not low < high:
        raise ConfigError(f"space {key}={said}: needs layers to start from, and a first end below the second")
    reached = [n for n in range(-16, 17) if low <= base[0] * 2.0**n <= high]
    if not reached:
        raise ConfigError(f"space {key}={said}: no doubling or halving of {base[0]} lies between the ends")
    widths = Dimension(f"{key}.doublings", 0 if 0 in reached else None, reached[0], reached[-1])
    return Tuned(option, base, "layers", (layers.dimensions[0], widths))


def _checked(option: Option, word: str) -> Any:
    """A word as a value of the option."""
    numeral: Any = word
    for read in (int, float):
        try:
            numeral = read(word)
            break
        except ValueError:
            continue
    return option.check({"true": True, "false": False}.get(word, numeral), "space")


def _doubled(number: int, doublings: int, allowed: Range | None) -> int:
    found = max(1, round(number * 2.0**doublings))
    return found if allowed is None else int(min(max(found, allowed.low), allowed.high))


def _deeper(widths: tuple[int, ...], depth: int) -> list[int]:
    """The first of the layers, and where there are more, layers that go on as the last two do."""
    found = list(widths[:depth])
    growth = widths[-1] / widths[-2] if len(widths) > 1 else 1.0
    while len(found) < depth:
        found.append(max(1, round(found[-1] * growth)))
    return found
