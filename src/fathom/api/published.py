"""Checkpoints of others, as they are published: BERT, MiniLM, DistilBERT and GPT-2, to start a run from.

A folder holds ``config.json``, ``model.safetensors`` and the tokenizer: ``tokenizer.json``, or ``vocab.txt``, or
``vocab.json`` with ``merges.txt``. Nothing in it is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fathom.column import Column
from fathom.errors import ConfigError, ModelError, first_line, unknown_name
from fathom.kinds import KINDS
from fathom.layout import Layout
from fathom.nets.bert import from_checkpoint
from fathom.nets.gpt import from_gpt2
from fathom.registry import Choice
from fathom.schema import Schema
from fathom.signals import Role, input_key
from fathom.training.weights import read_weights

__all__ = ["FROM_HUB", "is_published", "place_in_hub", "published"]

FROM_HUB = "hf:"
CONFIG, WEIGHTS, INDEX, EXECUTABLE = "config.json", "model.safetensors", "model.safetensors.index.json", ".bin"
TOKENIZER, WORDS, BYTES = "tokenizer.json", "vocab.txt", ("vocab.json", "merges.txt")
FILES = (CONFIG, WEIGHTS, INDEX, "model-*.safetensors", TOKENIZER, "tokenizer_config.json", WORDS, *BYTES)
COLUMN = "text"
BERTS_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GPTS_TOKEN = "<|endoftext|>"
ACTIVATIONS: dict[str, Choice | str] = {
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "gelu_new": Choice("gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": Choice("gelu", {"approximate": "tanh"}),
}
DISTILBERT = {
    "transformer.layer.": "encoder.layer.",
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
    "vocab_transform": "cls.predictions.transform.dense",
    "vocab_layer_norm": "cls.predictions.transform.LayerNorm",
    "vocab_projector.bias": "cls.predictions.bias",
}
"""What parts of a DistilBERT's names are in a BERT's; its sizes likewise."""
DISTILBERT_SIZES = {"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"}
DISTILBERT_SIZES |= {"hidden_dim": "intermediate_size", "activation": "hidden_act"}

Weights = dict[str, Tensor]


def is_published(place: Path) -> bool:
    """Whether a folder holds a checkpoint as others publish it."""
    return (place / CONFIG).is_file()


def published(place: Path) -> tuple[Schema, Layout, Weights]:
    """The column, nets and weights of a checkpoint, by our names.

    Raises:
        ModelError: a file is missing or not readable, or it is of a sort that is not known here.
    """
    try:
        about = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        sort = str(about["model_type"])
        if sort not in SORTS:
            raise ModelError(f"{place}: {unknown_name('model_type', sort, SORTS)}")
        return SORTS[sort](place, about, _tensors(place))
    except ConfigError as error:
        raise ModelError(f"{place}: {error}") from error
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{place} is not as its {CONFIG} says ({error!r:.200})") from error


def place_in_hub(name: str) -> Path:
    """Where a checkpoint of the hub lies on this machine; ``huggingface_hub`` fetches it, where that is installed.

    Raises:
        ModelError: it is not there.
    """
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    folder = Path(os.environ.get("HF_HUB_CACHE", home / "hub")) / f"models--{name.replace('/', '--')}"
    main = folder / "refs" / "main"
    kept = sorted((folder / "snapshots").glob("*/" + CONFIG))
    if main.is_file() and is_published(folder / "snapshots" / main.read_text().strip()):
        return folder / "snapshots" / main.read_text().strip()
    if kept:
        return kept[-1].parent
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (ImportError, OSError, ValueError) as error:  # what the hub raises is one of these
        raise ModelError(
            f"{name} is not in {folder} ({first_line(error)}); put {CONFIG}, {WEIGHTS} and {TOKENIZER} of it into a "
            "folder, and name that"
        ) from error


def _bert(place: Path, about: Mapping[str, Any], tensors: Weights) -> tuple[Schema, Layout, Weights]:
    width, depth, pooler = about["hidden_size"], about["num_hidden_layers"], _has(tensors, "pooler.dense.weight")
    places = about["max_position_embeddings"]
    body = {
        "width": width,
        "depth": depth,
        "heads": about["num_attention_heads"],
        "expansion": about["intermediate_size"] / width,
        "activation": _activation(about["hidden_act"]),
        "length": places,
        "pooler": pooler,
    }
    words = _found(tensors, "embeddings.word_embeddings.weight")
    types = "embeddings.token_type_embeddings.weight"
    weights = {f"body.{name}": value for name, value in from_checkpoint(tensors, depth, pooler=pooler).items()}
    weights["branches.0.nets.0.table.weight"] = words
    weights["branches.0.nets.0.column"] = _found(tensors, types)[0] if _has(tensors, types) else words.new_zeros(width)
    masked = "cls.predictions."
    heads = {}
    if f"{masked}bias" in tensors:
        heads = {input_key(COLUMN): Choice("masked")}
        parts = {"transform.0": "transform.dense", "transform.2": "transform.LayerNorm"}
        for ours, theirs in parts.items():
            weights |= {f"heads.0.{ours}.{k}": tensors[f"{masked}{theirs}.{k}"] for k in ("weight", "bias")}
        weights |= {"heads.0.bias": tensors[f"{masked}bias"], "heads.0.table.weight": words}
    column = _column(place, BERTS_TOKENS, Role.INPUT, {"length": min(256, places)})
    branches = {input_key(COLUMN): (Choice("embedding", {"width": width}),)}
    return Schema((column,)), Layout(branches, Choice("bert", body), heads), weights


def _distilbert(place: Path, about: Mapping[str, Any], tensors: Weights) -> tuple[Schema, Layout, Weights]:
    renamed = {}
    for name, value in tensors.items():
        known = name.removeprefix("distilbert.")
        for theirs, ours in DISTILBERT.items():
            known = known.replace(theirs, ours)
        renamed[known] = value
    return _bert(place, {**about, **{ours: about[theirs] for theirs, ours in DISTILBERT_SIZES.items()}}, renamed)


def _gpt2(place: Path, about: Mapping[str, Any], tensors: Weights) -> tuple[Schema, Layout, Weights]:
    table, net = from_gpt2({name: value for name, value in tensors.items() if not name.startswith("lm_head")})
    if about.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh"):
        raise ModelError(f"{place}: a GPT-2 with {about['activation_function']!r} is not known here (gelu_new is)")
    sizes = {"width": about["n_embd"], "depth": about["n_layer"], "heads": about["n_head"]}
    weights = {"heads.0.table.weight": table, **{f"heads.0.net.{name}": value for name, value in net.items()}}
    options = {"length": about["n_positions"], "long": "windows"}
    column = _column(place, [GPTS_TOKEN] * len(BERTS_TOKENS), Role.TARGET, options)
    return Schema((column,)), Layout({}, None, {COLUMN: Choice("generate", {"net": Choice("gpt", sizes)})}), weights


SORTS = {"bert": _bert, "distilbert": _distilbert, "gpt2": _gpt2}


def _column(place: Path, special: list[str], role: Role, options: dict[str, Any]) -> Column:
    """A text of the checkpoint's tokens."""
    tokenizer = json.loads(_tokenizer(place)) | {"truncation": None, "padding": None}
    kind = Choice("text", options)
    state = {"tokenizer": tokenizer, "special": special, "rows": 0, "missing": 0, "tokens": []}
    return Column(COLUMN, role, kind, "of the checkpoint", KINDS.build(kind, state))


