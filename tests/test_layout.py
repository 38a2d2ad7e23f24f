"""layout.py: a layout, named as a config names nets, is chosen again; what nothing behind it takes is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fathom.errors import ConfigError
from fathom.layout import Layout, choose_layout
from fathom.registry import Choice
from fathom.schema import Schema
from tests.test_network import rows

TOKENS = Choice("ft_transformer", {"width": 16})
CHOSEN = [
    {},
    *({"net": Choice(name)} for name in ("linear", "mlp", "tab_resnet", "tabm", "realmlp")),
    {"net": TOKENS},
    {"nets": {"tokens": TOKENS, "number": Choice("periodic")}},
    {"nets": {"vector": Choice("realmlp"), "number": Choice("scale", {"clip": 2.0})}},
]


def schema(inputs: list[str]) -> Schema:
    vectors = np.random.default_rng(0).normal(size=(len(rows()), 3))
    table = rows().append_column("weights", pa.FixedShapeTensorArray.from_numpy_ndarray(vectors))
    table = table.select([*inputs, "class"])
    return Schema.infer(table, ["class"], roles=dict.fromkeys(inputs, "input")).fit(table)


def chosen_again(found: Schema, layout: Layout) -> Layout:
    nets = {place: Choice.of(net) for place, net in layout.named(found.inputs()).items()}
    return choose_layout(found.inputs(), found.targets(), nets=nets)


@pytest.mark.parametrize("inputs", [["size"], ["size", "colour", "picture"], ["size", "weights"]], ids=" ".join)
@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_a_layout_that_is_named_place_by_place_is_chosen_again(inputs, chosen):
    found = schema(inputs)
    layout = choose_layout(found.inputs(), found.targets(), **chosen)
    assert chosen_again(found, layout).state() == layout.state()


def test_tokens_of_a_width_that_was_named_keep_it():
    found = schema(["size"])
    nets = {"tokens": TOKENS, "number": Choice("feature_tokens", {"width": 24})}
    layout = choose_layout(found.inputs(), found.targets(), nets=nets)
    assert chosen_again(found, layout).branches["pack/number"][-1].options["width"] == 24


def test_an_entry_whose_tokens_nothing_takes_is_refused():
    found = schema(["size", "colour"])
    with pytest.raises(ConfigError, match=r"'feature_tokens' gives tokens, but net 'mlp' .*nets.tokens=ft_transformer"):
        choose_layout(found.inputs(), found.targets(), nets={"number": Choice("feature_tokens")})


def test_a_net_behind_an_entry_stands_on_that_of_the_kind():
    found = schema(["size"])
    nets = {"tokens": TOKENS, "number": Choice("feature_tokens", {"width": 16})}
    chain = choose_layout(found.inputs(), found.targets(), nets=nets).branches["pack/number"]
    assert [net.name for net in chain] == ["scale", "feature_tokens"]


def test_a_text_beside_a_category_is_told_by_nets_that_come_to_the_same_layout():
    said = [f"the big cat {k} sees the dog of house {k}" for k in range(40)]
    table = pa.table({"said": said, "colour": ["red", "blue"] * 20, "told": [f"house number {k}" for k in range(40)]})
    kinds = {"said": Choice("text"), "told": Choice("text")}
    schema = Schema.infer(table, ("told",), kinds=kinds).fit(table)
    layout = choose_layout(schema.inputs(), schema.targets())
    named = {kind: Choice(net["name"]) for kind, net in layout.named(schema.inputs()).items()}
    assert choose_layout(schema.inputs(), schema.targets(), nets=named) == layout


@pytest.mark.parametrize("head", ["span", "label_tokens"])
def test_where_tokens_are_asked_for_the_net_of_texts_stands_on_all_that_comes_in(head):
    target = {"y": ({"span": "span", "label_tokens": "tags"}[head], None)}
    inputs = {"pack/number": ("number", None), "input/a": ("text", None), "input/b": ("text", None)}
    assert choose_layout(inputs, target).body.name == "transformer"
    named = choose_layout(inputs, target, nets={"number": Choice("scale"), "tokens": Choice("gru")})
    assert named.body.name == "gru"
    assert choose_layout(inputs, {"y": ("category", None)}).body.name == "mlp"
    assert choose_layout({"input/a": ("text", None)}, target).body is None
