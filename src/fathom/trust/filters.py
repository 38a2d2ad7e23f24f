"""What the first convolution of a network looks for in pictures: its filters, and the patches they answer to most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.ensemble import Apart
from fathom.model import Model
from fathom.nets.inputs import Pixels
from fathom.network import Network

__all__ = ["first_filters", "strongest_patches"]

GREY, FARTHEST = 128, 127  # no weight, and how far from it the largest weight of a filter is
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class _First:
    """The first convolution on a column of pictures.

    Attributes:
        key: the column's name in a batch.
        pixels: normalises the pictures.
        convolution: looks at them.
    """

    key: str
    pixels: Pixels
    convolution: nn.Conv2d

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of a patch."""
        sizes = zip(self.convolution.kernel_size, self.convolution.dilation, strict=True)
        height, width = (apart * (size - 1) + 1 for size, apart in sizes)
        return height, width

    def answers(self, pictures: Tensor) -> Tensor:
        """pictures (B, C, H, W) to (B, filters, places down, places across), wholly inside: padding is no picture."""
        own, normal = self.convolution, self.pixels(pictures)
        return F.conv2d(normal, own.weight, own.bias, own.stride, 0, own.dilation, own.groups)


def first_filters(model: Model) -> tuple[np.ndarray, ...]:
    """The filters of the first convolution, each (h, w, 3) uint8: grey is no weight, brighter is more.

    Each has a scale of its own. Of an ensemble they are the first member's, of several columns of pictures those of
    the first. There are none where no convolution looks at pictures.
    """
    first = _first_convolution(model)
    return () if first is None else tuple(_painted(weight) for weight in first.convolution.weight.detach().cpu())


def strongest_patches(
    model: Model, table: pa.Table, *, filters: int = 16, each: int = 4
) -> tuple[tuple[np.ndarray, ...], ...]:
    """Of each of the first filters the patches of the rows' pictures to which it answers most.

    Args:
        model: with a network that looks at pictures.
        table: rows with every input column.
        filters: how many of them.
        each: patches of a filter, no two of one picture.

    Returns:
        For each filter its patches, (h, w, 3) uint8, the strongest first; none where no convolution looks at pictures,
        or pictures are smaller than a filter.
    """
    first = _first_convolution(model)
    if first is None:
        return ()
    answers, patches = torch.empty(0), torch.empty(0)  # (filters, found), (filters, found, C, h, w)
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        store = model.schema.encode(table.slice(start, ROWS_AT_ONCE), targets=False, whole=False)
        pictures = store.tensors[first.key]
        assert isinstance(pictures, Tensor)
        if any(own < patch for own, patch in zip(pictures.shape[2:], first.side, strict=True)):
            return ()
        found = _strongest(first, pictures, filters, each)
        answers, patches = _joined((answers, patches), found, each) if start else found
    return tuple(tuple(_coloured(patch.numpy()) for patch in own) for own in patches)


def _first_convolution(model: Model) -> _First | None:
    network = model.network.networks[0] if isinstance(model.network, Apart) else model.network
    assert isinstance(network, Network)
    for key, chain in zip(network.input_keys, network.branches, strict=True):
        layers = list(chain.modules())
        pixels = next((layer for layer in layers if isinstance(layer, Pixels)), None)
        convolution = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
        if pixels is not None and convolution is not None and convolution.in_channels == len(pixels.mean):
            return _First(key, pixels, convolution)
    return None


@torch.inference_mode()
def _strongest(first: _First, pictures: Tensor, filters: int, each: int) -> tuple[Tensor, Tensor]:
    """The strongest answers of filters to pictures, (filters, found), and the patches, (filters, found, C, h, w)."""
    given = first.answers(pictures.to(first.pixels.mean.device))[:, :filters].cpu()
    across = given.shape[3]
    best, place = given.flatten(2).max(2)  # (B, filters), the strongest place of each picture
    answers, rows = best.T.topk(min(each, len(best)))  # (filters, found)
    places = place.T.gather(1, rows)
    down, right = first.convolution.stride
    height, width = first.side
    cut = [
        pictures[row, :, top * down : top * down + height, left * right : left * right + width]
        for row, at in zip(rows.flatten().tolist(), places.flatten().tolist(), strict=True)
        for top, left in [divmod(at, across)]
    ]
    return answers, torch.stack(cut).unflatten(0, answers.shape)


def _joined(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], each: int) -> tuple[Tensor, Tensor]:
    """The strongest of both."""
    answers, patches = (torch.cat(pair, dim=1) for pair in zip(one, other, strict=True))
    kept = answers.topk(min(each, answers.shape[1]))
    return kept.values, torch.stack([own[index] for own, index in zip(patches, kept.indices, strict=True)])


def _painted(weight: Tensor) -> np.ndarray:
    """A filter (C, h, w) as a picture."""
    share = weight / weight.abs().max().clamp(min=1e-30)
    return _coloured((GREY + FARTHEST * share).round().to(torch.uint8).numpy())


def _coloured(picture: np.ndarray) -> np.ndarray:
    """(C, h, w) as (h, w, 3); of other than three channels the first, in grey."""
    channels = picture if len(picture) == 3 else picture[:1].repeat(3, axis=0)
    return np.ascontiguousarray(channels.transpose(1, 2, 0))
