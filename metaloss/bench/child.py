"""Jobs in processes of their own: ``python -m metaloss.bench.child``, JSON in and JSON out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import asdict
from typing import Any

import torch

from metaloss.bench.check import FAILED, error_line
from metaloss.bench.jobs import MEMORY, TIME, Job, perform
from metaloss.machine import keep_freed_memory


def in_child(job: Job) -> dict[str, Any]:
    """Perform a job in a new process.

    Returns:
        The result of :func:`~metaloss.bench.jobs.perform`, or under ``"failed"`` one line that says
        why there is none.
    """
    environment = dict(os.environ)
    if job.task == MEMORY:
        # Map large tensors one by one, so that the peak does not count what glibc keeps for reuse.
        environment["MALLOC_MMAP_THRESHOLD_"] = "200000"
    done = subprocess.run(
        [sys.executable, "-m", "metaloss.bench.child"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return {FAILED: f"the process was ended by {name} (out of memory?)"}
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return {FAILED: lines[-1]}


def main() -> None:
    """Read a job from standard input, perform it and write the result to standard output."""
    given = json.load(sys.stdin)
    job = Job(**{**given, "methods": tuple(given["methods"])})
    warnings.simplefilter("ignore")
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    if job.task == TIME:  # for memory, glibc has to return what is freed
        keep_freed_memory()
    with contextlib.redirect_stdout(sys.stderr):  # a peer may print
        try:
            found = perform(job)
        except Exception as problem:
            found = {FAILED: error_line(problem)}
    print(json.dumps(found))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
