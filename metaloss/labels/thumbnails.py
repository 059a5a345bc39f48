"""Small pictures of samples, as parts of a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
"""The longer side of a picture in pixels; that of a small image is a multiple of its own."""

_FEW = 48  # pixels of a side, up to which each is to be seen


def data_uri(image: NDArray[Any]) -> str:
    """Return an image as a data URI of a few kilobytes.

    Args:
        image: ``[height, width]`` or ``[height, width, 3]``, uint8, or numbers from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from metaloss.labels.thumbnails import data_uri
        >>> data_uri(np.zeros((8, 8)))[:22]
        'data:image/png;base64,'
    """
    pixels = image if image.dtype == np.uint8 else (255 * image).round().astype(np.uint8)
    picture = Image.fromarray(pixels)
    longer = max(picture.size)
    if longer <= _FEW:
        factor = -(-SIDE // longer)
        width, height = picture.size
        picture = picture.resize((factor * width, factor * height), Image.Resampling.NEAREST)
        kind: dict[str, Any] = {"format": "PNG", "optimize": True}
    else:
        picture.thumbnail((SIDE, SIDE))
        kind = {"format": "JPEG", "quality": 85}
    held = io.BytesIO()
    picture.save(held, **kind)
    return (
        f"data:image/{kind['format'].lower()};base64,{base64.b64encode(held.getvalue()).decode()}"
    )
