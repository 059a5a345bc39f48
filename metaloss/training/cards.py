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


def held_out_of(method: Adjusted, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a card says of the held-out report: figures by row and task.

    Args:
        method: whose card it is.
        rows: of the report; those of other methods are left out.
    """
    beside = [row.name for row in conventional([method.loss])]
    names = (*beside, repr(widest(method.loss)), f"transferred {method.name}")
    return {
        row["method"]: {task: own[f"{row['figure']}_mean"] for task, own in row["tasks"].items()}
        for row in rows
        if row["method"] in names
    }
