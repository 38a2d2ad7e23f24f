"""A language model's decoder reads texts for another answer: the same states of the same tokens."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import fathom
from fathom.api.fitting import model_for
from fathom.api.rows import prepare
from fathom.api.starting import start_of
from fathom.config import Config
from fathom.data import read

pytest.importorskip("tokenizers")

QUICK: dict[str, Any] = {"measure": False, "baseline": False, "report": False, "checks": {}, "folds": 0}
fit = partial(fathom.fit, **QUICK, budget="3steps")
SMALL = {"width": 16, "depth": 2, "heads": 2}
SAID = [f"the {a} cat sees the {b} dog today" for a in ("red", "blue", "old") for b in ("big", "wet", "shy")] * 4
TOLD = {"said": SAID, "y": ["yes" if "red" in one else "no" for one in SAID]}
STORY = {"story": SAID}


def begun(data: dict[str, Any], place: Path, **asked: Any) -> tuple[Any, str]:
    """The network of a run as it starts, and what was said of that."""
    said: list[str] = []
    config = Config.of({"target": "y", "folds": 0, "start": str(place), **asked})
    rows = prepare(read(data), None, config, lambda line: None, start_of(config))
    assert rows.start is not None
    model = model_for(rows.schema, rows.start.named(rows.schema, config), rows.train.num_rows, rows.start, said.append)
    return model, said[0]


def learned(place: Path, name: str = "transformer", **options: Any) -> Path:
    kinds = {"story": {"name": "text", "vocabulary": 300, "length": 32}}
    fit(STORY, "story", kinds=kinds, net={"name": name, **SMALL, **options}, out=place)
    return place


NETS = [("gpt", {}), *(("transformer", {"positions": one}) for one in ("rotary", "learned", "sinusoidal"))]


@pytest.mark.parametrize(("name", "options"), NETS)
def test_what_reads_makes_the_states_that_the_decoder_makes(tmp_path, name, options):
    place = learned(tmp_path / "lm", name, **options)
    model, said = begun(TOLD, place, kinds={"said": "text"})
    head: Any = fathom.load(place).model.network.heads[0]
    store = model.schema.encode(model_rows := read(TOLD).parts["train"], targets=False)
    assert model_rows.num_rows == len(store)
    batch = store.batch(torch.arange(3))
    model.network.eval()
    with torch.inference_mode():
        found = model.network(batch)
        ids, _ = batch["input/said"].padded(head.spec.pad)
        expected = head.net(head.table(ids), None)
    assert_close(found.tokens[found.mask], expected[found.mask], rtol=1e-4, atol=1e-5)
    assert said.startswith(f"taken from {place}: ")
    assert said.endswith("; new: heads.0")
    assert model.layout.body.options["causal"] is True


def test_what_looks_both_ways_takes_the_tokens_alone(tmp_path):
    place = learned(tmp_path / "lm")
    model, said = begun(TOLD, place, kinds={"said": "text"}, net={"name": "transformer", **SMALL})
    assert model.layout.body.options.get("causal", False) is False
    theirs = fathom.load(place).model.network.heads[0].table.weight
    assert torch.equal(model.network.branches[0].nets[0].table.weight, theirs)
    assert "new: body.blocks, body.last, heads.0" in said


def test_another_language_model_still_starts_from_it(tmp_path):
    place = learned(tmp_path / "lm")
    model, said = begun({"y": SAID[::-1]}, place, kinds={"y": "text"})
    assert "new" not in said
    assert model.layout.body is None


def test_a_classifier_that_starts_there_is_trained_and_taken_up_again(tmp_path):
    place = learned(tmp_path / "lm")
    run = fit(TOLD, "y", kinds={"said": "text"}, start=str(place), out=tmp_path / "run")
    assert run.model.layout.body.options["causal"] is True
    again = fathom.load(tmp_path / "run").predict({"said": SAID[:3]})["y"].to_pylist()
    assert np.array_equal(again, run.predict({"said": SAID[:3]})["y"].to_pylist())
