"""Single measurements, each made in a process of its own."""

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
        task: ``"time"``, a method and a cross-entropy step in turns; ``"memory"``, one method;
            ``"check"``, the hypergradients of all methods.
        case: the name of the network.
        steps: K.
        methods: names; one, unless the task is ``"check"``.
        batch: samples in a batch.
        repeats: rounds to time.
        device: to run on.
        threads: torch's number of threads; torch's own choice if ``None``.
        channels_last: use the channels-last memory format for images.
        small: use the small network of the case.
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
        """Return a line for the progress display."""
        what = "all" if self.task == CHECK else self.methods[0]
        return f"{self.case}, K = {self.steps}, {what}: {self.task}"

    def trial(self) -> Trial:
        """Return a new training in progress."""
        return start(
            CASES[self.case],
            self.steps,
            self.batch,
            small=self.small,
            device=self.device,
            channels_last=self.channels_last,
        )


def perform(job: Job) -> dict[str, Any]:
    """Perform a job in this process.

    Returns:
        Times in seconds by name; or ``peak`` and ``before`` in bytes; or errors by name.
    """
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
    # Two trainings, so that neither profits from the other's weights in the cache.
    iterations = {each: maker(each)(job.trial()) for each in (CE, name)}
    return interleaved_times(iterations, job.repeats, job.device)
