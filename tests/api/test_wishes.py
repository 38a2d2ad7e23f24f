"""The learning rate that nets want, where nobody named one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fathom

WANTED, OWN = 3e-3, 1e-3  # of a convnet, and AdamW's
PICTURES = {
    "picture": np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8),
    "y": np.array(["one", "two"] * 30),
}
MIXED = {**PICTURES, "size": np.linspace(0, 1, 60)}


def rate(data: dict[str, Any], directory: Path, **asked: Any) -> float:
    """The rate as the run's config.toml has it."""
    fixed: dict[str, Any] = {"budget": "1steps", "measure": False, "baseline": False, "checks": {}, "test": 0.0}
    fathom.fit(data, "y", out=directory, **{**fixed, **asked})
    found: float = tomllib.loads((directory / "config.toml").read_text())["training"]["optimizer"]["lr"]
    return found


@pytest.mark.parametrize(
    ("data", "asked", "expected"),
    [
        (PICTURES, {}, WANTED),
        (PICTURES, {"optimizer": {"name": "adamw", "weight_decay": 0.1}}, WANTED),
        (PICTURES, {"optimizer": {"name": "adamw", "lr": OWN}}, OWN),
        (PICTURES, {"optimizer": "adam"}, OWN),
        (PICTURES, {"net": "linear"}, OWN),
        (MIXED, {}, OWN),
    ],
)
def test_a_run_has_the_lowest_rate_that_its_nets_want(
    data: dict[str, Any], asked: dict[str, Any], expected: float, tmp_path: Path
):
    assert rate(data, tmp_path / "run", **asked) == expected


def test_the_rate_that_is_written_is_that_of_the_steps(tmp_path: Path):
    runs = [{}, {"optimizer": {"name": "adamw", "lr": WANTED}}, {"optimizer": {"name": "adamw", "lr": OWN}}]
    for number, asked in enumerate(runs):
        rate(PICTURES, tmp_path / str(number), **asked)
    wanted, named, other = ((tmp_path / str(k) / "model" / "weights.safetensors").read_bytes() for k in range(3))
    assert wanted == named != other
