"""pretrain: a language learned from texts alone, from which other runs start."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

import fathom
from fathom.data import read
from fathom.errors import ConfigError, SchemaError
from tests.test_cli import fathom_

DRAW = np.random.default_rng(0)
SUBJECTS, VERBS, OBJECTS = ("the cat", "a dog", "my friend"), ("sees", "follows", "paints"), ("a river", "the door")
TEXTS = [
    " ".join(DRAW.choice(words) for words in (SUBJECTS, VERBS, OBJECTS, ["and"], SUBJECTS, VERBS, OBJECTS))
    for _ in range(120)
]
NET = {"name": "transformer", "width": 32, "heads": 2, "depth": 1, "dropout": 0.0}
KINDS = {"t": {"name": "text", "tokenizer": "word"}}
QUICK = {"measure": False, "report": False, "checks": {}, "optimizer": {"name": "adamw", "lr": 0.01}}
pretrain = partial(fathom.pretrain, {"t": TEXTS}, kinds=KINDS, **QUICK)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    place = tmp_path_factory.mktemp("pretrained") / "run"
    return pretrain(net=NET, out=place, budget="300steps")


def test_a_net_that_reads_both_ways_learns_to_tell_hidden_words(pretrained):
    assert {name: head.name for name, head in pretrained.model.layout.heads.items()} == {"input/t": "masked"}
    assert pretrained.metrics["input/t"]["loss"].value < 0.9
    store = pretrained.model.prepared(read({"t": TEXTS[:20]}).parts["train"])
    assert pretrained.model.losses(store) == pretrained.model.losses(store), "each look hides the same"


def test_what_was_kept_loads_and_scores_alike(pretrained):
    again = fathom.load(pretrained.directory)
    assert again.evaluate({"t": TEXTS})["input/t"] == pretrained.evaluate({"t": TEXTS})["input/t"]
    assert again.predict({"t": TEXTS[:3]}).num_rows == 3


def test_other_runs_start_from_it(pretrained):
    said: list[str] = []
    data = {"t": TEXTS, "y": [text.split()[-1] for text in TEXTS]}
    fathom.fit(data, "y", start=pretrained.directory, budget="2steps", say=said.append, baseline=False, **QUICK)
    taken = next(line for line in said if line.startswith("taken from"))
    assert taken.endswith("; new: heads.0")


def test_a_run_that_is_resumed_ends_as_it_did(pretrained, tmp_path):
    run = pretrain(net=NET, out=tmp_path / "run", budget="4steps")
    again = pretrain(net=NET, out=tmp_path / "run", budget="4steps", resume=True)
    assert run.metrics == again.metrics


def test_a_decoder_tells_each_word_from_those_before_it():
    run = pretrain(net={"name": "gpt", "depth": 1, "width": 32, "heads": 2}, budget="3steps")
    assert run.model.targets == ["t"]
    assert run.model.layout.heads["t"].name == "generate"
    assert run.model.layout.heads["t"].options["net"].name == "gpt"


def test_a_head_may_be_named():
    run = pretrain(net={"name": "transformer", "depth": 1, "width": 32}, head="generate", budget="2steps")
    assert run.model.layout.heads["t"].name == "generate"


def test_the_column_of_texts_is_found_and_others_are_left_out():
    table = {"number": np.arange(120), "t": TEXTS, "label": ["a", "b"] * 60}
    run = fathom.pretrain(table, net=NET, budget="1steps", **QUICK)
    assert [column.name for column in run.model.schema.of_role("input")] == ["t"]


@pytest.mark.parametrize(
    ("table", "asked", "message"),
    [
        ({"a": TEXTS, "b": TEXTS[::-1]}, {}, "columns a, b hold texts; name the one"),
        ({"a": np.arange(9)}, {}, "no column holds texts"),
        ({"t": TEXTS}, {"column": "tt"}, "unknown column 'tt'; did you mean 't'"),
        ({"t": TEXTS}, {"target": "t"}, "pretrain asks for no target"),
        ({"t": TEXTS}, {"head": "classify"}, "unknown head that learns a language 'classify'"),
    ],
)
def test_a_mistake_is_told(table, asked, message):
    with pytest.raises((ConfigError, SchemaError), match=message):
        fathom.pretrain(table, **asked, **QUICK)


def test_the_command_line_pretrains_on_lines_and_fit_starts_there(tmp_path):
    (tmp_path / "corpus.txt").write_text("\n".join(TEXTS))
    rows = [f"{text},{text.split()[0]}" for text in TEXTS]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,label", *rows]))
    quick = ("--budget", "2steps", "--set", "measure=false", "--no-report", "--json")
    net = ("--net", "transformer", "--set", "net.depth=1", "--set", "net.width=32")
    first = fathom_("pretrain", tmp_path / "corpus.txt", "--lines", *net, *quick, "--out", tmp_path / "run")
    assert first.status == 0, first.err
    assert json.loads(first.out)["run"] == str(tmp_path / "run")
    start = ("--target", "label", "--from", tmp_path / "run", "--out", tmp_path / "tuned")
    second = fathom_("fit", tmp_path / "reviews.csv", *start, *quick)
    assert second.status == 0, second.err
    assert f"taken from {tmp_path / 'run'}: " in second.err.replace("\n  ", " ")
