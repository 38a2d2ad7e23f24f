"""Config: from TOML, the command line or Python, and back."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w

from fathom.config import Config, parse_setting
from fathom.errors import ConfigError
from fathom.registry import Choice

EXAMPLE = """
target = "income"
budget = "2m"
seed = 3
net    = { name = "mlp", hidden = [64, 32], activation = { name = "leaky_relu", slope = 0.2 } }
optimizer = { name = "adamw", lr = 3e-4 }
valid = 0.2
baseline = false
[kinds]
zip = "category"
[roles]
sex = "protected"
[nets]
image = { name = "convnet", depth = 2 }
[heads]
income = { name = "classify", label_smoothing = 0.1 }
[training]
batch_size = 128
"""


def test_an_example_is_read():
    config = Config.of(tomllib.loads(EXAMPLE))
    assert config.target == ("income",)
    assert config.net == Choice("mlp", {"hidden": (64, 32), "activation": Choice("leaky_relu", {"slope": 0.2})})
    assert config.training["optimizer"] == Choice("adamw", {"lr": 3e-4})
    assert config.training["batch_size"] == 128
    assert config.kinds == {"zip": Choice("category", {})}
    assert config.roles == {"sex": "protected"}
    assert config.baseline is False


@pytest.mark.parametrize(
    "text", ["", EXAMPLE, 'target = ["a", "b"]\nhead = "quantiles"', 'net = "linear"', "folds = 5"]
)
def test_what_is_written_is_read_as_the_same(text):
    config = Config.of(tomllib.loads(text))
    again = Config.of(tomllib.loads(tomli_w.dumps(config.plain())))
    assert again.plain() == config.plain()
    assert {**vars(again), "training": None} == {**vars(config), "training": None}


def test_what_is_written_holds_every_option_of_the_engine():
    written = Config.of({}).plain()
    assert {"optimizer", "schedule", "batch_size", "clip_norm", "patience"} <= set(written["training"])
    assert written["training"]["optimizer"]["lr"] == 1e-3
    assert written["training"]["schedule"]["warmup_steps"] == 20
    assert "valid" not in written, "whether rows are held out is not decided yet"
    assert Config.of({"valid": 0.2}).plain()["valid"] == 0.2


def test_records_of_a_run_say_nothing_new():
    assert Config.of({"versions": {"torch": "2"}, "source": {"place": "x"}, "seed": 1}) == Config.of({"seed": 1})


def test_what_is_none_is_as_if_it_were_not_given():
    assert Config.of({"net": None, "optimizer": None, "budget": None}) == Config.of({})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"traget": "y"}, r"unknown key 'traget'; did you mean 'target'\?"),
        ({"net": "mlpp"}, r"unknown net 'mlpp'; did you mean 'mlp'\?"),
        ({"net": {"name": "mlp", "hiden": [3]}}, r"unknown option of net mlp 'hiden'; did you mean 'hidden'\?"),
        ({"net": {"name": "mlp", "dropout": 2}}, r"net mlp\.dropout = 2\.0 is out of range"),
        ({"head": "clasify"}, r"unknown head 'clasify'; did you mean 'classify'\?"),
        ({"heads": {"y": "clasify"}}, r"unknown head 'clasify'"),
        ({"net": {"dropout": "x"}}, r"net [a-z_]+\.dropout = 'x' is not allowed \(expected float\)"),
        ({"net": {"hiden": 3}}, r"unknown option of any net 'hiden'; did you mean 'hidden'\?"),
        ({"head": {"label_smoothin": 1}}, r"unknown option of any head 'label_smoothin'; did you mean"),
        ({"nets": {"image": {"channels": "x"}}}, r"channels = 'x' is not allowed"),
        ({"nets": {"imag": "convnet"}}, r"unknown place for a net: 'imag'; did you mean 'image'\?"),
        ({"roles": {"id": "ignor"}}, r"column 'id': unknown role 'ignor'; did you mean 'ignore'\?"),
        ({"kinds": {"zip": "categry"}}, r"unknown kind 'categry'; did you mean 'category'\?"),
        ({"nets": "mlp"}, r"nets = 'mlp' is not allowed \(expected a table"),
        ({"optimizer": "adm"}, r"unknown optimizer 'adm'; did you mean 'adam"),
        ({"optimizer": {"name": "adam", "lr": "fast"}}, r"optimizer adam\.lr = 'fast' is not allowed"),
        ({"training": {"bach_size": 3}}, r"unknown option of training 'bach_size'; did you mean 'batch_size'\?"),
        ({"training": {"batch_size": 2.5}}, r"training\.batch_size = 2\.5 is not allowed \(expected int\)"),
        ({"seed": True}, r"seed = True is not allowed \(expected int\)"),
        ({"seed": "0"}, r"seed = '0' is not allowed \(expected int\)"),
        ({"baseline": 1}, r"baseline = 1 is not allowed \(expected bool\)"),
        ({"valid": 0.6, "test": 0.5}, r"must leave rows to train on"),
        ({"valid": -0.1}, r"must leave rows to train on"),
        ({"valid": float("nan")}, r"must leave rows to train on"),
        ({"seed": -1}, r"seed = -1 is out of range"),
        ({"seed": 2**63}, r"is out of range"),
        ({"budget": "soon"}, r"soon"),
        ({"folds": 5, "valid": 0.2}, r"folds and valid exclude each other"),
        ({"schedule": "cosine", "training": {"patience": 5}}, r"training\.patience = 5 cannot end schedule cosine"),
    ],
)
def test_a_mistake_is_told_before_any_data_is_read(given, message):
    with pytest.raises(ConfigError, match=message):
        Config.of(given)


def test_options_of_a_kind_that_is_not_said_name_what_to_add():
    with pytest.raises(ConfigError, match=r"tokenizer of column 'my text'.* add --kind 'my text=text' \("):
        Config.of({"kinds": {"my text": {"tokenizer": "char"}}})
    with pytest.raises(ConfigError, match="no kind"):
        Config.of({"kinds": {"said": {"no_such": 1}}})
    assert Config.of({"kinds": {"said": {"name": "text", "tokenizer": "char"}}}).kinds["said"].options


def test_an_option_that_only_some_nets_have_may_wait_for_the_data():
    assert Config.of({"net": {"hidden": [64]}, "nets": {"vector": {"depth": 2}}}).net == Choice(
        "default", {"hidden": [64]}
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net.depth=4", (["net", "depth"], 4)),
        ("net.dropout = 0.2", (["net", "dropout"], 0.2)),
        ("baseline=false", (["baseline"], False)),
        ("net.hidden=[64, 32]", (["net", "hidden"], [64, 32])),
        ("net.activation.name=silu", (["net", "activation", "name"], "silu")),
        ('target="a b"', (["target"], "a b")),
        ("target=a=b", (["target"], "a=b")),
        ("budget=2m", (["budget"], "2m")),
        ("optimizer={name = 'adam', lr = 1e-3}", (["optimizer"], {"name": "adam", "lr": 1e-3})),
    ],
)
def test_a_setting_is_read_as_toml_or_as_the_words_it_is(text, expected):
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["net.depth", "=4", " = 4", ""])
def test_a_setting_without_a_key_or_a_value_is_refused(text):
    with pytest.raises(ConfigError, match="expected key=value"):
        parse_setting(text)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    place = tmp_path / "config.toml"
    place.write_text("target = ")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read as TOML"):
        Config.read(place)
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        Config.read(tmp_path / "absent.toml")
