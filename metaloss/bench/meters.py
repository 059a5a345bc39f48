"""Time and memory of iterations in this process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from metaloss.bench.trial import Iteration

WARM_UP = 2
"""Rounds that are not counted."""

ITERATIONS = 3
"""Iterations to take the peak over: there is no momentum in the first, and memory may leak."""


def interleaved_times(
    iterations: Mapping[str, Iteration], repeats: int, device: str
) -> dict[str, list[float]]:
    """Time iterations in turns, so that a slow moment of the machine affects all of them.

    Returns:
        For each name ``repeats`` times in seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in iterations}
    gc.collect()
    for turn in range(WARM_UP + repeats):
        for name, iteration in iterations.items():
            iteration.before()
            _wait(device)
            began = time.perf_counter()
            iteration.timed()
            _wait(device)
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    return seconds


class Memory(NamedTuple):
    """Memory of a process in bytes; on CUDA that of torch's allocator.

    Attributes:
        before: in use before the training was made, when everything is imported.
        peak: the most in use.
    """

    before: int
    peak: int


def memory(small: Callable[[], Iteration], make: Callable[[], Iteration], device: str) -> Memory:
    """Measure the memory of iterations, in a process that does nothing else.

    Args:
        small: makes an iteration that needs little memory; it is run first, so that one-time
            imports and allocations are not counted.
        make: makes the iteration to measure.
        device: they run on it.
    """
    small()()
    gc.collect()
    if torch.device(device).type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        _repeat(make())
        return Memory(before, torch.cuda.max_memory_allocated(device))
    _give_back_freed()
    _forget_peak()
    before = _resident("VmRSS") or 0
    _repeat(make())
    return Memory(before, peak_resident())


def _repeat(iteration: Iteration) -> None:
    for _ in range(ITERATIONS):
        iteration()


def peak_resident() -> int:
    """Return the most resident memory that this process has had, in bytes."""
    # Preferred to the resource usage, which on Linux starts at the parent process's.
    peak = _resident("VmHWM")
    if peak is not None:
        return peak
    import resource  # does not exist on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _give_back_freed() -> None:
    """Return free memory to the system, where the C library can.

    Iterations that reuse memory kept by the allocator would seem to need none.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> None:
    """Reset the peak, where the system can: setting up may have needed more."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident(name: str) -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    found = re.search(rf"{name}:\s+(\d+) kB", status.read_text())
    return None if found is None else int(found.group(1)) * 1024


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
