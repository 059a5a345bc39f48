"""Time and memory of iterations, in this process."""

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

from metaloss.bench.methods import Iteration

WARM_UP = 2
"""Rounds before the first that counts."""

ITERATIONS = 3
"""How many make the peak: the first has no momentum yet, and each may leave something behind."""


def interleaved_times(
    iterations: Mapping[str, Iteration], repeats: int, device: str
) -> dict[str, list[float]]:
    """Seconds of each, taken by turns: what slows the machine down slows them all.

    Args:
        iterations: by name.
        repeats: rounds that count.
        device: that they run on.
    """
    seconds: dict[str, list[float]] = {name: [] for name in iterations}
    gc.collect()
    for turn in range(WARM_UP + repeats):
        for name, iteration in iterations.items():
            _wait(device)
            began = time.perf_counter()
            iteration()
            _wait(device)
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    return seconds


class Memory(NamedTuple):
    """Of a process, in bytes; on CUDA of torch's allocator.

    Attributes:
        before: in use before the training was made, all that is imported and kept once by then.
        peak: in use at most.
    """

    before: int
    peak: int


def memory(small: Callable[[], Iteration], make: Callable[[], Iteration], device: str) -> Memory:
    """What iterations take: to be asked of a process that does nothing else.

    Args:
        small: makes an iteration of little memory, to import and set up what the first one does.
        make: makes the one to measure.
        device: that they run on.
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
    """Bytes of memory that this process has had at most."""
    # Where there is one, not the resource usage: on Linux that begins with the parent process's.
    peak = _resident("VmHWM")
    if peak is not None:
        return peak
    import resource  # not on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _give_back_freed() -> None:
    """Give the system back what is free, where the C library can.

    What the allocator has kept would serve the iterations, and they would seem to take nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> None:
    """Let the peak begin anew, where the system can: what was set up once may have been larger."""
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
