"""For the Trainer of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from metaloss.objective import AdjustedLoss


class ProgressCallback(TrainerCallback):
    """Tells a criterion how much of training is done: moves its snapshots (Algorithm 2).

    Args:
        criterion: the one that :func:`loss_func` was given.
    """

    def __init__(self, criterion: AdjustedLoss) -> None:
        self.criterion = criterion

    def on_step_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the library's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Before each step."""
        self.criterion.progress(min(state.global_step / state.max_steps, 1.0))


def loss_func(criterion: AdjustedLoss) -> Callable[..., Tensor]:
    """What ``Trainer(compute_loss_func=...)`` takes, for a model that gives ``logits``.

    Args:
        criterion: whose conditioner needs no sample ids.

    Example:
        >>> import metaloss
        >>> from metaloss.integrations import transformers as ours  # doctest: +SKIP
        >>> criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
        >>> transformers.Trainer(
        ...     model,
        ...     train_dataset=train,
        ...     compute_loss_func=ours.loss_func(criterion),
        ...     callbacks=[ours.ProgressCallback(criterion)],
        ... )  # doctest: +SKIP
    """

    def compute(
        outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None
    ) -> Tensor:
        logits = outputs["logits"]
        if criterion.adjuster.low.device != logits.device:  # the trainer moves the model alone
            criterion.to(logits.device)
        losses = criterion.losses(logits, labels)
        if num_items_in_batch is None:
            return losses.mean()
        # With gradient accumulation the trainer adds the losses of several batches up.
        return losses.sum() / torch.as_tensor(num_items_in_batch, device=losses.device)

    return compute
