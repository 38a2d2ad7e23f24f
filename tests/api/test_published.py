"""Checkpoints of others: folders that the library ``transformers`` wrote answer here as they do there."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest
import torch

import fathom
from fathom.api.fitting import model_for
from fathom.api.published import place_in_hub
from fathom.api.rows import prepare
from fathom.api.starting import Start, start_of
from fathom.config import Config
from fathom.data import read
from fathom.errors import ModelError
from fathom.signals import target_key

transformers = pytest.importorskip("transformers")

DRAW = np.random.default_rng(0)
WORDS = ["the", "old", "red", "house", "by", "small", "river", "people", "fish", "day"]
TEXTS = [" ".join(DRAW.choice(WORDS, length)) for length in DRAW.integers(3, 12, 40)]
DATA = {"review": TEXTS, "y": ["good" if "river" in text else "bad" for text in TEXTS]}
BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
QUICK = {"measure": False, "baseline": False, "report": False, "checks": {}, "folds": 0, "budget": "2steps"}


def berts_tokens(place) -> None:
    letters = sorted({letter for word in WORDS for letter in word})
    vocabulary = [*SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    (place / "vocab.txt").write_text("\n".join(vocabulary) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a function that writes a random checkpoint of a sort, and gives its folder and model."""

    def written(sort: str):
        folder = tmp_path_factory.mktemp(sort)
        berts_tokens(folder)
        torch.manual_seed(1)
        size = {"vocab_size": len((folder / "vocab.txt").read_text().split()), "max_position_embeddings": 40}
        if sort == "distilbert":
            config = transformers.DistilBertConfig(**size, dim=32, n_layers=2, n_heads=4, hidden_dim=48)
            model = transformers.DistilBertForMaskedLM(config)
        elif sort == "gpt2":
            (folder / "vocab.txt").unlink()
            from tokenizers import ByteLevelBPETokenizer

            made = ByteLevelBPETokenizer()
            made.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
            made.save_model(str(folder))
            config = transformers.GPT2Config(
                vocab_size=made.get_vocab_size(), n_positions=40, n_embd=32, n_layer=2, n_head=4
            )
            model = transformers.GPT2LMHeadModel(config)
        else:
            model = getattr(transformers, sort)(transformers.BertConfig(**size, **BERT))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(folder)
        return folder, model.eval()

    return written


def begun(data, target, place, **asked):
    config = Config.of({"target": target, "folds": 0, "start": str(place), "checks": {}, **asked})
    start = start_of(config)
    rows = prepare(read(data), None, config, lambda line: None, start)
    said: list[str] = []
    asked = start.named(rows.schema, config)
    model = model_for(rows.schema, asked, rows.train.num_rows, start, said.append)
    model.network.eval()
    return model, rows, said[0]


def batch_of(model, rows):
    store = model.schema.encode(rows.train)
    return store.batch(torch.arange(len(store)))


