"""The sections with how the results were made: the configuration, the machine and the time."""

from __future__ import annotations

import statistics
from pathlib import Path

from metaloss.report.html import escaped, folded, paragraph, section, table
from metaloss.report.rows import Report, shortest_names


def configuration(report: Report) -> str:
    """Return the section: the configuration of each folder, folded."""
    parts = []
    for source, name in zip(report.sources, _names(report), strict=True):
        title = f"{name}/config.gin"
        if source.config is None:
            parts.append(paragraph(f"{name} has no config.gin: it was started from Python."))
        else:
            text = f'<pre tabindex="0">{escaped(source.config)}</pre>'
            parts.append(folded(title, text))
    return section("configuration", "Configuration", "".join(parts))


def environment(report: Report) -> str:
    """Return the section: versions, device and seconds."""
    known = [source.about for source in report.sources]
    keys = [("machine", key) for key in ("device", "processor", "cores", "threads", "system")]
    names = dict.fromkeys(name for about in known for name in about.get("versions", {}))
    keys += [("versions", name) for name in names]
    rows = [[escaped(key), *(_said(about, kind, key) for about in known)] for kind, key in keys]
    machine = table(["", *_names(report)], rows, "Machine and versions")
    return section("environment", "Environment", machine + _seconds(report))


def _said(about: object, kind: str, key: str) -> str:
    found = (about.get(kind) or {}).get(key) if isinstance(about, dict) else None
    return escaped("not known" if found is None else found)


def _names(report: Report) -> list[str]:
    return shortest_names([source.path.resolve() for source in report.sources])


def _seconds(report: Report) -> str:
    """Return what training took: the mean over the seeds of each method, and all together."""
    rows, total = [], dict[Path, float]()
    for row in report.rows:
        cells = []
        for task in report.tasks:
            made = report.runs.get((row, task), ())
            # A run of a meta-training stands for each of its tasks.
            total |= {run.records.path: run.result["seconds"] for run in made}
            seconds = [run.result["seconds"] for run in made]
            cells.append(f"{statistics.fmean(seconds):.1f}" if seconds else "-")
        rows.append([escaped(row), *cells])
    said = table(["method", *report.tasks], rows, "Seconds of training, mean of a run")
    runs = "1 run" if len(total) == 1 else f"{len(total)} runs"
    return said + paragraph(f"Together: {sum(total.values()):.0f} seconds in {runs}.")
