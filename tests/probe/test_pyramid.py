"""Boxes in pictures of differing sizes, found on two levels of a pyramid and told in each picture's own pixels."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from fathom.heads import HEADS, Head
from fathom.kinds import KINDS, Kind
from fathom.nets import NETS
from fathom.nets.inputs import Pixels
from fathom.signals import ImageSpec, Loss, Ragged, Signal, SignalSpec


@KINDS.register("probe_boxes", packed=False, head="probe_detect")
class Boxes(Kind):
    """Rows of left, top, right, bottom and class."""

    @classmethod
    def count(cls, column, weight=None):
        return {"classes": 1 + max(int(box[4]) for row in column.to_pylist() for box in row)}

    @classmethod
    def merge(cls, first, second):
        return {"classes": max(first["classes"], second["classes"])}

    @property
    def spec(self):
        return self.state["classes"]

    def encode(self, column):
        return {"": Ragged.of([torch.tensor(row, dtype=torch.float32).view(-1, 5) for row in column.to_pylist()])}

    def decode(self, prediction):
        return {"": pa.array([row[row[:, 5] > 0.3, :5].tolist() for row in prediction["boxes"]])}


@NETS.register("probe_pyramid", takes="image", gives=("maps",))
class Pyramid(nn.Module):
    def __init__(self, spec: ImageSpec, *, channels: int = 32):
        super().__init__()
        self.pixels, c = Pixels(spec), channels
        first = nn.Sequential(nn.Conv2d(spec.channels, c, 4, 4), nn.ReLU(), nn.Conv2d(c, c, 3, 1, 1), nn.ReLU())
        second = nn.Sequential(nn.Conv2d(c, c, 3, 2, 1), nn.ReLU(), nn.Conv2d(c, c, 5, 1, 2), nn.ReLU())
        self.levels, self.gives = nn.ModuleList([first, second]), SignalSpec(0, ("maps",), ((c, 4), (c, 8)))

    def forward(self, pictures):
        fine = self.levels[0](self.pixels(pictures))
        return Signal(maps=(fine, self.levels[1](fine)))


@HEADS.register("probe_detect", target="probe_boxes", needs="maps", metrics=())
class Detect(Head):
    def __init__(self, state: SignalSpec, classes):
        super().__init__()
        self.outputs = nn.ModuleList(nn.Conv2d(channels, 4 + classes, 1) for channels, _ in state.maps)

    def cells(self, signal):
        """Of each cell of each level: its place, its level, the corners around it in 0 to 1, and logits."""
        sizes = [level.shape[2:] for level in signal.maps]
        axes = [torch.meshgrid(*[(torch.arange(s) + 0.5) / s for s in size], indexing="ij") for size in sizes]
        place = torch.cat([torch.stack([x, y], 2).view(-1, 2) for y, x in axes])  # (cells, 2)
        level = torch.arange(len(sizes)).repeat_interleave(torch.tensor([s.numel() for s in sizes]))
        answers = [f(x).flatten(2).mT for f, x in zip(self.outputs, signal.maps, strict=True)]
        corners, logits = torch.cat(answers, 1).tensor_split([4], 2)
        return place, level, corners + place.repeat(1, 2), logits

    def loss(self, signal, target, weight):
        place, level, corners, logits = self.cells(signal)
        row = torch.arange(len(target)).repeat_interleave(target.lengths)
        truth = target.values[:, :4] / signal.frame[row][:, [1, 0, 1, 0]]
        coarse = (truth[:, 2:] - truth[:, :2]).amax(1) > 0.3
        distance = torch.cdist((truth[:, :2] + truth[:, 2:]) / 2, place) + 9 * (coarse[:, None] != level)
        cell = distance.argmin(1)  # (boxes,) the nearest of the level that suits its size
        wanted = torch.zeros_like(logits).index_put_((row, cell, target.values[:, 4].long()), torch.ones(()))
        cost = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum((1, 2))
        cost = cost.index_add(0, row, 10 * (corners[row, cell] - truth).abs().sum(1))
        return Loss((cost * (1 if weight is None else weight)).sum(), self.weigh(target, weight))

    def weigh(self, target, weight):
        return (target.lengths * (1 if weight is None else weight)).sum()

    def predict(self, signal):
        _, _, corners, logits = self.cells(signal)
        score, label = logits.sigmoid().max(2)
        own = corners * signal.frame[:, None, [1, 0, 1, 0]]
        found = torch.cat([own, label[..., None], score[..., None]], 2)
        return {"boxes": found.gather(1, score.topk(3)[1][..., None].expand(-1, -1, 6))}


def scenes(count: int, *, seed: int) -> dict[str, list]:
    """Pictures of differing sizes, with a bright rectangle on the left and at times a dimmer one on the right."""
    draw, pictures, boxes = np.random.default_rng(seed), [], []
    for _ in range(count):
        half, height = draw.integers((12, 24), (32, 64))
        pixels, row = draw.integers(0, 60, (height, 2 * half)).astype(np.uint8), []
        for k in range(draw.integers(1, 3)):
            left, top = draw.integers(0, (half - 8, height - 12))
            right, bottom = draw.integers((left + 6, top + 8), (half + 1, height + 1))
            pixels[top:bottom, k * half + left : k * half + right] = 255 - 100 * k
            row.append([float(side) for side in (k * half + left, top, k * half + right, bottom, k)])
        Image.fromarray(pixels).save(file := io.BytesIO(), "png")
        pictures.append({"bytes": file.getvalue(), "path": None})
        boxes.append(row)
    return {"picture": pictures, "boxes": boxes}


def overlap(box: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes of one class."""
    (a, b), (c, d) = np.split(np.array(box[:4]), 2), np.split(np.array(other[:4]), 2)
    shared = np.prod(np.maximum(np.minimum(b, d) - np.maximum(a, c), 0)) * (box[4] == other[4])
    return shared / (np.prod(b - a) + np.prod(d - c) - shared)


def test_boxes_come_back_in_the_pictures_own_pixels(fit, kept):
    known, new = scenes(600, seed=0), scenes(100, seed=1)
    kinds = {"boxes": "probe_boxes", "picture": {"name": "image", "size": 32}}
    run = fit(known, "boxes", kinds=kinds, net="probe_pyramid", test=new)
    kept(run, new)
    found = run.predict(new)["boxes"].to_pylist()
    usual = np.median([row[0] for row in known["boxes"]], axis=0).tolist()
    pairs = [(box, row) for boxes, row in zip(new["boxes"], found, strict=True) for box in boxes]
    overlaps = [max((overlap(box, other) for other in row), default=0.0) for box, row in pairs]
    trivial = [overlap(row[0], usual) for row in new["boxes"]]
    assert np.mean(overlaps) > max(0.45, 2 * np.mean(trivial))
