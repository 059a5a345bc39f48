"""Small trainings, and a launcher that measures nothing."""

from __future__ import annotations

from typing import Any

from metaloss.bench.cases import CASES
from metaloss.bench.jobs import CHECK, MEMORY, Job
from metaloss.bench.methods import CE, METHODS
from metaloss.bench.trial import Trial, start

INSTALLED = [name for name, method in METHODS.items() if method.installed]
MIB = 2**20


def trial(case: str = "mlp", steps: int = 1, batch: int = 6) -> Trial:
    return start(CASES[case], steps, batch=batch, small=True)


def enough(name: str) -> int:
    """Samples to judge a method by: of six, one at a rectifier's kink takes differences far off,
    and whether one is there depends on a processor's rounding."""
    return 100 if name == "difference" else 6


def pretended(job: Job) -> dict[str, Any]:
    """Made-up findings: a CE step takes 2 s and 100 MiB, a method as many of them as its name has
    letters, and as many MiB more; its errors are small."""
    if job.task == CHECK:
        return {name: {"fresh": 1e-7, "live": 2e-7} for name in job.methods}
    (name,) = job.methods
    extra = 0 if name == CE else len(name)
    if job.task == MEMORY:
        # What is imported is more for ours, and not counted.
        before = 50 * MIB + (0 if name == CE else 7 * MIB)
        return {"before": before, "peak": before + (100 + extra) * MIB}
    return {CE: [2.0, 1.0, 40.0], name: [2.0 * len(name), 1.0, 400.0]}
