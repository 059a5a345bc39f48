"""Runs a function in several processes, joined by torch's gloo backend, and returns its results."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        started = [
            subprocess.Popen(
                [*command, str(rank)],
                cwd=ROOT,
                env=env,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(number)
        ]
        said = [process.communicate(timeout=240)[1] for process in started]
        for process, text in zip(started, said, strict=True):
            assert process.returncode == 0, text
        return [torch.load(f"{place}/result-{rank}") for rank in range(number)]


def script(module: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a module as a script, which starts its other processes itself."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _main() -> None:
    import importlib

    place, number, rank = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    module, name, args = torch.load(f"{place}/call")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=number
    )
    result = getattr(importlib.import_module(module), name)(*args)
    torch.save(result, f"{place}/result-{rank}")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    _main()
