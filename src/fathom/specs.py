"""Specs: the plain descriptions from which nets and heads are built; the letters are those of ``signals``."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any

__all__ = [
    "CategorySpec",
    "DatetimeSpec",
    "ImageSpec",
    "MultilabelSpec",
    "NumberSpec",
    "SignalSpec",
    "SpanSpec",
    "TagsSpec",
    "TextSpec",
]


@dataclass(frozen=True)
class NumberSpec:
    """Numbers that travel as one tensor, (B, count) float32; NaN is missing.

    Attributes:
        count: how many numbers a row has.
        centre: the median of each, over training rows.
        scale: the spread of each, never 0.
        mean: the mean of each.
        deviation: the standard deviation of each, never 0.
        edges: the quantiles of each at equal steps from 0 to 1.
        missing: whether any training row lacks a value of it.
        recurring: of each that mostly has one value, those that many training rows have, in order; empty of all others.
    """

    count: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    edges: tuple[tuple[float, ...], ...]
    missing: tuple[bool, ...]
    recurring: tuple[tuple[float, ...], ...] = ()

    @property
    def num_outputs(self) -> int:
        """How many numbers a prediction of these columns holds."""
        return self.count

    @classmethod
    def join(cls, specs: list[NumberSpec]) -> NumberSpec:
        """The spec of columns that travel together."""
        return _joined(cls, specs)


@dataclass(frozen=True)
class CategorySpec:
    """Categories that travel as one tensor, (B, count) int64; 0 is missing or never seen, 1 to K are known.

    Attributes:
        count: how many category columns there are.
        sizes: K of each.
        counts: of each, the weight of every known category in the training rows.
    """

    count: int
    sizes: tuple[int, ...]
    counts: tuple[tuple[float, ...], ...]

    @property
    def num_outputs(self) -> int:
        """How many numbers a prediction of these columns holds: a probability for each known category."""
        return sum(self.sizes)

    @classmethod
    def join(cls, specs: list[CategorySpec]) -> CategorySpec:
        """The spec of columns that travel together."""
        return _joined(cls, specs)


@dataclass(frozen=True)
class DatetimeSpec:
    """Moments that travel as one tensor, (B, sum of 2 + parts of each) float32; NaN is missing.

    Of each column first come whole days since its earliest training row's, then seconds since midnight, then ``parts``.

    Attributes:
        count: how many datetime columns there are.
        parts: of each, which parts of the calendar vary: "year", "month", "day", "weekday", "hour", "minute".
        span: of each, the days from its earliest to its latest training row, never 0.
        years: of each, the earliest and the latest year.
        elapsed: the time since the earliest training row's midnight, in days.
    """

    count: int
    parts: tuple[tuple[str, ...], ...]
    span: tuple[float, ...]
    years: tuple[tuple[float, float], ...]
    elapsed: NumberSpec

    @property
    def places(self) -> tuple[int, ...]:
        """Where in a row of the tensor each column begins."""
        ends = accumulate((2 + len(parts) for parts in self.parts), initial=0)
        return tuple(ends)[:-1]

    @property
    def num_outputs(self) -> int:
        """How many numbers a prediction of these columns holds."""
        return self.count

    @classmethod
    def join(cls, specs: list[DatetimeSpec]) -> DatetimeSpec:
        """The spec of columns that travel together."""
        fields = {name: [getattr(spec, name) for spec in specs] for name in ("count", "parts", "span", "years")}
        elapsed = NumberSpec.join([spec.elapsed for spec in specs])
        return cls(**{name: _added(values) for name, values in fields.items()}, elapsed=elapsed)


@dataclass(frozen=True)
class MultilabelSpec:
    """Sets of labels, B ragged rows of int64: 1 to K are known labels, K + 1 one never seen, a single 0 is missing.

    Attributes:
        counts: the weight of the training rows that have each label.
        rows: the weight of the training rows that have a value.
        fewest: how many labels a training row has at least.
        missing: whether any training row lacks a value.
    """

    counts: tuple[float, ...]
    rows: float
    fewest: int
    missing: bool

    @property
    def num_outputs(self) -> int:
        """How many numbers a prediction holds: a probability for each label."""
        return len(self.counts)


@dataclass(frozen=True)
class ImageSpec:
    """Pictures of one size, (B, C, H, W) uint8.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        height: in pixels.
        width: in pixels.
        mean: the mean of each channel over training rows, in 0 to 255.
        deviation: the standard deviation of each channel, in 0 to 255, never 0.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class TextSpec:
    """Texts as tokens, B ragged rows of int64: ``begin``, the tokens, ``end``; a row of no tokens is missing.

    Attributes:
        size: how many tokens the tokenizer knows, these four and ``mask`` among them.
        pad: the token that stands where there is none.
        unknown: the token of what the tokenizer does not know.
        begin: the token before every text.
        end: the token behind every text.
        mask: the token that hides another.
        length: the most tokens of a row, ``begin`` and ``end`` among them.
        counts: the weight of every token in the training rows, or empty where they were not counted.
        tokenizer: a digest; texts with the same one share their tokens, and may share embeddings.
        longest: about half as many tokens again as the longest training row has; 0 where they were not counted.
    """

    size: int
    pad: int
    unknown: int
    begin: int
    end: int
    mask: int
    length: int
    counts: tuple[float, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    longest: int = 0


@dataclass(frozen=True)
class SpanSpec:
    """Pieces of a text that comes in, (B, 2) int64: the first and the last token of each; -1 counts nothing.

    Where the text holds no answer, both are 0, the token before every text.

    Attributes:
        within: the batch's name for the text.
        unanswered: the share of the training rows whose text holds no answer.
        places: the mean, over training rows, of the logarithm of how many words an answer could begin with.
    """

    within: str
    unanswered: float
    places: float


@dataclass(frozen=True)
class TagsSpec:
    """A tag for each word of a text that comes in, B ragged rows of int64, as long as the text has tokens.

    At the first token of a word stands its tag, 1 to K, and anywhere else 0.

    Attributes:
        within: the batch's name for the text.
        counts: the weight of every tag in the training rows.
    """

    within: str
    counts: tuple[float, ...]


@dataclass(frozen=True)
class SignalSpec:
    """What a net gives: the plain description of a Signal, from which the next net or a head is built.

    Attributes:
        width: D of the vector and the tokens.
        gives: which of "vector", "tokens", "maps" there are.
        maps: channels and stride of each map, finest first.
        members: M.
        columns: of each feature of the vector, the place of the column that it comes of; empty where they are mixed.
    """

    width: int
    gives: tuple[str, ...] = ("vector",)
    maps: tuple[tuple[int, int], ...] = ()
    members: int = 1
    columns: tuple[int, ...] = field(default=(), compare=False)


def _joined(cls: Any, specs: list[Any]) -> Any:
    """Add counts, and chain every tuple."""
    fields = {name: [getattr(spec, name) for spec in specs] for name in cls.__dataclass_fields__}
    return cls(**{name: _added(values) for name, values in fields.items()})


def _added(values: list[Any]) -> Any:
    return sum(values) if isinstance(values[0], int) else tuple(chain.from_iterable(values))
