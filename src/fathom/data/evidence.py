"""Evidence of what a column of strings is: its cells counted by form, block by block, and merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.numerals import AFFIXED, DECIMAL, FORMS, INTEGER, LIKE_A_GROUP, sign_of, trimmed, without_sign

__all__ = ["BLANKS", "MISSING_WORDS", "Evidence", "evidence", "merge"]

BLANKS = ("", "?")
"""Cells that are missing in any column."""

MISSING_WORDS = ("na", "n/a", "nan", "null", "none")
"""Cells that are missing among numbers and booleans; among words they may be words (NA, Namibia)."""

MISSING_MARKS = (
    "-", "--", "---", "–", "—", ".", "..", "...", "*", "**", "#", "#n/a", "#n/a n/a", "#na", "#div/0!", "#value!",
    "#null!", "#ref!", "#num!", "#name?", "<na>", "(null)", "[null]", "\\n", "nil", "void", "empty", "missing",
    "unknown", "undefined", "not available", "not applicable", "no data", "n.a.", "n.a", "-nan", "1.#qnan", "1.#ind",
    "-1.#ind", "1.#inf", "-1.#inf",
)  # fmt: skip
"""The like, less usual: said where they are found among numbers."""

TRUTHS = ("true", "false", "yes", "no")

INFINITE = r"^[+-]?(?i:inf|infinity)$"
HUGE = r"[eE]\+?[0-9]{3,}$"
LEADING_ZERO = r"^[+-]?0[0-9]+([.,][0-9]*)?$"
HINT_OF_A_NUMBER = r"[0-9]|(?i:inf)"
SURE_INT64_DIGITS = 18
"""A whole number of no more digits always fits int64."""

PLAIN_FORMS = ("bit", "integer", "long", "decimal")
NUMBER_FORMS = (*PLAIN_FORMS, *FORMS)

FEW_CELLS = 1000
MOST_OTHERS = 20
"""A column with more different words is one of words, however many numbers it also holds."""

SOME_NUMBERS = 10
FEW_VALUES = 100
BITS = {"0", "1"}


@dataclass(frozen=True)
class Evidence:
    """What the cells of a block, or of several blocks, are.

    Attributes:
        words: there are more different words than a column of numbers can hold; then nothing else counts.
        forms: number of cells by form: "bit" (0 or 1), "integer", "long" (beyond 64 bits), "decimal", those of
            ``numerals.FORMS``, "infinite", and "zero" (a code that a zero leads).
        examples: a cell of each form.
        missing: number of cells by what they hold, of those that always mean missing, and among numbers.
        marks: the same of those that mean missing among numbers and are said.
        truths: the same of true, false, yes and no in whatever case.
        others: the same of whatever else.
        signs: the percent and currency signs beside numbers, "" for none, with a cell each.
        numbers: some of the different numbers, enough of them to tell that they are many.
        asked: words that were said to mean missing in any column.
        padded: blanks stand around a cell.
        plus: a plus sign stands before a number.
        points_may_group: each point in a number stands as in 1.234.
    """

    words: bool = False
    forms: Mapping[str, int] = field(default_factory=Counter)
    examples: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=Counter)
    marks: Mapping[str, int] = field(default_factory=Counter)
    truths: Mapping[str, int] = field(default_factory=Counter)
    others: Mapping[str, int] = field(default_factory=Counter)
    signs: Mapping[str, str] = field(default_factory=dict)
    numbers: frozenset[str] = frozenset()
    asked: tuple[str, ...] = ()
    padded: bool = False
    plus: bool = False
    points_may_group: bool = True

    @property
    def num_numbers(self) -> int:
        """How many cells are numbers."""
        return sum(self.forms.get(form, 0) for form in NUMBER_FORMS)


def evidence(cells: pa.ChunkedArray, missing: Sequence[str] = ()) -> Evidence:
    """Count the cells of a block by what they are.

    Args:
        cells: strings as they stand in the file, without nulls.
        missing: further words that mean missing in any column.
    """
    if len(cells) > 2 * FEW_CELLS:  # a few cells as a rule tell a column of words, and save sorting them all
        few = evidence(cells.slice(0, FEW_CELLS), missing)
        if few.words:
            return few
    counted = pc.value_counts(cells)
    raw, counts = counted.field(0), counted.field(1)
    values = trimmed(raw)
    found = _plain(values, len(cells), missing) or _sorted(values, counts.to_numpy(), tuple(missing))
    return found if found.words else replace(found, asked=tuple(missing), padded=not values.equals(raw))


def _plain(values: pa.Array, num_cells: int, missing: Sequence[str]) -> Evidence | None:
    """The evidence of a column of plain numbers without more ado, as most are; None where it is another."""
    whole = _all_match(values, INTEGER)  # looked for first, since then they need not be looked at as decimals
    if not (whole or _all_match(values, DECIMAL)):
        return None
    if missing and pc.any(pc.is_in(values, pa.array(missing))).as_py():
        return None
    form, may_group = _plain_form(values, whole=whole)
    if form in ("long", "infinite"):
        return None
    numbers = values.slice(0, SOME_NUMBERS).to_pylist()
    return Evidence(
        forms=Counter({form: num_cells}),
        examples={form: numbers[0]},
        signs={"": numbers[0]},
        numbers=frozenset(numbers),
        plus=_holds(values, b"+"),
        points_may_group=may_group,
    )


def _plain_form(numbers: pa.Array, *, whole: bool) -> tuple[str, bool]:
    """The form of plain numbers, taken together, and whether each point in them may divide groups."""
    if not whole:
        return "infinite" if _may_overflow(numbers) else "decimal", _all_match(numbers, LIKE_A_GROUP)
    if pc.max(pc.binary_length(numbers)).as_py() > SURE_INT64_DIGITS:
        return "long", True
    return "bit" if len(numbers) <= len(BITS) and set(numbers.to_pylist()) <= BITS else "integer", True


def _sorted(values: pa.Array, counts: np.ndarray, missing: tuple[str, ...]) -> Evidence:
    forms = np.full(len(values), "other", dtype="<U28")
    sorter = _Sorter(values, forms, missing)
    sorter.sort()
    others = _counter(values, counts, forms == "other")
    if len(others) > MOST_OTHERS:
        return Evidence(words=True, asked=missing)
    of_numbers = [form for form in np.unique(forms).tolist() if form in (*NUMBER_FORMS, "infinite", "zero")]
    return Evidence(
        forms=Counter({form: int(counts[forms == form].sum()) for form in of_numbers}),
        examples={form: values[int(np.argmax(forms == form))].as_py() for form in of_numbers},
        missing=_counter(values, counts, forms == "missing"),
        marks=_counter(values, counts, forms == "mark"),
        truths=_counter(values, counts, forms == "truth"),
        others=others,
        signs=sorter.signs,
        numbers=frozenset(_some(values, np.isin(forms, NUMBER_FORMS))),
        plus=sorter.plus,
        points_may_group=sorter.points_may_group,
    )


def merge(first: Evidence, second: Evidence) -> Evidence:
    """The evidence of two blocks of one column, taken together."""
    others = Counter(first.others) + Counter(second.others)
    if first.words or second.words or len(others) > MOST_OTHERS:
        return Evidence(words=True, asked=first.asked)
    return Evidence(
        forms=Counter(first.forms) + Counter(second.forms),
        examples={**second.examples, **first.examples},
        missing=Counter(first.missing) + Counter(second.missing),
        marks=Counter(first.marks) + Counter(second.marks),
        truths=Counter(first.truths) + Counter(second.truths),
        others=others,
        signs={**second.signs, **first.signs},
        numbers=frozenset(sorted(first.numbers | second.numbers)[:SOME_NUMBERS]),
        asked=first.asked,
        padded=first.padded or second.padded,
        plus=first.plus or second.plus,
        points_may_group=first.points_may_group and second.points_may_group,
    )


def _counter(values: pa.Array, counts: np.ndarray, mask: np.ndarray) -> Counter[str]:
    at = np.flatnonzero(mask)[: 5 * MOST_OTHERS]  # more than anyone asks for; blanks around them may differ
    found: Counter[str] = Counter()
    for value, count in zip(values.take(pa.array(at)).to_pylist() if len(at) else (), counts[at], strict=True):
        found[value] += int(count)
    return found


def _some(values: pa.Array, mask: np.ndarray) -> list[str]:
    return [values[int(at)].as_py() for at in np.flatnonzero(mask)[:SOME_NUMBERS]]


class _Sorter:
    """Gives each of the different cells its form; ``rest`` holds those not yet sorted, ``at`` their places."""

    def __init__(self, values: pa.Array, forms: np.ndarray, asked: tuple[str, ...]) -> None:
        self.rest, self.at, self.forms, self.asked = values, np.arange(len(values)), forms, asked
        self.signs: dict[str, str] = {}
        self.plus, self.points_may_group = False, True

    def sort(self) -> None:
        if self.asked:
            self._take("missing", pc.is_in(self.rest, pa.array(self.asked)))
        self._plain_numbers("")
        if len(self.rest) == 0:
            return
        self._take("missing", _is_missing(self.rest))
        self._take("mark", _is_mark(self.rest))
        self._take("truth", _is_truth(self.rest))
        if len(self.rest) == 0 or not pc.any(pc.match_substring_regex(self.rest, HINT_OF_A_NUMBER)).as_py():
            return
        infinite = self._take("infinite", pc.match_substring_regex(self.rest, INFINITE))
        self.plus = self.plus or _holds(infinite, b"+")
        self._take("zero", pc.match_substring_regex(self.rest, LEADING_ZERO))
        self._grouped_numbers("")
        self._signed_numbers()

    def _take(self, form: str, mask: pa.Array) -> pa.Array:
        """Give the cells of the mask their form, and return them."""
        chosen = mask.to_numpy(zero_copy_only=False)
        if not chosen.any():
            return self.rest.slice(0, 0)
        self.forms[self.at[chosen]] = form
        taken = self.rest if chosen.all() else self.rest.filter(mask)
        self.rest = self.rest.slice(0, 0) if chosen.all() else self.rest.filter(pc.invert(mask))
        self.at = self.at[~chosen]
        return taken

    def _plain_numbers(self, sign: str) -> None:
        before, numbers = self.at, self._take("decimal", pc.match_substring_regex(self.rest, DECIMAL))
        if len(numbers) == 0:
            return
        self.signs.setdefault(sign, numbers[0].as_py())
        self.plus = self.plus or _holds(numbers, b"+")
        self._give_form(numbers, before[~np.isin(before, self.at)])

    def _give_form(self, numbers: pa.Array, places: np.ndarray) -> None:
        form, may_group = _plain_form(numbers, whole=_all_match(numbers, INTEGER))
        self.points_may_group = self.points_may_group and may_group
        if form == "long":
            self.forms[places] = _integer_forms(numbers)
        elif form == "infinite":
            finite = np.isfinite(numbers.cast(pa.float64()).to_numpy())
            self.forms[places] = np.where(finite, "decimal", form)
            if finite.any() and not finite.all():
                self._give_form(numbers.filter(pa.array(finite)), places[finite])
        else:
            self.forms[places] = form

    def _grouped_numbers(self, sign: str) -> None:
        for form, pattern in FORMS.items():
            numbers = self._take(form, pc.match_substring_regex(self.rest, pattern))
            if len(numbers) > 0:
                self.signs.setdefault(sign, numbers[0].as_py())
                self.plus = self.plus or _holds(numbers, b"+")

    def _signed_numbers(self) -> None:
        """Numbers with a percent or currency sign beside them; what beneath the sign is no number stays as it is."""
        signed = pc.match_substring_regex(self.rest, AFFIXED).to_numpy(zero_copy_only=False)
        whole, at = self.rest, self.at
        for sign in pc.unique(sign_of(whole.filter(pa.array(signed)))).to_pylist():
            mine = signed & pc.match_substring(whole, sign).to_numpy(zero_copy_only=False)
            self.rest, self.at = without_sign(whole.filter(pa.array(mine))), at[mine]
            self._plain_numbers(sign)
            self._grouped_numbers(sign)
            if sign in self.signs:
                self.signs[sign] = whole.filter(pa.array(mine))[0].as_py()


def _is_missing(values: pa.Array) -> pa.Array:
    return pc.or_(pc.is_in(values, pa.array(BLANKS)), pc.is_in(pc.utf8_lower(values), pa.array(MISSING_WORDS)))


def _is_mark(values: pa.Array) -> pa.Array:
    return pc.is_in(pc.utf8_lower(values), pa.array(MISSING_MARKS, pa.string()))


def _is_truth(values: pa.Array) -> pa.Array:
    return pc.is_in(pc.utf8_lower(values), pa.array(TRUTHS, pa.string()))


def _integer_forms(numbers: pa.Array) -> list[str]:
    return ["integer" if _fits_int64(number) else "long" for number in numbers.to_pylist()]


def _fits_int64(number: str) -> bool:
    return len(number) <= SURE_INT64_DIGITS + 2 and -(2**63) <= int(number) < 2**63


def _may_overflow(numbers: pa.Array) -> bool:
    """Whether a number may be beyond what float64 holds, which Arrow makes infinite in silence."""
    may_hold_exponents = _holds(numbers, b"e") or _holds(numbers, b"E")
    return may_hold_exponents and bool(pc.any(pc.match_substring_regex(numbers, HUGE)).as_py())


def _holds(values: pa.Array, mark: bytes) -> bool:
    """Whether a byte stands in some value; it may also stand in one that was sliced or filtered away."""
    data = values.buffers()[2] if len(values) else None
    return data is not None and mark in data.to_pybytes()


def _all_match(values: pa.Array, pattern: str) -> bool:
    # As a rule a column begins as it goes on: a few cells save matching all those of another form.
    few = bool(pc.all(pc.match_substring_regex(values.slice(0, FEW_VALUES), pattern)).as_py())
    return few and (len(values) <= FEW_VALUES or bool(pc.all(pc.match_substring_regex(values, pattern)).as_py()))
