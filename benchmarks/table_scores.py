"""What was measured on the tables, kept in a file after every fit, and what it comes to."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from report import table
from table_peers import FATHOM
from table_sets import SETS

__all__ = ["Gap", "Kept", "gap_table", "markers", "median_of", "score_table", "seconds_table", "versions_of"]

POINTS = 100.0
SCORES = ("accuracy", "auc", "r2", "rmse")

Seeds = Mapping[int, Mapping[str, float]]
"""Each seed to its scores and seconds."""


class Kept:
    """Measurements by contestant and set, one line of a JSON file each.

    Args:
        path: the file; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.entries: dict[str, dict[str, dict[str, Any]]] = {}
        if path is not None and path.exists():
            self.entries = json.loads(path.read_text())

    def seeds(self, contestant: str, name: str) -> dict[int, dict[str, float]]:
        """What each seed came to."""
        found = self.entries.get(contestant, {}).get(name, {}).get("seeds", {})
        return {int(seed): scores for seed, scores in found.items()}

    def device(self, contestant: str, name: str) -> str:
        """Where it computed."""
        return str(self.entries.get(contestant, {}).get(name, {}).get("device", "cpu"))

    def add(self, contestant: str, name: str, seed: int, scores: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        """Note what a seed came to, and with what it was measured; written at once."""
        entry = self.entries.setdefault(contestant, {}).setdefault(name, {"seeds": {}})
        entry["seeds"] = dict(sorted({**entry["seeds"], str(seed): dict(scores)}.items(), key=lambda one: int(one[0])))
        entry |= facts
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        contestants = []
        for contestant, found in self.entries.items():
            lines = [f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in found.items()]
            contestants.append(f" {json.dumps(contestant)}: {{\n" + ",\n".join(lines) + "\n }")
        beside = self.path.with_suffix(".part")
        beside.write_text("{\n" + ",\n".join(contestants) + "\n}\n")
        os.replace(beside, self.path)


class Gap(NamedTuple):
    """How far fathom is from one peer, in points, above zero where fathom is ahead."""

    peer: str
    median: float
    mean: float
    lowest: float
    highest: float
    seeds: int


def gap_of(peer: str, ours: Seeds, theirs: Seeds, metric: str) -> Gap | None:
    """The gap over the seeds that both were measured with, each seed being one split of the rows; None without any."""
    found = [POINTS * (ours[seed][metric] - theirs[seed][metric]) for seed in ours.keys() & theirs.keys()]
    if not found:
        return None
    return Gap(peer, statistics.median(found), statistics.mean(found), min(found), max(found), len(found))


def gaps(kept: Kept, name: str) -> list[Gap]:
    """The gaps of a set to all peers, the best peer (to which it is lowest) first."""
    metric, ours = SETS[name].metric, kept.seeds(FATHOM, name)
    peers = [peer for peer in kept.entries if peer != FATHOM]
    found = (gap_of(peer, ours, kept.seeds(peer, name), metric) for peer in peers)
    return sorted((gap for gap in found if gap is not None), key=lambda gap: gap.median)


def score_table(kept: Kept, contestants: Collection[str], names: Collection[str], seeds: int) -> str:
    """The median and the spread of everyone on each set, in points."""
    points = {
        name: [_values(kept, one, name, SETS[name].metric, seeds, POINTS) for one in contestants] for name in names
    }
    rows = [
        (f"{name} ({SETS[name].metric})", *(_spread(values, seeds) for values in found))
        for name, found in points.items()
    ]
    columns = zip(*points.values(), strict=True)
    means = [f"{statistics.mean(map(statistics.median, column)):.2f}" if all(column) else "" for column in columns]
    rows.append(("mean of the medians", *means))
    return table(("median [min-max]", *contestants), rows)


def gap_table(kept: Kept, names: Collection[str], seeds: int) -> str:
    """The gap of fathom to the best peer of each set, and over all sets."""
    rows, found = [], {}
    for name in names:
        ranked = gaps(kept, name)
        if not ranked:
            continue
        best = found[name] = ranked[0]
        told = "defaults were tuned within its training rows" if SETS[name].tuning else ""
        behind = f"{sum(gap.median >= 0 for gap in ranked)} of {len(ranked)}"
        rows.append((name, f"{SETS[name].rows:,}", best.peer, _told(best, seeds), f"{best.mean:+.2f}", behind, told))
    head = ("set", "rows", "best peer", "gap, median [min to max]", "gap, mean", "peers not ahead of fathom", "")
    return f"{table(head, rows)}\n\n{_overall(found)}"


def _overall(found: Mapping[str, Gap]) -> str:
    if not found:
        return "Nothing to compare yet."
    unseen = {name: gap for name, gap in found.items() if not SETS[name].tuning}
    worst = min(found, key=lambda name: found[name].median)
    parts = [f"over all {len(found)} sets {_mean(found)}"]
    if unseen:
        parts.append(f"over the {len(unseen)} that no default was tuned on {_mean(unseen)}")
    return f"Mean gap in points: {', '.join(parts)}. Worst set: {worst}, {found[worst].median:+.2f}."


def _mean(found: Mapping[str, Gap]) -> str:
    medians = statistics.mean(gap.median for gap in found.values())
    return f"{medians:+.2f} ({statistics.mean(gap.mean for gap in found.values()):+.2f} by the means of the seeds)"


def _told(gap: Gap, seeds: int) -> str:
    return f"{gap.median:+.2f} [{gap.lowest:+.2f} to {gap.highest:+.2f}]{_fewer(gap.seeds, seeds)}"


@dataclass(frozen=True)
class Marker:
    """A figure that is known well of a set."""

    name: str
    metric: str
    words: str
    digits: int = 4


MARKERS = (
    Marker("adult", "accuracy", "Adult, accuracy"),
    Marker("adult", "auc", "Adult, AUC"),
    Marker("california_housing", "rmse", "California, RMSE in 100,000 dollars", 3),
)


def markers(kept: Kept, contestants: Collection[str], seeds: int) -> str:
    """Medians of the figures that are known well."""
    rows = []
    for one in MARKERS:
        found = (_values(kept, contestant, one.name, one.metric, seeds) for contestant in contestants)
        rows.append((one.words, *(_median(values, one.digits, seeds) for values in found)))
    return table(("median", *contestants), rows)


def seconds_table(kept: Kept, contestants: Collection[str], names: Collection[str], seeds: int) -> str:
    """The median seconds of everyone on each set."""
    rows = []
    for name in names:
        cells = [
            "on a GPU"
            if kept.device(one, name) != "cpu"
            else _median(_values(kept, one, name, "seconds", seeds), 1, seeds)
            for one in contestants
        ]
        rows.append((name, *cells))
    return table(("seconds, median", *contestants), rows)


def median_of(kept: Kept, contestant: str, name: str, what: str, seeds: int) -> float:
    """The median over seeds of a score, or of the seconds."""
    return statistics.median(_values(kept, contestant, name, what, seeds))


def _values(kept: Kept, contestant: str, name: str, metric: str, seeds: int, scale: float = 1.0) -> list[float]:
    found = kept.seeds(contestant, name)
    return [scale * scores[metric] for seed, scores in found.items() if seed < seeds]


def _spread(values: list[float], seeds: int) -> str:
    if not values:
        return "not measured"
    middle = statistics.median(values)
    return f"{middle:.1f} [{min(values):.1f}-{max(values):.1f}]{_fewer(len(values), seeds)}"


def _median(values: list[float], digits: int, seeds: int) -> str:
    return f"{statistics.median(values):.{digits}f}{_fewer(len(values), seeds)}" if values else "not measured"


def _fewer(measured: int, seeds: int) -> str:
    """A mark where not all seeds were measured."""
    return f" ({measured} seed{'s' * (measured > 1)})" if measured < seeds else ""


def versions_of(kept: Kept, contestants: Iterable[str]) -> str:
    """With what everyone was measured, and when."""
    told = []
    for contestant in contestants:
        found = kept.entries.get(contestant, {}).values()
        if found:
            days = sorted({entry["date"] for entry in found})
            versions = "; ".join(sorted({entry["versions"] for entry in found}))
            told.append(f"{contestant} ({versions}; {' to '.join(dict.fromkeys((days[0], days[-1])))})")
    return ", ".join(told)
