"""Conversion of images of any depth, orientation and transparency to plain 8-bit images."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from metaloss.checks import InputError

MODES = {1: "L", 3: "RGB"}
_PHOTOMETRIC, _BITS = 262, 258  # TIFF tags
_WIDE = ("I", "F")  # 32 bits a pixel, of unknown range


def as_shown(image: Image.Image, channels: int) -> Image.Image:
    """Return an image as a viewer shows it, with 8 bits a channel.

    The EXIF orientation is applied, transparency is composited on white, and 16-bit pixels are
    scaled by the range of their type. Other 8-bit images keep their pixels.

    Args:
        image: an image that PIL opened; it is modified.
        channels: 3 for colour, 1 for grey.

    Raises:
        InputError: the pixels are floating-point or 32-bit, and so have no known range.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from metaloss.tasks.pixels import as_shown
        >>> deep = Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16))
        >>> np.asarray(as_shown(deep, channels=1)).tolist()
        [[0, 128, 255]]
    """
    image.load()
    _turn(image)
    if image.mode.startswith(_WIDE):
        image = _from_16_bits(image)
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert(MODES[channels])


def _turn(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:
        pass  # A damaged EXIF block may raise anything; like a viewer, use the pixels as they are.


def _from_16_bits(image: Image.Image) -> Image.Image:
    top = _greatest(image)
    values = np.asarray(image).astype(np.int64)
    key = image.info.get("transparency")  # the one pixel value that is transparent
    if isinstance(key, int):
        values[values == key] = top
    if _tag(image, _PHOTOMETRIC) == 0:  # 0 is white; PIL inverts 8-bit images only
        values = top - values
    return Image.fromarray(((values * 255 + top // 2) // top).astype(np.uint8))


def _greatest(image: Image.Image) -> int:
    """Return the greatest value that a pixel of this image can have."""
    if image.mode.startswith("I;16"):
        bits = _tag(image, _BITS)
        return 2 ** (bits if bits is not None else 16) - 1
    # PIL opens 16-bit pixels of some formats as 32-bit ones.
    if image.mode == "I" and image.format in {"PNG", "PPM"}:
        return 2**16 - 1
    kind = "floating-point" if image.mode == "F" else "32-bit"
    raise InputError(
        f"expected pixels of 8 or 16 bits, got {kind} ones (mode {image.mode}), whose range is "
        "unknown; save it with 8 or 16 bits"
    )


def _tag(image: Image.Image, number: int) -> int | None:
    value = getattr(image, "tag_v2", {}).get(number)
    return int(value[0] if isinstance(value, tuple) else value) if value is not None else None
