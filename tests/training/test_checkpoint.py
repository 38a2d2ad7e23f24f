"""A checkpoint gives back what was put in, bit for bit, or says that it cannot."""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from fathom import runtime
from fathom.errors import ModelError
from fathom.training.checkpoint import read_checkpoint, write_checkpoint
from tests.training.small import trained

TREES: list[Any] = [
    {},
    [],
    None,
    {"empty": {}, "none": None, "list": []},
    {"a": {"b": {"c": [1, 2.5, "x", True, None, {"d": torch.arange(3)}]}}},
    {0: {"step": torch.tensor(3.0)}, 1: {"step": torch.tensor(4.0)}},
    {"state": {0: torch.ones(2), -7: "minus"}, "param_groups": [{"params": [0, 1], "betas": [0.9, 0.999]}]},
    [math.inf, -math.inf, 1e-300, 0.1 + 0.2, -0.0, 2**62],
    {"empty": torch.zeros(0), "scalar": torch.tensor(1.5), "deep": torch.zeros(2, 0, 3)},
    {
        str(dtype): torch.tensor([0, 1, 3]).to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.int8, torch.bool)
    },
    {"double": torch.tensor([math.pi, -0.0, 5e-324], dtype=torch.float64), "long": torch.tensor([2**62])},
]


def round_trip(tree: Any, tmp_path: Path) -> Any:
    write_checkpoint(tmp_path / "checkpoint", tree)
    return read_checkpoint(tmp_path / "checkpoint")


def bits(tree: Any) -> Any:
    """A tree with tensors as their bytes and numbers as they are written, to be compared."""
    if isinstance(tree, Tensor):
        return (str(tree.dtype), tuple(tree.shape), tree.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items()}
    return [bits(value) for value in tree] if isinstance(tree, list) else repr(tree)


@pytest.mark.parametrize("tree", TREES)
def test_what_is_written_is_read(tree: Any, tmp_path: Path):
    assert bits(round_trip(tree, tmp_path)) == bits(tree)


def test_a_difference_of_one_bit_is_seen():
    assert bits({"a": torch.tensor([0.0])}) != bits({"a": torch.tensor([-0.0])})
    assert bits([1.0]) != bits([1.0 + 2**-52])
    assert bits({0: 1}) != bits({"0": 1})


def test_what_is_no_number_stays_so(tmp_path: Path):
    found = round_trip({"best": math.nan, "weights": torch.tensor([math.nan, 1.0])}, tmp_path)
    assert math.isnan(found["best"])
    assert found["weights"].isnan().tolist() == [True, False]


def test_tensors_that_share_memory_or_lie_otherwise_are_read_by_value(tmp_path: Path):
    whole = torch.arange(24.0).view(1, 2, 3, 4)
    tree = {
        "whole": whole,
        "same": whole,
        "view": whole[0, 1],
        "turned": whole.transpose(1, 3),
        "last": whole.contiguous(memory_format=torch.channels_last),
    }
    found = round_trip(tree, tmp_path)
    assert all(torch.equal(found[key], tree[key]) for key in tree)
    found["same"].zero_()
    assert torch.equal(found["whole"], whole)


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path):
    found = round_trip({"weights": torch.ones(1000)}, tmp_path)
    write_checkpoint(tmp_path / "checkpoint", {"weights": torch.zeros(1000)})
    assert torch.equal(found["weights"], torch.ones(1000))


def test_an_older_checkpoint_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "checkpoint"
    write_checkpoint(path, {"step": 1})
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def looked(name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            order.append(name)
            assert read_checkpoint(path)["step"] == (2 if name == "folder synced" else 1)
            return function(*arguments)

        return call

    monkeypatch.setattr(runtime, "fsync_directory", looked("folder synced", runtime.fsync_directory))
    monkeypatch.setattr(os, "replace", looked("renamed", replace))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("synced"), fsync(descriptor)))
    write_checkpoint(path, {"step": 2})
    assert order == ["synced", "renamed", "folder synced", "synced"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def damaged() -> dict[str, bytes]:
    whole = save({"0": torch.ones(100)}, metadata={"tree": json.dumps({"a": {"$tensor": "0"}})})
    return {
        "empty": b"",
        "short": whole[: len(whole) // 2],
        "shorter": whole[:5],
        "longer": whole + b"x",
        "noise": bytes(range(256)) * 20,
        "text": b"not a checkpoint\n",
        "without a tree": save({"0": torch.ones(1)}),
        "a tree that is no JSON": save({"0": torch.ones(1)}, metadata={"tree": "{"}),
        "a tree of other tensors": save({"0": torch.ones(1)}, metadata={"tree": '{"a": {"$tensor": "1"}}'}),
        "pairs that are none": save({"0": torch.ones(1)}, metadata={"tree": '{"$pairs": [1]}'}),
        "keys that are none": save({"0": torch.ones(1)}, metadata={"tree": '{"$pairs": [[[1], 2]]}'}),
    }


@pytest.mark.parametrize("name", list(damaged()))
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path):
    path = tmp_path / "last.safetensors"
    path.write_bytes(damaged()[name])
    with pytest.raises(ModelError, match=r"last\.safetensors is not a readable checkpoint"):
        read_checkpoint(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ModelError, match="is not a readable checkpoint"):
            read_checkpoint(path)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, Any]:
        return (Path.touch, (self.place,))


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_is_refused_unread(new: bool, tmp_path: Path):
    sprung, content = tmp_path / "sprung", io.BytesIO()
    torch.save({"weights": torch.ones(2), "trap": Trap(sprung)}, content, _use_new_zipfile_serialization=new)
    (tmp_path / "checkpoint").write_bytes(content.getvalue())
    with pytest.raises(ModelError):
        read_checkpoint(tmp_path / "checkpoint")
    assert not sprung.exists()
    content.seek(0)
    torch.load(content, weights_only=False)
    assert sprung.exists()


def test_what_is_no_plain_value_is_refused(tmp_path: Path):
    for tree in ({"a": object()}, {"a": {1, 2}}, {"a": b"bytes"}):
        with pytest.raises(TypeError):
            write_checkpoint(tmp_path / "checkpoint", tree)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "altered",
    [
        {"weights": {}},
        {"best_weights": {"a": torch.ones(1)}},
        {"optimizers": {}},
        {"batches": 3},
        {"progress": {"nope": 1}},
        {"progress": {"log_place": [-1, -1]}},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(altered: dict[str, Any], tmp_path: Path):
    trained("2steps", directory=tmp_path)
    path = tmp_path / "checkpoints" / "last.safetensors"
    write_checkpoint(path, {**read_checkpoint(path), **altered})
    with pytest.raises(ModelError, match=r"last\.safetensors is no checkpoint of this run"):
        trained("2steps", directory=tmp_path)
