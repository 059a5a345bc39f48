"""The import of torchvision, mended where its compiled operators do not load."""

from __future__ import annotations

import functools
import importlib
import re
from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """Import torchvision, also beside a torch that its compiled operators were not built for.

    The torchvision of the package index is built for CUDA; beside a CPU-only torch its compiled
    library does not load, and then its import fails with ``operator torchvision::nms does not
    exist``. Only then are the missing operators declared, and the import is tried again.
    Transforms, data sets and classifiers work after it, the compiled operators themselves do not.

    Returns:
        The module; ``torchvision.datasets``, ``.models`` and ``.transforms`` are loaded.

    Raises:
        ImportError: torchvision is not installed.

    Example:
        >>> from metaloss.shim import import_torchvision
        >>> import_torchvision().transforms.CenterCrop(4)
        CenterCrop(size=(4, 4))

    References:
        https://github.com/pytorch/vision/issues/9077 and 9085.
    """
    try:
        return _load()
    except RuntimeError as error:
        if not re.search(r"operator torchvision::\w+ does not exist", str(error)):
            raise
    _declare_missing_operators()
    return _load()


def _load() -> ModuleType:
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ImportError(
            "torchvision: expected the package beside torch, found none; "
            "install the release made for this torch (pip install torchvision)"
        ) from error


@functools.cache  # an operator can be declared once
def _declare_missing_operators() -> None:
    # The two that torchvision registers kernels for whether or not its library was loaded.
    for name in ("nms", "qnms"):
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", schema)
