"""What an adjuster's card says of the training that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from metaloss.losses.narrowed import widest
from metaloss.training.methods import Adjusted
from metaloss.training.transfer import conventional


def network_name(model: nn.Module) -> str:
    """A network's class and size.

    Example:
        >>> import torch
        >>> from metaloss.training.cards import network_name
        >>> network_name(torch.nn.Linear(4, 3))
        'Linear, 15 parameters'
    """
    return f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters"


def rounded(said: Any) -> Any:
    """What is said with every number to five significant digits: cards are read by people.

    Example:
        >>> from metaloss.training.cards import rounded
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


def held_out_of(method: Adjusted, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a card says of the held-out report: figures by row and task.

    Args:
        method: whose card it is.
        rows: of the report; those of other methods are left out.
    """
    beside = [row.name for row in conventional([method.loss])]
    names = (*beside, repr(widest(method.loss)), f"transferred {method.name}")
    return {
        row["method"]: {
            task: rounded(own[f"{row['figure']}_mean"]) for task, own in row["tasks"].items()
        }
        for row in rows
        if row["method"] in names
    }