def _tokenizer(place: Path) -> str:
    """The tokenizer as its library's JSON."""
    if (place / TOKENIZER).is_file():
        return (place / TOKENIZER).read_text(encoding="utf-8")
    from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer

    if (place / WORDS).is_file():
        options = place / "tokenizer_config.json"
        lower = json.loads(options.read_text()).get("do_lower_case", True) if options.is_file() else True
        return str(BertWordPieceTokenizer(str(place / WORDS), lowercase=lower)._tokenizer.to_str())
    if all((place / name).is_file() for name in BYTES):
        return str(ByteLevelBPETokenizer(*(str(place / name) for name in BYTES))._tokenizer.to_str())
    raise ModelError(f"{place} lacks its tokenizer: {TOKENIZER}, or {WORDS}, or {' and '.join(BYTES)}")


def _tensors(place: Path) -> Weights:
    """All weights, in float32.

    Raises:
        ModelError: they are not there as safetensors.
    """
    names = [WEIGHTS]
    if (place / INDEX).is_file():
        names = sorted({Path(name).name for name in json.loads((place / INDEX).read_text())["weight_map"].values()})
    if not (place / names[0]).is_file():
        old = next((path.name for path in sorted(place.glob(f"*{EXECUTABLE}"))), None)
        raise ModelError(
            f"{place} lacks {names[0]}"
            if old is None
            else f"{place / old} may run code when it is read, so it is not; convert it where you trust it: "
            f"transformers.AutoModel.from_pretrained({str(place)!r}).save_pretrained({str(place)!r})"
        )
    found = {name: value for file in names for name, value in read_weights((place / file).read_bytes()).items()}
    return {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in found.items()}


def _activation(name: str) -> Choice:
    if name not in ACTIVATIONS:
        raise ModelError(unknown_name("activation", name, ACTIVATIONS))
    return Choice(str(ACTIVATIONS[name]))


def _has(tensors: Weights, name: str) -> bool:
    return name in tensors or f"bert.{name}" in tensors


def _found(tensors: Weights, name: str) -> Tensor:
    return tensors[name] if name in tensors else tensors[f"bert.{name}"]
