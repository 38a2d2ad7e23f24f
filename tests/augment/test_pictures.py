"""Each augmentation of pictures against the same done to one picture after another by numpy or Pillow."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from fathom.augment import AUGMENTS
from fathom.registry import Choice
from tests.augment.test_contract import picture_spec, uniform

ROWS, HEIGHT, WIDTH = 24, 21, 30


def pictures(channels: int = 3) -> Tensor:
    """Smooth pictures with detail: waves of several lengths."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wave = draw.uniform(0.1, 0.5, (2, ROWS, channels, 1, 1))
    phase = draw.uniform(0, 6, (ROWS, channels, 1, 1))
    values = 127 + 120 * np.sin(wave[0] * y + wave[1] * x + phase)
    return torch.from_numpy(values.round().astype(np.uint8))


def altered(name: str, given: Tensor, draws: Tensor, **options: object) -> np.ndarray:
    one = AUGMENTS.build(Choice(name, options), picture_spec(*given.shape[1:]))
    assert draws.shape[1] == one.num_draws
    return one(given, draws).numpy().astype(int)


def pillow(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).numpy().squeeze())


def pixels(image: Image.Image) -> np.ndarray:
    array = np.asarray(image).astype(int)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@pytest.mark.parametrize("pad", ["zero", "reflect"])
def test_shift_is_a_cut_out_of_the_padded_picture(pad):
    given, draws = pictures(), uniform(ROWS, 2)
    found = altered("shift", given, draws, by=0.2, pad=pad)
    most = (round(0.2 * HEIGHT), round(0.2 * WIDTH))
    for one, picture, draw in zip(found, given.numpy(), draws, strict=True):
        down, right = (math.floor(float(u) * (2 * m + 1)) - m for u, m in zip(draw, most, strict=True))
        mode = {"zero": "constant", "reflect": "reflect"}[pad]
        padded = np.pad(picture, ((0, 0), (most[0],) * 2, (most[1],) * 2), mode=mode)
        top, left = most[0] - down, most[1] - right
        assert np.array_equal(one, padded[:, top : top + HEIGHT, left : left + WIDTH])
    assert {tuple(np.sign(np.floor(d.numpy() * 3) - 1)) for d in draws} >= {(-1, -1), (1, 1)}


def test_flip_turns_the_share_of_pictures_round_that_it_should():
    given, draws = pictures(), uniform(ROWS, 2)
    found = altered("flip", given, draws, horizontal=0.5, vertical=0.25)
    for one, picture, draw in zip(found, given.numpy(), draws, strict=True):
        expected = picture[:, :, ::-1] if draw[0] < 0.5 else picture
        assert np.array_equal(one, expected[:, ::-1] if draw[1] < 0.25 else expected)
    assert np.array_equal(altered("flip", given, draws, horizontal=0.0), given.numpy())


@pytest.mark.parametrize("channels", [1, 3])
def test_rotate_is_pillows_away_from_the_edge(channels):
    given, draws = pictures(channels), uniform(ROWS, 1)
    found = altered("rotate", given, draws, degrees=30.0)
    for one, picture, draw in zip(found, given, draws, strict=True):
        degrees = -30 + 60 * float(draw)
        turned = pillow(picture).rotate(degrees, Image.Resampling.BILINEAR)
        inside = pixels(Image.new("L", (WIDTH, HEIGHT), 255).rotate(degrees, Image.Resampling.NEAREST))[0] == 255
        inside[[0, -1]] = inside[:, [0, -1]] = False
        inside &= np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
        assert inside.mean() > 0.4
        assert np.abs(one - pixels(turned))[:, inside].max() <= 2


def test_rotate_by_a_right_angle_is_numpys():
    square = pictures()[:, :, :, :HEIGHT]
    found = altered("rotate", square, torch.zeros(ROWS, 1), degrees=90.0)  # the lowest draw turns clockwise
    assert np.abs(found - np.rot90(square.numpy().astype(int), -1, (2, 3))).max() <= 1


