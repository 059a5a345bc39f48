"""Times by turns, and memory."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from metaloss.bench.meters import WARM_UP, interleaved_times
from metaloss.bench.trial import Iteration
from tests.helpers.exhaustive import mostly_exhaustive


def test_iterations_take_turns_and_the_first_rounds_do_not_count() -> None:
    order: list[str] = []
    iterations = {
        name: Iteration(lambda name=name: order.append(name), lambda: order.append("before"))
        for name in ("plain", "meta")
    }
    found = interleaved_times(iterations, repeats=3, device="cpu")
    assert order == ["before", "plain", "before", "meta"] * (WARM_UP + 3)
    assert {name: len(times) for name, times in found.items()} == {"plain": 3, "meta": 3}
    assert all(t >= 0 for times in found.values() for t in times)


MEASURE = """
import torch
from metaloss.bench.meters import ITERATIONS, memory, peak_resident
from metaloss.machine import keep_freed_memory

{before}
size = 100 * 2**20
calls = []

def make():
    def iteration():
        calls.append("measured")
        torch.ones(size, dtype=torch.uint8)
    return iteration

found = memory(lambda: lambda: calls.append("small"), make, "cpu")
assert calls == ["small"] + ["measured"] * ITERATIONS
assert peak_resident() >= found.peak
print((found.peak - found.before) / size)
"""

# Blocks below the size from which the allocator maps each on its own, so that they are kept.
KEPT = """
keep_freed_memory()
blocks = [torch.ones(2**24, dtype=torch.uint8) for _ in range(20)]
del blocks
"""


def test_steps_before_an_iteration_are_not_timed() -> None:
    iteration = Iteration(lambda: None, lambda: time.sleep(0.02))
    assert max(interleaved_times({"meta": iteration}, 2, "cpu")["meta"]) < 0.02


@pytest.mark.parametrize(
    "before",
    mostly_exhaustive({"fresh": "", "with freed memory kept": KEPT}, "with freed memory kept"),
)
def test_memory_sees_what_an_iteration_has_in_use(before: str) -> None:
    """Measured in a process that does nothing else, which is what the measure is for."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(before=before)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.9
