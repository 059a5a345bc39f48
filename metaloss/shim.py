"""The import of torchvision, mended where its compiled operators do not load.

The torchvision of the package index is built for CUDA. Beside a CPU-only torch its compiled library
does not load, and its import ends in ``operator torchvision::nms does not exist``. ``import
metaloss`` calls :func:`install`; from then on the import works, whoever asks for it: the user,
timm, Lightning, or a process that reads images. Transforms, data sets and classifiers work after
it, the compiled operators themselves do not.

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
    """Finds torchvision where the other finders do, and has its code run by :func:`_execute`."""

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
                    # The loader stays what it is: others ask it for sources and data files.
                    execute = functools.partial(_execute, spec.loader.exec_module)
                    spec.loader.exec_module = execute
                return spec
        return None


def install() -> None:
    """Mend every later import of torchvision in this process; imports nothing itself.

    An import that failed before is no obstacle. Calling it again changes nothing.

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
    """Run the package's code; where it lacks its operators, declare them and run it again."""
    try:
        return original(module)
    except RuntimeError as error:
        if not re.search(r"operator torchvision::\w+ does not exist", str(error)):
            raise
    _declare_missing_operators()
    return original(module)


@functools.cache  # an operator can be declared once
def _declare_missing_operators() -> None:
    import torch

    # The two that torchvision registers kernels for whether or not its library was loaded.
    for name in ("nms", "qnms"):
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", schema)
