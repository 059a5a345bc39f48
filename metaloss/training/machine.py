"""What a run finds itself on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch


def chosen_device(name: str | None) -> torch.device:
    """The device of this name; a GPU if there is one, if none is given."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """While it lasts, torch has so many CPU threads; its own choice for ``None``."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment() -> dict[str, Any]:
    """The versions and the machine that figures come from."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("metaloss", "torch", "torchopt")},
        },
        "machine": {
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
