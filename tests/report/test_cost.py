"""What work costs: energy counted past the end of the machine's counter, memory in bytes, or nothing told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fathom.report import cost
from fathom.report.cost import CostMeter, counters, peak_bytes

RANGE_UJ = 1_000_000


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages; the first has a domain of its own, whose energy the package has counted."""
    for name, label, energy_uj in (
        ("intel-rapl:0", "package-0", 400_000),
        ("intel-rapl:0:0", "core", 1),
        ("intel-rapl:1", "package-1", 900_000),
        ("intel-rapl:2", "psys", 5),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "name").write_text(f"{label}\n")
        (folder / "energy_uj").write_text(f"{energy_uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return tmp_path


def shows(place: Path, package: int, energy_uj: int) -> None:
    """Put a number where the system shows it, all at once, as who looks meanwhile may find no file half written."""
    written = place / "written"
    written.write_text(f"{energy_uj}\n")
    written.replace(place / f"intel-rapl:{package}" / "energy_uj")


def test_the_energy_of_all_packages_is_added_up(powercap: Path):
    with CostMeter(powercap) as meter:
        shows(powercap, 0, 650_000)
        shows(powercap, 1, 950_000)
        assert meter.cost().joules == pytest.approx(0.25 + 0.05)


def test_a_counter_that_turns_over_is_counted_on(powercap: Path):
    with CostMeter(powercap) as meter:
        shows(powercap, 1, 100_000)  # from 900,000 past 1,000,000, which is followed by 0
        assert meter.cost().joules == pytest.approx((200_000 + 1) / 1e6)


def test_a_counter_that_turns_over_between_looks_is_counted_on_each_time(powercap: Path, monkeypatch):
    [first, _] = counters(powercap)
    for energy_uj in (900_000, 300_000, 800_000, 200_000):
        shows(powercap, 0, energy_uj)
        first.look()
    assert first.joules == pytest.approx((500_000 + 400_001 + 500_000 + 400_001) / 1e6)


def test_long_work_is_looked_at_meanwhile(powercap: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "LOOK_S", 0.001)
    with CostMeter(powercap) as meter:
        shows(powercap, 0, 900_000)
        while meter._counters[0].joules == 0:
            pass
        shows(powercap, 0, 300_000)
        assert meter.cost().joules == pytest.approx((500_000 + 400_001) / 1e6)


def test_nothing_is_told_where_no_counter_can_be_read(powercap: Path, tmp_path: Path):
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    for place in (powercap, tmp_path / "nothing"):
        with CostMeter(place) as meter:
            assert meter.cost().joules is None


def test_nothing_is_told_where_a_counter_is_gone_before_the_end(powercap: Path):
    with CostMeter(powercap) as meter:
        (powercap / "intel-rapl:0" / "energy_uj").unlink()
        assert meter.cost().joules is None


def test_memory_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch):
    held = bytearray(64 * 2**20)
    assert 2**26 <= len(held) <= peak_bytes() < 2**40
    told = peak_bytes()
    monkeypatch.setattr(sys, "platform", "darwin" if sys.platform != "darwin" else "linux")
    other = peak_bytes()
    assert max(told, other) == 1024 * min(told, other)
