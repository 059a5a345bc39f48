"""Run the jobs of a sweep with Ray: several at once, on this machine or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metaloss.checks import InputError, check_at_least, require
from metaloss.sweeps.jobs import Job
from metaloss.sweeps.local import attempt
from metaloss.sweeps.sweep import Outcome

LOCAL = "local"


def _quiet(_: object) -> None:
    pass


EVERY = 2.0  # seconds between two looks at the runs


@dataclass(frozen=True, kw_only=True)
class OnRay:
    """Runs jobs in the workers of `Ray <https://docs.ray.io>`_, as many at once as fit.

    The folder of the sweep and the data have to be at the same place on every machine. A run whose
    worker dies is started again, and goes on from its checkpoint.

    Args:
        address: the address of a cluster, ``"auto"`` for the one that this machine belongs to, or
            ``"local"`` to use this machine alone.
        cpus: CPU cores for each run.
        gpus: GPUs for each run; 0.25 puts four runs on one.
        retries: how often a run is started again whose worker died.
        tell: called with a line when a run ends.
        watch: called every two seconds with the jobs that have not ended.

    Raises:
        InputError: a number is out of range, Ray is not installed, there is no such cluster, or a
            run asks for more than any machine has.
    """

    address: str = LOCAL
    cpus: float = 1
    gpus: float = 0
    retries: int = 2
    tell: Callable[[str], None] = _quiet
    watch: Callable[[Sequence[Job]], None] = _quiet

    def __post_init__(self) -> None:
        """Check the numbers."""
        require(self.cpus > 0, f"cpus: expected a number above 0, got {self.cpus!r}")
        require(self.gpus >= 0, f"gpus: expected a number of at least 0, got {self.gpus!r}")
        check_at_least("retries", self.retries, 0)

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run the jobs; yield outcomes in the order in which runs end.

        A run that another process is making comes last, and is waited for.
        """
        if not jobs:
            return
        ray = _ray()
        ours, done = not ray.is_initialized(), 0
        if ours:
            self._begin(ray)
        try:
            self._check_resources(ray)
            start = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.retries)
            started = {start(attempt).remote(job): job for job in jobs}
            elsewhere: dict[str, Job] = {}
            while started or elsewhere:
                if not started:
                    time.sleep(EVERY)
                    started = {start(attempt).remote(job): job for job in elsewhere.values()}
                self.watch(list(started.values()))
                for ref in ray.wait(list(started), timeout=EVERY)[0]:
                    outcome = self._outcome(ray, ref, started.pop(ref))
                    name = outcome.job.name
                    if outcome.in_use:
                        if name not in elsewhere:
                            self.tell(f"{name}: another process makes this run")
                        elsewhere[name] = outcome.job
                        continue
                    elsewhere.pop(name, None)
                    said = f"failed: {outcome.error}" if outcome.error else "finished"
                    done += 1
                    self.tell(f"[{done}/{len(jobs)}] {name}: {said}")
                    yield outcome
            self.watch([])  # the last picture shows that all have ended
        finally:
            if ours:
                ray.shutdown()

    def _begin(self, ray: Any) -> None:
        local = {"include_dashboard": False} if self.address == LOCAL else {}
        try:
            ray.init(self.address, **local, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError) as error:
            raise InputError(f"ray: expected a cluster at {self.address}, got {error}") from None

    def _check_resources(self, ray: Any) -> None:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for name, wanted in (("CPU", self.cpus), ("GPU", self.gpus)):
            most = max(machine.get(name, 0) for machine in machines)
            require(
                wanted <= most,
                f"{name.lower()}s: expected at most the {most:g} that one machine has, "
                f"got {wanted:g}",
            )

    @staticmethod
    def _outcome(ray: Any, ref: Any, job: Job) -> Outcome:
        try:
            found: Outcome = ray.get(ref)
        except ray.exceptions.RayError as error:  # its worker died, and so did those after it
            first = str(error).strip().splitlines()[0]
            return Outcome(job, f"{type(error).__name__}: {first}", str(error))
        return found


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError(
            "ray: expected the package Ray, which runs several at once, got none: "
            "pip install 'metaloss[ray]'"
        ) from None
    return ray
