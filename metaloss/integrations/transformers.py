"""Integration with the Trainer of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from metaloss.checks import require
from metaloss.objective import AdjustedLoss


class ProgressCallback(TrainerCallback):
    """Calls ``criterion.progress`` before each step, which selects the snapshot (Algorithm 2).

    Args:
        criterion: the criterion that was passed to :func:`loss_func`.
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
        """Calls ``criterion.progress``."""
        self.criterion.progress(min(state.global_step / state.max_steps, 1.0))


def loss_func(criterion: AdjustedLoss) -> Callable[..., Tensor]:
    """Returns a function for ``Trainer(compute_loss_func=...)``, for models that return ``logits``.

    Args:
        criterion: a criterion whose conditioner needs no sample ids.

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
        outputs: Mapping[str, Tensor],
        labels: Tensor,
        num_items_in_batch: Any = None,
        index: Tensor | None = None,
    ) -> Tensor:
        logits = outputs["logits"]
        if criterion.adjuster.low.device != logits.device:  # the trainer moves only the model
            criterion.to(logits.device)
        losses = criterion.losses(logits, labels, index)
        if num_items_in_batch is None:
            return losses.mean()
        # With gradient accumulation the trainer sums the losses of several batches.
        return losses.sum() / torch.as_tensor(num_items_in_batch, device=losses.device)

    return compute


class IndexedTrainer(Trainer):
    """A Trainer that passes sample ids to the criterion, for conditioners with a memory.

    Each sample of the training set needs an ``index``, its position in the labels that were passed
    to ``criterion.prepare``. Evaluation uses the plain loss, because the memory holds training
    samples only. For other conditioners, ``compute_loss_func`` and :func:`loss_func` suffice.

    Args:
        criterion: a criterion prepared with the training labels. Its snapshots are switched.
        others: arguments of the Trainer. Its ``args`` need ``remove_unused_columns=False``.

    Raises:
        InputError: the Trainer would remove the sample ids.

    Example:
        >>> import metaloss
        >>> from metaloss.integrations import transformers as ours  # doctest: +SKIP
        >>> criterion = metaloss.from_pretrained("sl-fashion-mnist-context")
        >>> criterion.prepare(train_labels, num_classes)  # doctest: +SKIP
        >>> ours.IndexedTrainer(
        ...     model=model, args=args, train_dataset=train, criterion=criterion
        ... ).train()  # doctest: +SKIP
    """

    def __init__(self, *, criterion: AdjustedLoss, **others: Any) -> None:
        super().__init__(**others)
        require(
            not self.args.remove_unused_columns,
            "IndexedTrainer: expected TrainingArguments(remove_unused_columns=False), with which "
            "samples keep their index, got True",
        )
        self.criterion = criterion
        self._loss = loss_func(criterion)
        self._plain = criterion.loss.kind.mean_loss
        self.add_callback(ProgressCallback(criterion))

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Returns the criterion's loss in training, the plain loss in evaluation."""
        given = dict(inputs)
        labels, index = given.pop("labels"), given.pop("index", None)
        outputs = model(**given)
        if model.training:
            loss = self._loss(outputs, labels, num_items_in_batch, index)
        else:
            loss = self._plain(outputs["logits"], labels)
        return (loss, outputs) if return_outputs else loss
