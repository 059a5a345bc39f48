"""Makes torchvision importable where its compiled operators do not load.

The torchvision of the package index is built for CUDA. With a CPU-only torch its compiled library
does not load, and its import fails with ``operator torchvision::nms does not exist``. ``import
metaloss`` calls :func:`install`. From then on the import works for everybody: the user, timm,
Lightning, or a process that reads images. Transforms, data sets and classifiers can be used; the
compiled operators cannot.

References:
    https://github.com/pytorch/vision/issues/9077 and 9085.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_Execute = Callable[[ModuleType], None]


class _Finder(MetaPathFinder):
    """Finds torchvision as the other finders do, and runs its code by :func:`_execute`."""

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    # Keep the loader: it is asked for sources and data files.
                    execute = functools.partial(_execute, spec.loader.exec_module)
                    spec.loader.exec_module = execute
                return spec
        return None


def install() -> None:
    """Make later imports of torchvision work in this process; imports nothing itself.

    They also work after an import that has failed. Another call changes nothing.

    Example:
        >>> from metaloss.shim import install
        >>> install()
        >>> import torchvision
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def import_torchvision() -> ModuleType:
    """Import torchvision, or say what to install.

    Returns:
        The module; ``torchvision.datasets``, ``.models`` and ``.transforms`` are loaded.

    Raises:
        ImportError: torchvision is not installed.

    Example:
        >>> from metaloss.shim import import_torchvision
        >>> import_torchvision().transforms.CenterCrop(4)
        CenterCrop(size=(4, 4))
    """
    install()
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ImportError(
            "torchvision: expected the package beside torch, found none; "
            "install the release made for this torch (pip install torchvision)"
        ) from error


def _execute(original: _Execute, module: ModuleType) -> None:
    """Run the package's code; if operators are missing, declare them and run it again."""
    try:
        return original(module)
    except RuntimeError as error:
        if not re.search(r"operator torchvision::\w+ does not exist", str(error)):
            raise
    _declare_missing_operators()
    return original(module)


@functools.cache  # an operator can be declared only once
def _declare_missing_operators() -> None:
    import torch

    # torchvision registers kernels for these two even if its library was not loaded.
    for name in ("nms", "qnms"):
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", schema)
