"""Entries of an adjuster's card that describe its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from metaloss.experiments.methods import Adjusted
from metaloss.experiments.methods.conventional import baselines
from metaloss.losses import LossFamily, plain_loss
from metaloss.losses.derived import widest
from metaloss.meta_losses import MetaLoss
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import RunInfo
from metaloss.types import has_checked_meta, has_checked_test


def network_name(model: nn.Module) -> str:
    """Return a network's class and size.

    Example:
        >>> import torch
        >>> from metaloss.experiments.result_entries import network_name
        >>> network_name(torch.nn.Linear(4, 3))
        'Linear, 15 parameters'
    """
    return f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters"


def rounded(said: Any) -> Any:
    """Round every float in a nested value to five significant digits.

    Example:
        >>> from metaloss.experiments.result_entries import rounded
        >>> rounded({"accuracy": 70.83399999999999, "epochs": 30, "rows": [1 / 3]})
        {'accuracy': 70.834, 'epochs': 30, 'rows': [0.33333]}
    """
    if isinstance(said, float):
        return float(f"{said:.5g}")
    if isinstance(said, Mapping):
        return {key: rounded(value) for key, value in said.items()}
    if isinstance(said, (list, tuple)):
        return [rounded(value) for value in said]
    return said


def about_meta_loss(trainings: MultiTaskTraining) -> dict[str, Any]:
    """Return the meta loss of a run, if an adjuster was learned.

    Returns:
        ``meta_loss``, and ``meta_unchecked``, the tasks whose meta samples nobody checked, if there
        are any. Nothing if no adjuster was learned.
    """
    if trainings.meta_learner is None:
        return {}
    found = {}
    for name, training in trainings.trainings.items():
        given = training.recipe.lookahead.meta_loss
        found[name] = given or plain_loss(training.state.criterion.loss.kind)
    unchecked = [name for name, t in trainings.trainings.items() if not has_checked_meta(t.task)]
    said = {"meta_loss": "; ".join(dict.fromkeys(map(_name, found.values())))}
    return {**said, "meta_unchecked": unchecked} if unchecked else said


def meta_result(
    trainings: MultiTaskTraining, epochs: Sequence[Mapping[str, Any]], info: RunInfo
) -> dict[str, Any]:
    """Return the result of a meta-training run: the last metric of each task, and its cost."""
    tasks = list(trainings.trainings.values())
    metric = tasks[0].state.criterion.loss.kind.metric.name
    alone = next(iter(trainings.trainings))  # the records of a single task do not name it
    last = {
        record.get("task", alone): record[f"test_{metric}"]
        for record in sorted(epochs, key=lambda record: record["epoch"])
        if f"test_{metric}" in record
    }
    assert trainings.meta_learner is not None
    unchecked = [name for name, t in trainings.trainings.items() if not has_checked_test(t.task)]
    return {
        "method": info.method,
        "seed": info.seed,
        "tasks": last,
        "metric": metric,
        metric: sum(last.values()) / len(last),
        **({"test_unchecked": unchecked} if unchecked else {}),
        "samples": sorted({task.task.train.num_samples for task in tasks}),
        "network": "; ".join(dict.fromkeys(network_name(task.state.model) for task in tasks)),
        "epochs": info.epochs,
        "meta_every": sorted({task.recipe.meta_every for task in tasks}),
        "meta_steps": trainings.meta_learner.steps,
        **about_meta_loss(trainings),
        "seconds": sum(epoch["seconds"] for epoch in epochs),
    }


def held_out_of(method: Adjusted, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the card's part of the held-out report: the metric by method and task.

    Tasks whose test targets nobody checked are marked.

    Rows of other methods are left out.
    """
    beside = [row.name for row in baselines([method.loss])]
    names = (*beside, repr(widest(method.loss)), f"transferred {method.name}")
    return {
        row["method"]: {
            task + (" (unchecked)" if own.get("test_unchecked") else ""): rounded(
                own[f"{row['metric']}_mean"]
            )
            for task, own in row["tasks"].items()
        }
        for row in rows
        if row["method"] in names
    }


def _name(loss: object) -> str:
    """Return a loss as it is written; a function of the user's has a name alone."""
    if isinstance(loss, MetaLoss | LossFamily):
        return repr(loss)
    return str(getattr(loss, "__qualname__", type(loss).__qualname__))
