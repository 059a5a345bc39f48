"""The section with what speaks against the results."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from metaloss.experiments.warnings import cross_entropy
from metaloss.experiments.warnings.skipped_steps import skipped_steps
from metaloss.report.html import bullets, paragraph, section
from metaloss.report.rows import Report
from metaloss.report.sources import Trained


def warnings(report: Report) -> str:
    """Return the section: each warning as a line of plain words."""
    lines = list(dict.fromkeys(_lines(report)))
    return section(
        "warnings",
        "Warnings",
        bullets(lines)
        if lines
        else paragraph("None: every run is finished, and none of the checks found anything."),
    )


def _lines(report: Report) -> Iterator[str]:
    several = len(report.sources) > 1
    for source in report.sources:
        for name in source.unfinished:
            where = f"{source.path.name}: " if several else ""
            yield f"{where}{name}. It is left out."
    for task in report.tasks:
        yield from _unchecked(report, task)
        yield from _below_cross_entropy(report, task)
    for row, run in report.every_run():
        where = f"{run.task}: " if _of(report, run) else ""
        yield from (f"{where}{line}" for line in run.result.get("warned_before", ()))
        own = f"{row}, seed {run.seed}"
        # A run of a meta-training stands for each of its tasks, and has one result.
        yield from (f"{own}{_of(report, run)}: {line}" for line in run.result.get("warnings", ()))
        yield from (f"{own}, {run.task}: {line}" for line in _of_epochs(run))


def _of(report: Report, run: Trained) -> str:
    return f", {run.task}" if report.several_tasks and "tasks" not in run.result else ""


def _unchecked(report: Report, task: str) -> Iterator[str]:
    runs = [run for runs in report.on(task).values() for run in runs]
    if any(run.said("test_unchecked") for run in runs):
        yield (
            f"{task}: nobody checked the {report.targets} of the test samples. The results say how "
            f"well the networks predict {report.targets} some of which may be wrong."
        )
    if any(run.said("meta_unchecked") for run in runs):
        yield (
            f"{task}: nobody checked the {report.targets} of the meta samples that the adjusters "
            "learned from."
        )


def _below_cross_entropy(report: Report, task: str) -> Iterator[str]:
    """Name the methods that are below cross entropy, in their folder, by more than seeds differ."""
    rows = report.on(task)
    for name, runs in rows.items():
        of_folder = name.removesuffix(runs[0].method)  # empty if there is one folder
        baseline = rows.get(f"{of_folder}{cross_entropy.NAME}", [])
        if not baseline or any(run.result["metric"] != "accuracy" for run in baseline):
            continue
        plain, scores = ([run.score for run in each] for each in (baseline, runs))
        said = cross_entropy.below(plain, scores)
        if said is not None:
            yield f"{task}, {name}: {said}"


def _of_epochs(run: Trained) -> Iterator[str]:
    yield from (f"{line}." for line in skipped_steps(run.epochs))
    lost = [line["epoch"] for line in run.epochs if "train_loss" in line and not _is_there(line)]
    if lost:
        epochs = f"{len(lost)} epoch{'' if len(lost) == 1 else 's'}"
        yield f"the training loss was not finite in {epochs}."
    yield from _meta_loss(list(run.over_epochs("meta_loss").values()))


def _meta_loss(losses: Sequence[float]) -> Iterator[str]:
    third = len(losses) // 3
    if third == 0:
        return
    first, last = statistics.fmean(losses[:third]), statistics.fmean(losses[-third:])
    if last >= first:
        change = f", {100 * (last - first) / first:+.0f}%" if first > 0 else ""
        yield (
            f"the meta loss did not fall: its mean was {first:.4g} in the first third of the "
            f"epochs and {last:.4g} in the last{change}."
        )


def _is_there(line: object) -> bool:
    return isinstance(line, dict) and line["train_loss"] is not None
