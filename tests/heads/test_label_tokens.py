"""The head that tags words: its loss by hand, a net that learns it, and seqeval's scores."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import fathom
from fathom.api.reporting import write_report
from fathom.heads.label_tokens import LabelTokens
from fathom.signals import Ragged, Signal, SignalSpec, TagsSpec

WIDTH, TIME = 8, 5
LABELS = Ragged.of([torch.tensor([0, 1, 0, 2, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([0, 3, 0])])


def head(**options) -> LabelTokens:
    torch.manual_seed(0)
    return LabelTokens(SignalSpec(WIDTH, ("tokens",)), TagsSpec("input/words", (2.0, 1.0, 1.0)), **options)


def state(before: int = 2) -> Signal:
    tokens = torch.randn(3, before + TIME, WIDTH, generator=torch.Generator().manual_seed(1))
    return Signal(tokens=tokens, parts=(("input/other", before), ("input/words", TIME)))


def test_only_first_tokens_cost():
    one, signal = head(), state()
    logits = one.output(signal.tokens[:, 2:]).log_softmax(2)
    expected = -(logits[0, 1, 0] + logits[0, 3, 1] + logits[2, 1, 2])
    loss = one.loss(signal, LABELS, None)
    assert torch.allclose(loss.total, expected)
    assert float(loss.weight) == 3
    weighted = one.loss(signal, LABELS, torch.tensor([2.0, 1.0, 0.5]))
    assert torch.allclose(weighted.total, -(2 * logits[0, 1, 0] + 2 * logits[0, 3, 1] + 0.5 * logits[2, 1, 2]))
    assert float(weighted.weight) == 4.5


def test_each_token_gets_its_likeliest_tag_and_its_chance():
    one, signal = head(), state()
    found = one.predict(signal)
    chances = one.output(signal.tokens[:, 2:]).softmax(2)
    assert torch.equal(found["tag"], chances.argmax(2) + 1)
    assert torch.allclose(found["chance"], chances.max(2).values)


def test_the_baseline_tells_each_tag_by_its_share():
    assert head().baseline_loss == pytest.approx(1.5 * 0.6931471805599453)


NAMES = ("Anna", "Boris", "Clara", "Dmitri", "Elif", "Farid")
PLACES = ("Paris", "Rome", "Oslo")
OTHERS = ("sees", "likes", "the", "unmistakable", "house", "of", "and")


def conll(place: Path, count: int, seed: int = 0) -> Path:
    """Sentences whose names are a first name, or a first name, "von" and a place; a place alone is none."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        for _ in range(draw.randint(2, 4)):
            sort = draw.randrange(3)
            first, town = draw.choice(NAMES), draw.choice(PLACES)
            if sort == 0:
                lines.append(f"{first} B-PER")
            elif sort == 1:
                lines += [f"{first} B-PER", "von I-PER", f"{town} I-PER"]
            else:
                lines.append(f"{town} B-LOC")
            lines.append(f"{draw.choice(OTHERS)} O")
        lines.append("")
    place.write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tags")
    made = conll(folder / "names.conll", 400)
    return fathom.fit(made, net="lstm", out=folder / "run", budget="12epochs")


def test_a_net_tells_names_and_leaves_the_usual_tag_behind(trained):
    scores = trained.metrics["tags"]
    assert scores["tag_accuracy"].value > 0.95
    assert scores["entity_f1"].value > 0.95
    assert scores["tag_accuracy"].trivial < 0.7
    assert scores["tag_accuracy"].trivial_is == "the usual tag"


def test_scores_are_those_of_seqeval(trained, tmp_path):
    seqeval = pytest.importorskip("seqeval.metrics")
    rows = fathom.read(conll(tmp_path / "new.conll", 60, seed=3)).parts["train"]
    # What a run that was hardly trained would say: some right, some not.
    few = fathom.fit(conll(tmp_path / "few.conll", 60), net="gru", budget="12steps")
    told, truth = few.model.predict(rows)["tags"].to_pylist(), rows["tags"].to_pylist()
    scores = few.model.evaluate(rows)["tags"]
    assert 0 < scores["tag_accuracy"].value < 1
    assert scores["tag_accuracy"].value == pytest.approx(seqeval.accuracy_score(truth, told))
    assert scores["entity_f1"].value == pytest.approx(seqeval.f1_score(truth, told))


def test_a_run_is_loaded_and_tells_new_rows_alike(trained, tmp_path):
    rows = fathom.read(conll(tmp_path / "new.conll", 30, seed=4)).parts["train"]
    again = fathom.load(trained.directory)
    first, second = (run.model.predict(rows.drop(["tags"])) for run in (trained, again))
    assert first.equals(second)
    lengths = [len(words) for words in rows["tokens"].to_pylist()]
    assert [len(tags) for tags in first["tags"].to_pylist()] == lengths
    assert "entity_f1" in write_report(trained.directory).read_text()
