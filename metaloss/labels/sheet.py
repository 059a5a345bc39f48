"""A contact sheet of the most doubtful images."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from metaloss.checks import InputError
from metaloss.diagnostics.figures.drawing import rendered
from metaloss.tasks.pixels import as_shown
from metaloss.training.streams import in_order
from metaloss.types import Loader

COLUMNS = 8
_SIDE = 160  # pixels of an image of a file, at most
_LETTERS = 18  # of a class's name
_BELOW = 0.25  # inches below the last row


class Picture(NamedTuple):
    """An image with its labels.

    Attributes:
        image: ``[height, width]`` or ``[height, width, 3]``, as matplotlib shows it.
        given: the name of the given label.
        suggested: the name of the suggested label.
    """

    image: NDArray[Any]
    given: str
    suggested: str


def contact_sheet(pictures: Sequence[Picture]) -> bytes:
    """Draw images in rows, with their lines of ``labels.csv`` and their labels; return a PNG.

    Args:
        pictures: the images, the most doubtful first; at least one.
    """
    rows = -(-len(pictures) // COLUMNS)
    height = 2.05 * rows + _BELOW
    figure = Figure(figsize=(1.5 * COLUMNS, height))
    # The labels of the last row are outside the axes, for which the layout makes no room.
    figure.set_layout_engine("constrained", rect=(0, _BELOW / height, 1, 1 - _BELOW / height))
    axes = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for line, (axis, (image, given, suggested)) in enumerate(
        zip(axes, pictures, strict=False), start=2
    ):
        axis.imshow(image, cmap="gray")
        axis.set_title(f"line {line}", fontsize=7, color="#777777", pad=2)
        below = {"transform": axis.transAxes, "ha": "center", "va": "top", "fontsize": 7}
        axis.text(0.5, -0.04, f"given: {_short(given)}", color="#c8553d", **below)
        axis.text(0.5, -0.18, f"suggested: {_short(suggested)}", color="#2f6f9f", **below)
    return rendered(figure, dpi=110, format="png")


def images_of(
    loader: Loader, positions: Sequence[int], paths: Sequence[str] | None = None
) -> list[NDArray[Any]] | None:
    """Return some of a loader's images as they can be shown.

    Args:
        loader: the training samples.
        positions: which ones, as a batch's ``index`` counts them.
        paths: the files of these samples, which are then read; by default the network's inputs
            are shown, each stretched to the range from black to white.

    Returns:
        The images, in the order of ``positions``; ``None`` if the samples are no images.

    Raises:
        InputError: a file cannot be read.
    """
    if paths is not None:
        return [_of_file(path) for path in paths]
    wanted, found, count = set(positions), {}, 0
    for batch in in_order(loader).epoch(0):
        inputs = batch.inputs
        if not (isinstance(inputs, Tensor) and inputs.ndim == 4 and inputs.shape[1] in {1, 3}):
            return None
        own = range(count, count + len(inputs)) if batch.index is None else batch.index.tolist()
        count += len(inputs)
        for row, position in enumerate(own):
            if position in wanted:
                found[position] = _stretched(inputs[row])
    return [found[position] for position in positions]


def _stretched(image: Tensor) -> NDArray[Any]:
    pixels = image.detach().cpu().double()
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / torch.where(high > low, high - low, 1.0)
    return (pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)).numpy()


def _of_file(path: str) -> NDArray[Any]:
    try:
        with Image.open(path) as image:
            small = as_shown(image, channels=3)  # as it is trained on
            small.thumbnail((_SIDE, _SIDE))
            return np.asarray(small)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: expected an image, got {error}") from None


def _short(name: str) -> str:
    words = " ".join(name.split())
    short = words if len(words) <= _LETTERS else textwrap.shorten(words, _LETTERS, placeholder="…")
    # A single long word is cut; a pair of dollars would be taken for mathematics.
    return (short if short != "…" else f"{words[: _LETTERS - 1]}…").replace("$", r"\$")
