"""All measurements, one process after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from metaloss.bench.check import FAILED
from metaloss.bench.child import in_child
from metaloss.bench.jobs import CHECK, MEMORY, TIME, Job
from metaloss.bench.methods import CE, METHODS, PLAIN
from metaloss.bench.results import Results, Row, completed
from metaloss.bench.settings import Settings
from metaloss.machine import environment, threads

PACKAGES = ("metaloss", "torch", "torchopt", "higher", "learn2learn", "betty-ml")
Launch = Callable[[Job], dict[str, Any]]


def measure(
    settings: Settings, say: Callable[[str], None] = lambda _: None, launch: Launch = in_child
) -> Results:
    """Measure time and memory of every method for every network, and check its hypergradient.

    A method that is not installed or fails has a row that says so; the others are still measured.

    Args:
        settings: what to measure, and how.
        say: called with a line before each process starts.
        launch: performs a job.

    Example:
        >>> from metaloss.bench import Settings, measure
        >>> from metaloss.bench.jobs import perform  # in this process: quicker, and less accurate
        >>> settings = Settings.given(cases=["mlp"], methods=["mixed"], steps=[1], quick=True)
        >>> [row.method for row in measure(settings, launch=perform).rows]
        ['CE step', 'plain, adjusted', 'mixed']
    """
    measuring = _Measuring(settings, say, launch)
    rows = [row for case in settings.cases for row in measuring.case(case)]
    with threads(settings.threads):
        found = environment(settings.device, PACKAGES)
    return Results(**found, settings=asdict(settings), rows=rows)


@dataclass
class _Measuring:
    settings: Settings
    say: Callable[[str], None]
    launch: Launch
    done: int = 0

    def case(self, case: str) -> Iterator[Row]:
        """Measure one network."""
        ce_peak = self.do(MEMORY, case, 1, CE)
        plain = replace(self.measured(case, 1, PLAIN, ce_peak), steps=0)
        ce = Row(case=case, steps=0, method=CE, ratio=1.0)
        if plain.ce_times_ms:
            seconds = [t / 1e3 for t in plain.ce_times_ms]
            ce = ce.timed(seconds, seconds)
        ce = ce.noted(ce_peak[FAILED]) if FAILED in ce_peak else ce.weighed(ce_peak, ce_peak)
        baselines = [ce, plain]
        yield from baselines
        for steps in self.settings.steps:
            yield from self.methods(case, steps, ce_peak, baselines)

    def methods(
        self, case: str, steps: int, ce_peak: dict[str, Any], baselines: list[Row]
    ) -> list[Row]:
        """Measure the methods at one K."""
        installed = [name for name in self.settings.methods if METHODS[name].installed]
        checks = self.do(CHECK, case, steps, *installed) if installed else {}
        rows = []
        for name in self.settings.methods:
            if name not in installed:
                row = Row(case=case, steps=steps, method=name)
                rows.append(row.noted("not installed"))
                continue
            row = self.measured(case, steps, name, ce_peak)
            row = row.checked(checks if FAILED in checks else checks[name])
            if "differs" in row.hypergradient:
                row = row.noted(METHODS[name].note)
            rows.append(row)
        return completed(baselines + rows)[len(baselines) :]

    def measured(self, case: str, steps: int, name: str, ce_peak: dict[str, Any]) -> Row:
        """Measure time and memory of one method or baseline."""
        row = Row(case=case, steps=steps, method=name)
        times = self.do(TIME, case, steps, name)
        if FAILED in times:
            return row.noted(times[FAILED])  # it would fail again
        row = row.timed(times[name], times[CE])
        peak = self.do(MEMORY, case, steps, name)
        if FAILED in peak:
            return row.noted(peak[FAILED])
        if FAILED not in ce_peak:
            row = row.weighed(peak, ce_peak)
        return row

    def do(self, task: str, case: str, steps: int, *methods: str) -> dict[str, Any]:
        """Perform one job."""
        job = Job(
            task=task,
            case=case,
            steps=steps,
            methods=methods,
            batch=self.settings.batch,
            repeats=self.settings.repeats,
            device=self.settings.device,
            threads=self.settings.threads,
            channels_last=self.settings.channels_last,
            small=self.settings.quick,
        )
        self.done += 1
        self.say(f"[{self.done}/{self.total()}] {job}")
        return self.launch(job)

    def total(self) -> int:
        """Return the number of jobs if none fails."""
        installed = sum(METHODS[name].installed for name in self.settings.methods)
        each_k = 2 * installed + (installed > 0)
        baselines = 3  # the cross-entropy step is timed along with every method
        return len(self.settings.cases) * (baselines + each_k * len(self.settings.steps))
