"""Checkpoints: any tree of tensors and plain values in one safetensors file, written atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from fathom.errors import ModelError
from fathom.runtime import write_atomic

__all__ = ["read_checkpoint", "write_checkpoint"]

TENSOR, PAIRS, TREE = "$tensor", "$pairs", "tree"


def write_checkpoint(path: Path, tree: Any) -> None:
    """Write dicts, lists, tensors and plain JSON values, so that a reader finds the old file or the new one."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    plain = _flattened(tree, tensors)
    write_atomic(path, save(tensors, metadata={TREE: json.dumps(plain)}))


def read_checkpoint(path: Path) -> Any:
    """Read what ``write_checkpoint`` wrote; runs no code from the file.

    Raises:
        ModelError: the file is not such a checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return _restored(json.loads((file.metadata() or {})[TREE]), tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a readable checkpoint ({type(error).__name__}: {error})") from error


def _flattened(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: name}
    if isinstance(tree, dict):
        if all(isinstance(key, str) for key in tree):
            return {key: _flattened(value, tensors) for key, value in tree.items()}
        return {PAIRS: [[key, _flattened(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_flattened(value, tensors) for value in tree]
    return tree


def _restored(plain: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(plain, list):
        return [_restored(value, tensors) for value in plain]
    if not isinstance(plain, dict):
        return plain
    if TENSOR in plain:
        return tensors[plain[TENSOR]]
    if PAIRS in plain:
        return {key: _restored(value, tensors) for key, value in plain[PAIRS]}
    return {key: _restored(value, tensors) for key, value in plain.items()}
