"""What there is to say about a learned adjuster in a few entries."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from metaloss.pretrained.bundled import Pretrained, as_code
from metaloss.pretrained.spec import build, known


class Summary(NamedTuple):
    """An adjuster in a few entries, all of which JSON can hold.

    Attributes:
        name: its name for :func:`~metaloss.from_pretrained`.
        loss: the loss family whose hyperparameters it predicts.
        reads: the features that it reads.
        needs_index: whether the criterion has to be given sample ids.
        source: the data set that it was meta-trained on.
        tasks: the number of tasks that it was meta-trained on.
        metric: the metric of the figures.
        held_out: the means over the held-out tasks: ``plain`` is cross entropy, ``fixed`` the loss
            with its default hyperparameters, ``adjusted`` the adjuster. Figures that the card does
            not have are missing.
        held_out_tasks: the number of these tasks.
        held_out_seeds: their seeds.
    """

    name: str
    loss: str
    reads: list[str]
    needs_index: bool
    source: str
    tasks: int
    metric: str
    held_out: dict[str, float]
    held_out_tasks: int
    held_out_seeds: list[int]


def summary(adjuster: Pretrained) -> Summary:
    """Return what an adjuster's card says in a few entries.

    Example:
        >>> import metaloss
        >>> from metaloss.pretrained.summary import summary
        >>> found = summary(metaloss.list_pretrained()[0])
        >>> found.name, found.reads, found.needs_index
        ('gce-cifar10-context', ['Margin', 'MovingAverage(Margin)', 'ClassMargins'], True)
        >>> {row: round(mean, 1) for row, mean in found.held_out.items()}
        {'plain': 78.7, 'fixed': 82.6, 'adjusted': 85.1}
    """
    about = adjuster.card["about"]
    rows: Mapping[str, Mapping[str, float]] = about.get("held_out", {})
    return Summary(
        name=adjuster.name,
        loss=adjuster.loss,
        reads=_features(adjuster.card["conditioner"]),
        needs_index=build(adjuster.card["conditioner"], known()).needs_index,
        source=adjuster.source,
        tasks=len(about.get("tasks", ())),
        metric=about["metric"],
        held_out={
            _row(name, adjuster.loss): round(statistics.fmean(row.values()), 3)
            for name, row in rows.items()
        },
        held_out_tasks=max((len(row) for row in rows.values()), default=0),
        held_out_seeds=list(about.get("held_out_seeds", ())),
    )


def _row(name: str, loss: str) -> str:
    if name.startswith("transferred "):
        return "adjusted"
    # A loss with other ranges is named by its whole expression.
    return "fixed" if name == loss or name.startswith(f"{loss}(") else "plain"


def _features(spec: Mapping[str, Any]) -> list[str]:
    """Return the parts of a concatenation, or the only one, as code."""
    parts = spec["args"]["conditioners"] if spec["type"] == "Concat" else [spec]
    return [as_code(part) for part in parts]
