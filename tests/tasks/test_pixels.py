"""Images of every depth, orientation and transparency, read as a viewer shows them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from metaloss.checks import InputError
from metaloss.tasks import image_folder
from metaloss.tasks.decoding import open_image

RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
BY_RANGE = np.round(RAMP / 65535 * 255)


def tiff(path, values: np.ndarray, bits: int, photometric: int) -> None:
    """Write a little-endian TIFF of one strip, according to the specification."""
    data = values.tobytes()
    height, width = values.shape
    tags = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: height,
        279: len(data),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)


def read(path, channels: int = 1) -> np.ndarray:
    return np.asarray(open_image(path, channels)).astype(int)


@pytest.mark.parametrize(("name", "channels"), [("ramp.png", 1), ("ramp.tif", 3), ("ramp.pgm", 1)])
def test_16_bits_are_scaled_by_their_range(tmp_path, name, channels) -> None:
    if name.endswith(".pgm"):
        header = b"P5 8 8 65535\n"
        (tmp_path / name).write_bytes(header + RAMP.astype(">u2").tobytes())
    else:
        Image.fromarray(RAMP).save(tmp_path / name)
    pixels = read(tmp_path / name, channels)
    assert (pixels.reshape(8, 8, -1) == BY_RANGE[:, :, None]).all()


def test_16_bits_of_the_other_byte_order_and_with_white_as_zero(tmp_path) -> None:
    path = tmp_path / "ramp.tif"
    Image.fromarray(RAMP.astype(">u2")).save(path)
    assert (read(path) == BY_RANGE).all()
    tiff(path, RAMP, 16, photometric=0)
    assert (read(path) == 255 - BY_RANGE).all()


def test_12_bits_are_scaled_by_theirs(tmp_path) -> None:
    # Two pixels in three bytes: 0xfff, and 0x800.
    path = tmp_path / "deep.tif"
    tiff(path, np.tile(np.array([0xFF, 0xF8, 0x00], dtype=np.uint8), (1, 1)), 12, photometric=1)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<HHII", 256, 4, 1, 3)) + 8] = 2  # pixels wide
    path.write_bytes(content)
    assert read(path).tolist() == [[255, 128]]


def test_the_transparent_value_of_16_bit_images_becomes_white(tmp_path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "key.png", transparency=int(RAMP[0, 3]))
    expected = BY_RANGE.copy()
    expected[0, 3] = 255
    assert (read(tmp_path / "key.png") == expected).all()


@pytest.mark.parametrize(
    ("mode", "words"),
    [("F", r"floating-point ones \(mode F\)"), ("I", r"32-bit ones \(mode I\)")],
)
def test_pixels_of_unknown_range_are_refused(tmp_path, mode, words) -> None:
    for part in ("cat", "dog"):
        (tmp_path / "train" / part).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "train" / part / "0.png")
    Image.new(mode, (4, 4)).save(tmp_path / "train" / "dog" / "1.tif")
    with pytest.raises(
        InputError, match=rf"dog/1\.tif: expected pixels of 8 or 16 bits, got {words}"
    ):
        image_folder(tmp_path, test=None)


COLOUR = (200, 40, 90)
ON_WHITE = [round(c * 0.4 + 255 * 0.6) for c in COLOUR]


def transparent(mode: str) -> Image.Image:
    """Return an image of two pixels, one opaque and one with 40% opacity."""
    image = Image.new("RGBA", (2, 1), (*COLOUR, 255))
    image.putpixel((1, 0), (*COLOUR, 102))
    return image.convert(mode)


@pytest.mark.parametrize(("mode", "name"), [("RGBA", "a.png"), ("LA", "a.png"), ("RGBA", "a.webp")])
def test_transparency_is_composited_on_white(tmp_path, mode, name) -> None:
    image = transparent(mode)
    image.save(tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {}))
    opaque, faint = read(tmp_path / name, 3)[0].tolist()
    expected = image.convert("RGB").getpixel((0, 0))
    assert opaque == list(expected)
    assert np.abs(np.array(faint) - [c * 0.4 + 255 * 0.6 for c in expected]).max() <= 1


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_becomes_white(tmp_path, mode) -> None:
    image = Image.new(mode, (2, 1), 0)
    if mode == "P":
        image.putpalette([0, 0, 0, 9, 8, 7])
        image.putpixel((1, 0), 1)
    else:
        image.putpixel((1, 0), {"RGB": (9, 8, 7), "L": 8, "1": 255}[mode])
    key = (0, 0, 0) if mode == "RGB" else 0
    image.save(tmp_path / "key.png", transparency=key)
    first, second = read(tmp_path / "key.png", 3)[0].tolist()
    assert first == [255, 255, 255]
    assert second == {"P": [9, 8, 7], "RGB": [9, 8, 7], "L": [8] * 3, "1": [255] * 3}[mode]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (read(tmp_path / "turned.png") == expected).all()
    assert (expected.shape == (3, 2)) == (orientation >= 5)
    assert (orientation == 1) == np.array_equal(expected, pixels)


def test_a_damaged_exif_block_is_ignored(tmp_path) -> None:
    Image.new("RGB", (4, 4), COLOUR).save(tmp_path / "odd.png", exif=b"Exif\0\0II*\0\xff\xff\xff")
    assert read(tmp_path / "odd.png", 3)[0, 0].tolist() == list(COLOUR)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("RGB", 3), ("RGB", 1), ("L", 3), ("L", 1), ("P", 3), ("1", 1), ("CMYK", 3), ("YCbCr", 1)],
)
def test_other_8_bit_images_keep_their_pixels(tmp_path, mode, channels) -> None:
    draw = np.random.default_rng(0)
    path = tmp_path / "plain.tif"
    image = Image.fromarray(draw.integers(0, 256, (5, 6, 3), dtype=np.uint8)).convert(mode)
    image.save(path)
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert({1: "L", 3: "RGB"}[channels]))
    assert (read(path, channels) == expected).all()
