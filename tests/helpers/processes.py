"""Runs a function in several processes, joined by torch's gloo backend, and returns its results."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist

ROOT = Path(__file__).resolve().parents[2]


def in_processes(number: int, function: Callable[..., Any], *args: object) -> list[Any]:
    """Call a function of a module in each of several processes; return the results by rank.

    Args:
        number: of processes.
        function: defined at the top of a module; it returns tensors and plain values.
        args: plain values.
    """
    with tempfile.TemporaryDirectory() as place:
        torch.save((function.__module__, function.__name__, args), f"{place}/call")
        command = [sys.executable, "-m", "tests.helpers.processes", place, str(number)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return [torch.load(f"{place}/result-{rank}") for rank in range(number)]


def script(module: str, *words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a module as a script, which starts its other processes itself."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _main() -> None:
    import importlib

    place, number = sys.argv[1], int(sys.argv[2])
    module, name, args = torch.load(f"{place}/call")
    function = getattr(importlib.import_module(module), name)
    torch.set_num_threads(1)
    # The processes are forked from one that has imported everything: imports take seconds.
    children = [os.fork() or _rank(place, number, rank, function, args) for rank in range(number)]
    ended = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(ended))


def _rank(
    place: str, number: int, rank: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> NoReturn:
    """Call the function as one of the processes, and end."""
    try:
        _called(place, number, rank, function, args)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _called(
    place: str, number: int, rank: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=number
    )
    torch.save(function(*args), f"{place}/result-{rank}")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    _main()
