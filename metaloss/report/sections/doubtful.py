"""The section with the training samples whose labels are the most doubtful."""

from __future__ import annotations

import shlex
from pathlib import Path

from metaloss.experiments.records.labels_file import Doubtful, DoubtfulLabels, read_labels
from metaloss.experiments.records.names import slug
from metaloss.report.html import escaped, folded, paragraph, section, table
from metaloss.report.rows import Report
from metaloss.report.sources import LEARNED_ON, Source, Trained


def doubtful(report: Report) -> str:
    """Return the section: the samples that ``metaloss labels`` found, or how to find them."""
    if report.targets != "labels":
        return ""
    folders = {
        _folder(run): run
        for source in report.sources
        for run in source.trained
        if _has_labels(run, source)
    }
    found = {folder: labels for folder in folders if (labels := read_labels(folder)) is not None}
    parts: list[str] = []
    for folder, labels in found.items():
        body = _shown(labels)
        several = len(folders) > 1
        title = _title(report, folder, folders[folder])
        parts.append(folded(title, body, opened=not parts) if several else body)
    parts += [
        line
        for source in report.sources
        if (line := _how(source, [each for each in folders if each not in found]))
    ]
    return section("doubtful", "Most doubtful labels", "".join(parts))


def _has_labels(run: Trained, source: Source) -> bool:
    """Return whether ``metaloss labels`` takes such a run; not one that several tasks share."""
    below = run.records.path.relative_to(source.path).parts
    return not run.task.endswith(LEARNED_ON) and "held-out" not in below


def _folder(run: Trained) -> Path:
    return run.records.path.parent.parent


def _title(report: Report, folder: Path, run: Trained) -> str:
    own = next(source for source in report.sources if folder.is_relative_to(source.path))
    if len(report.sources) == 1:
        return run.task
    return own.path.name if folder == own.path else f"{own.path.name}: {run.task}"


def _how(source: Source, missing: list[Path]) -> str:
    """Say which command finds the samples of folders that have none; nothing if none does."""
    mine = [folder for folder in missing if folder.is_relative_to(source.path)]
    if source.config is None or not mine:
        return ""
    words = ["metaloss", "labels", str(source.path)]
    tasks = {slug(run.task): run.task for run in source.trained}
    names = [tasks.get(folder.name, folder.name) for folder in mine if folder != source.path]
    also = f" And so for {', '.join(names[1:])}." if names[1:] else ""
    words += ["--task", names[0]] if names else []
    return (
        f"<p><code>{escaped(shlex.join(words))}</code> ranks the training samples by how doubtful "
        f"their labels are, and shows the first of them here.{escaped(also)}</p>"
    )


def _shown(labels: DoubtfulLabels) -> str:
    about = f"Judged by {labels.about}. " if labels.about else ""
    head = paragraph(
        f"{about}The score says how far a label can be trusted, from 0 to 1. All samples are in "
        "labels.csv."
    )
    if labels.rate is not None:
        worst = max(labels.rates, key=lambda name: labels.rates[name] or 0.0, default=None)
        of_worst = labels.rates[worst] if worst is not None else None
        most = f", most of all {of_worst:.0%} of {worst!r}" if of_worst else ""
        head += paragraph(
            f"{labels.rate:.0%} of the labels are estimated to be wrong{most}. The estimate counts "
            "samples that the network cannot tell, too, and not wrong labels that it knows by "
            "heart. labels.json has it for each class."
        )
    if any(sample.picture for sample in labels.samples):
        return head + f'<div class="samples">\n{"".join(map(_card, labels.samples))}\n</div>'
    rows = [
        [escaped(s.name), escaped(s.given), escaped(s.suggested), _score(s.score)]
        for s in labels.samples
    ]
    return head + table(["sample", "given", "suggested", "score"], rows)


def _card(sample: Doubtful) -> str:
    short = sample.name.replace("\\", "/").rsplit("/", 1)[-1]
    said = f"sample {short}, given {sample.given}, suggested {sample.suggested}"
    image = f'<img src="{sample.picture}" alt="{escaped(said)}">' if sample.picture else ""
    return (
        f'<figure>{image}<figcaption><span class="given">given: {escaped(sample.given)}</span>'
        f'<span class="suggested">suggested: {escaped(sample.suggested)}</span>'
        f"<span>score: {_score(sample.score)}</span>"
        f'<span title="{escaped(sample.name)}">{_what(sample.name)}: {escaped(short)}</span>'
        "</figcaption></figure>\n"
    )


def _score(score: float) -> str:
    return "&lt;0.001" if score < 0.0005 else f"{score:.3f}"


def _what(name: str) -> str:
    return "id" if name.isdigit() else "file"
