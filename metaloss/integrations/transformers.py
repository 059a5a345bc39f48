"""Integration with the Trainer of Hugging Face's transformers.

``Trainer(compute_loss_func=criterion)`` needs nothing from here: a criterion takes the model's
output and the Trainer's keyword. What is here resumes a criterion, and passes sample ids to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
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
from metaloss.files import write_together
from metaloss.objective import AdjustedLoss

FILE = "criterion.safetensors"
"""The name of the criterion's file in a checkpoint's folder."""


class CriterionCallback(TrainerCallback):
    """Moves a criterion's snapshots, and keeps its state in the Trainer's checkpoints.

    ``criterion.progress`` is called before each step, so that the criterion needs no
    ``total_steps``. The state is saved beside the model's, and loaded when training resumes: from
    ``args.resume_from_checkpoint``, or from the folder of that step in ``args.output_dir``.

    Args:
        criterion: the criterion that is the Trainer's ``compute_loss_func``.

    Raises:
        InputError: when training resumes, if the checkpoint does not hold the criterion's state.

    Example:
        >>> import metaloss
        >>> from metaloss.integrations.transformers import CriterionCallback  # doctest: +SKIP
        >>> criterion = metaloss.from_pretrained("gce-fashion-mnist-statistics")
        >>> transformers.Trainer(
        ...     model,
        ...     train_dataset=train,
        ...     compute_loss_func=criterion,
        ...     callbacks=[CriterionCallback(criterion)],
        ... )  # doctest: +SKIP
    """

    def __init__(self, criterion: AdjustedLoss) -> None:
        self.criterion = criterion

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 - the library's signature
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Load the criterion's state if training resumes."""
        if state.global_step == 0:
            return
        folders = [_folder(args, state)]
        if isinstance(args.resume_from_checkpoint, str):
            folders.insert(0, Path(args.resume_from_checkpoint))
        files = [folder / FILE for folder in folders if (folder / FILE).is_file()]
        require(
            len(files) > 0,
            f"resume: expected {FILE} in {folders[0]}, got none; say where the checkpoint is with "
            "TrainingArguments(resume_from_checkpoint=...) too",
        )
        self.criterion.load_state_dict(safetensors.torch.load_file(files[0]))

    def on_step_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Call ``criterion.progress``."""
        self.criterion.progress(min(state.global_step / state.max_steps, 1.0))

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Save the criterion's state in the checkpoint's folder."""
        folder = _folder(args, state)
        if args.should_save and folder.is_dir():  # a hyperparameter search has other folders
            tensors = {
                name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
                for name, value in self.criterion.state_dict().items()
            }
            write_together({folder / FILE: safetensors.torch.save(tensors)})


class IndexedTrainer(Trainer):
    """A Trainer that passes sample ids to the criterion, for conditioners that remember samples.

    Each sample of the training set needs an ``index``, its position in the labels that were passed
    to ``criterion.prepare``. Other conditioners need no more than
    ``Trainer(compute_loss_func=criterion)``.

    Args:
        criterion: a criterion prepared with the training labels. Its snapshots are switched, and
            its state is saved and resumed, as by :class:`CriterionCallback`.
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
        super().__init__(compute_loss_func=self._loss, **others)
        require(
            not self.args.remove_unused_columns,
            "IndexedTrainer: expected TrainingArguments(remove_unused_columns=False), with which "
            "samples keep their index, got True",
        )
        self.criterion = criterion
        self._index: Tensor | None = None
        self.add_callback(CriterionCallback(criterion))

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the criterion's loss."""
        given = dict(inputs)
        self._index = given.pop("index", None)
        return super().compute_loss(model, given, return_outputs, num_items_in_batch)

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        index = self._index
        return self.criterion(outputs, labels, index, num_items_in_batch=num_items_in_batch)


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    assert args.output_dir is not None
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
