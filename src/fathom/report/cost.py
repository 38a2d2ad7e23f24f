"""What a piece of work costs: time, memory, and energy where the machine tells it."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "CostMeter", "Counter", "counters", "peak_bytes"]

POWERCAP = Path("/sys/class/powercap")
LOOK_S = 60.0  # a counter of 2^32 µJ turns over in 66 s at 65 W; those of today hold sixty times that


@dataclass(frozen=True)
class Cost:
    """What a piece of work cost.

    Attributes:
        seconds: of wall time.
        peak_bytes: the most memory that the process held at once, from its start on.
        joules: what all processors of the machine drew meanwhile, whoever used them; None where that is not told.
    """

    seconds: float
    peak_bytes: int
    joules: float | None


class Counter:
    """Counts the energy of one processor package on, beyond where the machine's own counter turns over.

    Args:
        directory: of the package, with ``energy_uj`` and ``max_energy_range_uj``.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no number.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "energy_uj"
        self._range_uj = int((directory / "max_energy_range_uj").read_text())
        self._last_uj = int(self._file.read_text())
        self.joules = 0.0

    def look(self) -> None:
        """Read on; the counter turns over at most once between two looks."""
        now_uj = int(self._file.read_text())
        self.joules += ((now_uj - self._last_uj) % (self._range_uj + 1)) / 1e6
        self._last_uj = now_uj


def counters(place: Path = POWERCAP) -> list[Counter]:
    """The counters of all processor packages (RAPL); none unless each of them can be read.

    Args:
        place: where the system shows them. Of ``intel-rapl:0`` (a package) and ``intel-rapl:0:0`` (its cores, which
            the package has counted already) only the first counts.
    """
    packages = [path for path in sorted(place.glob("intel-rapl:*")) if path.name.count(":") == 1]
    try:
        packages = [path for path in packages if (path / "name").read_text().startswith("package")]
        return [Counter(path) for path in packages]
    except (OSError, ValueError):
        return []


def peak_bytes() -> int:
    """The most memory that this process held at once, from its start on."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS tells bytes, Linux KiB


class CostMeter:
    """Measures what a ``with`` block costs.

    Args:
        place: where the system shows the counters of energy.
    """

    def __init__(self, place: Path = POWERCAP) -> None:
        self._place = place
        self._started = 0.0
        self._counters: list[Counter] = []
        self._readable = True
        self._over, self._lock = threading.Event(), threading.Lock()

    def __enter__(self) -> CostMeter:
        self._started, self._counters = time.perf_counter(), counters(self._place)
        if self._counters:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def cost(self) -> Cost:
        """What it cost until now."""
        self._look()
        told = self._readable and bool(self._counters)
        joules = sum(counter.joules for counter in self._counters) if told else None
        return Cost(time.perf_counter() - self._started, peak_bytes(), joules)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        with self._lock:
            try:
                for counter in self._counters:
                    counter.look()
            except (OSError, ValueError):
                self._readable = False
