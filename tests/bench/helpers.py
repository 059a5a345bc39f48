"""Small trainings, and a launcher that measures nothing."""

from __future__ import annotations

from typing import Any

from metaloss.bench.cases import CASES
from metaloss.bench.jobs import CHECK, MEMORY, Job
from metaloss.bench.methods import CE, METHODS
from metaloss.bench.trial import Trial, start
from metaloss.types import Batch

INSTALLED = [name for name, method in METHODS.items() if method.installed]
MIB = 2**20


def trial(case: str = "mlp", steps: int = 1) -> Trial:
    return start(CASES[case], steps, batch=6, small=True)


def in_double(found: Trial) -> Trial:
    """The same in double precision: what differences are off by in single depends on rounding at
    the kinks of rectifiers, and so on the processor."""
    found.state.model.double()
    found.state.criterion.double()

    def double(batch: Batch) -> Batch:
        floating = batch.inputs.is_floating_point()
        return batch._replace(inputs=batch.inputs.double()) if floating else batch

    found.window = [double(batch) for batch in found.window]
    found.meta_batch = double(found.meta_batch)
    return found


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