def test_crop_is_pillows_extent_away_from_the_edge():
    given, draws = pictures(), uniform(ROWS, 4)
    found = altered("crop", given, draws, smallest=0.3, stretch=2.0)
    areas = []
    for one, picture, draw in zip(found, given, draws.tolist(), strict=True):
        area, ratio = 0.3 + 0.7 * draw[0], 2 ** (draw[1] - 0.5)
        width, height = min(1, math.sqrt(area) * ratio), min(1, math.sqrt(area) / ratio)
        left, top = draw[2] * (1 - width) * WIDTH, draw[3] * (1 - height) * HEIGHT
        box = (left, top, left + width * WIDTH, top + height * HEIGHT)
        cut = pillow(picture).transform((WIDTH, HEIGHT), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
        assert np.abs(one - pixels(cut))[:, 2:-2, 2:-2].max() <= 2
        areas.append(width * height)
    assert min(areas) < 0.5 < max(areas)


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_pillows(channels):
    given, draws = pictures(channels), uniform(ROWS, 3)
    found = altered("colour", given, draws, brightness=0.6, contrast=0.5, saturation=0.7)
    for one, picture, draw in zip(found, given, draws, strict=True):
        image = pillow(picture)
        for enhancer, most, u in zip((ImageEnhance.Brightness, ImageEnhance.Contrast), (0.6, 0.5), draw[:2]):  # noqa: B905
            image = enhancer(image).enhance(1 - most + 2 * most * float(u))
        if channels == 3:
            image = ImageEnhance.Color(image).enhance(0.3 + 1.4 * float(draw[2]))
        assert np.abs(one - pixels(image)).max() <= 4  # Pillow rounds after each


def test_colour_of_no_strength_is_the_picture():
    given = pictures()
    same = altered("colour", given, uniform(ROWS, 3), brightness=0.0, contrast=0.0, saturation=0.0)
    assert np.array_equal(same, given.numpy())


def test_cutout_hides_a_square_under_the_mean():
    given, draws = pictures(), uniform(ROWS, 3)
    found = altered("cutout", given, draws, size=7, chance=0.75)
    mean = np.array(picture_spec(3, HEIGHT, WIDTH).mean).round()
    hidden = 0
    for one, picture, draw in zip(found, given.numpy(), draws, strict=True):
        expected = picture.astype(int)
        if draw[2] < 0.75:
            top, left = int(draw[0] * HEIGHT) - 3, int(draw[1] * WIDTH) - 3
            expected[:, max(0, top) : top + 7, max(0, left) : left + 7] = mean[:, None, None]
            hidden += 1
        assert np.array_equal(one, expected)
    assert 0 < hidden < ROWS


def test_cutout_takes_a_quarter_of_the_shorter_side_unless_told():
    given = torch.full((1, 3, HEIGHT, WIDTH), 200, dtype=torch.uint8)
    found = altered("cutout", given, torch.full((1, 3), 0.5))
    assert (found[0, 0] != 200).sum() == (HEIGHT // 4) ** 2


def test_cutmix_pastes_one_rectangle_of_the_drawn_area():
    given, draws = pictures(1), uniform(ROWS, 4)
    one = AUGMENTS.build(Choice("cutmix", {"alpha": 1.0, "chance": 0.8}), picture_spec(1, HEIGHT, WIDTH))
    mask = one(torch.zeros_like(given), torch.ones_like(given), draws).numpy()[:, 0]
    for area, draw, share in zip(mask, draws.numpy(), one.share(draws), strict=True):
        assert float(share) == pytest.approx(1 - area.mean(), abs=1e-6)
        if draw[3] >= 0.8:
            assert not area.any()
            continue
        side = math.sqrt(1 - draw[0])  # of Beta(1, 1), which is uniform
        rows, columns = area.any(1), area.any(0)
        assert np.array_equal(area.astype(bool), rows[:, None] & columns)
        for covered, length, u in ((rows, HEIGHT, draw[1]), (columns, WIDTH, draw[2])):
            size = side * length
            first = int(u * length) - int(size) // 2
            expected = min(length, first + size) - max(0, first)
            assert covered.sum() == pytest.approx(max(0, expected), abs=1.1)
