"""What a study varies: every option of everything registered yields legal values, and the defaults are among them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pytest

from fathom.api.rows import prepare
from fathom.api.tuning_options import Dimension, Tuned, tuned
from fathom.api.tuning_space import Space, as_said, space_for
from fathom.config import Config
from fathom.data import read
from fathom.errors import ConfigError
from fathom.heads import HEADS
from fathom.nets import NETS
from fathom.registry import Choice, Option, Range, options_of
from fathom.schema import Schema
from fathom.training import OPTIMIZERS, SCHEDULES
from fathom.training.engine import Trainer

EVERY = [
    pytest.param(option, id=f"{registry.what}-{entry.name}-{option.name}")
    for registry in (NETS, OPTIMIZERS, SCHEDULES, HEADS)
    for entry in registry
    for option in entry.options.values()
] + [pytest.param(option, id=f"training-{option.name}") for option in options_of(Trainer).values()]


def option_of(annotation: Any, default: Any) -> Option:
    def thing(*, it: Any = default) -> None: ...

    thing.__annotations__ = {"it": annotation}
    return options_of(thing)["it"]


def ends(dimension: Dimension) -> tuple[Any, ...]:
    middle = math.sqrt(dimension.low * dimension.high) if dimension.log else (dimension.low + dimension.high) / 2
    middle = round(middle) if dimension.whole else middle
    return dimension.choices or (dimension.low, middle, dimension.high)


def values(found: Tuned) -> list[Any]:
    """What the ends and the middle of every axis make of an option, in each combination."""
    drawn = itertools.product(*(ends(dimension) for dimension in found.dimensions))
    keys = [dimension.key for dimension in found.dimensions]
    maps = [dict(zip(keys, each, strict=True)) for each in drawn]
    return [found.value(lambda dimension, at=at: at[dimension.key]) for at in maps]


def is_illegal(option: Option, found: Tuned) -> list[Any]:
    """The values that the option refuses."""
    refused = []
    for value in values(found):
        try:
            option.check(value, "")
        except ConfigError:
            refused.append(value)
    return refused


@pytest.mark.parametrize("option", EVERY)
def test_every_value_that_is_searched_is_legal(option: Option):
    found = tuned("it", option, option.default)
    if found is not None:
        assert is_illegal(option, found) == []


@pytest.mark.parametrize("option", EVERY)
def test_the_default_is_among_the_values(option: Option):
    found = tuned("it", option, option.default)
    if found is None or any(dimension.default is None for dimension in found.dimensions):
        return
    value = found.value(lambda dimension: dimension.default)
    assert option.explicit(option.check(value, "")) == option.explicit(option.default)
    for dimension in found.dimensions:
        inside = dimension.default in dimension.choices or dimension.low <= dimension.default <= dimension.high
        assert inside, dimension


def test_a_value_outside_its_range_is_noticed():
    option = option_of(Annotated[int, Range(16, 32)], 16)
    wide = Tuned(option, 16, "plain", (Dimension("it", 16, 8, 32),))
    assert is_illegal(option, wide) == [8]


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (Annotated[float, Range(1e-6, 10, log=True)], 1e-3, (1e-4, 1e-2, True)),
        (Annotated[float, Range(0, 1)], 0.01, (0.001, 0.1, True)),
        (Annotated[float, Range(0, 0.95)], 0.1, (0.0, 0.475, False)),
        (Annotated[float, Range(0, 1)], 0.0, (0.0, 0.25, False)),
        (Annotated[int, Range(1, 8)], 1, (1, 3, False)),
        (Annotated[int, Range(1, 65_536, log=True)], 256, (-2, 2, False)),
        (Annotated[int, Range(1, 512, log=True)], 256, (-2, 1, False)),
    ],
)
def test_a_number_is_searched_around_its_default(annotation: Any, default: Any, expected: tuple[Any, ...]):
    found = tuned("it", option_of(annotation, default), default)
    assert found is not None
    (dimension,) = found.dimensions
    assert (dimension.low, dimension.high, dimension.log) == pytest.approx(expected)


def test_layers_grow_as_they_did():
    option = option_of(Annotated[tuple[int, ...], Range(1, 4096)], (256, 128))
    found = tuned("it", option, (256, 128))
    assert found is not None
    drawn = {"it.depth": 4, "it.doublings": 1}
    assert found.value(lambda dimension: drawn[dimension.key]) == [512, 256, 128, 64]
    assert found.value(lambda dimension: dimension.default) == [256, 128]


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(Annotated[int, Range(0, 100)], 0), (Annotated[float, Range(0, 100)], 0.0), (str, "x"), (float, 1.0)],
)
def test_what_has_no_scale_is_left_out(annotation: Any, default: Any):
    assert tuned("it", option_of(annotation, default), default) is None


def test_what_is_measured_by_default_is_searched_in_the_middle_of_what_is_allowed():
    found = tuned("it", option_of(Annotated[float | Literal["auto"], Range(1e-6, 100, log=True)], "auto"), "auto")
    assert found is not None
    assert (found.dimensions[0].low, found.dimensions[0].high) == pytest.approx((1e-4, 1.0))
    assert found.dimensions[0].default is None


def test_values_are_searched_as_said():
    option = option_of(Annotated[float, Range(1e-6, 10, log=True)], 1e-3)
    found = tuned("it", option, 1e-3, "1e-5..1e-2")
    assert found is not None
    assert found.dimensions == (Dimension("it", 1e-3, 1e-5, 1e-2, log=True),)
    found = tuned("it", option, 1e-3, "0.1|0.2")
    assert found is not None
    assert found.dimensions == (Dimension("it", None, choices=(0.1, 0.2)),)


@pytest.mark.parametrize("said", ["1e-2..1e-5", "1e-9..1", "a..b", "", "quick"])
def test_values_that_cannot_be_are_refused(said: str):
    with pytest.raises(ConfigError):
        tuned("it", option_of(Annotated[float, Range(1e-6, 10, log=True)], 1e-3), 1e-3, said)


# ---------------------------------------------------------------- the space of a network


@pytest.fixture(scope="module")
def iris() -> Schema:
    return prepare(read("iris"), None, Config(), lambda line: None).schema


@pytest.fixture(scope="module")
def digits() -> Schema:
    return prepare(read("digits"), None, Config(), lambda line: None).schema


def space(schema: Schema, names: Iterable[str] = (), **asked: Any) -> Space:
    return space_for(schema, Config.of(asked), 1000, names)


def test_the_usual_space_holds_nets_sizes_and_rates(iris: Schema):
    names = space(iris).names
    assert {"net", "net.hidden", "net.dropout", "nets.number", "optimizer.lr", "training.batch_size"} <= set(names)
    assert "net.activation" not in names
    assert "head.label_smoothing" not in names


def test_pictures_are_tried_by_nets_for_pictures(digits: Schema):
    (net,) = [place for place in space(digits).places if place.name == "net"]
    assert net.chooser is not None
    assert {"convnet", "resnet"} <= set(net.chooser.choices)
    assert not {"mlp", "linear"} & set(net.chooser.choices)


def test_what_is_said_stays(iris: Schema):
    said = space(iris, net={"name": "mlp", "dropout": 0.3}, optimizer={"name": "sgd", "lr": 0.1})
    assert not {"net", "net.dropout", "optimizer.lr"} & set(said.names)
    assert "net.hidden" in said.names
    config = said.plain()
    assert (config["net"]["name"], config["net"]["dropout"]) == ("mlp", 0.3)
    assert (config["training"]["optimizer"]["name"], config["training"]["optimizer"]["lr"]) == ("sgd", 0.1)


def test_names_narrow_the_space(iris: Schema):
    assert space(iris, ["net.hidden", "optimizer.lr"], net="mlp").names == ["net.hidden", "optimizer.lr"]
    assert space(iris, ["net.mlp.hidden=64..1024"], net="mlp").names == ["net.hidden"]


def test_a_named_option_is_varied_though_it_was_said(iris: Schema):
    found = space(iris, ["net.dropout"], net={"name": "mlp", "dropout": 0.3})
    assert found.plain()["net"] == {"name": "mlp", "dropout": 0.3}
    assert found.names == ["net.dropout"]


def test_a_wrong_name_is_told_what_is_near(iris: Schema):
    with pytest.raises(ConfigError, match=r"unknown name in the space: 'net\.hiden'; did you mean 'net\.hidden'\?"):
        space(iris, ["net.hiden"])
    with pytest.raises(ConfigError, match="unknown net 'tabbm'"):
        space(iris, ["net=mlp|tabbm"])


def test_an_option_of_a_net_that_cannot_stand_there_is_refused(iris: Schema):
    with pytest.raises(ConfigError, match="only where net"):
        space(iris, ["net.tab_resnet.depth"])
    assert space(iris, ["net", "net.tab_resnet.depth"]).names == ["net", "net.depth"]


def test_what_changes_the_loss_is_varied_only_where_a_metric_judges(iris: Schema):
    assert "head.label_smoothing" in space(iris, monitor="accuracy").names
    with pytest.raises(ConfigError, match="monitor"):
        space(iris, ["head.label_smoothing"])


def test_the_defaults_of_every_net_begin(iris: Schema):
    found = space(iris)
    (net,) = [place for place in found.places if place.name == "net"]
    assert net.chooser is not None
    starts = found.starts()
    assert starts[0]["net"] == net.base.name
    assert {start["net"] for start in starts} == set(net.chooser.choices)


def test_each_draw_is_a_config(iris: Schema):
    found = space(iris, ["net", "net.hidden", "net.activation", "optimizer", "optimizer.lr", "schedule"], monitor="auc")
    for end in (0, -1):
        Config.of(found.config(lambda dimension, end=end: ends(dimension)[end]))


def test_a_config_is_what_it_says():
    asked = {"net": {"name": "mlp", "hidden": [8]}, "optimizer": {"name": "sgd", "lr": 0.1}, "kinds": {"x": "category"}}
    config = Config.of({**asked, "target": "y", "budget": "2m", "missing": {"x": ["?"]}, "checks": {"drift": False}})
    assert Config.of(as_said(config)) == config
    assert "seed" not in as_said(config)


def test_a_choice_keeps_the_options_of_its_base():
    option = options_of(NETS.get("mlp").factory)["activation"]
    base = Choice("leaky_relu", {"slope": 0.3})
    found = tuned("it", option, base)
    assert found is not None
    assert found.value(lambda dimension: "leaky_relu") == {"name": "leaky_relu", "slope": 0.3}
    assert found.value(lambda dimension: "relu") == "relu"
