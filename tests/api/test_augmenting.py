"""What a run does to its pictures: named, or decided once by what they bear, written down, and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.api import augmenting
from fathom.api.augmenting import Decision, _steps
from fathom.api.fitting import model_for
from fathom.api.mirroring import LEAST_SKILL, MOST_LOST, MOST_LOST_BY_A_CLASS, Mirrored, _row_losses
from fathom.config import Config
from fathom.errors import ConfigError, Interrupted, ModelError
from fathom.registry import Choice
from fathom.schema import Schema
from fathom.training.budget import DEFAULT_SECONDS
from fathom.training.engine import Trainer
from tests.training.small import stopping

ROWS, SIDE = 400, 8
PLAIN: dict[str, Any] = {"baseline": False, "measure": False, "checks": {}, "net": {"name": "convnet", "channels": [8]}}


@pytest.fixture(autouse=True)
def half_of_a_budget_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test's budget may be small."""
    monkeypatch.setattr(augmenting, "SHARE_OF_BUDGET", 0.5)


def arrows(*, mirrored: bool, seed: int = 0) -> dict[str, Any]:
    """Pictures of a line that rises or falls, which flipped is the other; or of one that lies or stands."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 2, ROWS)
    pictures = draw.integers(0, 60, (ROWS, SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    shapes = [x == y, x == SIDE - 1 - y] if mirrored else [x == 4, y == 4]
    for row, kind in enumerate(label):
        pictures[row][shapes[kind]] = 220
    return {"picture": pictures.astype(np.uint8), "y": np.array(["one", "two"])[label]}


def test_flips_are_earned_where_the_other_way_round_means_the_same(tmp_path: Path):
    said: list[str] = []
    fathom.fit(arrows(mirrored=False), "y", out=tmp_path / "run", budget="100steps", say=said.append, **PLAIN)
    decision = Decision.load(tmp_path / "run" / "augment.json")
    assert [choice.name for choice in decision.augment] == ["shift", "flip"]
    assert decision.mirrored is not None
    assert decision.mirrored.earned
    assert [line for line in said if line == f"augmentation: {decision.why}"]


def test_flips_are_refused_where_the_other_way_round_means_another_thing(tmp_path: Path):
    fathom.fit(arrows(mirrored=True), "y", out=tmp_path / "run", budget="100steps", **PLAIN)
    decision = Decision.load(tmp_path / "run" / "augment.json")
    assert [choice.name for choice in decision.augment] == []
    assert decision.mirrored is not None
    assert decision.mirrored.skill > LEAST_SKILL
    assert decision.mirrored.lost > 0.5


def test_what_must_not_be_flipped_is_shifted_in_a_long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(augmenting, "MANY_STEPS", 40)
    for budget, expected in (("39steps", []), ("40steps", ["shift"]), ("1epochs", []), ("3epochs", ["shift"])):
        fathom.fit(arrows(mirrored=True), "y", out=tmp_path / budget, budget=budget, **PLAIN)
        decision = Decision.load(tmp_path / budget / "augment.json")
        assert [choice.name for choice in decision.augment] == expected


def test_a_clock_makes_as_many_steps_as_were_seen():
    asked = [Config.of({"budget": budget}) for budget in ("10s", None)]
    assert [_steps(one, 400, step_s=0.05) for one in asked] == [200, 20 * DEFAULT_SECONDS]


def test_too_short_a_budget_flips_nothing(tmp_path: Path):
    fathom.fit(arrows(mirrored=False), "y", out=tmp_path / "run", budget="1steps", **PLAIN)
    decision = Decision.load(tmp_path / "run" / "augment.json")
    assert [choice.name for choice in decision.augment] == []
    assert decision.mirrored is None


@pytest.mark.parametrize(
    ("found", "earned"),
    [
        (Mirrored(500, 100, 0.6, 0.01, 0.01, 0.02), True),
        (Mirrored(500, 100, LEAST_SKILL - 0.01, 0.0, 0.01, 0.0), False),
        (Mirrored(500, 100, 0.6, MOST_LOST, 0.01, 0.0), False),
        (Mirrored(500, 100, 0.6, 0.01, 0.01, MOST_LOST_BY_A_CLASS + 0.01), False),
    ],
)
def test_flips_need_skill_and_may_lose_little_of_it(found: Mirrored, earned: bool):
    assert found.earned == earned
    assert "\n" not in found.why


@pytest.mark.parametrize("ensemble", [1, 3])
def test_the_loss_of_each_row_is_what_the_loss_of_that_row_alone_is(ensemble: int):
    table = pa.table({"a": np.linspace(0, 1, ROWS), **{name: arrows(mirrored=True)[name] for name in ("y",)}})
    table = table.append_column("z", pa.array(np.where(np.arange(ROWS) % 3, np.linspace(0, 9, ROWS), np.nan)))
    schema = Schema.infer(table, ["y", "z"]).fit(table)
    model = model_for(schema, Config.of({"ensemble": ensemble, "net": {"name": "mlp", "dropout": 0.0}}), 100)
    store = model.prepared(table)
    model.network.eval().requires_grad_(False)
    rows = _row_losses(model.network, store.batch(torch.arange(9)))
    for row in range(9):
        losses = model.network.loss(store.batch(torch.tensor([row])), "network").values()
        alone = sum(float(loss.total) / float(loss.weight) / loss.unit for loss in losses if loss.weight > 0)
        assert float(rows[row]) == pytest.approx(alone, rel=1e-4)


def test_an_angle_is_neither_shifted_nor_flipped_unless_it_is_earned(tmp_path: Path):
    columns = arrows(mirrored=True)
    columns["y"] = np.where(columns["y"] == "one", -0.5, 0.5) + np.linspace(-0.1, 0.1, ROWS)
    fathom.fit(columns, "y", out=tmp_path / "run", budget="100steps", kinds={"y": "number"}, **PLAIN)
    assert Decision.load(tmp_path / "run" / "augment.json").augment == ()


def test_a_run_that_is_stopped_ends_as_one_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = {**PLAIN, "budget": "60steps", "augment": ["shift", "rotate", "mixup"]}
    data = arrows(mirrored=False)
    whole = fathom.fit(data, "y", out=tmp_path / "whole", **asked)
    rate, stop = Trainer._rate, stopping(23)

    def stopped(self: Trainer, *given: Any) -> float:
        stop()
        return rate(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_rate", stopped)
        with pytest.raises(Interrupted):
            fathom.fit(data, "y", out=tmp_path / "cut", **asked)
    fathom.fit(data, "y", out=tmp_path / "cut", resume=True, **asked)
    for name in ("log.jsonl", "model/weights.safetensors", "model/metrics.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    other = fathom.fit(data, "y", **{**asked, "augment": "none"})
    assert other.metrics["y"]["log_loss"].value != whole.metrics["y"]["log_loss"].value


def test_a_resumed_run_keeps_its_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data, asked = arrows(mirrored=False), {**PLAIN, "budget": "20steps"}
    fathom.fit(data, "y", out=tmp_path / "run", **asked)
    before = (tmp_path / "run" / "augment.json").read_bytes()
    monkeypatch.setattr(augmenting, "mirrored", lambda *given: pytest.fail("it decided again"))
    fathom.fit(data, "y", out=tmp_path / "run", resume=True, **asked)
    assert (tmp_path / "run" / "augment.json").read_bytes() == before
    (tmp_path / "run" / "augment.json").write_text("{}")
    with pytest.raises(ModelError, match="not a readable decision"):
        fathom.fit(data, "y", out=tmp_path / "run", resume=True, **asked)


def test_what_is_named_is_recorded_with_every_option(tmp_path: Path):
    asked = {**PLAIN, "budget": "2steps", "augment": ["shift", {"name": "cutout", "size": 3}]}
    fathom.fit(arrows(mirrored=False), "y", out=tmp_path / "run", **asked)
    recorded = Config.of(Config.read(tmp_path / "run" / "config.toml"))
    assert recorded.augment == (
        Choice("shift", {"by": 0.07, "pad": "zero"}),
        Choice("cutout", {"size": 3, "chance": 1.0}),
    )
    assert not (tmp_path / "run" / "augment.json").exists()


def test_a_net_that_enters_pixels_once_gets_them_anew_where_they_are_altered():
    data = arrows(mirrored=False)
    asked = {**PLAIN, "net": "linear", "budget": "300steps"}
    plain, shifted = (fathom.fit(data, "y", **{**asked, "augment": augment}) for augment in ("none", "shift"))
    assert plain.model.network.altered == frozenset()
    assert shifted.model.network.altered == {"input/picture"}
    assert shifted.metrics["y"]["log_loss"].value != plain.metrics["y"]["log_loss"].value


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ("flop", "unknown augmentation 'flop'; did you mean 'flip'?"),
        (["auto", "shift"], "augment = 'auto' stands alone"),
        ([{"name": "cutout", "sise": 3}], "unknown option of augmentation cutout 'sise'; did you mean 'size'?"),
        ([{"name": "shift", "by": 2.0}], "augmentation shift.by = 2.0 is out of range"),
        ({"size": 3}, "expected a name or a table with a name"),
    ],
)
def test_a_mistake_is_told_before_data_is_read(augment: Any, words: str):
    with pytest.raises(ConfigError) as refusal:
        Config.of({"augment": augment})
    assert words in str(refusal.value)


def test_an_augmentation_that_does_not_fit_leaves_no_directory(tmp_path: Path):
    table = {"a": np.arange(50.0), "b": np.array(list("uv") * 25), "y": np.arange(50) % 2}
    for name, words in (("flip", "takes image"), ("mixup", "mixes all inputs")):
        with pytest.raises(ConfigError, match=words):
            fathom.fit(table, "y", out=tmp_path / "run", budget="2steps", augment=name)
    assert not (tmp_path / "run").exists()


def test_numbers_are_mixed_up():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 2))
    table = {"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] + draw.normal(0, 0.1, 200)}
    asked = {"budget": "200steps", "measure": False, "baseline": False, "checks": {}}
    plain, mixed = (fathom.fit(table, "y", augment=augment, **asked) for augment in ("none", "mixup"))
    assert mixed.metrics["y"]["r2"].value > 0.7
    assert mixed.metrics["y"]["r2"].value != plain.metrics["y"]["r2"].value


def test_the_figures_of_a_decision_come_back(tmp_path: Path):
    found = Mirrored(500, 100, 0.6, 0.01, 0.01, 0.02)
    decision = Decision((Choice("shift"),), found, "shift")
    decision.save(tmp_path / "augment.json")
    loaded = Decision.load(tmp_path / "augment.json")
    assert (loaded.mirrored, loaded.why, [choice.name for choice in loaded.augment]) == (found, "shift", ["shift"])
    assert json.loads((tmp_path / "augment.json").read_text())["mirrored"]["rows"] == 500
