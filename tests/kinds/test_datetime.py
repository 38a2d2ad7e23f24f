"""Dates and times: every way in which people write them, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.errors import SchemaError
from fathom.kinds.datetime import Datetime

DAY = dt.date(2026, 1, 31)
MOMENTS = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)).map(lambda t: t.replace(microsecond=0))
ONE_DAY = (dt.date(2026, 1, 31), dt.date(2025, 12, 5))
WRITTEN = {
    "2026-01-31 2025-12-05": "year-month-day",
    "2026-1-31 2025-12-5": "year-month-day",
    "2026/01/31 2025/12/05": "year/month/day",
    "2026.01.31 2025.12.05": "year.month.day",
    "31.01.2026 05.12.2025": "day.month.year",
    "31.1.2026 5.12.2025": "day.month.year",
    "01/31/2026 12/05/2025": "month/day/year",
    "31/01/2026 05/12/2025": "day/month/year",
    "31-01-2026 05-12-2025": "day/month/year",
    "Jan_31,_2026 Dec_5,_2025": "month day, year",
    "January_31_2026 December_05_2025": "month day, year",
    "31_Jan_2026 5_Dec_2025": "day month year",
    "31-Jan-2026 05-Dec-2025": "day month year",
}
TIMES = {
    "": (0, 0, 0),
    " 18:30": (18, 30, 0),
    "T18:30:05": (18, 30, 5),
    " 18:30:05.25": (18, 30, 5),
    " 06:30 PM": (18, 30, 0),
    " 12:05am": (0, 5, 0),
}


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def moment(*parts: pa.ChunkedArray, **options: object) -> Datetime:
    statistics = Datetime.count(parts[0])
    for part in parts[1:]:
        statistics = Datetime.merge(statistics, Datetime.count(part))
    first = Datetime(json.loads(json.dumps(Datetime.fit(statistics), allow_nan=False)), **options)  # type: ignore
    return Datetime(json.loads(json.dumps(first.state, allow_nan=False)), **options)  # type: ignore


def read(found: Datetime, cells: pa.ChunkedArray) -> list:
    """The cells, encoded and decoded."""
    return found.decode({"value": found.truth(found.encode(cells)[""])[:, None]})[""].to_pylist()  # type: ignore


@pytest.mark.parametrize(("written", "name"), WRITTEN.items())
@pytest.mark.parametrize(("ending", "time"), TIMES.items())
def test_a_column_of_one_format_is_claimed_and_read(written, name, ending, time):
    cells = column([word.replace("_", " ") + ending for word in written.split()])
    claim = Datetime.claim(cells, target=False)
    assert claim is not None
    assert claim.reason == f"dates, {name}"
    found = moment(cells, **claim.options)
    expected = [dt.datetime.combine(day, dt.time(*time)) for day in ONE_DAY]
    assert read(found, cells) == ([value.date() for value in expected] if ending == "" else expected)


def test_months_alone_are_dates():
    cells = column(["1949-01", "1949-02", "1950-12"])
    assert Datetime.claim(cells, target=False).reason == "dates, year-month"  # type: ignore[union-attr]
    assert read(moment(cells), cells) == [dt.date(1949, 1, 1), dt.date(1949, 2, 1), dt.date(1950, 12, 1)]


@given(st.lists(st.none() | MOMENTS, min_size=1, max_size=20))
def test_the_seconds_of_any_years_survive(values):
    cells = column(values, pa.timestamp("us"))
    found = moment(cells)
    present = [value for value in values if value is not None]
    encoded = found.encode(cells)[""].numpy()
    assert [bool(row.any()) for row in np.isnan(encoded)] == [value is None for value in values]
    truth = found.truth(found.encode(column(present, pa.timestamp("us")))[""])
    if any(value.time() != dt.time() for value in present):
        decoded = found.decode({"value": truth[:, None]})[""].to_pylist()
        assert decoded == present


@given(st.lists(MOMENTS, min_size=1, max_size=20), st.data())
def test_shards_cut_anywhere_are_the_whole(values, data):
    cut = data.draw(st.integers(0, len(values)))
    cells = column(values, pa.timestamp("us"))
    whole, merged = moment(cells), moment(cells.slice(0, cut), cells.slice(cut))
    assert merged.spec.parts == whole.spec.parts
    assert merged.spec.span == whole.spec.span
    assert merged.spec.years == whole.spec.years
    np.testing.assert_array_equal(merged.encode(cells)[""], whole.encode(cells)[""])


def test_only_parts_that_vary_travel():
    days = column([dt.date(2020, month, 3) for month in range(1, 13)])
    assert moment(days).spec.parts == (("month", "weekday"),)
    hours = column([dt.datetime(2020, 1, 1, hour) for hour in range(24)])
    assert moment(hours).spec.parts == (("hour",),)
    assert moment(column([dt.date(2020, 1, 1)] * 3)).spec.parts == ((),)


def test_the_parts_are_those_of_the_calendar():
    values = [dt.datetime(1969, 7, 20, 20, 17, 40), dt.datetime(2024, 2, 29, 23, 59, 59), dt.datetime(1, 1, 1)]
    rows = moment(column(values, pa.timestamp("us"))).encode(column(values, pa.timestamp("us")))[""].tolist()
    for value, row in zip(values, rows, strict=True):
        expected = [value.year, value.month, value.day, value.weekday(), value.hour, value.minute]
        assert row[2:] == expected
        assert row[:2] == [(value - values[2]).days, (value - dt.datetime.combine(value, dt.time())).seconds]


@pytest.mark.parametrize(
    "cells",
    [
        ["red", "green"],
        ["2026-01-31", "soon", "later"],
        ["12:30", "13:45"],
        ["1.2.3", "4.5.6"],
        ["2026-02-30", "2026-13-01"],
        ["20260131", "20260201"],
        ["2026-01-31 25:00", "2026-01-31 12:60"],
        ["2026-01-31 12:60", "2026-01-31 13:75"],
        ["Mon 31, 2026", "Tue 30, 2026"],
        ["555-12-2026", "0031-01-2026"],
        [None, None],
    ],
)
def test_what_is_no_date_is_left_to_other_kinds(cells):
    assert Datetime.claim(column(cells, pa.string()), target=False) is None


def test_a_day_that_no_calendar_has_is_named():
    cells = column([f"2026-02-{day:02}" for day in range(1, 30)])
    with pytest.raises(SchemaError, match=r"row 28 holds '2026-02-29', which is no date \(year-month-day"):
        Datetime.claim(cells, target=False)


def test_where_nearly_all_cells_are_dates_the_first_other_one_is_named():
    dates = [f"2026-01-{day:02}" for day in range(1, 20)]
    with pytest.raises(SchemaError, match=r"row 19 holds 'soon'.*mend it, or name another kind"):
        Datetime.claim(column([*dates, "soon"]), target=False)
    assert Datetime.claim(column([*dates, "soon", "later", "never"]), target=False) is None
    assert Datetime.claim(column([*dates, "", "NA", "NaT", None, "-"]), target=False) is not None


def test_a_format_of_its_own_in_one_row_is_named():
    dates = [f"2026-01-{day:02}" for day in range(1, 20)]
    with pytest.raises(SchemaError, match=r"row 19 holds '31\.01\.2026'"):
        Datetime.claim(column([*dates, "31.01.2026"]), target=False)


def test_words_for_missing_are_missing():
    cells = column(["2026-01-31", "NA", "", "nat", None, "2026-02-01"])
    assert moment(cells).encode(cells)[""][:, 0].isnan().tolist() == [False, True, True, True, True, False]
    assert moment(cells).state["missing"] == 4


def test_which_number_is_the_day_is_asked_where_no_row_shows_it():
    cells = column(["01/02/2026", "03/04/2026"])
    with pytest.raises(SchemaError, match=r"'01/02/2026'.*dayfirst=true"):
        Datetime.claim(cells, target=False)
    with pytest.raises(SchemaError, match="dayfirst"):
        moment(cells)
    assert read(moment(cells, dayfirst=True), cells) == [dt.date(2026, 2, 1), dt.date(2026, 4, 3)]
    assert read(moment(cells, dayfirst=False), cells) == [dt.date(2026, 1, 2), dt.date(2026, 3, 4)]


def test_one_row_shows_it_for_all_and_one_shard_for_the_others():
    early, late = column(["01/02/2026", "03/04/2026"]), column(["25/04/2026"])
    claim = Datetime.claim(pa.chunked_array([*early.chunks, *late.chunks]), target=False)
    assert claim is not None
    assert claim.options == {"dayfirst": True}
    assert read(moment(early, late), early) == [dt.date(2026, 2, 1), dt.date(2026, 4, 3)]
    assert read(moment(late, early), early) == [dt.date(2026, 2, 1), dt.date(2026, 4, 3)]
    with pytest.raises(
        SchemaError, match="one part of the rows holds dates such as day/month/year, another such as month"
    ):
        moment(late, column(["04/25/2026"]))


def test_offsets_are_brought_to_utc():
    cells = column(["2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00-0130"])
    assert Datetime.claim(cells, target=False).reason == "dates, year-month-day, brought to UTC"  # type: ignore
    hours = [value.strftime("%H:%M %Z") for value in read(moment(cells), cells)]
    assert hours == ["10:00 UTC", "12:00 UTC", "13:30 UTC"]


def test_dates_with_and_without_an_offset_do_not_mix():
    cells = column(["2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00"])
    assert Datetime.claim(cells, target=False) is None
    with pytest.raises(SchemaError, match="some dates have an offset from UTC and some have none"):
        Datetime.count(cells)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.date32(), pa.date64()]
)
def test_columns_of_times_are_read(kind):
    cells = column([dt.datetime(2026, 1, 31), dt.datetime(2026, 2, 1), None]).cast(kind)
    found = moment(cells)
    assert [day and str(day)[:10] for day in read(found, cells.drop_null())] == ["2026-01-31", "2026-02-01"]


def test_shards_with_and_without_an_offset_do_not_mix():
    with pytest.raises(SchemaError, match="one part of the rows holds dates such as year-month-day, another"):
        moment(column(["2026-01-31T12:00:00Z"]), column(["2026-01-31T12:00:00"]))


@pytest.mark.parametrize(("unit", "size"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_whole_numbers_are_times_where_that_is_said(unit, size):
    values = [1_700_000_000, 1_700_000_060, 1_800_000_000]
    cells = column([value * size for value in values])
    assert Datetime.claim(cells, target=False) is None
    expected = [dt.datetime(1970, 1, 1) + dt.timedelta(seconds=value) for value in values]
    assert read(moment(cells, unit=unit), cells) == expected


def test_whole_numbers_too_large_for_their_unit_are_refused():
    with pytest.raises(SchemaError, match=r"times in 's' \(units that fit: ms, us, ns\)"):
        moment(column([1_700_000_000_000]))


def test_new_rows_are_read_in_the_format_of_training():
    found = moment(column(["31/01/2026", "01/02/2026"]))
    assert read(found, column(["01/02/2026"])) == [dt.date(2026, 2, 1)]
    with pytest.raises(SchemaError, match=r"row 1 holds '02/28/2026', which is no date \(day/month/year"):
        found.encode(column(["01/02/2026", "02/28/2026"]))
    assert read(found, column([dt.date(2026, 2, 1)])) == [dt.date(2026, 2, 1)]
    assert read(moment(column([dt.date(2026, 2, 1)])), column(["2026-02-01"])) == [dt.date(2026, 2, 1)]


@pytest.mark.parametrize("cells", [column([1.5]), column([True]), column([[1]])])
def test_what_cannot_be_a_date_is_refused(cells):
    with pytest.raises(SchemaError, match="dates were expected, not"):
        moment(column(["2026-01-31"])).encode(cells)
    with pytest.raises(SchemaError, match="dates were expected, not"):
        Datetime.count(cells)
