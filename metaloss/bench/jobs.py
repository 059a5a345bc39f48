"""The single measurements, each for a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from metaloss.bench.cases import CASES
from metaloss.bench.check import relative_errors
from metaloss.bench.meters import interleaved_times, memory
from metaloss.bench.methods import CE, METHODS, REFERENCE, maker
from metaloss.bench.trial import Trial, start

TIME, MEMORY, CHECK = "time", "memory", "check"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement.

    Attributes:
        task: ``"time"``, a method and a cross-entropy step by turns; ``"memory"``, a method alone;
            ``"check"``, the hypergradients of all methods.
        case: the network.
        steps: K.
        methods: which; one unless they are checked.
        batch: samples in a batch.
        repeats: rounds to time.
        device: where.
        threads: torch's; its own choice if ``None``.
        channels_last: lay images out with the channels last.
        small: take the case's small network.
    """

    task: str
    case: str
    steps: int
    methods: tuple[str, ...]
    batch: int
    repeats: int
    device: str
    threads: int | None
    channels_last: bool
    small: bool

    def __str__(self) -> str:
        """For the one who waits."""
        what = "all" if self.task == CHECK else self.methods[0]
        return f"{self.case}, K = {self.steps}, {what}: {self.task}"

    def trial(self) -> Trial:
        """A training to measure with."""
        return start(
            CASES[self.case],
            self.steps,
            self.batch,
            small=self.small,
            device=self.device,
            channels_last=self.channels_last,
        )


def perform(job: Job) -> dict[str, Any]:
    """What a job finds: seconds by name, bytes at most in use and before, or errors by name."""
    if job.task == CHECK:
        return relative_errors(
            job.trial(), {name: METHODS[name].make for name in (REFERENCE, *job.methods)}
        )
    (name,) = job.methods
    if job.task == MEMORY:
        small = replace(job, small=True, batch=2)
        make = maker(name)
        found = memory(lambda: make(small.trial()), lambda: make(job.trial()), job.device)
        return found._asdict()
    # Two trainings, so that neither finds the other's weights in the cache.
    iterations = {each: maker(each)(job.trial()) for each in (CE, name)}
    return interleaved_times(iterations, job.repeats, job.device)
