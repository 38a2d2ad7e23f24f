"""Pictures: files, bytes and arrays become pixels of one size."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from fathom.data.source import IMAGE_TYPE
from fathom.errors import SourceError
from fathom.kinds.image import Image


def arrays(pixels: np.ndarray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(pixels))])


def files(*pictures: bytes | None) -> pa.ChunkedArray:
    cells = [None if picture is None else {"bytes": picture, "path": None} for picture in pictures]
    return pa.chunked_array([pa.array(cells, IMAGE_TYPE)])


def encoded(pixels: np.ndarray, mode: str | None = None, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture = Pillow.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(buffer, form)
    return buffer.getvalue()


def image(column: pa.ChunkedArray, **options: int) -> Image:
    return Image(json.loads(json.dumps(Image.fit(Image.count(column)))), **options)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (1,), (3,)]))
def test_decoding_inverts_encoding(rows, height, width, channels):
    pixels = noise(rows, height, width, *channels, seed=rows)
    found = image(arrays(pixels))
    back = found.decode({"value": found.encode(arrays(pixels))[""].numpy().astype(float)})[""].to_numpy_ndarray()
    assert np.array_equal(back.reshape(pixels.shape), pixels)


def test_arrays_and_files_of_the_same_pictures_are_encoded_alike():
    pixels = noise(4, 6, 5, 3)
    same = files(*map(encoded, pixels))
    assert image(arrays(pixels)).state == image(same).state
    assert (image(same).encode(same)[""] == image(same).encode(arrays(pixels))[""]).all()


def test_mean_and_deviation_are_those_of_each_channel():
    pixels = noise(5, 7, 4, 3)
    spec = image(arrays(pixels)).spec
    assert spec.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=1e-12)
    assert spec.deviation == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=1e-12)


def test_grey_in_one_shard_and_colour_in_another_are_colour():
    grey, colour = noise(3, 4, 4), noise(2, 4, 4, 3)
    merged = Image.fit(Image.merge(Image.count(arrays(grey)), Image.count(arrays(colour))))
    whole = Image.fit(Image.count(files(*map(encoded, grey), *map(encoded, colour))))
    assert merged["channels"] == 3
    assert merged["size"] == whole["size"]
    assert merged["mean"] == pytest.approx(whole["mean"], rel=1e-12)
    assert merged["deviation"] == pytest.approx(whole["deviation"], rel=1e-12)


def test_every_picture_comes_to_one_size_and_its_own_is_kept_beside():
    column = files(encoded(noise(6, 9)), encoded(noise(12, 4)), encoded(noise(8, 8)))
    found = image(column, size=8).encode(column)
    assert found[""].shape == (3, 1, 8, 8)
    assert found["size"].tolist() == [[6, 9], [12, 4], [8, 8]]


def test_pictures_without_a_stated_size_keep_their_shape_below_the_largest():
    column = files(encoded(noise(40, 80)))
    assert image(column, max_size=20).spec.height == 10
    assert image(column, max_size=20).spec.width == 20
    assert image(column, max_size=100).spec.width == 80


@pytest.mark.parametrize("arrive", [arrays, lambda pixels: files(*map(encoded, pixels))])
def test_a_missing_picture_is_black_and_has_no_size(arrive):
    column = arrive(noise(3, 4, 4))
    holed = pa.chunked_array([column.combine_chunks().take(pa.array([0, None, 2]))])
    found = image(column).encode(holed)
    assert found["size"].tolist() == [[4, 4], [0, 0], [4, 4]]
    assert int(found[""][1].sum()) == 0
    assert (found[""][[0, 2]] == image(column).encode(column)[""][[0, 2]]).all()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("CMYK", 3)])
def test_pictures_of_any_mode_become_grey_or_colour(mode, channels):
    form = "TIFF" if mode == "CMYK" else "PNG"
    column = files(encoded(noise(4, 4, 3), mode, form))
    assert image(column).encode(column)[""].shape == (1, channels, 4, 4)


def test_sixteen_bits_become_eight():
    deep = np.array([[0, 65535], [32896, 257]], np.uint16)
    column = files(encoded(deep))
    assert image(column).encode(column)[""].flatten().tolist() == [0, 255, 128, 1]


def test_a_picture_lies_upright():
    buffer = io.BytesIO()
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    Pillow.fromarray(noise(4, 9)).save(buffer, "JPEG", exif=exif)
    column = files(buffer.getvalue())
    assert image(column).encode(column)["size"].tolist() == [[9, 4]]


def test_a_damaged_picture_is_named(tmp_path):
    place = tmp_path / "broken.png"
    place.write_bytes(encoded(noise(8, 8))[:40])
    with pytest.raises(
        SourceError, match=r"1 of 1 pictures cannot be read, the first is .*broken\.png: it is no picture"
    ):
        image(pa.chunked_array([[str(place)]]))
    with pytest.raises(SourceError, match=r"absent\.png: there is no such picture"):
        image(pa.chunked_array([[str(tmp_path / "absent.png")]]))


def test_a_picture_that_no_sample_met_is_counted_when_all_are_encoded():
    sound, cut_short = encoded(noise(4, 4)), encoded(noise(40, 40))[:-40]
    found = image(files(sound))
    with pytest.raises(SourceError, match="2 of 5 pictures cannot be read, the first is a picture held as bytes"):
        found.encode(files(sound, cut_short, None, cut_short, sound))
    with pytest.raises(SourceError, match="2 of 3"):
        Image.check(files(cut_short, sound, cut_short))


def test_a_picture_held_as_bytes_is_called_by_its_path():
    column = pa.chunked_array([pa.array([{"bytes": b"", "path": "set.zip/a/1.png"}], IMAGE_TYPE)])
    with pytest.raises(SourceError, match=r"set\.zip/a/1\.png: it is empty"):
        Image.count(column)


@pytest.mark.parametrize(("mode", "drawn"), [("RGBA", (10, 20, 30)), ("LA", (10,)), ("P", (10, 20, 30))])
def test_what_is_transparent_is_white(mode, drawn):
    picture = Pillow.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((0, 0), (*drawn, 255) if len(drawn) == 3 else (*drawn * 3, 255))
    buffer = io.BytesIO()
    picture = picture.quantize() if mode == "P" else picture.convert(mode)
    picture.save(buffer, "PNG")
    column = files(buffer.getvalue())
    assert image(column).encode(column)[""][0, :, 0].T.tolist() == [list(drawn), [255] * len(drawn)]


def test_a_dark_picture_of_sixteen_bits_stays_dark():
    column = files(encoded(np.array([[257, 0]], np.uint16)))
    assert image(column).encode(column)[""].flatten().tolist() == [1, 0]


def test_a_moving_picture_is_its_first_one():
    buffer = io.BytesIO()
    frames = [Pillow.new("L", (3, 2), shade) for shade in (50, 200)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    column = files(buffer.getvalue())
    assert image(column).encode(column)[""].unique().tolist() == [50]


def test_ink_of_four_colours_is_read_as_colour():
    buffer = io.BytesIO()
    Pillow.new("CMYK", (2, 2), (255, 0, 0, 0)).save(buffer, "TIFF")
    column = files(buffer.getvalue())
    assert image(column).encode(column)[""][0, :, 0, 0].tolist() == [0, 255, 255]


def test_names_of_picture_files_are_claimed_and_found_beside_the_source():
    names = pa.chunked_array([["a.png", "/elsewhere/b.JPG"]])
    assert Image.claim(names, target=False)
    assert Image.locate(names, "/data").to_pylist() == ["/data/a.png", "/elsewhere/b.JPG"]


@pytest.mark.parametrize("cells", [["a.png", "words"], [None, None], ["words"]])
def test_other_words_are_not_claimed(cells):
    assert Image.claim(pa.chunked_array([pa.array(cells, pa.string())]), target=False) is None
