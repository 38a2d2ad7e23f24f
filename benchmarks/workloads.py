"""What is trained: data sets made from a seed, and the network for each, in plain PyTorch and for fathom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.nets.inputs import Pixels
from fathom.registry import Range
from fathom.signals import ImageSpec, Signal, SignalSpec

__all__ = ["CHANNELS", "CLASSES", "DEPTH", "HEADS", "HIDDEN", "TOKENS", "WIDTH", "WORKLOADS", "Workload"]

CLASSES, SEED = 10, 0
ROWS, FEATURES, HIDDEN = 50_000, 64, (256, 256, 256)
PICTURES, SIDE, CHANNELS = 10_000, 32, (16, 32, 64)
TEXTS, WORDS, VOCABULARY, TOPICAL = 10_000, 64, 2_000, 0.2
SPECIALS, BEGIN, END = 5, 2, 3  # of fathom's tokenizers, whose texts begin and end with a token of their own
TOKENS, WIDTH, DEPTH, HEADS = SPECIALS + VOCABULARY, 128, 2, 4


@dataclass(frozen=True)
class Workload:
    """Data and a network, which is the same for every contestant.

    Attributes:
        name: as it is asked for.
        title: as the table's heading has it.
        batch_size: rows an update.
        rows: (N, D) float32, (N, H, W, C) uint8, or tokens (N, T) int64.
        labels: (N,) int64.
        build: the network, from rows as PyTorch has them, (B, D), (B, C, H, W) or (B, T), to logits (B, CLASSES).
        asked: the same as ``fathom.fit`` is asked for it.
        seconds: of a measurement, long enough that fathom's looks at the validation rows weigh as in a long run.
        slack: by what share the parameters of two contestants may differ in number.
    """

    name: str
    title: str
    batch_size: int
    rows: np.ndarray
    labels: np.ndarray
    build: Callable[[], nn.Module]
    asked: dict[str, Any]
    seconds: float = 2.5
    slack: float = 0.0

    @property
    def pictures(self) -> bool:
        return self.rows.ndim == 4

    @property
    def texts(self) -> bool:
        return self.rows.dtype == np.int64

    def tensor(self) -> Tensor:
        """The rows as PyTorch has them."""
        return torch.from_numpy(np.ascontiguousarray(self.rows.transpose(0, 3, 1, 2)) if self.pictures else self.rows)

    def columns(self) -> dict[str, np.ndarray]:
        """The rows and labels as ``fathom.fit`` takes them."""
        if self.pictures:
            return {"picture": self.rows, "label": self.labels}
        if self.texts:
            words = np.arange(TOKENS).astype(str)  # of digits alone, which are one token
            return {"text": np.array([" ".join(words[row[1:-1]]) for row in self.rows]), "label": self.labels}
        return {f"x{j}": column for j, column in enumerate(self.rows.T)} | {"label": self.labels}


class Normalise(nn.Module):
    """Pixels in 0 to 255 to numbers of mean 0 and deviation 1, as ``fathom.nets.inputs.Pixels`` does it."""

    def __init__(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("factor", 1 / torch.tensor(deviation, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.float().sub_(self.mean).mul_(self.factor)


class Residual(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016, figure 2), the first of which may halve the sides."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
        )
        same = inside == outside and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.body(maps) + self.shortcut(maps))


def residual_stages(pixel_channels: int, channels: tuple[int, ...]) -> nn.Sequential:
    """A stem and one residual block a stage, from normalised pixels (B, C, H, W) to a vector (B, channels[-1])."""
    stem = [nn.Conv2d(pixel_channels, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()]
    pairs = zip((channels[0], *channels), channels, strict=False)
    blocks = [Residual(inside, outside, 1 if k == 0 else 2) for k, (inside, outside) in enumerate(pairs)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@NETS.register("small_resnet", takes="image", gives=("vector",))
class SmallResNet(nn.Module):
    """The same network as a part of fathom: all that a net of one's own needs.

    Args:
        spec: the pictures.
        channels: of each stage.
    """

    def __init__(
        self, spec: ImageSpec, *, channels: Annotated[tuple[int, ...], Range(1, 4096, log=True)] = CHANNELS
    ) -> None:
        super().__init__()
        self.pixels = Pixels(spec)
        self.stages = residual_stages(spec.channels, channels)
        self.gives = SignalSpec(channels[-1])

    def forward(self, pictures: Tensor) -> Signal:
        """pictures (B, C, H, W) in 0 to 255 to a vector (B, channels[-1])."""
        return Signal(vector=self.stages(self.pixels(pictures)))


class LSTMReader(nn.Module):
    """Tokens as vectors, an LSTM that reads them both ways, and the mean of its states, of PyTorch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) to logits (B, CLASSES)."""
        states, _ = self.lstm(self.table(tokens))
        return self.output(states.mean(1))


class TransformerReader(nn.Module):
    """Tokens and their places as vectors, pre-norm blocks, and the mean of the tokens, of PyTorch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Parameter(torch.zeros(WORDS + 2, WIDTH))
        shape = {"dim_feedforward": 4 * WIDTH, "dropout": 0.0, "activation": "gelu"}
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, **shape, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, DEPTH, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.output = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) to logits (B, CLASSES)."""
        return self.output(self.blocks(self.table(tokens) + self.places).mean(1))


def _perceptron() -> nn.Sequential:
    widths = (FEATURES, *HIDDEN)
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(HIDDEN[-1], CLASSES))


def _resnet(rows: np.ndarray) -> nn.Sequential:
    sample = rows[:512].reshape(-1, rows.shape[-1])
    normalise = Normalise(sample.mean(0), sample.std(0))
    return nn.Sequential(normalise, residual_stages(rows.shape[-1], CHANNELS), nn.Linear(CHANNELS[-1], CLASSES))


def _mlp() -> Workload:
    random = np.random.default_rng(SEED)
    rows = random.standard_normal((ROWS, FEATURES), dtype=np.float32)
    labels = (
        np.maximum(rows @ random.standard_normal((FEATURES, 32)), 0) @ random.standard_normal((32, CLASSES))
    ).argmax(1)
    title = f"MLP {'-'.join(map(str, HIDDEN))} on {ROWS:,} × {FEATURES} float32, {CLASSES} classes, batch 128, Adam"
    net = {"name": "mlp", "hidden": list(HIDDEN), "dropout": 0.0, "norm": "none"}
    return Workload("mlp", title, 128, rows, labels, _perceptron, {"net": net})


def _convnet() -> Workload:
    random = np.random.default_rng(SEED)
    labels = random.integers(0, CLASSES, PICTURES)
    patterns = random.integers(64, 192, (CLASSES, SIDE, SIDE, 3))
    rows = np.clip(patterns[labels] + random.integers(-64, 64, (PICTURES, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    title = f"ResNet-8 ({'/'.join(map(str, CHANNELS))}) on {PICTURES:,} × {SIDE}×{SIDE}×3 uint8, batch 64, Adam"
    return Workload("convnet", title, 64, rows, labels, partial(_resnet, rows), {"net": "small_resnet"})


def _texts() -> tuple[np.ndarray, np.ndarray]:
    """Tokens (TEXTS, WORDS + 2), a share of whose words is of the text's class, and the classes."""
    random = np.random.default_rng(SEED)
    labels, each = random.integers(0, CLASSES, TEXTS), VOCABULARY // CLASSES
    of_class = labels[:, None] * each + random.integers(0, each, (TEXTS, WORDS))
    topical = random.random((TEXTS, WORDS)) < TOPICAL
    words = SPECIALS + np.where(topical, of_class, random.integers(0, VOCABULARY, (TEXTS, WORDS)))
    return np.pad(words, ((0, 0), (1, 1)), constant_values=((0, 0), (BEGIN, END))), labels


def _reading(name: str, what: str, build: Callable[[], nn.Module], **options: Any) -> Workload:
    """A workload of texts; to a network as PyTorch has it fathom adds a vector that says which column is read."""
    rows, labels = _texts()
    title = f"{what} on {TEXTS:,} texts of {WORDS} words, {VOCABULARY:,} in all, {CLASSES} classes, batch 64, Adam"
    net = {"name": name, "width": WIDTH, "pool": "mean", "dropout": 0.0, **options}
    asked = {"net": net, "kinds": {"text": {"name": "text", "tokenizer": "word"}}}
    return Workload(name, title, 64, rows, labels, build, asked, seconds=10, slack=0.02)


def _lstm() -> Workload:
    return _reading("lstm", f"LSTM, both ways, width {WIDTH},", LSTMReader, layers=1, both=True)


def _transformer() -> Workload:
    options = {"depth": DEPTH, "heads": HEADS, "positions": "learned", "length": WORDS + 2}
    what = f"Transformer of {DEPTH} blocks, {HEADS} heads, width {WIDTH},"
    return _reading("transformer", what, TransformerReader, **options)


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "lstm": _lstm,
    "transformer": _transformer,
}
