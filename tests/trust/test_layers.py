"""The layers of a network: each with the shape it gives, its parameters, and what it computes for a row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fathom.api.fitting import model_for
from fathom.config import Config
from fathom.data import read
from fathom.model import Model
from fathom.schema import Schema
from fathom.trust.layers import Layer, layers_of

ROOT = Path(__file__).resolve().parents[2]
ROOT = Path(__file__).resolve().parents[2]
ROWS, SIZE, CLASSES = 12, 8, 3


def model(**asked: object) -> Model:
    """An untrained network on four numbers, or on pictures where a net for these is asked for."""
    draw = np.random.default_rng(0)
    pictures = asked.get("net") == "convnet"
    inputs = (
        {"picture": draw.integers(0, 256, (ROWS, SIZE, SIZE), dtype=np.uint8)}
        if pictures
        else {name: draw.normal(size=ROWS) for name in "abcd"}
    )
    table = read({**inputs, "y": np.arange(ROWS) % CLASSES}).parts["train"]
    schema = Schema.infer(table, ["y"], kinds={"y": "category"}).fit(table)
    return model_for(schema, Config.of({"target": ["y"], **asked}), ROWS)


def named(layers: tuple[Layer, ...], what: str) -> list[Layer]:
    return [layer for layer in layers if layer.what == what]


def test_a_matrix_computes_two_operations_a_weight():
    layers = named(layers_of(model(net={"name": "mlp", "hidden": [16, 8]}, nets={"number": "scale"})), "Linear")
    assert [layer.operations for layer in layers] == [2 * 4 * 16, 2 * 16 * 8, 2 * 8 * CLASSES]
    assert [layer.shape for layer in layers] == [(16,), (8,), (CLASSES,)]


def test_a_convolution_computes_two_operations_a_weight_and_place():
    first = named(layers_of(model(net="convnet")), "Conv2d")[0]
    assert first.shape is not None
    assert first.operations == 2 * first.parameters * first.shape[1] * first.shape[2]


@pytest.mark.parametrize("apart", [False, True])
def test_members_compute_as_often_as_there_are_members(apart):
    asked = {"net": {"name": "mlp", "hidden": [16]}, "nets": {"number": "scale"}}
    mixed = {"augment": "mixup"} if apart else {}  # members whose samples are mixed are computed one after another
    one, three = layers_of(model(**asked)), layers_of(model(**asked, **mixed, ensemble=3))
    assert sum(layer.operations or 0 for layer in three) == 3 * sum(layer.operations or 0 for layer in one)


@pytest.mark.parametrize("net", ["ft_transformer", "tabm", "realmlp", "tab_resnet", "convnet"])
def test_the_layers_hold_every_parameter_once_and_leave_no_hook_behind(net):
    whole = model(net=net)
    total = sum(parameter.numel() for parameter in whole.network.parameters())
    assert sum(layer.parameters for layer in layers_of(whole)) == total
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in whole.network.modules())


def test_what_a_layer_computes_beside_those_it_calls_is_its_own():
    """The products of attention stand in a module that holds others, and are not lost."""
    attention = [layer for layer in layers_of(model(net="ft_transformer")) if not layer.parameters and layer.operations]
    assert attention


@pytest.mark.parametrize("net", ["ft_transformer", "tabm", "realmlp", "convnet"])
def test_what_is_counted_is_what_torch_counts(net):
    whole = model(net=net)
    blank = pa.table({column.name: pa.nulls(ROWS) for column in whole.schema.of_role("input")})
    batch = next(whole.schema.encode(blank, targets=False).in_order(ROWS))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        whole.network.eval().predict(batch)
    assert sum(layer.operations or 0 for layer in layers_of(whole)) * ROWS == counter.get_total_flops() > 0


def test_a_text_is_sent_through_with_tokens():
    pytest.importorskip("tokenizers")
    said = [f"the cat of house {k} sat down on a red mat today" for k in range(ROWS)]
    table = read({"said": said, "y": np.arange(ROWS) % CLASSES}).parts["train"]
    schema = Schema.infer(table, ["y"], kinds={"y": "category", "said": "text"}).fit(table)
    found = model_for(schema, Config.of({"target": ["y"], "net": "transformer"}), ROWS)
    (layer,) = [layer for layer in layers_of(found) if layer.name == "body.blocks.0.attention.out"]
    tokens, width = layer.shape
    assert tokens >= 10 + 2
    assert layer.operations == 2 * tokens * width**2


def test_the_compiler_is_not_loaded():
    """It takes seconds to load, which every report would wait for."""
    code = "import sys; from tests.trust.test_layers import layers_of, model; layers_of(model()); " + (
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
