"""The learning rate and the average of weights that nets want, where nobody named one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fathom
from fathom.api.fitting import layout_for
from fathom.api.rows import prepare
from fathom.api.wishes import bears_bfloat16, with_wishes
from fathom.config import Config
from fathom.data import read
from fathom.layout import Layout, choose_layout
from fathom.registry import Choice
from fathom.signals import TextSpec

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
        (MIXED, {}, WANTED),
        (MIXED, {"net": "tab_resnet"}, OWN),
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


TABLE = {"size": np.linspace(0, 1, 60), "y": ["one", "two"] * 30}


def layout_of(config: Config) -> Layout:
    schema = prepare(read(TABLE), None, config, lambda line: None).schema
    return layout_for(schema, config, 60)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"net": "tabm"}, Choice("ema")),
        ({"net": "tabm", "training": {"average": "none"}}, Choice("none")),
        ({"net": "tabm", "training": {"average": "swa"}}, Choice("swa")),
        ({"net": "tabm", "optimizer": "schedule_free"}, None),
        ({"net": "tabm", "training": {"l1_proximal": 0.1}}, None),
        ({"net": "mlp"}, Choice("ema")),
        ({"net": "tab_resnet"}, None),
    ],
)
def test_an_average_is_taken_where_the_net_wants_one_and_nothing_else_is_asked(asked: Any, expected: Choice | None):
    config = Config.of({"target": "y", **asked})
    assert with_wishes(config, layout_of(config)).training.get("average") == expected


@pytest.mark.parametrize(("net", "bears"), [("tabm", True), ("mlp", False)])
def test_bfloat16_is_for_nets_that_bear_it(net: str, bears: bool):
    assert bears_bfloat16(layout_of(Config.of({"target": "y", "net": net}))) is bears


@pytest.mark.parametrize(("decoder", "bears"), [("transformer", True), ("gpt", True), ("lstm", False)])
def test_bfloat16_is_also_for_decoders_that_bear_it(decoder: str, bears: bool):
    texts = TextSpec(size=10, pad=0, unknown=1, begin=2, end=3, mask=4, length=8)
    layout = choose_layout({}, {"text": ("text", texts)}, heads={"text": Choice("generate", {"net": Choice(decoder)})})
    assert bears_bfloat16(layout) is bears
