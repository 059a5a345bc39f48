"""The device, the threads and the versions of a run."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from metaloss.checks import InputError


def chosen_device(name: str | None) -> torch.device:
    """Return the device of this name; by default a GPU if there is one.

    Raises:
        InputError: torch has no such device here.
    """
    chosen = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(chosen)
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise InputError(
            f"device: expected one that torch has here, got {chosen!r}: {why}"
        ) from None
    return device


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Set torch's number of CPU threads for a while; ``None`` leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Flush subnormal numbers to zero in this CPU thread for a while.

    A loss that suppresses a sample gives it subnormal gradients, and arithmetic with subnormal
    numbers takes several times as long.
    """
    already = torch.tensor(1e-39).mul(1.0).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(already)


def environment(
    device: str | None = None, packages: Iterable[str] = ("metaloss", "torch", "torchopt")
) -> dict[str, Any]:
    """Describe the machine and the versions of those packages that are installed."""
    used = chosen_device(device)
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(used) if used.type == "cuda" else str(used),
            "system": platform.platform(),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: found for name in packages if (found := _version(name))},
        },
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


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep freed memory until the process ends.

    By default glibc returns large blocks to the system as soon as they are freed. A training step
    frees its activations and allocates as much again in the next step; on a CPU, mapping the pages
    anew can take a third of a meta step.

    Returns:
        Whether the allocator accepted; ``False`` if the C library is not glibc.

    Example:
        >>> from metaloss.machine import keep_freed_memory
        >>> keep_freed_memory() in {True, False}
        True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    told = [
        mallopt(mmap_threshold, 32 * 2**20),
        mallopt(trim_threshold, 2**31 - 1),
        mallopt(top_pad, 64 * 2**20),
    ]
    return all(told)
