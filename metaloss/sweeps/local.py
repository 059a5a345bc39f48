"""Run the jobs of a sweep in this process, one after another."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaloss.checks import InputError
from metaloss.experiments.part_observer import PartObserver
from metaloss.experiments.records.folder_lock import FolderInUseError
from metaloss.sweeps.jobs import Job
from metaloss.sweeps.sweep import Outcome
from metaloss.training.observe import Observer, RunInfo
from metaloss.user_errors import one_line

WAIT = 2.0  # seconds between two looks at a run that another process is making


@dataclass(frozen=True)
class Local:
    """Runs jobs in this process, one after another.

    Args:
        observer: the observer to report progress to.
    """

    observer: Observer = field(default_factory=Observer)

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs; an error ends its own run only.

        A run that another process is making comes last, and is waited for.
        """
        elsewhere: list[tuple[Job, _JobObserver]] = []
        said: set[str] = set()
        for number, job in enumerate(jobs, start=1):
            watching = _JobObserver(self.observer, job.name, number, len(jobs))
            outcome = attempt(job, watching)
            if outcome.in_use:
                self.observer.warn(f"{job.name}: another process makes this run")
                elsewhere.append((job, watching))
                continue
            # What many runs have in common is said once. All errors are said again in the end,
            # which comes at once after the last run.
            follows = number < len(jobs) or elsewhere
            if follows and outcome.error not in {"", *said}:
                said.add(outcome.error)
                self.observer.warn(f"{job.name}: {outcome.error}")
            yield outcome
        for job, watching in elsewhere:
            yield when_free(job, watching)


def when_free(job: Job, observer: Observer) -> Outcome:
    """Run a job as soon as no other process is making it, and return its error if there is one."""
    while (outcome := attempt(job, observer)).in_use:
        time.sleep(WAIT)
    return outcome


def attempt(job: Job, observer: Observer | None = None) -> Outcome:
    """Run a job, and return its error if there is one."""
    try:
        job.run(observer)
    except FolderInUseError as error:
        return Outcome(job, str(error), in_use=True)
    except Exception as error:
        said = one_line(str(error)) or type(error).__name__
        known = isinstance(error, InputError | OSError)
        line = said if known else f"{type(error).__name__}: {said}"
        return Outcome(job, line, traceback.format_exc())
    return Outcome(job)


class _JobObserver(PartObserver):
    """Reports the trainings of a job, a part of the sweep, under its name and number."""

    def begin(self, info: RunInfo) -> None:
        preliminary = info.method.partition(", ")[2]
        name = self.part.rpartition(", ")[0] + (f", {preliminary}" if preliminary else "")
        self.observer.begin(info._replace(method=name, number=self.number, runs=self.parts))

    def end(self, record: dict[str, Any]) -> None:
        self.observer.end({**record, "method": self.part.rpartition(", ")[0]})