@pytest.mark.parametrize("sort", ["BertModel", "BertForMaskedLM", "distilbert"])
def test_an_encoder_answers_as_it_does_there(place, sort):
    folder, theirs = place(sort)
    model, rows, said = begun(DATA, "y", folder)
    batch = batch_of(model, rows)
    ids, mask = batch["input/review"].padded(0)
    inner = getattr(theirs, theirs.base_model_prefix, theirs) if sort != "BertModel" else theirs
    with torch.no_grad():
        state = inner(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        ours = model.network(batch).tokens
    assert (ours - state)[mask].abs().max() < 1e-5
    assert said.endswith("; new: heads.0")
    assert model.schema.columns[0].fitted.spec.begin == SPECIAL.index("[CLS]")


@pytest.mark.parametrize("sort", ["BertForMaskedLM", "distilbert"])
def test_the_head_that_tells_hidden_words_is_taken_too(place, sort):
    folder, theirs = place(sort)
    model, rows, said = begun({"review": TEXTS}, "none", folder, head="masked")
    assert "new" not in said
    batch = batch_of(model, rows)
    ids, mask = batch["input/review"].padded(0)
    with torch.no_grad():
        logits = theirs(input_ids=ids, attention_mask=mask.long()).logits
        ours = model.network.heads[0]._logits(model.network(batch).tokens)
    assert (ours - logits)[mask].abs().max() < 1e-4 * logits.abs().max()


def test_a_gpt_tells_the_next_token_as_it_does_there(place):
    folder, theirs = place("gpt2")
    model, rows, said = begun({"line": TEXTS}, "line", folder)
    assert "new" not in said
    batch = batch_of(model, rows)
    ids, mask = batch[target_key("line")].padded(0)
    with torch.no_grad():
        logits = theirs(input_ids=ids, attention_mask=mask.long()).logits
        head = model.network.heads[0]
        ours = head._logits(head.net(head.table(ids), None))
    assert (ours - logits)[mask].abs().max() < 1e-5 * max(1.0, float(logits.abs().max()))


def test_tokens_are_those_of_the_published_tokenizer(place):
    folder, _ = place("BertModel")
    theirs = transformers.BertTokenizer.from_pretrained(str(folder))
    texts = ["The old House!", "unknown rivers", ""]
    _, rows, _ = begun(DATA, "y", folder)
    kind = rows.schema.columns[0].fitted
    import pyarrow as pa

    rows_of = kind.encode(pa.chunked_array([texts]))[""]
    for row, text in enumerate(texts):
        own = rows_of.select(torch.tensor([row])).values.tolist()
        assert own == theirs(text)["input_ids"]


def test_a_tokenizer_json_goes_before_other_files(place):
    folder, _ = place("BertModel")
    transformers.BertTokenizer.from_pretrained(str(folder)).save_pretrained(str(folder))
    assert (folder / "tokenizer.json").is_file()
    (folder / "vocab.txt").unlink(missing_ok=True)
    assert begun(DATA, "y", folder)[0].schema.columns[0].fitted.spec.mask == SPECIAL.index("[MASK]")


def test_a_run_that_starts_there_is_kept_like_any_other(place, tmp_path):
    folder, _ = place("BertModel")
    run = fathom.fit(DATA, "y", start=folder, out=tmp_path / "run", **QUICK)
    shutil.rmtree(folder)
    assert fathom.load(tmp_path / "run").predict(DATA).equals(run.predict(DATA))


def rate_of(folder, directory, **asked) -> float:
    """The learning rate that a run was carried out with."""
    fathom.fit(DATA, "y", start=folder, out=directory, **QUICK | asked)
    return tomllib.loads((directory / "config.toml").read_text())["training"]["optimizer"]["lr"]


def test_published_weights_move_slowly_unless_something_else_is_named(place, tmp_path):
    folder, _ = place("BertModel")
    assert rate_of(folder, tmp_path / "run") == 5e-5
    assert Start.again(tmp_path / "run" / "start.json", "there").rate == 5e-5
    assert rate_of(folder, tmp_path / "named", optimizer={"name": "adamw", "lr": 2e-3}) == 2e-3
    assert rate_of(folder, tmp_path / "decaying", optimizer={"name": "adamw", "weight_decay": 0.1}) == 5e-5
    usual = rate_of(None, tmp_path / "usual", net="transformer")
    assert rate_of(folder, tmp_path / "adapted", training={"adapter": {"name": "lora", "on": ["attention"]}}) == usual
    assert rate_of(tmp_path / "run", tmp_path / "own") == usual


def test_files_that_may_run_code_are_not_read(place):
    folder, _ = place("BertModel")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin may run code when it is read, so it is not; convert"):
        begun(DATA, "y", folder)


def test_what_is_missing_or_not_known_is_told(place):
    folder, _ = place("BertModel")
    (folder / "vocab.txt").rename(folder / "kept.txt")
    with pytest.raises(ModelError, match=r"lacks its tokenizer: tokenizer\.json, or vocab\.txt"):
        begun(DATA, "y", folder)
    (folder / "kept.txt").rename(folder / "vocab.txt")
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, "model_type": "t5"}))
    with pytest.raises(ModelError, match="unknown model_type 't5'"):
        begun(DATA, "y", folder)
    (folder / "config.json").write_text(json.dumps({**about, "num_hidden_layers": 5}))
    with pytest.raises(ModelError, match="which a BERT of depth 5 needs"):
        begun(DATA, "y", folder)


def test_a_name_of_the_hub_is_looked_for_in_its_folder(place, tmp_path, monkeypatch):
    folder, _ = place("BertModel")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"me/small is not in .*models--me--small.*; put config\.json, "):
        place_in_hub("me/small")
    snapshot = tmp_path / "models--me--small" / "snapshots" / "abc"
    shutil.copytree(folder, snapshot)
    assert place_in_hub("me/small") == snapshot
    (tmp_path / "models--me--small" / "refs").mkdir()
    (tmp_path / "models--me--small" / "refs" / "main").write_text("abc")
    assert begun(DATA, "y", "hf:me/small")[2].startswith("taken from hf:me/small: ")
