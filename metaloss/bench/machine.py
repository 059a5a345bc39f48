"""Where measurements were taken, and with what."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("metaloss", "torch", "torchopt", "higher", "learn2learn", "betty-ml")


def machine(device: str, threads: int | None) -> dict[str, Any]:
    """Processor, device, threads and the versions of what is installed.

    Args:
        device: that is measured.
        threads: that torch is told to use; its own choice if ``None``.
    """
    on_cuda = torch.device(device).type == "cuda"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads or torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if on_cuda else device,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
