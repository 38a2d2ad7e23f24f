"""The network: which nets and heads join, what a mistake is told, and losses that add up."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from fathom.errors import ConfigError
from fathom.heads import HEADS
from fathom.layout import Layout, choose_layout
from fathom.network import Network
from fathom.registry import Choice, Entry
from fathom.runtime import seeded
from fathom.schema import Schema
from fathom.signals import Batch, entered_key, split_batch

ROWS = 24


def rows() -> pa.Table:
    draw = np.random.default_rng(0)
    return pa.table(
        {
            "picture": pa.FixedShapeTensorArray.from_numpy_ndarray(draw.integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)),
            "size": draw.normal(0, 1, ROWS),
            "colour": draw.choice(["red", "green"], ROWS),
            "price": draw.normal(5, 2, ROWS),
            "class": draw.choice(["a", "b", "c"], ROWS),
        }
    )


def schema(inputs: list[str], targets: list[str]) -> Schema:
    table = rows().select([*inputs, *targets])
    return Schema.infer(table, targets, roles=dict.fromkeys(inputs, "input")).fit(table)


def layout(inputs: list[str], targets: list[str], **chosen: object) -> Layout:
    found = schema(inputs, targets)
    return choose_layout(found.inputs(), found.targets(), **chosen)


def names(found: Layout) -> tuple[dict[str, list[str]], str | None, dict[str, str]]:
    branches = {key: [net.name for net in chain] for key, chain in found.branches.items()}
    return branches, found.body and found.body.name, {name: head.name for name, head in found.heads.items()}


def network(inputs: list[str], targets: list[str], **chosen: object) -> tuple[Network, Batch]:
    found = schema(inputs, targets)
    with seeded(0):
        built = Network(
            found.inputs(), found.targets(), choose_layout(found.inputs(), found.targets(), **chosen)
        ).eval()
    return built, found.encode(rows()).batch(torch.arange(ROWS))


def test_losses_are_float32_wherever_nets_compute_coarsely():
    built, batch = network(["picture"], ["class", "price"])
    exact = built.loss(batch, "network")
    with torch.autocast("cpu", torch.bfloat16):
        coarse = built.loss(batch, "network")
        assert built(batch).vector.dtype == torch.bfloat16
    for name, loss in exact.items():
        assert coarse[name].total.dtype == torch.float32
        assert coarse[name].total.item() == pytest.approx(loss.total.item(), rel=0.02)
        assert coarse[name].total.item() != loss.total.item()


def test_numbers_and_categories_pass_their_entries_to_a_perceptron():
    assert names(layout(["size", "colour"], ["class", "price"])) == (
        {"pack/number": ["scale"], "pack/category": ["embed"]},
        "mlp",
        {"class": "classify", "price": "regress"},
    )


def test_a_picture_alone_goes_from_its_net_straight_to_the_head():
    assert names(layout(["picture"], ["class"])) == ({"input/picture": ["convnet"]}, None, {"class": "classify"})


def test_a_perceptron_by_name_stands_on_the_pixels():
    found = layout(["picture"], ["class"], net=Choice("mlp", {"hidden": (8,)}))
    assert names(found) == ({"input/picture": ["flatten"]}, "mlp", {"class": "classify"})
    built, batch = network(["picture"], ["class"], net=Choice("mlp", {"hidden": (8,)}))
    assert built.body.layers[0].in_features == 64
    assert built(batch).vector.shape == (ROWS, 8)


def test_a_picture_and_numbers_are_fused():
    built, batch = network(["picture", "size", "colour"], ["class"])
    assert names(layout(["picture", "size", "colour"], ["class"]))[:2] == (
        {"pack/number": ["scale"], "pack/category": ["embed"], "input/picture": ["convnet"]},
        "mlp",
    )
    before = built.predict(batch)["class"]["probability"]
    for key in built.input_keys:
        other = {**batch, key: batch[key].flip(0)}
        other.pop(entered_key(key), None)
        assert not torch.allclose(built.predict(other)["class"]["probability"], before), key


def test_a_net_is_named_for_one_kind_or_for_all_together():
    branches, body, _ = names(
        layout(["picture", "size"], ["class"], nets={"image": Choice("flatten"), "vector": Choice("linear")})
    )
    assert (branches["input/picture"], body) == (["flatten"], "linear")
    branches, body, _ = names(layout(["picture", "size"], ["class"], net=Choice("convnet", {"depth": 2})))
    assert (branches["input/picture"], body) == (["convnet"], "mlp")


def test_a_net_brings_the_entries_that_it_names_but_those_of_the_user_come_first():
    branches, body, _ = names(layout(["size", "colour"], ["class"], net=Choice("tabm")))
    assert (branches, body) == ({"pack/number": ["piecewise_linear"], "pack/category": ["embed"]}, "tabm")
    branches, body, _ = names(
        layout(["size", "colour"], ["class"], net=Choice("tabm"), nets={"number": Choice("scale")})
    )
    assert (branches["pack/number"], body) == (["scale"], "tabm")


def test_every_column_is_a_token_of_the_transformers_width():
    chosen = {"net": Choice("ft_transformer", {"width": 16})}
    branches, body, _ = names(layout(["size", "colour", "picture"], ["class"], **chosen))
    assert (branches, body) == (
        {
            "pack/number": ["scale", "feature_tokens"],
            "pack/category": ["embed", "feature_tokens"],
            "input/picture": ["convnet", "feature_tokens"],
        },
        "ft_transformer",
    )
    built, batch = network(["size", "colour", "picture"], ["class"], **chosen)
    assert built.body.first is None
    before = built(batch).vector
    for key in built.input_keys:
        assert not torch.allclose(built({**batch, key: batch[key].flip(0)}).vector, before), key
    default = layout(["size"], ["class"], nets={"tokens": Choice("default", {"depth": 1})})
    assert default.body == Choice("ft_transformer", {"depth": 1})


def test_tokens_of_differing_widths_are_refused():
    nets = {"tokens": Choice("ft_transformer", {"width": 16})}
    found = schema(["size", "colour"], ["class"])
    chosen = choose_layout(found.inputs(), found.targets(), nets=nets)
    wider = {**chosen.branches, "pack/number": (Choice("scale"), Choice("feature_tokens", {"width": 24}))}
    with pytest.raises(ConfigError, match="tokens of widths 16 and 24 cannot be joined"):
        Network(found.inputs(), found.targets(), Layout(wider, chosen.body, chosen.heads))


@pytest.mark.parametrize("net", ["tabm", "ft_transformer", "tab_resnet", "mlp"])
@pytest.mark.parametrize("number", ["scale", "piecewise_linear", "piecewise_encoding", "periodic"])
def test_what_was_computed_before_gives_the_same_answer(net, number):
    chosen = {"net": Choice(net), "nets": {"number": Choice(number)}}
    built, batch = network(["size", "colour"], ["class"], **chosen)
    batch["pack/number"][::3] = torch.nan
    ready = built.prepared(batch)
    assert "pack/number" not in ready
    torch.testing.assert_close(built(ready).vector, built(batch).vector)
    assert len(built.predict(ready)["class"]["probability"]) == ROWS


def test_the_columns_of_all_inputs_are_told_apart():
    built, _ = network(["size", "price", "colour"], ["class"], net=Choice("tabm", {"members": 2}))
    width = built.branches[0].gives.width // 2
    for scales in built.body.first_scale.view(2, -1):
        assert [len(part.unique()) for part in (scales[:width], scales[width : 2 * width], scales[2 * width :])] == [
            1
        ] * 3
        assert len(scales.unique()) == 3


def test_options_alone_are_those_of_the_net_that_would_be_taken():
    assert layout(["picture"], ["class"], net=Choice("default", {"depth": 2})).branches["input/picture"] == (
        Choice("convnet", {"depth": 2}),
    )
    assert layout(["size"], ["class"], net=Choice("default", {"dropout": 0.3})).body == Choice("mlp", {"dropout": 0.3})
    heads = {"class": Choice("default", {"label_smoothing": 0.2})}
    assert layout(["size"], ["class"], heads=heads).heads["class"] == Choice("classify", {"label_smoothing": 0.2})


def test_without_a_target_every_input_is_rebuilt():
    assert names(layout(["size", "colour", "picture"], []))[2] == {
        "pack/number": "regress",
        "pack/category": "rebuild_categories",
        "input/picture": "rebuild_image",
    }


@pytest.mark.parametrize(
    ("inputs", "chosen", "message"),
    [
        (["size"], {"net": Choice("convnet")}, r"'convnet' takes image, .*nets that fit: .*linear, .*mlp, .*scale"),
        (["size"], {"nets": {"vector": Choice("convnet")}}, r"'convnet' cannot stand on all vector .*linear, mlp"),
        (["size"], {"nets": {"tokens": Choice("mlp")}}, r"'mlp' cannot stand on all tokens .*ft_transformer"),
        (
            ["size"],
            {"nets": {"vector": Choice("mlp"), "tokens": Choice("ft_transformer")}},
            r"nets.vector and nets.tokens cannot both be named",
        ),
        (
            ["size"],
            {"nets": {"number": Choice("convnet")}},
            r"'convnet' takes image, not number \(nets that do: .*scale\)",
        ),
        (["size"], {"nets": {"image": Choice("convnet")}}, r"unknown place for a net: 'image' \(allowed: .*number"),
        (["picture"], {"nets": {"image": Choice("scale")}}, r"'scale' takes number, not image .*convnet, flatten"),
        (
            ["size"],
            {"heads": {"class": Choice("regress")}},
            r"'regress' answers number, but 'class' is of kind category ",
        ),
        (["size"], {"heads": {"class": Choice("regress")}}, r"\(heads that fit: classify, rebuild_categories\)"),
        (["size"], {"heads": {"clas": Choice("classify")}}, r"unknown target 'clas'; did you mean 'class'\?"),
        (["size"], {"net": Choice("nett")}, r"unknown net 'nett'"),
    ],
)
def test_what_does_not_fit_is_told_what_would(inputs, chosen, message):
    with pytest.raises(ConfigError, match=message):
        layout(inputs, ["class"], **chosen)


def test_a_head_that_needs_maps_is_told_which_nets_give_them(monkeypatch):
    facts = {**HEADS.get("classify").facts, "needs": "maps"}
    monkeypatch.setitem(HEADS._entries, "classify", Entry("classify", HEADS.get("classify").factory, facts))
    with pytest.raises(
        ConfigError, match=r"needs maps, which this network does not give it \(nets that give .*convnet"
    ):
        network(["size"], ["class"])
    network(["picture"], ["class"])


@pytest.mark.parametrize("inputs", [["size", "colour"], ["picture", "size"]])
def test_a_layout_is_rebuilt_from_json_with_every_option(inputs):
    found = layout(inputs, ["class"])
    state = json.loads(json.dumps(found.state()))
    assert Layout.from_state(state).state() == state
    assert names(Layout.from_state(state)) == names(found)
    assert state["body"]["dropout"] == 0.1
    assert state["heads"]["class"]["label_smoothing"] == 0.0


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_losses_add_up_however_a_batch_is_cut(parts):
    built, batch = network(["size", "colour"], ["class", "price"])
    batch["target/class"][3] = 0
    batch["target/price"][5] = torch.nan
    whole, cut = built.loss(batch, "network"), [built.loss(part, "network") for part in split_batch(batch, parts)]
    for name, loss in whole.items():
        torch.testing.assert_close(sum(part[name].total for part in cut), loss.total)
        assert sum(float(part[name].weight) for part in cut) == pytest.approx(float(loss.weight))
        assert {part[name].unit for part in cut} == {loss.unit}


def test_the_weight_of_a_batch_is_known_before_its_loss():
    built, batch = network(["size", "colour"], ["class", "price"])
    batch["weight"] = torch.rand(ROWS)
    known, losses = built.weigh(batch, "network"), built.loss(batch, "network")
    assert {name: float(loss.weight) for name, loss in losses.items()} == pytest.approx(
        {name: float(weight) for name, weight in known.items()}
    )


def test_losses_of_several_heads_stand_in_one_unit():
    """A network that answers as the trivial one has a loss near 1, whatever its targets are."""
    built, batch = network(["size", "colour"], ["class", "price"])
    for head in built.heads:
        torch.nn.init.zeros_(head.output.weight)
        torch.nn.init.zeros_(head.output.bias)
    built.heads[0].output.bias.data = built.heads[0].share.log()
    total = sum(
        float(loss.total.detach()) / loss.unit / float(loss.weight) for loss in built.loss(batch, "network").values()
    )
    assert total == pytest.approx(1, rel=1e-4)


def test_a_row_of_weight_zero_gives_no_gradient():
    built, batch = network(["size", "colour"], ["class", "price"])
    weight = torch.ones(ROWS)
    weight[::2] = 0
    half = {key: value[1::2] for key, value in batch.items()}
    grads = []
    for given in ({**batch, "weight": weight}, half):
        built.zero_grad()
        sum(loss.total / loss.unit for loss in built.loss(given, "network").values()).backward()
        grads.append([parameter.grad.clone() for parameter in built.parameters()])
    for first, second in zip(*grads, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_one_seed_gives_one_network():
    first, again = (network(["picture", "size"], ["class"])[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("inputs", [["colour"], ["size"], ["picture"], ["picture", "size", "colour"]])
def test_every_network_can_compute_in_double(inputs):
    built, batch = network(inputs, ["class", "price"])
    single = built.predict(batch)
    double = {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
    precise = built.double().predict(double)
    assert precise["class"]["probability"].dtype == torch.float64
    torch.testing.assert_close(
        precise["class"]["probability"].float(), single["class"]["probability"], rtol=1e-3, atol=1e-5
    )


def test_a_network_with_a_fault_is_noticed():
    built, batch = network(["size", "colour"], ["class", "price"])
    built.loss = lambda b, part: {
        "class": built.heads[0].loss(built(b), b["target/class"], None)._replace(unit=len(b["target/class"]))
    }
    whole, cut = built.loss(batch, ""), [built.loss(part, "") for part in split_batch(batch, 2)]
    assert {part["class"].unit for part in cut} != {whole["class"].unit}
