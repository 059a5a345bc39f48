"""Times by turns, and memory."""

from __future__ import annotations

import torch

from metaloss.bench.meters import ITERATIONS, WARM_UP, interleaved_times, memory, peak_resident


def test_iterations_take_turns_and_the_first_rounds_do_not_count() -> None:
    order: list[str] = []
    iterations = {name: lambda name=name: order.append(name) for name in ("plain", "meta")}
    found = interleaved_times(iterations, repeats=3, device="cpu")
    assert order == ["plain", "meta"] * (WARM_UP + 3)
    assert {name: len(times) for name, times in found.items()} == {"plain": 3, "meta": 3}
    assert all(t >= 0 for times in found.values() for t in times)


def test_memory_sees_what_an_iteration_has_in_use() -> None:
    size = 200 * 2**20
    calls: list[str] = []

    def make() -> object:
        def iteration() -> None:
            calls.append("measured")
            torch.ones(size, dtype=torch.uint8)

        return iteration

    found = memory(lambda: lambda: calls.append("small"), make, "cpu")
    assert calls == ["small"] + ["measured"] * ITERATIONS
    assert found.peak - found.before > 0.9 * size
    assert peak_resident() >= found.peak
