"""What is printed of the labels of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor

from metaloss.labels.assessment import Assessment
from metaloss.labels.confident import LabelNoise
from metaloss.labels.detection import FEW, Detection

WIDEST = 10
"""The number of classes up to which the whole transition matrix is printed."""

LARGEST = 12
"""The number of its entries that are printed otherwise."""


def summary(assessment: Assessment) -> str:
    """Return the line with the number of samples and the rate of wrong labels."""
    held_out = 0 if assessment.held_out is None else int(assessment.held_out.sum())
    line = (
        f"{len(assessment.labels)} samples{f', {held_out} of them held out' if held_out else ''}; "
        f"estimated rate of wrong labels {assessment.noise.rate:.1%} (samples that the network "
        "cannot tell count, too)"
    )
    if assessment.flipped is None:
        return line
    return f"{line}; known to be wrong {assessment.flipped.float().mean().item():.1%}"


def class_table(assessment: Assessment, class_names: Sequence[str]) -> Table:
    """Return the table of wrong labels by given label."""
    classes = len(class_names)
    counts = assessment.labels.bincount(minlength=classes).tolist()
    rates = assessment.noise.class_rates.tolist()
    flipped = assessment.flipped
    table = Table(title="Wrong labels, by given label")
    table.add_column("label", overflow="fold")
    for heading in ("samples", "estimated", *(() if flipped is None else ("known",))):
        table.add_column(heading, justify="right")
    known = torch.zeros(classes, dtype=torch.int64)
    if flipped is not None:
        known = assessment.labels[flipped].bincount(minlength=classes)
    for name, count, rate, wrong in zip(class_names, counts, rates, known.tolist(), strict=True):
        shares = [_percent(rate) if count else "-"]
        if flipped is not None:
            shares.append(_percent(wrong / count) if count else "-")
        table.add_row(Text(name), str(count), *shares)
    return table


def transition_table(noise: LabelNoise, class_names: Sequence[str]) -> Table:
    """Return the estimated transition matrix in percent, or its largest entries if it is wide."""
    matrix = noise.transition
    if len(class_names) > WIDEST:
        return _largest(matrix, class_names)
    title = "Estimated transition matrix (%): from the true class to the label"
    table = Table(title=title, min_width=len(title))
    table.add_column("true class", overflow="fold")
    for number in range(1, len(class_names) + 1):  # names would be broken into letters
        table.add_column(str(number), justify="right")
    for number, (name, row) in enumerate(zip(class_names, matrix.tolist(), strict=True), start=1):
        table.add_row(Text(f"{number} {name}"), *(f"{100 * value:.0f}" for value in row))
    return table


def _largest(matrix: Tensor, class_names: Sequence[str]) -> Table:
    table = Table(title="Largest entries off the diagonal of the estimated transition matrix")
    for heading in ("true class", "label"):
        table.add_column(heading, overflow="fold")
    table.add_column("probability", justify="right")
    values, cells = matrix.clone().fill_diagonal_(0).flatten().sort(descending=True, stable=True)
    for value, cell in list(zip(values.tolist(), cells.tolist(), strict=True))[:LARGEST]:
        if value > 0:
            true, label = divmod(cell, len(class_names))
            table.add_row(Text(class_names[true]), Text(class_names[label]), _percent(value))
    return table


def detection_table(
    found: Mapping[str, Detection], ranked_by: str, wrong: int, labels: int
) -> Table:
    """Return the table of how well each score finds the wrong labels."""
    table = Table(
        title=f"How well each score finds the {wrong} wrong labels (%)",
        caption="AP: average precision; P@k: precision among the k most doubtful; *: ranked by",
    )
    table.add_column("score", overflow="fold")
    for heading in ("AUROC", "AP", f"P@{min(FEW, labels)}", f"P@{wrong}"):
        table.add_column(heading, justify="right")
    for name, figures in found.items():
        marked = f"{name} *" if name == ranked_by else name
        table.add_row(Text(marked), *(f"{100 * value:.1f}" for value in figures))
    return table


def tables(
    assessment: Assessment,
    class_names: Sequence[str],
    found: Mapping[str, Detection],
    ranked_by: str,
) -> Iterator[Table]:
    """Yield all tables; that of detection only if there are figures."""
    yield class_table(assessment, class_names)
    yield transition_table(assessment.noise, class_names)
    if found and assessment.flipped is not None:
        flipped = assessment.flipped
        yield detection_table(found, ranked_by, int(flipped.sum()), len(flipped))


def _percent(value: float) -> str:
    return f"{value:.1%}"
